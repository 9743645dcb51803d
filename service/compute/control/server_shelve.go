package control

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// shelveState is what shelving remembers.
type shelveState struct {
	ImageID string `json:"image_id"`
}

// The steps of shelving; "" is waiting for the image that its disk goes to.
const (
	stepOff  = "off"  // have the guest stop
	stepCopy = "copy" // it is off: copy its disk
)

// ShelveServer begins to stop a server and to put its disk aside as an image. A
// disk that is a volume is aside already.
func (c *Control) ShelveServer(ctx context.Context, id string) error {
	s, err := c.ownServer(ctx, "os_compute_api:os-shelve:shelve", id)
	if err != nil {
		return err
	}
	o := order{rule: "os_compute_api:os-shelve:shelve", verb: compute.Shelve, action: "shelve", kind: taskShelve}
	if s.BootsFromVolume() {
		o.payload = shelveState{}
		_, err := c.begins(ctx, id, o)
		return err
	}
	state := shelveState{ImageID: newID()}
	o.payload, o.call = state, compute.SnapshotCall.Name
	if s, err = c.begins(ctx, id, o); err != nil {
		return err
	}
	return c.makeImage(ctx, s, compute.ShelvingTask, state.ImageID, s.DisplayName+"-shelved", "snapshot", nil)
}

// OffloadServer begins to take a shelved server from its host.
func (c *Control) OffloadServer(ctx context.Context, id string) error {
	_, err := c.begins(ctx, id, order{rule: "os_compute_api:os-shelve:shelve_offload", verb: compute.ShelveOffload, action: "shelveOffload", kind: taskOffload})
	return err
}

func (c *Control) shelve(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state shelveState
	if err := run.Payload(&state); err != nil {
		return err
	}
	if s.Task != compute.ShelvingTask && s.Task != compute.ShelvingUpload {
		return c.abandonImage(ctx, state.ImageID) // something stronger came in between
	}
	progress, err := c.shelveOnce(ctx, run, s, state)
	if errors.Is(err, errAbandoned) {
		return c.abandonImage(ctx, state.ImageID)
	}
	now := c.Now()
	s.System.ShelvedImage, s.System.ShelvedAt = state.ImageID, now.Unix()
	e := ended{event: "compute_shelve_instance", cause: err, done: store.ServerPatch{State: ptr(compute.Shelved), Power: &progress.Power, System: &s.System}}
	e.failed = unlessBroken(err)
	if run.Step != "" && e.failed.State == nil { // it has been asked to stop
		e.failed = store.ServerPatch{State: ptr(compute.Stopped), Power: ptr(compute.PowerShutdown)}
	}
	if c.Options.ShelvedOffload == 0 || state.ImageID == "" {
		e.done.Task = ptr(compute.Offloading)
		e.also = func(ctx context.Context, tx *db.Tx) error { return c.add(ctx, tx, taskOffload, s.ID, nil) }
	}
	return c.ends(ctx, run, s, e)
}

func (c *Control) shelveOnce(ctx context.Context, run *task.Run, s *compute.Server, state shelveState) (progress compute.Progress, err error) {
	if run.Step == "" {
		if state.ImageID != "" {
			if err := c.imageThere(ctx, run, s, state.ImageID); err != nil {
				return progress, err
			}
		}
		if err := run.Save(ctx, stepOff, nil); err != nil {
			return progress, err
		}
	}
	if run.Step == stepOff {
		grace := c.Options.ShutdownTimeout
		_, err := work(ctx, c, compute.PowerCall, s.Host, workID(run), compute.PowerRequest{Server: *s, Action: "off", Grace: grace},
			c.deadline(run, time.Duration(grace)*time.Second), c.still(ctx, s))
		if err != nil {
			return progress, err
		}
		if err := c.onto(ctx, run, s, store.ServerPatch{Task: ptr(compute.ShelvingUpload), Power: ptr(compute.PowerShutdown)}, stepCopy, nil); err != nil {
			return progress, err
		}
	}
	if state.ImageID == "" {
		return compute.Progress{Power: compute.PowerShutdown}, nil
	}
	return c.takeSnapshot(ctx, run, s, state.ImageID)
}

// offload takes a shelved server from its host: the guest, its place there, the
// binding of its ports. The ports themselves, and its addresses, it keeps.
func (c *Control) offload(ctx context.Context, run *task.Run, s *compute.Server) error {
	if s.Task != compute.Offloading {
		return nil // something stronger came in between
	}
	host := s.Host
	request := compute.DestroyRequest{ServerID: s.ID, Networks: s.Networks}
	_, err := work(ctx, c, compute.Destroy, host, workID(run), request, c.deadline(run, 0), c.still(ctx, s))
	if err == nil {
		err = c.leaveHost(ctx, s)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, errAbandoned) && !fault.Is(err, fault.Unavailable) {
		return err // tried again: the guest may be gone already
	}
	done := store.ServerPatch{State: ptr(compute.ShelvedOffloaded), Power: ptr(compute.PowerShutdown), Host: ptr(""), Node: ptr("")}
	return c.ends(ctx, run, s, ended{event: "compute_shelve_offload_instance", host: host, cause: err, done: done})
}

// leaveHost unbinds a server's ports and volumes and gives back its place.
func (c *Control) leaveHost(ctx context.Context, s *compute.Server) error {
	if err := c.moveVolumes(ctx, s, ""); err != nil {
		return err
	}
	if err := c.assignPorts(ctx, s, ""); err != nil {
		return err
	}
	for _, p := range s.Networks {
		if err := c.Networks.Bind(ctx, p.PortID, s.ID, "", ""); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return c.Placement.Release(ctx, s.ID)
}

// offloadOld takes servers from their hosts that have been shelved for as long as
// they may stay there.
func (c *Control) offloadOld(ctx context.Context) error {
	keep := c.Options.ShelvedOffload
	if keep <= 0 { // at once, or never
		return nil
	}
	exists, now := false, c.Now()
	var errs []error
	for s, err := range c.Store.Servers(ctx, c.Store.DB, compute.ServerQuery{States: []compute.State{compute.Shelved}, Tasks: []compute.Task{compute.NoTask}, Deleted: &exists}) {
		if err != nil {
			return err
		}
		if s.System.ShelvedAt+int64(keep) > now.Unix() {
			continue
		}
		errs = append(errs, c.Store.Tx(ctx, func(tx *db.Tx) error {
			ok, err := c.Store.UpdateServer(ctx, tx, s.ID, store.ServerPatch{Task: ptr(compute.Offloading)},
				store.Expect{States: []compute.State{compute.Shelved}, Tasks: []compute.Task{compute.NoTask}, Existing: true}, now)
			if err != nil || !ok {
				return err
			}
			return c.add(ctx, tx, taskOffload, s.ID, nil)
		}))
	}
	return errors.Join(errs...)
}
