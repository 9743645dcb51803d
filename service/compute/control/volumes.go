package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/notify"
	"kilonova/service/compute/store"
)

// volumesHere reports a cloud without a volume service to those who need one.
func (c *Control) volumesHere() error {
	if c.Volumes == nil {
		return fault.Invalidf("There is no volume service in this cloud.")
	}
	return nil
}

// Devices returns the volumes of a server; rule is the last part of the policy's name.
func (c *Control) Devices(ctx context.Context, rule, id string) ([]compute.BlockDevice, error) {
	s, err := c.ownServer(ctx, "os_compute_api:os-volumes-attachments:"+rule, id)
	if err != nil {
		return nil, err
	}
	return attachedDevices(s), nil
}

// attachedDevices are those that the volume service knows of.
func attachedDevices(s *compute.Server) []compute.BlockDevice {
	return slices.DeleteFunc(slices.Clone(s.Devices), func(d compute.BlockDevice) bool { return d.AttachmentID == "" })
}

func deviceOf(s *compute.Server, volumeID string) int {
	return slices.IndexFunc(s.Devices, func(d compute.BlockDevice) bool { return d.VolumeID == volumeID })
}

// maxVolumes bounds the volumes of a server, as the letters of /dev/vd? do.
const maxVolumes = 25

// NewAttachment is a volume that a server shall have.
type NewAttachment struct {
	VolumeID, Device, Tag string
	DeleteOnEnd           bool
}

// errNoMultiattach is for clients that do not know that a volume can have several
// servers.
var errNoMultiattach = fault.Invalidf("Multiattach volumes are only supported starting with compute API version 2.60.")

// AttachVolume gives a server a volume. It is the server's from now on; the guest
// gets it by a task.
// Of old clients offloaded says whether they know that a server that is shelved
// away can have one, multi that a volume can have several servers.
func (c *Control) AttachVolume(ctx context.Context, id string, n NewAttachment, offloaded, multi bool) (device compute.BlockDevice, err error) {
	if err := c.volumesHere(); err != nil {
		return device, err
	}
	s, err := c.asked(ctx, "os_compute_api:os-volumes-attachments:create", id, compute.AttachVolume)
	if err != nil {
		return device, err
	}
	if s.State == compute.ShelvedOffloaded && !offloaded {
		return device, fault.Conflictf("Cannot '%s' instance %s while it is in vm_state %s", compute.AttachVolume, id, s.State)
	}
	if deviceOf(s, n.VolumeID) >= 0 && s.Devices[deviceOf(s, n.VolumeID)].AttachmentID != "" {
		return device, fault.Invalidf("Invalid volume: volume %s already attached", n.VolumeID)
	}
	v, err := c.Volumes.Volume(ctx, n.VolumeID)
	if err != nil {
		return device, err
	}
	if v.Multiattach && !multi {
		return device, errNoMultiattach
	}
	if v.Multiattach && s.State == compute.ShelvedOffloaded {
		return device, fault.Invalidf("Attaching multiattach volume %s to instances that are shelved away is not supported.", n.VolumeID)
	}
	if v.Status != "available" && !(v.Multiattach && v.Status == "in-use") {
		return device, fault.Invalidf("Invalid volume: volume '%s' status must be 'available'. Currently in '%s'", n.VolumeID, v.Status)
	}
	if err := c.checkVolumeZone(ctx, s, v); err != nil {
		return device, err
	}
	device = compute.BlockDevice{ID: newID(), Source: "volume", VolumeID: n.VolumeID, Device: n.Device, Tag: n.Tag, DeleteOnEnd: n.DeleteOnEnd}
	// Noted before it is reserved: should this process die in between, the end of
	// the server gives the reservation back.
	err = c.changeDevices(ctx, id, func(all []compute.BlockDevice) ([]compute.BlockDevice, error) {
		all = withoutVolume(all, n.VolumeID)
		if len(all) >= maxVolumes {
			return nil, fault.Forbiddenf("The maximum allowed number of disk devices (%d) to attach to a single instance has been exceeded.", maxVolumes+1)
		}
		if device.Device, err = freeDevice(all, s, n.Device); err != nil {
			return nil, err
		}
		return append(all, device), nil
	})
	if err != nil {
		return device, err
	}
	if device.AttachmentID, err = c.Volumes.Reserve(ctx, n.VolumeID, id); err != nil {
		return device, errors.Join(err, c.dropDevice(ctx, id, n.VolumeID))
	}
	return device, c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.changeDevicesIn(ctx, tx, id, func(all []compute.BlockDevice) ([]compute.BlockDevice, error) {
			return append(withoutVolume(all, n.VolumeID), device), nil
		}); err != nil {
			return err
		}
		if err := c.actAbout(ctx, tx, id, "attach_volume", notify.About{notify.AboutVolume: n.VolumeID}); err != nil {
			return err
		}
		return c.add(ctx, tx, taskAttachVolume, id, n.VolumeID)
	})
}

