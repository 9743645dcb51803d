package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// moveState is what a move remembers between its steps; the rest is in the
// migration.
type moveState struct {
	MigrationID string     `json:"migration_id"`
	Place       buildState `json:"place"`
	// Left: what the server had claimed where it is the migration holds.
	Left bool `json:"left,omitempty"`
	// Forced: the scheduler's filters are not asked.
	Forced bool `json:"forced,omitempty"`
	// Failure is why the move ended, while it is taken back.
	Failure *moveFailure `json:"failure,omitempty"`
	// Off: the guest stays switched off at its new place, whatever it was.
	Off bool `json:"off,omitempty"`
	// Ticket is what the new host of a guest that runs has given for the old one,
	// Devices its volumes as they are there.
	Ticket  []byte                `json:"ticket,omitempty"`
	Devices []compute.BlockDevice `json:"devices,omitempty"`
}

type moveFailure struct {
	Message string `json:"message"` // for the user
	Details string `json:"details"`
	Code    int    `json:"code"`
}

func failureOf(err error) *moveFailure {
	return &moveFailure{Message: publicMessage(err), Details: err.Error(), Code: rest.Status(err)}
}

// The steps of a cold move; "" is choosing a host.
const (
	stepParked  = "parked"  // the guest has been put aside
	stepRestore = "restore" // what was made at the new place is gone: back to the old one
)

// move carries a server, switched off, to another host, another flavor or both:
// its claim goes to the migration, a host is chosen and claimed on, the guest is
// parked, its ports and volumes are bound to the new host and it is made there from what is
// parked. It may be taken up again after any of these; what fails is taken back.
func (c *Control) move(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state moveState
	if err := run.Payload(&state); err != nil {
		return err
	}
	m, err := c.Store.Migration(ctx, c.Store.DB, state.MigrationID)
	if err != nil {
		return err
	}
	if !slices.Contains([]compute.Task{compute.ResizePrep, compute.ResizeMigrates, compute.ResizeMigrated, compute.ResizeFinish}, s.Task) {
		return nil // it is being deleted, which clears this too
	}
	if run.Step != stepClear && run.Step != stepRestore {
		progress, err := c.moveOnce(ctx, run, s, m, &state)
		switch {
		case err == nil:
			return c.moved(ctx, run, s, m, state, progress)
		case errors.Is(err, errAbandoned):
			return nil
		case ctx.Err() != nil || errors.Is(err, task.ErrLost):
			return err
		}
		c.Log.Warn("move failed", "server", s.ID, "from", m.SourceHost, "to", m.DestHost, "error", err)
		state.Failure = failureOf(err)
		// what is on a host's own disk in its place is only removed after it has been parked
		next := stepClear
		if m.DestHost == "" || m.DestHost == m.SourceHost && run.Step != stepParked {
			next = stepRestore
		}
		if err := run.Save(ctx, next, state); err != nil {
			return err
		}
	}
	return c.unmove(ctx, run, s, m, state)
}

// moveOnce does what is left of the move.
func (c *Control) moveOnce(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, state *moveState) (progress compute.Progress, err error) {
	check := func() error { return c.notDeleting(ctx, s) }
	deadline := run.Created.Add(c.Options.BuildTimeout.D())
	if run.Step == "" {
		if err := c.leave(ctx, run, s, m, state); err != nil {
			return progress, err
		}
		if err := c.placeMove(ctx, run, s, m, state, coldMove); err != nil {
			return progress, err
		}
	}
	if run.Step == stepPlaced {
		request := compute.ParkRequest{Server: *s, Grace: c.Options.ShutdownTimeout, Leaving: m.DestHost != m.SourceHost}
		if _, err := work(ctx, c, compute.ParkGuest, m.SourceHost, m.ID+"/park", request, deadline, check); err != nil {
			return progress, err
		}
		err := c.moveStep(ctx, run, s, m, compute.ResizeMigrated, compute.PostMigrating, "compute_resize_instance", m.SourceHost,
			func(tx *db.Tx) error { return run.SaveIn(ctx, tx, stepParked, *state) })
		if err != nil {
			return progress, err
		}
	}
	if err := c.bindPorts(ctx, s, m.DestHost, s.ID); err != nil {
		return progress, err
	}
	if err := c.moveVolumes(ctx, s, m.DestHost); err != nil {
		return progress, err
	}
	there := *s
	there.Host, there.Node, there.Flavor = m.DestHost, m.DestNode, m.NewFlavor
	if there.Hold, err = c.heldBy(ctx, &there, there.Host); err != nil {
		return progress, err
	}
	if err := c.countDevices(ctx, s, there.Hold); err != nil {
		return progress, err
	}
	request := compute.ArriveRequest{Server: there, From: m.SourceHost, On: m.WasState != compute.Stopped}
	progress, err = work(ctx, c, compute.ArriveGuest, m.DestHost, m.ID+"/arrive", request, deadline, check)
	if err != nil {
		return progress, err
	}
	return progress, c.completeVolumes(ctx, s)
}

