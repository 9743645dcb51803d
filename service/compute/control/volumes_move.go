package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// A server that goes to another host has each of its volumes by an attachment of
// its own there: a volume service lets one host in by an attachment, and takes
// away what it has made for that host with the attachment.

// moveVolumes has a server's volumes at a host, "" at none: each that is at another
// one is reserved anew before the old attachment goes, so that nobody else can
// take it in between. The guest must not have them any more where they are. It may
// be called again, also with another host; what earlier tries have left goes.
func (c *Control) moveVolumes(ctx context.Context, s *compute.Server, to string) error {
	if len(s.Devices) == 0 || c.Volumes == nil {
		return nil
	}
	for i := range s.Devices {
		if d := &s.Devices[i]; d.Host != "" && d.Host != to {
			if err := c.reserveAnew(ctx, s, d); err != nil {
				return err
			}
		}
	}
	if err := c.releaseOthers(ctx, s); err != nil || to == "" {
		return err
	}
	return c.connect(ctx, s, to, "")
}

// errStranded: the volume service refuses for good to have a server's volumes
// where its guest is to be taken back.
var errStranded = errors.New("its volumes cannot be had there")

// volumesBack has a server's volumes where its guest is taken back.
func (c *Control) volumesBack(ctx context.Context, s *compute.Server, host string) error {
	err := c.moveVolumes(ctx, s, host)
	if refused(err) {
		return fmt.Errorf("%w: %w", errStranded, err)
	}
	return err
}

// refused reports whether it is of no use to ask the volume service again.
func refused(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Forbidden, fault.NotFound, fault.Conflict, fault.OverLimit, fault.TooLarge:
		return true
	}
	return false
}

func (c *Control) reserveAnew(ctx context.Context, s *compute.Server, d *compute.BlockDevice) (err error) {
	next := *d
	next.Host, next.Connection = "", nil
	if next.AttachmentID, err = c.Volumes.Reserve(ctx, d.VolumeID, s.ID); err != nil {
		return err
	}
	if err = c.noteDevices(ctx, s.ID, next); err == nil {
		*d = next
	}
	return err
}

// noteDevices writes what has become of some of a server's volumes.
func (c *Control) noteDevices(ctx context.Context, id string, devices ...compute.BlockDevice) error {
	return c.changeDevices(ctx, id, func(all []compute.BlockDevice) ([]compute.BlockDevice, error) {
		after := slices.Clone(all)
		for _, d := range devices {
			if i := slices.IndexFunc(after, func(x compute.BlockDevice) bool { return x.ID == d.ID }); i >= 0 {
				after[i] = d
			}
		}
		return after, nil
	})
}

// releaseOthers gives back what a server has of its volumes besides the
// attachments that are noted. A volume that is only on its way to the server is
// left alone.
func (c *Control) releaseOthers(ctx context.Context, s *compute.Server) error {
	if len(s.Devices) == 0 || c.Volumes == nil {
		return nil
	}
	held, err := c.Volumes.Held(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, h := range held {
		i := deviceOf(s, h.VolumeID)
		if i < 0 || s.Devices[i].AttachmentID == "" || s.Devices[i].AttachmentID == h.AttachmentID {
			continue
		}
		if err := c.Volumes.Release(ctx, h.AttachmentID); err != nil {
			return err
		}
	}
	return nil
}

// expectVolumes has a further host let in to a server's volumes, for a guest that
// comes while it runs, and returns them as they are there. They are the server's
// with takeVolumes; until then releaseOthers takes it back.
func (c *Control) expectVolumes(ctx context.Context, s *compute.Server, to string) ([]compute.BlockDevice, error) {
	if err := c.releaseOthers(ctx, s); err != nil || len(s.Devices) == 0 {
		return nil, err
	}
	connector, err := c.connector(ctx, to)
	if err != nil {
		return nil, err
	}
	there := attachedDevices(s)
	for i := range there {
		d := &there[i]
		if d.AttachmentID, err = c.Volumes.Reserve(ctx, d.VolumeID, s.ID); err != nil {
			return nil, err
		}
		if d.Connection, err = c.Volumes.Connect(ctx, d.AttachmentID, connector); err != nil {
			return nil, err
		}
		d.Host = to
	}
	return there, nil
}

// takeVolumes makes what expectVolumes has returned a server's own. What it had
// before goes. The last time that it is called what the volume service refuses is
// let pass: the guest runs all the same.
func (c *Control) takeVolumes(ctx context.Context, s *compute.Server, there []compute.BlockDevice, last bool) error {
	if len(there) == 0 {
		return nil
	}
	for _, d := range there {
		err := c.Volumes.Complete(ctx, d.AttachmentID)
		if last && refused(err) {
			c.Log.Error("a volume was carried to another host, and the volume service does not say so", "server", s.ID, "volume", d.VolumeID, "error", err)
		} else if err != nil {
			return err
		}
	}
	if err := c.noteDevices(ctx, s.ID, there...); err != nil {
		return err
	}
	s.Devices = slices.Clone(s.Devices)
	for _, d := range there {
		if i := deviceOf(s, d.VolumeID); i >= 0 {
			s.Devices[i] = d
		}
	}
	return c.releaseOthers(ctx, s)
}
