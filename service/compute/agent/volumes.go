package agent

import (
	"context"
	"crypto/md5" //nolint:gosec // a name that others know it by
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// connection is what the volume service says of how a volume is reached
// (connection_info of its attachments); which members count depends on the type.
// Some services put them at the top, others below data.
type connection struct {
	Type string `json:"driver_volume_type"`
	access
	Data *access `json:"data"`
	// MountPoint is where the volume service has the shares of NFS mounted, as hosts do.
	MountPoint string `json:"mount_point_base"`
}

type access struct {
	DevicePath string `json:"device_path"`
	Path       string `json:"path"`
	Format     string `json:"format"`
	Mode       string `json:"access_mode"`
	Portal     string `json:"target_portal"`
	IQN        string `json:"target_iqn"`
	LUN        int    `json:"target_lun"`
	User       string `json:"auth_username"`
	Secret     string `json:"auth_password"`
	Export     string `json:"export"` // of NFS: host:/path
	Name       string `json:"name"`   // of the file there
}

// volume describes a server's volume to the driver.
func volume(d compute.BlockDevice) (hypervisor.Volume, error) {
	v := hypervisor.Volume{ID: strings.ToLower(d.VolumeID), Device: d.Device, Boot: d.Boot}
	if len(d.Connection) == 0 {
		return v, fault.Conflictf("Volume %s is not connected to this host.", d.VolumeID)
	}
	var c connection
	if err := json.Unmarshal(d.Connection, &c); err != nil {
		return v, fault.New(fault.Unavailable, "The volume service says of volume %s what cannot be read: %w", d.VolumeID, err)
	}
	from := c.access
	if c.Data != nil {
		from = *c.Data
	}
	v.ReadOnly = from.Mode == "ro"
	v.Path, v.Format, v.Portal, v.IQN, v.LUN, v.User, v.Secret = from.Path, from.Format, from.Portal, from.IQN, from.LUN, from.User, from.Secret
	if v.Path == "" {
		v.Path = from.DevicePath
	}
	switch c.Type {
	case "iscsi", "nbd":
		v.Kind = c.Type
	case "file", "local":
		v.Kind = "file"
		if v.Format == "" {
			v.Format = "raw"
		}
	case "nfs":
		// The share is mounted where upstream's services have it, by whoever runs the host.
		if v.Kind = "file"; from.Name == "" || filepath.Base(from.Name) != from.Name || c.MountPoint == "" || from.Export == "" {
			return v, fault.Invalidf("Volume %s is of the kind nfs and lacks an export, the name of a file there or where it is mounted.", d.VolumeID)
		}
		sum := md5.Sum([]byte(from.Export)) //nolint:gosec // a name that others know it by
		v.Path = filepath.Join(c.MountPoint, hex.EncodeToString(sum[:]), from.Name)
	default:
		return v, fault.New(fault.Unsupported, "Volume %s is reached by %.32q; file, local, nfs, iscsi and nbd are known.", d.VolumeID, c.Type)
	}
	return v, v.Check()
}

// volumes are those of a server that its guest shall have.
func volumes(s *compute.Server) ([]hypervisor.Volume, error) {
	var all []hypervisor.Volume
	for _, d := range s.Devices {
		if d.AttachmentID == "" || len(d.Connection) == 0 {
			continue // on its way: its own task brings it
		}
		v, err := volume(d)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func (a *Agent) attachVolume(ctx context.Context, r compute.VolumeRequest) (compute.Power, error) {
	defer a.locks.on(r.ServerID)()
	v, err := volume(r.Device)
	if err != nil {
		return 0, err
	}
	if r.Replaces == "" {
		err = a.Driver.AttachVolume(ctx, r.ServerID, v)
	} else if swapper, ok := a.Driver.(hypervisor.VolumeSwapper); ok {
		err = swapper.SwapVolume(ctx, r.ServerID, strings.ToLower(r.Replaces), v)
	} else {
		err = fault.New(fault.Unsupported, "The hypervisor of %s cannot swap volume %s for another.", a.Host, r.Replaces)
	}
	return a.powerOf(ctx, r.ServerID), err
}

func (a *Agent) detachVolume(ctx context.Context, r compute.VolumeRequest) (compute.Power, error) {
	defer a.locks.on(r.ServerID)()
	err := a.Driver.DetachVolume(ctx, r.ServerID, strings.ToLower(r.Device.VolumeID))
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	return a.powerOf(ctx, r.ServerID), err
}

func (a *Agent) extendVolume(ctx context.Context, r compute.VolumeSize) (compute.Power, error) {
	defer a.locks.on(r.ServerID)()
	d, err := as[hypervisor.VolumeExtender](a, "tell guests of volumes that have grown")
	if err == nil {
		err = d.ExtendVolume(ctx, r.ServerID, strings.ToLower(r.VolumeID), r.SizeGB)
	}
	return a.powerOf(ctx, r.ServerID), err
}
