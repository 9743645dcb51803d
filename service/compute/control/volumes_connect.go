package control

import (
	"context"
	"slices"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// connector is what the volume service is told of a host that shall be let in.
func (c *Control) connector(ctx context.Context, host string) (map[string]any, error) {
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, host)
	if err != nil {
		return nil, err
	}
	connector := map[string]any{"host": h.Name, "ip": h.Resources.HostIP, "platform": "x86_64", "os_type": "linux", "multipath": false, "do_local_attach": false}
	if h.Resources.Initiator != "" {
		connector["initiator"] = h.Resources.Initiator
	}
	return connector, nil
}

// connect has a host let in to a server's volumes; those where it is already are
// left alone. The volumes are taken over in s.
func (c *Control) connect(ctx context.Context, s *compute.Server, host string, only string) error {
	for i := range s.Devices {
		d := &s.Devices[i]
		if d.AttachmentID == "" || d.Host == host && len(d.Connection) > 0 || only != "" && d.VolumeID != only {
			continue
		}
		connector, err := c.connector(ctx, host)
		if err != nil {
			return err
		}
		// The host is noted before it is let in: whoever takes this back knows then
		// that the attachment cannot be another host's.
		d.Host, d.Connection = host, nil
		if err := c.noteDevices(ctx, s.ID, *d); err != nil {
			return err
		}
		if d.Connection, err = c.Volumes.Connect(ctx, d.AttachmentID, connector); err != nil {
			return err
		}
		if err := c.noteDevices(ctx, s.ID, *d); err != nil {
			return err
		}
	}
	return nil
}

// dropVolumes gives back the volumes of a server that ends, and deletes those that
// go with it. What was reserved by a call that was cut off goes with them.
func (c *Control) dropVolumes(ctx context.Context, s *compute.Server) error {
	if len(s.Devices) == 0 || c.Volumes == nil {
		return nil
	}
	held, err := c.Volumes.Held(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, h := range held {
		if err := c.Volumes.Release(ctx, h.AttachmentID); err != nil {
			return err
		}
	}
	for _, d := range s.Devices {
		if !d.DeleteOnEnd {
			continue
		}
		if err := c.Volumes.Delete(ctx, d.VolumeID); err != nil && !fault.Is(err, fault.NotFound) {
			if fault.Is(err, fault.Unavailable) {
				return err
			}
			c.Log.Warn("a volume that should go with its server stays", "server", s.ID, "volume", d.VolumeID, "error", err)
		}
	}
	return nil
}

// volumePause is how often a volume on its way is looked at.
const volumePause = 500 * time.Millisecond

// awaitVolume waits until a volume can be used.
func (c *Control) awaitVolume(ctx context.Context, id string, deadline time.Time, check func() error) error {
	for {
		v, err := c.Volumes.Volume(ctx, id)
		if err != nil {
			return err
		}
		switch v.Status {
		case "available", "reserved", "attaching", "in-use":
			return nil
		case "creating", "downloading", "copying":
		default:
			return fault.Invalidf("Build of instance aborted: Volume %s did not finish being created: its status is %s.", id, v.Status)
		}
		if c.Now().After(deadline) {
			return fault.New(fault.Unavailable, "Build of instance aborted: Volume %s is still %s.", id, v.Status)
		}
		if err := check(); err != nil {
			return err
		}
		select {
		case <-time.After(volumePause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ensureVolumes has the volumes of a new server ready for a host.
func (c *Control) ensureVolumes(ctx context.Context, s *compute.Server, host string, deadline time.Time) error {
	if len(s.Devices) == 0 {
		return nil
	}
	check := func() error { return c.stillWanted(ctx, s) }
	if err := c.advance(ctx, s, store.ServerPatch{Task: ptr(compute.BlockMapping)}); err != nil {
		return err
	}
	held, err := c.Volumes.Held(ctx, s.ID)
	if err != nil {
		return err
	}
	for i := range s.Devices {
		d := &s.Devices[i]
		if d.AttachmentID != "" {
			continue
		}
		if err := c.awaitVolume(ctx, d.VolumeID, deadline, check); err != nil {
			return err
		}
		if j := slices.IndexFunc(held, func(h compute.Held) bool { return h.VolumeID == d.VolumeID }); j >= 0 {
			d.AttachmentID = held[j].AttachmentID
		} else if d.AttachmentID, err = c.Volumes.Reserve(ctx, d.VolumeID, s.ID); err != nil {
			return err
		}
		if err := c.advance(ctx, s, store.ServerPatch{Devices: &s.Devices}); err != nil {
			return err
		}
	}
	return c.connect(ctx, s, host, "")
}

// completeVolumes says of a server's volumes that its guest has them.
func (c *Control) completeVolumes(ctx context.Context, s *compute.Server) error {
	for _, d := range attachedDevices(s) {
		if err := c.Volumes.Complete(ctx, d.AttachmentID); err != nil {
			return err
		}
	}
	return nil
}
