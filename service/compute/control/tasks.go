package control

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/bus"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// The kinds of durable work. The subject of those of a server is its id, so that
// what is asked of one server is done in the order in which it was asked.
const (
	taskBuild        = "server.build"
	taskDelete       = "server.delete"
	taskPower        = "server.power"
	taskReboot       = "server.reboot"
	taskRefresh      = "server.refresh" // ask the network service what the ports are like
	taskAttach       = "server.attach_interface"
	taskDetach       = "server.detach_interface"
	taskAttachVolume = "server.attach_volume"
	taskDetachVolume = "server.detach_volume"
	taskSwapVolume   = "server.swap_volume"
	taskExtendVolume = "server.extend_volume"
	taskMove         = "server.move" // cold: to another host, flavor or both
	taskConfirm      = "server.confirm_move"
	taskRevert       = "server.revert_move"

	taskToggle   = "server.toggle" // pause, suspend and their like
	taskRescue   = "server.rescue"
	taskSnapshot = "server.snapshot"
	taskRebuild  = "server.rebuild"
	taskEvacuate = "server.evacuate"

	taskShelve     = "server.shelve"
	taskOffload    = "server.shelve_offload"
	taskUnshelve   = "server.unshelve"
	taskSoftDelete = "server.soft_delete"
	taskRestore    = "server.restore"
	taskLive       = "server.live_migrate"

	taskAttachShare    = "server.attach_share"
	taskDetachShare    = "server.detach_share"
	taskSnapshotVolume = "server.snapshot_volume" // for the volume service

	taskForgetDisks = "disks.forget" // of servers that were never written
)

func (c *Control) handlers() map[string]task.Handler {
	on := func(h func(context.Context, *task.Run, *compute.Server) error) task.Handler {
		return func(ctx context.Context, run *task.Run) error {
			ctx = rest.WithRequestID(ctx, run.RequestID)
			s, err := c.Store.Server(ctx, c.Store.DB, run.Subject)
			if fault.Is(err, fault.NotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			if s.Hold, err = c.heldBy(ctx, s, s.Host); err != nil {
				return err
			}
			if s.State != compute.Building { // one that is being made has none yet
				if s.Shares, err = c.sharesOf(ctx, s); err != nil {
					return err
				}
			}
			return h(ctx, run, s)
		}
	}
	return map[string]task.Handler{
		taskBuild:        on(c.build),
		taskDelete:       on(c.remove),
		taskPower:        on(c.power),
		taskReboot:       on(c.reboot),
		taskRefresh:      on(c.refresh),
		taskAttach:       on(c.attach),
		taskDetach:       on(c.detach),
		taskAttachVolume: on(c.attachVolume),
		taskDetachVolume: on(c.detachVolume),
		taskSwapVolume:   on(c.swapVolume),
		taskExtendVolume: on(c.extendVolume),

		taskCacheImages: c.cacheImages,
		taskMove:        on(c.move),
		taskConfirm:     on(c.confirm),
		taskRevert:      on(c.revert),
		taskToggle:      on(c.toggle),
		taskRescue:      on(c.rescue),
		taskSnapshot:    on(c.snapshot),
		taskRebuild:     on(c.rebuild),
		taskEvacuate:    on(c.evacuate),
		taskShelve:      on(c.shelve),
		taskOffload:     on(c.offload),
		taskUnshelve:    on(c.unshelve),
		taskSoftDelete:  on(c.softDelete),
		taskRestore:     on(c.bringBack),
		taskLive:        on(c.carry),

		taskAttachShare:    on(c.attachShare),
		taskDetachShare:    on(c.detachShare),
		taskSnapshotVolume: on(c.snapshotVolume),

		taskForgetDisks: c.forgetDisks,
	}
}

// firstPause is how soon a host that does not answer is asked again; the pause
// grows to a second.
const firstPause = 50 * time.Millisecond

// errHostDown: a host has not been heard of for longer than it may be silent, or
// an operator says that it is down.
var errHostDown = errors.New("it has not been heard of")

// hostDown reports whether a host is down for certain. Hosts get time to report
// after this process has started, since nobody could hear them before.
func (c *Control) hostDown(ctx context.Context, name string) (bool, error) {
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, name)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return h.ForcedDown || c.Now().Sub(c.born) > c.Options.ServiceDown.D() && !c.HostUp(h), nil
}

// patience is how long an agent keeps one question open.
const patience = 3 * time.Second

// work has an agent do something and waits until it is done. An agent that does
// not answer is asked again until deadline, or until it is known to be
// down; check is called between the questions and ends the waiting with its error.
func work[Req any](ctx context.Context, c *Control, call bus.Call[compute.Work[Req], compute.Progress], host, id string, req Req, deadline time.Time, check func() error) (compute.Progress, error) {
	pause := firstPause
	for {
		ask, cancel := context.WithTimeout(ctx, patience+5*time.Second)
		progress, err := call.Do(ask, c.Bus, host, compute.Work[Req]{ID: id, Patience: int(patience / time.Millisecond), Request: req})
		cancel()
		if err == nil && progress.Done {
			return progress, progress.Err()
		}
		if err != nil && !fault.Is(err, fault.Unavailable) {
			return progress, err
		}
		if ctx.Err() != nil {
			return progress, context.Cause(ctx)
		}
		if c.Now().After(deadline) {
			return progress, fault.New(fault.Unavailable, "Host %s did not finish %s in time.", host, call.Name)
		}
		if check != nil {
			if err := check(); err != nil {
				return progress, err
			}
		}
		if err == nil {
			pause = firstPause
			continue
		}
		// nobody is there: not at once again, and not for ever
		if down, downErr := c.hostDown(ctx, host); downErr == nil && down {
			return progress, fault.New(fault.Unavailable, "Host %s is down: %w.", host, errHostDown)
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		case <-ctx.Done():
			return progress, context.Cause(ctx)
		}
	}
}

// finish writes the end of a task: the patch, the event in the server's history,
// and the task's own end, together.
func (c *Control) finish(ctx context.Context, run *task.Run, s *compute.Server, p store.ServerPatch, event string, host string, cause error) error {
	now := c.Now()
	return c.Store.Together(ctx, func(tx *db.Tx) error {
		if _, err := c.Store.UpdateServer(ctx, tx, s.ID, p, store.Expect{Existing: true}, now); err != nil {
			return err
		}
		if err := c.Store.AddEvent(ctx, tx, run.RequestID, s.ID, eventOf(event, host, run.Created, now, cause), now); err != nil {
			return err
		}
		return run.EndIn(ctx, tx)
	})
}

func eventOf(name, host string, began, now time.Time, cause error) compute.ActionEvent {
	e := compute.ActionEvent{Name: name, Host: host, StartedAt: began, FinishedAt: now}
	result := "Success"
	if cause != nil {
		result = "Error"
		text := cause.Error()
		e.Traceback, e.Details = &text, &text
	}
	e.Result = &result
	return e
}
