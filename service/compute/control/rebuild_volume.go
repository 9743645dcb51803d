package control

import (
	"context"
	"slices"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
)

// The root disk of a server that boots from a volume is made anew by the volume
// service: the guest goes, its host is shut out, and an image is written over the
// volume, which nobody else can take meanwhile.

// stepReimaged: the root volume has its new content.
const stepReimaged = "reimaged"

func rootVolume(s *compute.Server) int {
	return slices.IndexFunc(s.Devices, func(d compute.BlockDevice) bool { return d.Boot && d.AttachmentID != "" })
}

// checkReimage checks the image that a server which boots from a volume is to be
// made anew from, and says whether it is to be written over the volume: clients
// from before 2.93 may only name the one that is there, and the volume is kept.
func (c *Control) checkReimage(ctx context.Context, s *compute.Server, with *compute.Server, knows bool) (bool, error) {
	i := rootVolume(s)
	if i < 0 {
		return false, fault.Conflictf("Instance %s has lost its root volume.", s.ID)
	}
	v, err := c.Volumes.Volume(ctx, s.Devices[i].VolumeID)
	if err != nil {
		return false, err
	}
	if !knows && v.ImageID != with.ImageID {
		return false, fault.Invalidf("Image %s is unacceptable: Unable to rebuild with a different image for a volume-backed server.", with.ImageID)
	}
	if err := c.checkImage(ctx, with); err != nil {
		return false, err
	}
	if knows && with.ImageMeta.MinDiskGB > v.SizeGB {
		return false, fault.Invalidf("Volume is smaller than the minimum size specified in image metadata. Volume size is %d GB, minimum size is %d GB.", v.SizeGB, with.ImageMeta.MinDiskGB)
	}
	return knows, nil
}

// reimage has an image written over a server's root volume. It may be taken up
// again at any moment: an image that is being written is waited for.
func (c *Control) reimage(ctx context.Context, run *task.Run, s *compute.Server, state rebuildState) error {
	i := rootVolume(s)
	if i < 0 {
		return fault.Conflictf("Instance %s has lost its root volume.", s.ID)
	}
	root := &s.Devices[i]
	v, err := c.Volumes.Volume(ctx, root.VolumeID)
	if err != nil {
		return err
	}
	if v.Status != "downloading" {
		without := *s
		without.Networks = nil // the devices stay
		if err := c.destroyGuest(ctx, &without, s.Host, workID(run)+"/off"); err != nil {
			return err
		}
		if root.Host != "" {
			if err := c.reserveAnew(ctx, s, root); err != nil {
				return err
			}
		}
		if err := c.releaseOthers(ctx, s); err != nil {
			return err
		}
		if err := c.Volumes.Reimage(ctx, root.VolumeID, state.Reimage); err != nil {
			return err
		}
	}
	// The volume service also tells when it is done; its answer is what counts.
	deadline := c.Now().Add(time.Duration(v.SizeGB*c.Options.ReimagePerGB) * time.Second)
	if err := c.awaitVolume(ctx, root.VolumeID, deadline, func() error { return c.notDeleting(ctx, s) }); err != nil {
		return err
	}
	return run.Save(ctx, stepReimaged, state)
}
