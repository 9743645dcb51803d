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
	"kilonova/service/compute/notify"
	"kilonova/service/compute/store"
)

// order is a verb on an existing server: what it needs to begin, and what then
// does it.
type order struct {
	rule   string
	verb   compute.Verb
	action string // its name in the server's history
	// call is what the host's agent must have announced; "" nothing.
	call     string
	unlocked bool // also for locked servers
	hostless bool // also for servers on no host
	// check has the last word, in the transaction; may be nil.
	check   func(ctx context.Context, tx *db.Tx, s *compute.Server) error
	patch   store.ServerPatch // besides the task
	kind    string
	payload any
	about   notify.About // what else others are told of it; may be nil
}

// begins asks whether the caller may, whether the state allows it and whether the
// host can, and then writes state, history and task in one transaction.
func (c *Control) begins(ctx context.Context, id string, o order) (*compute.Server, error) {
	find := c.changeable
	if o.unlocked {
		find = c.ownServer
	}
	s, err := find(ctx, o.rule, id)
	if err != nil {
		return nil, err
	}
	err = c.Store.Tx(ctx, func(tx *db.Tx) error {
		if s, err = c.Store.Server(ctx, tx, id); err != nil {
			return err
		}
		if err := compute.Allowed(o.verb, s); err != nil {
			return err
		}
		if !o.hostless {
			if err := c.hostCan(ctx, tx, s, o.call); err != nil {
				return err
			}
		}
		if err := c.withoutShares(ctx, tx, s, o.verb); err != nil {
			return err
		}
		if o.check != nil {
			if err := o.check(ctx, tx, s); err != nil {
				return err
			}
		}
		patch := o.patch
		if next := compute.TaskOf(o.verb); next != compute.NoTask {
			patch.Task = &next
		}
		if _, err := c.Store.UpdateServer(ctx, tx, id, patch, store.Expect{Existing: true}, c.Now()); err != nil {
			return err
		}
		if err := c.actAbout(ctx, tx, id, o.action, o.about); err != nil {
			return err
		}
		return c.add(ctx, tx, o.kind, id, o.payload)
	})
	return s, err
}

// onHost refuses a server that is on no host.
func onHost(s *compute.Server) error {
	if s.Host == "" {
		return fault.Conflictf("Instance %s is not ready: it is on no host.", s.ID)
	}
	return nil
}

// hostCan refuses what needs a host when there is none, and what the host's agent
// has not announced.
func (c *Control) hostCan(ctx context.Context, q db.Querier, s *compute.Server, call string) error {
	if err := onHost(s); err != nil || call == "" {
		return err
	}
	h, err := c.Store.Host(ctx, q, compute.BinaryCompute, s.Host)
	if err != nil {
		return err
	}
	if !slices.Contains(h.Methods, call) {
		return fault.New(fault.Unsupported, "The hypervisor of instance %s is not able to do this (%s).", s.ID, call)
	}
	return nil
}

// ended is how a task on an existing server ends.
type ended struct {
	event string
	host  string // where it happened; "" the server's
	cause error  // nil: well
	done  store.ServerPatch
	// failed is what the server becomes when it did not go well: nothing else, if
	// it is empty, but a fault that says why.
	failed store.ServerPatch
	// also is done in the same transaction after success; may be nil.
	also func(ctx context.Context, tx *db.Tx) error
}

// ends writes how a task ended, together with the end of the task itself. It
// takes the server's task away, unless something stronger has come in between.
func (c *Control) ends(ctx context.Context, run *task.Run, s *compute.Server, e ended) error {
	if e.cause != nil && ctx.Err() != nil {
		return e.cause // taken up again by whoever comes next
	}
	if errors.Is(e.cause, errAbandoned) {
		return nil
	}
	patch, now := e.done, c.Now()
	if patch.State != nil && *patch.State == compute.Active {
		var none *compute.ServerFault
		patch.Fault = &none
	}
	if e.cause != nil {
		c.Log.Error("action failed", "server", s.ID, "event", e.event, "host", s.Host, "error", e.cause)
		patch = e.failed
		f := &compute.ServerFault{Code: rest.Status(e.cause), Created: now, Message: publicMessage(e.cause), Details: e.cause.Error()}
		patch.Fault = &f
	}
	if patch.Task == nil {
		patch.Task = ptr(compute.NoTask)
	}
	if e.host == "" {
		e.host = s.Host
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		written, err := c.Store.UpdateServer(ctx, tx, s.ID, patch, store.Expect{Existing: true, Tasks: []compute.Task{s.Task}}, now)
		if err != nil {
			return err
		}
		if err := c.Store.AddEvent(ctx, tx, run.RequestID, s.ID, eventOf(e.event, e.host, run.Created, now, e.cause), now); err != nil {
			return err
		}
		if e.cause == nil && written && e.also != nil {
			if err := e.also(ctx, tx); err != nil {
				return err
			}
		}
		return run.EndIn(ctx, tx)
	})
}

// onto writes the next task of a server, with the step that goes with it.
// errAbandoned: something stronger has come in between.
func (c *Control) onto(ctx context.Context, run *task.Run, s *compute.Server, p store.ServerPatch, step string, payload any) error {
	err := c.Store.Tx(ctx, func(tx *db.Tx) error {
		if p.Host != nil && *p.Host != "" { // who notes a host has a hold on it
			if err := c.hold(ctx, tx, s, *p.Host); err != nil {
				return err
			}
		}
		ok, err := c.Store.UpdateServer(ctx, tx, s.ID, p, store.Expect{Existing: true, Tasks: []compute.Task{s.Task}}, c.Now())
		if err != nil {
			return err
		}
		if !ok {
			return errAbandoned
		}
		return run.SaveIn(ctx, tx, step, payload)
	})
	if err == nil && p.Task != nil {
		s.Task = *p.Task
	}
	return err
}

// still ends the waiting for a host when a server's task is not any more what it
// was: it shall go, or somebody has reset it.
func (c *Control) still(ctx context.Context, s *compute.Server) func() error {
	return func() error {
		now, err := c.Store.Server(ctx, c.Store.DB, s.ID)
		if err != nil {
			return err
		}
		if now.Task != s.Task || !now.DeletedAt.IsZero() {
			return errAbandoned
		}
		return nil
	}
}

// unlessBroken is the state of a server after a failure: what it was when the
// host refused or could not be reached, since then nothing has been done, and
// else in error.
func unlessBroken(cause error) store.ServerPatch {
	if cause == nil || fault.Is(cause, fault.Conflict) || fault.Is(cause, fault.Invalid) || fault.Is(cause, fault.Unsupported) || errors.Is(cause, errHostDown) {
		return store.ServerPatch{}
	}
	return store.ServerPatch{State: ptr(compute.Error)}
}

func (c *Control) deadline(run *task.Run, grace time.Duration) time.Time {
	return run.Created.Add(actionTimeout + grace)
}
