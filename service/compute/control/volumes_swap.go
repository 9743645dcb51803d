package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/internal/undo"
	"kilonova/service/compute"
	"kilonova/service/compute/notify"
	"kilonova/service/compute/store"
)

// SwapVolume has a guest's volume copied to another, which takes its place. The
// volume service asks for it while it moves a volume.
func (c *Control) SwapVolume(ctx context.Context, id, oldID, newID string) (err error) {
	s, err := c.asked(ctx, "os_compute_api:os-volumes-attachments:swap", id, compute.SwapVolume)
	if err != nil {
		return err
	}
	if err := c.volumesHere(); err != nil {
		return err
	}
	i := deviceOf(s, oldID)
	if i < 0 || s.Devices[i].AttachmentID == "" {
		return fault.NotFoundf("Instance %s is not attached to volume %s", id, oldID)
	}
	was, err := c.Volumes.Volume(ctx, oldID)
	if err != nil {
		return err
	}
	v, err := c.Volumes.Volume(ctx, newID)
	if err != nil {
		return asInvalid(err) // 404 is for the volume of the path
	}
	if v.Status != "available" || v.SizeGB < was.SizeGB {
		return fault.Invalidf("Invalid volume: volume '%s' must be available and have at least %d GB to take the place of '%s'.", newID, was.SizeGB, oldID)
	}
	for _, volume := range []compute.Volume{was, v} {
		if err := c.refuseWriters(ctx, volume); err != nil {
			return err
		}
	}
	var u undo.Stack
	defer u.Run(ctx, &err)
	if err := c.Volumes.Detaching(ctx, oldID, true); err != nil {
		return err
	}
	u.Add("roll detaching", func(ctx context.Context) error { return c.Volumes.Detaching(ctx, oldID, false) })
	next := s.Devices[i]
	next.VolumeID, next.Host, next.Connection = newID, "", nil
	if next.AttachmentID, err = c.Volumes.Reserve(ctx, newID, id); err != nil {
		return err
	}
	u.Add("release volume", func(ctx context.Context) error { return c.Volumes.Release(ctx, next.AttachmentID) })
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.actAbout(ctx, tx, id, "swap_volume", notify.About{notify.AboutVolume: oldID, notify.AboutNewVolume: newID}); err != nil {
			return err
		}
		return c.add(ctx, tx, taskSwapVolume, id, swapState{Old: s.Devices[i], New: next})
	})
}

type swapState struct {
	Old compute.BlockDevice `json:"old"`
	New compute.BlockDevice `json:"new"`
}

// swapVolume is the task that has the guest's host do it.
func (c *Control) swapVolume(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state swapState
	if err := run.Payload(&state); err != nil {
		return err
	}
	connector, err := c.connector(ctx, s.Host)
	if err == nil {
		state.New.Host = s.Host
		state.New.Connection, err = c.Volumes.Connect(ctx, state.New.AttachmentID, connector)
	}
	progress := compute.Progress{Power: s.Power}
	if err == nil {
		request := compute.VolumeRequest{ServerID: s.ID, Device: state.New, Replaces: state.Old.VolumeID}
		progress, err = work(ctx, c, compute.AttachVolumeCall, s.Host, workID(run), request, run.Created.Add(actionTimeout), func() error { return c.notDeleting(ctx, s) })
	}
	switch {
	case err == nil:
		err = errors.Join(c.Volumes.Complete(ctx, state.New.AttachmentID), c.Volumes.Release(ctx, state.Old.AttachmentID),
			c.changeDevices(ctx, s.ID, func(all []compute.BlockDevice) ([]compute.BlockDevice, error) {
				after := slices.Clone(all)
				for j := range after {
					if after[j].VolumeID == state.Old.VolumeID {
						after[j] = state.New
					}
				}
				return after, nil
			}))
	case ctx.Err() == nil && !errors.Is(err, errAbandoned):
		if backErr := c.Volumes.Release(ctx, state.New.AttachmentID); backErr != nil {
			return backErr
		}
		if rollErr := c.Volumes.Detaching(ctx, state.Old.VolumeID, false); rollErr != nil {
			c.Log.Warn("a volume that was not swapped is shown as if it were on its way", "volume", state.Old.VolumeID, "error", rollErr)
		}
	}
	return c.settle(ctx, run, s, store.ServerPatch{}, progress, "compute_swap_volume", err)
}

// refuseWriters refuses to copy a volume that more than one server writes to: the
// copy would be of no moment.
func (c *Control) refuseWriters(ctx context.Context, v compute.Volume) error {
	if len(v.Attachments) < 2 {
		return nil
	}
	writers := 0
	for _, a := range v.Attachments {
		readOnly, err := c.Volumes.ReadOnly(ctx, a.AttachmentID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if !readOnly {
			writers++
		}
	}
	if writers > 1 {
		return fault.Invalidf("Swapping multi-attach volumes with more than one read/write attachment is not supported. Volume %s has %d.", v.ID, writers)
	}
	return nil
}