// moveStep writes that a move has come further, with its event and what also
// belongs to it; errAbandoned when the server shall not move any more.
func (c *Control) moveStep(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, next compute.Task, status compute.MigrationStatus, event, host string, also func(*db.Tx) error) error {
	return c.moveStepSaying(ctx, run, s, m, next, status, event, host, nil, also)
}

// moveStepSaying is moveStep with details of the event, for operators.
func (c *Control) moveStepSaying(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, next compute.Task, status compute.MigrationStatus, event, host string, details *string, also func(*db.Tx) error) error {
	now := c.Now()
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		ok, err := c.Store.UpdateServer(ctx, tx, s.ID, store.ServerPatch{Task: &next}, store.Expect{States: []compute.State{s.State}, Tasks: []compute.Task{s.Task}, Existing: true}, now)
		if err != nil {
			return err
		}
		if !ok {
			return errAbandoned
		}
		patch := store.MigrationPatch{Status: &status, DestHost: &m.DestHost, DestNode: &m.DestNode, DestIP: &m.DestIP}
		if _, err := c.Store.UpdateMigration(ctx, tx, m.ID, patch, nil, now); err != nil {
			return err
		}
		if event == coldMove.event { // which the conductor's own step comes before
			if err := c.Store.AddEvent(ctx, tx, run.RequestID, s.ID, eventOf("conductor_migrate_server", c.Host, run.Created, now, nil), now); err != nil {
				return err
			}
		}
		e := eventOf(event, host, run.Created, now, nil)
		e.Details = details
		if err := c.Store.AddEvent(ctx, tx, run.RequestID, s.ID, e, now); err != nil {
			return err
		}
		if err := also(tx); err != nil {
			return err
		}
		tx.OnCommit(func() { s.Task, m.Status = next, status })
		return nil
	})
}

// bindPorts says to the network service on which host a server's ports are, and
// what they have of it by the claim of consumer: the server's, or its migration's.
func (c *Control) bindPorts(ctx context.Context, s *compute.Server, host, consumer string) error {
	zone, err := c.zoneOf(ctx, host)
	if err != nil {
		return err
	}
	if err := c.assignPorts(ctx, s, consumer); err != nil {
		return err
	}
	return eachPort(s, func(portID string) error { return c.Networks.Bind(ctx, portID, s.ID, host, zone) })
}

// moved writes that a server is at its new place and waits to be confirmed.
func (c *Control) moved(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, state moveState, progress compute.Progress) error {
	now := c.Now()
	var none *compute.ServerFault
	patch := store.ServerPatch{State: ptr(compute.Resized), Task: ptr(compute.NoTask), Host: &m.DestHost, Node: &m.DestNode, Power: &progress.Power,
		Flavor: &m.NewFlavor, Reserved: ptr(m.NewFlavor.Reserved()), LaunchedAt: &now, Fault: &none}
	return c.endTask(ctx, run, s, m, patch, compute.MigrationFinished, "compute_finish_resize", m.DestHost, nil)
}

// endTask writes the end of a part of a move: the server, the migration, the
// event and the task's own end, together. A server that shall be deleted is left
// to that.
func (c *Control) endTask(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, patch store.ServerPatch, status compute.MigrationStatus, event, host string, cause error) error {
	now := c.Now()
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		ok, err := c.Store.UpdateServer(ctx, tx, s.ID, patch, store.Expect{Existing: true, Tasks: []compute.Task{s.Task}}, now)
		if err != nil {
			return err
		}
		if ok {
			if _, err := c.Store.UpdateMigration(ctx, tx, m.ID, store.MigrationPatch{Status: &status}, nil, now); err != nil {
				return err
			}
			if err := c.Store.AddEvent(ctx, tx, run.RequestID, s.ID, eventOf(event, host, run.Created, now, cause), now); err != nil {
				return err
			}
		}
		return run.EndIn(ctx, tx)
	})
}

