package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
	"kilonova/service/compute/store"
)

// moveState is what a move remembers between its steps; the rest is in the
// migration.
type moveState struct {
	MigrationID string     `json:"migration_id"`
	Place       buildState `json:"place"`
	// Forced: the scheduler's filters are not asked.
	Forced bool `json:"forced,omitempty"`
	// Failure is why the move ended, while it is taken back.
	Failure *moveFailure `json:"failure,omitempty"`
	// Off: the guest stays switched off at its new place, whatever it was.
	Off bool `json:"off,omitempty"`
	// Ticket is what the new host of a guest that runs has given for the old one.
	Ticket []byte `json:"ticket,omitempty"`
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
// parked, its ports are bound to the new host and it is made there from what is
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
		if err := c.Placement.Transfer(ctx, s.ID, m.ID, consumerMigration, true); err != nil {
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
	if err := c.bindPorts(ctx, s, m.DestHost); err != nil {
		return progress, err
	}
	there := *s
	there.Host, there.Node, there.Flavor = m.DestHost, m.DestNode, m.NewFlavor
	if there.Hold, err = c.heldBy(ctx, &there, there.Host); err != nil {
		return progress, err
	}
	request := compute.ArriveRequest{Server: there, From: m.SourceHost, On: m.WasState != compute.Stopped}
	return work(ctx, c, compute.ArriveGuest, m.DestHost, m.ID+"/arrive", request, deadline, check)
}

// consumerMigration is the type of those who hold a server's old place in
// Placement, consumerServer that of servers.
const (
	consumerMigration = "MIGRATION"
	consumerServer    = "INSTANCE"
)

// A moveKind is what a kind of move asks of hosts, and says of its progress.
type moveKind struct {
	method string // that its new host serves
	what   string // "carry guests …", for the refusal
	task   compute.Task
	status compute.MigrationStatus
	event  string
}

var coldMove = moveKind{compute.ArriveGuest.Name, "receive guests from other hosts", compute.ResizeMigrates, compute.MigratingStatus, "compute_prep_resize"}

// placeMove chooses where a server goes, claims there what its new flavor takes,
// and notes both. As place does, it lets one after the other choose.
func (c *Control) placeMove(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, state *moveState, kind moveKind) error {
	c.placing.Lock()
	defer c.placing.Unlock()
	there := *s
	there.Flavor = m.NewFlavor
	fleet, err := c.Fleet(ctx)
	if err != nil {
		return err
	}
	for round := 1; ; round++ {
		choices, err := c.moveChoices(ctx, &there, state, fleet)
		if err != nil {
			return err
		}
		err = c.placeMoveOn(ctx, run, s, &there, m, state, kind, fleet, choices)
		// Others were faster in what is held beyond the claim: choose anew.
		if !errors.Is(err, errHeld) || round == placeRounds {
			return err
		}
	}
}

// placeMoveOn takes the first of the chosen hosts that can carry the guest, and on
// which claim and hold succeed. there is the server as it will be.
func (c *Control) placeMoveOn(ctx context.Context, run *task.Run, s, there *compute.Server, m *compute.Migration, state *moveState, kind moveKind, fleet *Fleet, choices []schedule.Choice) error {
	claim := compute.Claim{ServerID: s.ID, ProjectID: s.ProjectID, UserID: s.UserID, Resources: resourcesOf(there)}
	unable, lost := 0, error(nil)
	for _, choice := range choices {
		h := fleet.byName[choice.Name]
		if h == nil || !slices.Contains(h.Methods, kind.method) {
			unable++
			continue
		}
		claim.Allocations = choice.Allocations
		err := c.Placement.Claim(ctx, choice.ProviderID, claim)
		if fault.Is(err, fault.Conflict) {
			continue
		}
		if err != nil {
			return err
		}
		to := *m
		to.DestHost, to.DestNode, to.DestIP = choice.Name, choice.Node, h.Resources.HostIP
		err = c.moveStep(ctx, run, s, &to, kind.task, kind.status, kind.event, choice.Name, func(tx *db.Tx) error {
			if err := c.hold(ctx, tx, there, choice.Name); err != nil {
				return err
			}
			return run.SaveIn(ctx, tx, stepPlaced, *state)
		})
		if lost = err; errors.Is(err, errHeld) {
			continue
		}
		*m = to
		return err
	}
	if lost != nil {
		return fault.New(fault.Conflict, "No valid host was found: %w", lost)
	}
	return fault.Conflictf("No valid host was found. Of the %d hosts that were chosen %d cannot %s, and on the others somebody else took the room first.", len(choices), unable, kind.what)
}

// moveChoices are the hosts that a server may go to, the best first. A forced
// one is asked only for its room.
func (c *Control) moveChoices(ctx context.Context, there *compute.Server, state *moveState, fleet *Fleet) ([]schedule.Choice, error) {
	if !state.Forced {
		choices, explanation, err := c.choose(ctx, there, &state.Place)
		state.Place.Explanation = &explanation
		return choices, err
	}
	h := fleet.byName[state.Place.Requested.Host]
	if h == nil || !c.HostUp(h) {
		return nil, fault.Conflictf("Compute service of %s is unavailable at this time.", state.Place.Requested.Host)
	}
	return []schedule.Choice{{Host: &schedule.Host{Name: h.Name, Node: cmp.Or(h.Resources.HypervisorName, h.Name), ProviderID: h.NodeID}}}, nil
}

// moveStep writes that a move has come further, with its event and what also
// belongs to it; errAbandoned when the server shall not move any more.
func (c *Control) moveStep(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, next compute.Task, status compute.MigrationStatus, event, host string, also func(*db.Tx) error) error {
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
		if err := c.Store.AddEvent(ctx, tx, run.RequestID, s.ID, eventOf(event, host, run.Created, now, nil), now); err != nil {
			return err
		}
		if err := also(tx); err != nil {
			return err
		}
		tx.OnCommit(func() { s.Task, m.Status = next, status })
		return nil
	})
}