// freeDevice is the name of a server's next disk; one that was asked for must be free.
func freeDevice(all []compute.BlockDevice, s *compute.Server, asked string) (string, error) {
	taken := map[string]bool{s.RootDevice: true}
	for _, d := range all {
		taken[d.Device] = true
	}
	for _, d := range s.System.LocalDisks {
		taken[d.Device] = true
	}
	delete(taken, "")
	if asked != "" {
		if taken[asked] {
			return "", fault.Conflictf("The supplied device path (%s) is in use.", asked)
		}
		return asked, nil
	}
	for _, d := range s.LocalDisks() { // those without a name of their own give way to one that was asked for
		taken[d.Device] = true
	}
	for letter := 'b'; letter <= 'z'; letter++ {
		if name := "/dev/vd" + string(letter); !taken[name] {
			return name, nil
		}
	}
	return "", fault.Forbiddenf("Instance %s has no name left for a further disk.", s.ID)
}

func withoutVolume(all []compute.BlockDevice, volumeID string) []compute.BlockDevice {
	return slices.DeleteFunc(slices.Clone(all), func(d compute.BlockDevice) bool { return d.VolumeID == volumeID })
}

// changeDevices changes what is known of a server's volumes, as they are now. A
// server that is gone, or going, gets no further one.
func (c *Control) changeDevices(ctx context.Context, id string, change func([]compute.BlockDevice) ([]compute.BlockDevice, error)) error {
	return c.Store.Tx(ctx, func(tx *db.Tx) error { return c.changeDevicesIn(ctx, tx, id, change) })
}

func (c *Control) changeDevicesIn(ctx context.Context, tx *db.Tx, id string, change func([]compute.BlockDevice) ([]compute.BlockDevice, error)) error {
	s, err := c.Store.Server(ctx, tx, id)
	if err != nil {
		return err
	}
	after, err := change(s.Devices)
	if err != nil {
		return err
	}
	if len(after) > len(s.Devices) && (s.Task == compute.Deleting || !s.DeletedAt.IsZero()) {
		return fault.Conflictf("Cannot '%s' instance %s while it is in task_state %s", compute.AttachVolume, id, compute.Deleting)
	}
	_, err = c.Store.UpdateServer(ctx, tx, id, store.ServerPatch{Devices: &after}, store.Expect{Existing: true}, c.Now())
	return err
}

func (c *Control) dropDevice(ctx context.Context, id, volumeID string) error {
	return c.changeDevices(ctx, id, func(all []compute.BlockDevice) ([]compute.BlockDevice, error) {
		return withoutVolume(all, volumeID), nil
	})
}

// DetachVolume begins to take a volume from a server.
func (c *Control) DetachVolume(ctx context.Context, id, volumeID string) error {
	if err := c.volumesHere(); err != nil {
		return err
	}
	s, err := c.asked(ctx, "os_compute_api:os-volumes-attachments:delete", id, compute.DetachVolume)
	if err != nil {
		return err
	}
	i := deviceOf(s, volumeID)
	if i < 0 || s.Devices[i].AttachmentID == "" {
		return fault.NotFoundf("volume_id not found: %s", volumeID)
	}
	if s.Devices[i].Boot && s.State != compute.ShelvedOffloaded {
		return fault.Forbiddenf("Cannot detach a root device volume")
	}
	if err := c.Volumes.Detaching(ctx, volumeID, true); err != nil {
		return err
	}
	err = c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.actAbout(ctx, tx, id, "detach_volume", notify.About{notify.AboutVolume: volumeID}); err != nil {
			return err
		}
		return c.add(ctx, tx, taskDetachVolume, id, volumeID)
	})
	if err != nil {
		return errors.Join(err, c.Volumes.Detaching(ctx, volumeID, false))
	}
	return nil
}

