package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// StartServer and its kin begin to change what a server's guest does.
func (c *Control) StartServer(ctx context.Context, id string) error {
	_, err := c.begins(ctx, id, order{rule: "os_compute_api:servers:start", verb: compute.Start, action: "start", kind: taskPower, payload: "on"})
	return err
}

// StopServer asks the guest to shut down and, after its grace, ends it.
func (c *Control) StopServer(ctx context.Context, id string) error {
	_, err := c.begins(ctx, id, order{rule: "os_compute_api:servers:stop", verb: compute.Stop, action: "stop", kind: taskPower, payload: "off"})
	return err
}

// RebootServer restarts the guest: softly by asking it, hard by a new definition
// and a cold start.
func (c *Control) RebootServer(ctx context.Context, id string, hard bool) error {
	verb, how := compute.RebootSoft, "soft"
	if hard {
		verb, how = compute.RebootHard, "hard"
	}
	_, err := c.begins(ctx, id, order{rule: "os_compute_api:servers:reboot", verb: verb, action: "reboot", kind: taskReboot, payload: how})
	return err
}

// actionTimeout bounds what is done with a server that exists, beyond the grace
// that its guest gets.
const actionTimeout = 10 * time.Minute

func (c *Control) power(ctx context.Context, run *task.Run, s *compute.Server) error {
	var action string
	if err := run.Payload(&action); err != nil {
		return err
	}
	expected, patch, event := compute.PoweringOn, store.ServerPatch{State: ptr(compute.Active)}, "compute_start_instance"
	if action == "off" {
		expected, patch, event = compute.PoweringOff, store.ServerPatch{State: ptr(compute.Stopped)}, "compute_stop_instance"
	}
	if s.Task != expected {
		return nil // something stronger came in between
	}
	request := compute.PowerRequest{Server: *s, Action: action, Grace: c.Options.ShutdownTimeout}
	progress, err := work(ctx, c, compute.PowerCall, s.Host, workID(run), request, run.Created.Add(actionTimeout), func() error { return c.notDeleting(ctx, s) })
	return c.settle(ctx, run, s, patch, progress, event, err)
}

func (c *Control) reboot(ctx context.Context, run *task.Run, s *compute.Server) error {
	var how string
	if err := run.Payload(&how); err != nil {
		return err
	}
	if expected := map[string]compute.Task{"soft": compute.Rebooting, "hard": compute.RebootingHard}[how]; s.Task != expected {
		return nil // something stronger came in between
	}
	deadline := run.Created.Add(actionTimeout)
	var progress compute.Progress
	var err error
	if how == "soft" {
		request := compute.PowerRequest{Server: *s, Action: "reboot", Grace: c.Options.ShutdownTimeout}
		progress, err = work(ctx, c, compute.PowerCall, s.Host, workID(run), request, deadline, func() error { return c.notDeleting(ctx, s) })
	} else {
		progress, err = c.rebootHard(ctx, run, s, deadline)
	}
	return c.settle(ctx, run, s, store.ServerPatch{State: ptr(compute.Active)}, progress, "compute_reboot_instance", err)
}

// rebootHard starts a guest from a new definition. Volumes that a failed move has
// left elsewhere come back with it.
func (c *Control) rebootHard(ctx context.Context, run *task.Run, s *compute.Server, deadline time.Time) (progress compute.Progress, err error) {
	elsewhere := slices.ContainsFunc(attachedDevices(s), func(d compute.BlockDevice) bool { return d.Host != s.Host || len(d.Connection) == 0 })
	if elsewhere {
		if err := c.moveVolumes(ctx, s, s.Host); err != nil {
			return progress, err
		}
	}
	progress, err = work(ctx, c, compute.Build, s.Host, workID(run), compute.BuildRequest{Server: *s, KeepDisks: true}, deadline, func() error { return c.notDeleting(ctx, s) })
	if err == nil && elsewhere {
		err = c.completeVolumes(ctx, s)
	}
	return progress, err
}

func workID(run *task.Run) string { return run.Subject + "/" + run.ID() }

// notDeleting ends the waiting for a host when the server shall go anyway.
func (c *Control) notDeleting(ctx context.Context, s *compute.Server) error {
	now, err := c.Store.Server(ctx, c.Store.DB, s.ID)
	if err != nil {
		return err
	}
	if now.Task == compute.Deleting {
		return errAbandoned
	}
	return nil
}

// settle writes how an action on an existing server ended. After a failure the
// server is what it was, with a fault that says why; it is never left with a
// task that nobody does. An action that leads to no state (an interface) has no
// task of its own: it leaves alone what has been asked for meanwhile.
func (c *Control) settle(ctx context.Context, run *task.Run, s *compute.Server, done store.ServerPatch, progress compute.Progress, event string, cause error) error {
	if cause != nil && (ctx.Err() != nil || errors.Is(cause, errAbandoned)) {
		if ctx.Err() != nil {
			return cause
		}
		return nil
	}
	expect, patch := store.Expect{Existing: true}, done
	patch.Power = &progress.Power
	if done.State != nil && *done.State == compute.Active {
		var none *compute.ServerFault
		patch.Fault = &none
	}
	if cause != nil {
		c.Log.Error("action failed", "server", s.ID, "task", s.Task, "host", s.Host, "error", cause)
		f := &compute.ServerFault{Code: rest.Status(cause), Created: c.Now(), Message: publicMessage(cause), Details: cause.Error()}
		patch = store.ServerPatch{Fault: &f}
		if done.State != nil && !fault.Is(cause, fault.Conflict) && !fault.Is(cause, fault.Invalid) && !fault.Is(cause, fault.Unsupported) && !errors.Is(cause, errHostDown) {
			patch.State = ptr(compute.Error)
		}
	}
	if done.State != nil {
		patch.Task, expect.Tasks = ptr(compute.NoTask), []compute.Task{s.Task}
	}
	now := c.Now()
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if _, err := c.Store.UpdateServer(ctx, tx, s.ID, patch, expect, now); err != nil {
			return err
		}
		if cause == nil && done.State != nil && len(s.Shares) > 0 {
			if err := c.shareStates(ctx, tx, s, *done.State); err != nil {
				return err
			}
		}
		if err := c.Store.AddEvent(ctx, tx, run.RequestID, s.ID, eventOf(event, s.Host, run.Created, now, cause), now); err != nil {
			return err
		}
		return run.EndIn(ctx, tx)
	})
}