// unmove takes back what a failed move has done; the server is then what it was,
// with a fault that says why.
func (c *Control) unmove(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, state moveState) error {
	power, err := c.restore(ctx, run, s, m, &state)
	if errors.Is(err, errAbandoned) {
		return nil
	}
	if lost(err) && ctx.Err() == nil { // nobody can take it back; a hard reboot will, when the host is up again
		if err := c.Placement.Transfer(ctx, m.ID, s.ID, consumerServer, false); err != nil {
			return err
		}
		f := &compute.ServerFault{Code: 500, Created: c.Now(), Message: state.Failure.Message, Details: state.Failure.Details + "\n" + err.Error()}
		patch := store.ServerPatch{State: ptr(compute.Error), Task: ptr(compute.NoTask), Fault: &f, Reserved: ptr(m.OldFlavor.Reserved())}
		return c.endTask(ctx, run, s, m, patch, compute.MigrationError, "conductor_migrate_server", m.SourceHost, err)
	}
	if err != nil {
		return err // tried again
	}
	details := state.Failure.Details
	if state.Place.Explanation != nil && m.DestHost == "" {
		details += "\n" + state.Place.Explanation.String()
	}
	f := &compute.ServerFault{Code: state.Failure.Code, Created: c.Now(), Message: state.Failure.Message, Details: details}
	patch := store.ServerPatch{State: &m.WasState, Task: ptr(compute.NoTask), Fault: &f, Reserved: ptr(m.OldFlavor.Reserved()), Host: &m.SourceHost, Node: &m.SourceNode}
	if power != nil {
		patch.Power = power
	}
	return c.endTask(ctx, run, s, m, patch, compute.MigrationError, "conductor_migrate_server", m.SourceHost, errors.New(details))
}

// lost reports whether a guest cannot be taken back for now.
func lost(err error) bool { return errors.Is(err, errHostDown) || errors.Is(err, errStranded) }

// restore brings a server back to its old place, whose claim the migration
// holds. power is nil if its guest never left.
func (c *Control) restore(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, state *moveState) (power *compute.Power, err error) {
	if run.Step == stepClear {
		there := *s
		there.Host = m.DestHost
		if m.DestHost == m.SourceHost {
			there.Networks = nil // the devices stay
		}
		if err := c.destroyGuest(ctx, &there, m.DestHost, m.ID+"/clear"); err != nil {
			return nil, fmt.Errorf("clear %s: %w", m.DestHost, err)
		}
		if err := run.Save(ctx, stepRestore, *state); err != nil {
			return nil, err
		}
	}
	if m.DestHost != "" {
		if err := c.bindPorts(ctx, s, m.SourceHost, m.ID); err != nil {
			return nil, err
		}
		if err := c.volumesBack(ctx, s, m.SourceHost); err != nil {
			return nil, err
		}
		if err := c.holdOnly(ctx, m, true); err != nil {
			return nil, err
		}
		back := *s
		back.Host, back.Node, back.Flavor = m.SourceHost, m.SourceNode, m.OldFlavor
		hold, err := c.heldBy(ctx, &back, back.Host)
		if err != nil {
			return nil, err
		}
		back.Hold = hold
		request := compute.UnparkRequest{Server: back, On: m.WasState != compute.Stopped}
		progress, err := work(ctx, c, compute.UnparkGuest, m.SourceHost, m.ID+"/unpark", request, c.Now().Add(actionTimeout), func() error { return c.notDeleting(ctx, s) })
		if err != nil {
			return nil, fmt.Errorf("take the guest back on %s: %w", m.SourceHost, err)
		}
		if err := c.completeVolumes(ctx, s); err != nil {
			return nil, err
		}
		power = &progress.Power
	}
	return power, c.Placement.Transfer(ctx, m.ID, s.ID, consumerServer, false)
}