// KeepVolume says whether a server's volume goes with it.
func (c *Control) KeepVolume(ctx context.Context, id, volumeID string, check func(compute.BlockDevice) error, deleteOnEnd bool) error {
	s, err := c.ownServer(ctx, "os_compute_api:os-volumes-attachments:update", id)
	if err != nil {
		return err
	}
	i := deviceOf(s, volumeID)
	if i < 0 || s.Devices[i].AttachmentID == "" {
		return fault.NotFoundf("Instance %s is not attached to volume %s", id, volumeID)
	}
	if err := check(s.Devices[i]); err != nil {
		return err
	}
	return c.changeDevices(ctx, id, func(all []compute.BlockDevice) ([]compute.BlockDevice, error) {
		after := slices.Clone(all)
		for j := range after {
			if after[j].VolumeID == volumeID {
				after[j].DeleteOnEnd = deleteOnEnd
			}
		}
		return after, nil
	})
}

// attachVolume is the task that brings a volume into a guest. A server without a
// host gets it when it comes to one.
func (c *Control) attachVolume(ctx context.Context, run *task.Run, s *compute.Server) error {
	var volumeID string
	if err := run.Payload(&volumeID); err != nil {
		return err
	}
	i := deviceOf(s, volumeID)
	if i < 0 {
		return nil
	}
	progress := compute.Progress{Power: s.Power}
	var err error
	if s.Host != "" { // else one is let in when there is one
		if err = c.connect(ctx, s, s.Host, volumeID); err == nil {
			request := compute.VolumeRequest{ServerID: s.ID, Device: s.Devices[i]}
			progress, err = work(ctx, c, compute.AttachVolumeCall, s.Host, workID(run), request, run.Created.Add(actionTimeout), func() error { return c.notDeleting(ctx, s) })
		}
	}
	if err == nil {
		err = c.Volumes.Complete(ctx, s.Devices[i].AttachmentID)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, errAbandoned) { // the guest did not take it: it is given back
		if backErr := errors.Join(c.Volumes.Release(ctx, s.Devices[i].AttachmentID), c.dropDevice(ctx, s.ID, volumeID)); backErr != nil {
			return backErr
		}
	}
	return c.settle(ctx, run, s, store.ServerPatch{}, progress, "compute_attach_volume", err)
}

// detachVolume is the task that takes a volume from a guest and gives it back.
func (c *Control) detachVolume(ctx context.Context, run *task.Run, s *compute.Server) error {
	var volumeID string
	if err := run.Payload(&volumeID); err != nil {
		return err
	}
	i := deviceOf(s, volumeID)
	if i < 0 {
		return nil
	}
	progress, err := compute.Progress{Done: true, Power: s.Power}, error(nil)
	if s.Host != "" {
		request := compute.VolumeRequest{ServerID: s.ID, Device: s.Devices[i]}
		progress, err = work(ctx, c, compute.DetachVolumeCall, s.Host, workID(run), request, run.Created.Add(actionTimeout), func() error { return c.notDeleting(ctx, s) })
	}
	if err == nil {
		err = errors.Join(c.Volumes.Release(ctx, s.Devices[i].AttachmentID), c.dropDevice(ctx, s.ID, volumeID))
	} else if ctx.Err() == nil && !errors.Is(err, errAbandoned) {
		if rollErr := c.Volumes.Detaching(ctx, volumeID, false); rollErr != nil {
			c.Log.Warn("a volume that was not detached is shown as if it were on its way", "volume", volumeID, "error", rollErr)
		}
	}
	return c.settle(ctx, run, s, store.ServerPatch{}, progress, "compute_detach_volume", err)
}

// MayVolumes asks the policy about what old clients do with volumes by compute.
func (c *Control) MayVolumes(ctx context.Context, rule string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-volumes:"+rule, auth.Own(ctx)); err != nil {
		return err
	}
	return c.volumesHere()
}
