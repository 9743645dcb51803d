package control

import (
	"context"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/undo"
	"kilonova/service/compute"
)

// NewDisk is one element of what a caller says of a new server's disks.
type NewDisk struct {
	Source string // "volume", "image", "snapshot", "blank"
	ID     string // of the source
	// Local disks are the host's and the flavor's; others are volumes.
	Local       bool
	BootIndex   int // 0 is the root disk; -1 is not booted from
	SizeGB      int
	Device, Tag string
	VolumeType  string
	DeleteOnEnd bool
}

func badMapping(format string, args ...any) error {
	return fault.Invalidf("Block Device Mapping is Invalid: "+format, args...)
}

// checkDisks reads what a caller says of a new server's disks: it finds the one
// to boot from and looks at those that are there already. What has to be made is
// made by makeDisks, when nothing else can be refused any more.
func (c *Control) checkDisks(ctx context.Context, s *compute.Server, n NewServer) error {
	if len(n.Disks) == 0 {
		return nil
	}
	boot := 0
	for i, d := range n.Disks {
		if d.BootIndex == 0 {
			boot++
		}
		if d.Local {
			if err := c.checkLocalDisk(s, d); err != nil {
				return err
			}
			continue
		}
		if err := c.volumesHere(); err != nil {
			return err
		}
		if err := c.Policy.Enforce(ctx, "os_compute_api:servers:create:attach_volume", auth.Own(ctx)); err != nil {
			return err
		}
		meta, err := c.checkVolumeDisk(ctx, &n.Disks[i], max(n.MinCount, n.MaxCount))
		if err != nil {
			return err
		}
		if d.BootIndex == 0 {
			s.ImageMeta = meta
		}
	}
	if s.ImageID != "" && boot == 0 {
		boot = 1 // the image on the flavor's disk
	}
	if boot != 1 {
		return badMapping("Boot sequence for the instance and image/block device mapping combination is not valid.")
	}
	return nil
}

func (c *Control) checkLocalDisk(s *compute.Server, d NewDisk) error {
	switch {
	case d.Source == "image" && d.BootIndex == 0 && d.ID == s.ImageID:
		return nil // what a server with an image has anyway
	case d.Source == "image" && d.BootIndex == 0:
		return badMapping("Boot sequence for the instance and image/block device mapping combination is not valid.")
	case d.Source == "image":
		return badMapping("Mapping image to local is not supported.")
	case d.Source == "volume":
		return badMapping("Mapping volume to local is not supported.")
	case d.Source == "snapshot":
		return badMapping("Mapping snapshot to local is not supported.")
	}
	return badMapping("Disks of a host besides the root disk are not made here; ask for a blank volume instead.")
}

// checkVolumeDisk checks one that is or becomes a volume and returns what is known
// of the image in it.
func (c *Control) checkVolumeDisk(ctx context.Context, d *NewDisk, servers int) (meta compute.ImageMeta, err error) {
	switch d.Source {
	case "volume":
		v, err := c.Volumes.Volume(ctx, d.ID)
		if err != nil {
			return meta, badMapping("failed to get volume %s.", d.ID)
		}
		if servers > 1 && !v.Multiattach {
			return meta, fault.Invalidf("Cannot attach one or more volumes to multiple instances")
		}
		if v.Status != "available" && !(v.Multiattach && v.Status == "in-use") {
			return meta, fault.Invalidf("Invalid volume: volume '%s' status must be 'available'. Currently in '%s'", d.ID, v.Status)
		}
		if d.BootIndex == 0 && !v.Bootable {
			return meta, badMapping("Volume %s is not bootable, thus cannot boot from it.", d.ID)
		}
		return v.ImageMeta, nil
	case "snapshot":
		snapshot, err := c.Volumes.Snapshot(ctx, d.ID)
		if err != nil {
			return meta, badMapping("failed to get snapshot %s.", d.ID)
		}
		if d.SizeGB == 0 {
			d.SizeGB = snapshot.SizeGB
		}
		return meta, nil
	case "image":
		image, err := c.Images.Image(ctx, d.ID)
		if fault.Is(err, fault.NotFound) {
			return meta, badMapping("failed to get image %s.", d.ID)
		}
		if err != nil {
			return meta, err
		}
		if d.SizeGB == 0 {
			return meta, badMapping("Images with destination_type 'volume' need to have a non-zero size specified")
		}
		if d.SizeGB < image.MinDiskGB {
			return meta, fault.Invalidf("Volume is smaller than the minimum size specified in image metadata. Volume size is %d GB, minimum size is %d GB.", d.SizeGB, image.MinDiskGB)
		}
		return compute.ImageMeta{Name: image.Name, DiskFormat: image.DiskFormat, ContainerFormat: image.ContainerFormat, MinDiskGB: image.MinDiskGB,
			MinRAMMB: image.MinRAMMB, Properties: image.Properties}, nil
	}
	if d.SizeGB == 0 {
		return meta, badMapping("Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size")
	}
	return meta, nil
}

// makeDisks has the volumes of new servers made and those that are there reserved:
// as the caller, whose quota and whose volumes they are. u takes all of it back.
func (c *Control) makeDisks(ctx context.Context, u *undo.Stack, servers []*compute.Server, disks []NewDisk) error {
	for _, s := range servers {
		for _, d := range disks {
			if d.Local {
				continue
			}
			device := compute.BlockDevice{ID: newID(), Source: d.Source, VolumeID: d.ID, Tag: d.Tag, DeleteOnEnd: d.DeleteOnEnd, Boot: d.BootIndex == 0, Device: d.Device}
			var err error
			if device.Boot {
				device.Device = s.RootDevice
			} else if device.Device, err = freeDevice(s.Devices, s, d.Device); err != nil {
				return err
			}
			if d.Source == "volume" {
				if device.AttachmentID, err = c.Volumes.Reserve(ctx, d.ID, s.ID); err != nil {
					return err
				}
				u.Add("release volume", func(ctx context.Context) error { return c.Volumes.Release(ctx, device.AttachmentID) })
			} else {
				n := compute.NewVolume{SizeGB: d.SizeGB, Type: d.VolumeType}
				switch d.Source {
				case "image":
					n.ImageID = d.ID
				case "snapshot":
					n.SnapshotID = d.ID
				}
				v, err := c.Volumes.Create(ctx, n)
				if err != nil {
					return err
				}
				device.VolumeID = v.ID
				u.Add("delete volume", func(ctx context.Context) error { return c.Volumes.Delete(ctx, v.ID) })
			}
			s.Devices = append(s.Devices, device)
		}
	}
	return nil
}