// bindPorts says to the network service on which host a server's ports are.
func (c *Control) bindPorts(ctx context.Context, s *compute.Server, host string) error {
	zone, err := c.zoneOf(ctx, host)
	if err != nil {
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
	if errors.Is(err, errHostDown) && ctx.Err() == nil { // nobody can take it back; a hard reboot will, when the host is up again
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
		if err := c.bindPorts(ctx, s, m.SourceHost); err != nil {
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
		power = &progress.Power
	}
	return power, c.Placement.Transfer(ctx, m.ID, s.ID, consumerServer, false)
}

// confirm ends a move for good: what is parked goes, and the migration's claim.
func (c *Control) confirm(ctx context.Context, run *task.Run, s *compute.Server) error {
	m, err := c.ending(ctx, run, s, compute.ResizeConfirms)
	if m == nil || err != nil {
		return err
	}
	if err := c.dropParked(ctx, m.SourceHost, s.ID, m.ID+"/drop"); err != nil {
		return err
	}
	if err := c.Placement.Release(ctx, m.ID); err != nil {
		return err
	}
	state := compute.Active
	if s.Power == compute.PowerShutdown {
		state = compute.Stopped
	}
	return c.endTask(ctx, run, s, m, store.ServerPatch{State: &state, Task: ptr(compute.NoTask)}, compute.Confirmed, "compute_confirm_resize", m.SourceHost, nil)
}

// revert takes a finished move back.
func (c *Control) revert(ctx context.Context, run *task.Run, s *compute.Server) error {
	m, err := c.ending(ctx, run, s, compute.ResizeReverts)
	if m == nil || err != nil {
		return err
	}
	state := moveState{MigrationID: m.ID}
	if run.Step == "" {
		if err := run.Save(ctx, stepClear, state); err != nil {
			return err
		}
	}
	power, err := c.restore(ctx, run, s, m, &state)
	switch {
	case errors.Is(err, errAbandoned):
		return nil
	case errors.Is(err, errHostDown) && ctx.Err() == nil: // a hard reboot takes it back, when the host is up again
		if err := c.Placement.Transfer(ctx, m.ID, s.ID, consumerServer, false); err != nil {
			return err
		}
		f := &compute.ServerFault{Code: 500, Created: c.Now(), Message: publicMessage(err), Details: err.Error()}
		patch := store.ServerPatch{State: ptr(compute.Error), Task: ptr(compute.NoTask), Fault: &f, Host: &m.SourceHost, Node: &m.SourceNode, Power: ptr(compute.PowerNone),
			Flavor: &m.OldFlavor, Reserved: ptr(m.OldFlavor.Reserved())}
		return c.endTask(ctx, run, s, m, patch, compute.MigrationError, "compute_revert_resize", m.SourceHost, err)
	case err != nil:
		return err
	}
	now := c.Now()
	patch := store.ServerPatch{State: &m.WasState, Task: ptr(compute.NoTask), Host: &m.SourceHost, Node: &m.SourceNode, Power: power, Flavor: &m.OldFlavor,
		Reserved: ptr(m.OldFlavor.Reserved()), LaunchedAt: &now}
	return c.endTask(ctx, run, s, m, patch, compute.Reverted, "compute_finish_revert_resize", m.SourceHost, nil)
}

// ending reads the migration that a task is to end; nil when something stronger
// came in between.
func (c *Control) ending(ctx context.Context, run *task.Run, s *compute.Server, expected compute.Task) (*compute.Migration, error) {
	var state moveState
	if err := run.Payload(&state); err != nil {
		return nil, err
	}
	if s.Task != expected {
		return nil, nil
	}
	return c.Store.Migration(ctx, c.Store.DB, state.MigrationID)
}

// dropParked has a host remove what is parked of a server. A host that is down
// learns it when it comes back and reports what is parked on it.
func (c *Control) dropParked(ctx context.Context, host, serverID, workID string) error {
	_, err := work(ctx, c, compute.DropParked, host, workID, compute.DropRequest{ServerID: serverID}, c.Now().Add(actionTimeout), nil)
	if errors.Is(err, errHostDown) || fault.Is(err, fault.Unsupported) {
		c.Log.Warn("what is parked will be removed when the host comes back", "server", serverID, "host", host)
		return nil
	}
	return err
}

// clearMoves takes back what open moves of a server that is to go have left at
// its other places.
func (c *Control) clearMoves(ctx context.Context, s *compute.Server) error {
	open, err := c.Store.Migrations(ctx, c.Store.DB, compute.MigrationQuery{ServerID: s.ID, Statuses: append(slices.Clone(compute.OpenMigrations), compute.MigrationDone)})
	if err != nil {
		return err
	}
	for _, m := range open {
		if m.Status == compute.MigrationDone { // an evacuation; its old host is told to remove the guest when it is back
			if err := c.Placement.Release(ctx, m.ID); err != nil {
				return err
			}
			if err := c.setMigration(ctx, m.ID, compute.MigrationCompleted); err != nil {
				return err
			}
			continue
		}
		for _, host := range []string{m.SourceHost, m.DestHost} {
			if host == "" || host == s.Host {
				continue
			}
			if err := c.destroyGuest(ctx, s, host, m.ID+"/delete"); err != nil {
				return err
			}
		}
		if m.Type == compute.LiveMigration {
			if err := errors.Join(c.unannounceMove(ctx, s, m.SourceHost), c.unannounceMove(ctx, s, m.DestHost)); err != nil {
				return err
			}
		}
		if err := c.dropIfAble(ctx, m.SourceHost, s.ID, m.ID+"/drop"); err != nil {
			return err
		}
		if err := c.Placement.Release(ctx, m.ID); err != nil {
			return err
		}
		status := compute.MigrationError
		if m.Status == compute.MigrationFinished || m.Status == compute.Confirming {
			status = compute.Confirmed
		}
		if err := c.setMigration(ctx, m.ID, status); err != nil {
			return err
		}
	}
	return nil
}

func (c *Control) dropIfAble(ctx context.Context, host, serverID, workID string) error {
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, host)
	if fault.Is(err, fault.NotFound) || err == nil && !slices.Contains(h.Methods, compute.DropParked.Name) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.dropParked(ctx, host, serverID, workID)
}

// unwantedParked are the parked guests of servers that have no open move from
// this host: nobody will ask for them.
func (c *Control) unwantedParked(ctx context.Context, host string, parked []string, busy []string) ([]string, error) {
	if len(parked) == 0 {
		return nil, nil
	}
	open, err := c.Store.Migrations(ctx, c.Store.DB, compute.MigrationQuery{SourceHost: host, Statuses: compute.OpenMigrations})
	if err != nil {
		return nil, err
	}
	var drop []string
	for _, id := range parked {
		wanted := slices.ContainsFunc(open, func(m *compute.Migration) bool { return m.ServerID == id })
		if wanted || slices.Contains(busy, id) {
			continue
		}
		// a guest of which nothing is known may be another cloud's
		if s, err := c.Store.Server(ctx, c.Store.DB, id); err == nil && s.Host != host {
			drop = append(drop, id)
		} else if err == nil && (!s.DeletedAt.IsZero() || s.Task == compute.NoTask && s.State != compute.Error) {
			drop = append(drop, id)
		} else if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	return drop, nil
}
