package control

import (
	"context"
	"slices"

	"kilonova/service/compute"
)

// reserveVolumes has a server's volumes reserved for it on no host: each gets
// another attachment before the old one goes, so that nobody else can take it in
// between. What an earlier try has reserved is found and used, or given back.
func (c *Control) reserveVolumes(ctx context.Context, s *compute.Server) error {
	if len(s.Devices) == 0 || c.Volumes == nil {
		return nil
	}
	held, err := c.Volumes.Held(ctx, s.ID)
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for i := range s.Devices {
		d := &s.Devices[i]
		if d.Host != "" {
			if err := c.reserveVolume(ctx, s, d, held); err != nil {
				return err
			}
		}
		kept[d.AttachmentID] = true
	}
	for _, h := range held {
		if !kept[h.AttachmentID] {
			if err := c.Volumes.Release(ctx, h.AttachmentID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Control) reserveVolume(ctx context.Context, s *compute.Server, d *compute.BlockDevice, held []compute.Held) (err error) {
	next := *d
	next.Host, next.Connection = "", nil
	is := func(h compute.Held) bool { return h.VolumeID == d.VolumeID && h.AttachmentID != d.AttachmentID }
	if i := slices.IndexFunc(held, is); i >= 0 {
		next.AttachmentID = held[i].AttachmentID
	} else if next.AttachmentID, err = c.Volumes.Reserve(ctx, d.VolumeID, s.ID); err != nil {
		return err
	}
	err = c.changeDevices(ctx, s.ID, func(all []compute.BlockDevice) ([]compute.BlockDevice, error) {
		after := slices.Clone(all)
		if j := slices.IndexFunc(after, func(x compute.BlockDevice) bool { return x.ID == next.ID }); j >= 0 {
			after[j] = next
		}
		return after, nil
	})
	if err == nil {
		*d = next
	}
	return err
}
