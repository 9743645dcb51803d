package control

import (
	"context"

	"kilonova/internal/db"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// volumeExtended has the guest of a server told that a volume of its has grown. Of
// one that the server does not have (any more) nobody need be told.
func (c *Control) volumeExtended(ctx context.Context, s *compute.Server, volumeID string) error {
	if i := deviceOf(s, volumeID); i < 0 || s.Devices[i].AttachmentID == "" {
		c.Log.Info("a volume has grown that the server does not have", "server", s.ID, "volume", volumeID)
		return nil
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.act(ctx, tx, s.ID, "extend_volume"); err != nil {
			return err
		}
		return c.add(ctx, tx, taskExtendVolume, s.ID, volumeID)
	})
}

// extendVolume is the task that tells it, with the size that the volume has by then.
func (c *Control) extendVolume(ctx context.Context, run *task.Run, s *compute.Server) error {
	var volumeID string
	if err := run.Payload(&volumeID); err != nil {
		return err
	}
	if deviceOf(s, volumeID) < 0 || s.Host == "" {
		return nil // it is seen where the server starts next
	}
	progress := compute.Progress{Power: s.Power}
	err := c.hostCan(ctx, c.Store.DB, s, compute.ExtendVolumeCall.Name)
	var v compute.Volume
	if err == nil {
		v, err = c.Volumes.Volume(ctx, volumeID)
	}
	if err == nil {
		request := compute.VolumeSize{ServerID: s.ID, VolumeID: volumeID, SizeGB: v.SizeGB}
		progress, err = work(ctx, c, compute.ExtendVolumeCall, s.Host, workID(run), request, run.Created.Add(actionTimeout), func() error { return c.notDeleting(ctx, s) })
	}
	return c.settle(ctx, run, s, store.ServerPatch{}, progress, "compute_extend_volume", err)
}
