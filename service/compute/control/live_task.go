package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// The further steps of a live move.
const (
	stepRunning = "running" // the new host expects the guest, which is being carried
	stepArrived = "arrived" // the guest is at its new place
)

var liveMove = moveKind{compute.TakeUpGuest.Name, "receive guests that run", compute.Migrating, compute.MigrationPreparing, "conductor_live_migrate_instance"}

// carry brings a server to another host while it runs: its claim goes to the
// migration, a host is chosen and claimed on, that host expects the guest, the
// old one carries it over, and its ports follow. It may be taken up again after
// any of these; what fails before the guest has gone is taken back.
func (c *Control) carry(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state moveState
	if err := run.Payload(&state); err != nil {
		return err
	}
	m, err := c.Store.Migration(ctx, c.Store.DB, state.MigrationID)
	if err != nil {
		return err
	}
	if s.Task != compute.Migrating {
		return nil
	}
	if run.Step != stepClear && run.Step != stepArrived {
		err := c.carryOnce(ctx, run, s, m, &state)
		switch {
		case err == nil:
		case errors.Is(err, errAbandoned):
			return nil
		case ctx.Err() != nil || errors.Is(err, task.ErrLost):
			return err
		default:
			c.Log.Warn("live migration failed", "server", s.ID, "from", m.SourceHost, "to", m.DestHost, "error", err)
			state.Failure = failureOf(err)
			if err := run.Save(ctx, stepClear, state); err != nil {
				return err
			}
		}
	}
	if run.Step == stepArrived {
		return c.arrived(ctx, run, s, m, state)
	}
	return c.uncarry(ctx, run, s, m, state)
}

func (c *Control) carryOnce(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, state *moveState) error {
	deadline := run.Created.Add(c.Options.BuildTimeout.D())
	check := func() error { return c.steering(ctx, s, m) }
	if run.Step == "" {
		if s.Power != compute.PowerRunning && s.Power != compute.PowerPaused {
			return fault.Conflictf("Cannot 'live migrate' instance %s while it is in power_state %d", s.ID, s.Power)
		}
		if asked := s.Flavor.ExtraSpecs[aliasSpec]; asked != "" && !c.allMigratable(s) {
			return fault.Conflictf("Migration pre-check error: This request does not explicitly request live-migratable devices. Server %s has devices of its host (%.64s) whose alias does not say live_migratable.", s.ID, asked)
		}
		if err := c.leave(ctx, run, s, m, state); err != nil {
			return err
		}
		if err := c.placeMove(ctx, run, s, m, state, liveMove); err != nil {
			return err
		}
	}
	if run.Step == stepPlaced {
		if err := c.announceMove(ctx, s, m.DestHost); err != nil {
			return err
		}
		there, err := *s, error(nil)
		there.Host, there.Node = m.DestHost, m.DestNode
		if state.Devices, err = c.expectVolumes(ctx, s, m.DestHost); err != nil {
			return err
		}
		there.Devices = state.Devices
		if there.Hold, err = c.heldBy(ctx, &there, there.Host); err != nil {
			return err
		}
		if err := c.countDevices(ctx, s, there.Hold); err != nil {
			return err
		}
		ask, cancel := context.WithTimeout(ctx, 2*time.Minute)
		reply, err := compute.ExpectGuest.Do(ask, c.Bus, m.DestHost, compute.ExpectRequest{Server: there})
		cancel()
		if err != nil {
			return err
		}
		if err := check(); err != nil { // it may have been aborted while it waited
			return err
		}
		state.Ticket = reply.Ticket
		err = c.moveStep(ctx, run, s, m, compute.Migrating, compute.MigrationRunning, "compute_pre_live_migration", m.DestHost,
			func(tx *db.Tx) error { return run.SaveIn(ctx, tx, stepRunning, *state) })
		if err != nil {
			return err
		}
	}
	request := compute.CarryRequest{ServerID: s.ID, To: m.DestHost, Ticket: state.Ticket}
	_, err := work(ctx, c, compute.CarryGuest, m.SourceHost, m.ID+"/carry", request, deadline, check)
	if fault.Is(err, fault.NotFound) || errors.Is(err, errHostDown) {
		// it has been carried before, or nobody can tell but the new host
		there := *s
		there.Host = m.DestHost
		if _, lost := work(ctx, c, compute.TakeUpGuest, m.DestHost, m.ID+"/look", compute.TakeUpRequest{Server: there}, deadline, check); lost == nil {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	return c.moveStep(ctx, run, s, m, compute.Migrating, compute.PostMigrating, "compute_live_migration", m.SourceHost,
		func(tx *db.Tx) error { return run.SaveIn(ctx, tx, stepArrived, *state) })
}

// errAborted: somebody has asked for the end of a live migration.
var errAborted = &fault.Error{Kind: fault.Conflict, Message: "The live migration was aborted."}

// steering looks after a live migration while it is waited for: it notes how far
// it has come and passes on what is asked of it.
func (c *Control) steering(ctx context.Context, s *compute.Server, m *compute.Migration) error {
	gone := c.notDeleting(ctx, s)
	now, err := c.Store.Migration(ctx, c.Store.DB, m.ID)
	if err != nil {
		return err
	}
	wish := now.Wish
	if gone != nil {
		wish = compute.AbortWish
	}
	if now.Status != compute.MigrationRunning {
		if gone == nil && wish == compute.AbortWish {
			gone = errAborted
		}
		return gone
	}
	ask, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	transfer, err := compute.SteerCarry.Do(ask, c.Bus, m.SourceHost, compute.SteerRequest{ServerID: s.ID, Wish: wish})
	if gone != nil || err != nil || transfer == now.Transfer {
		return gone // what the host did not hear it will be told again
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		_, err := c.Store.UpdateMigration(ctx, tx, m.ID, store.MigrationPatch{Transfer: &transfer}, nil, c.Now())
		return err
	})
}

// maxComplete is how often a volume service is asked that refuses what has been
// done.
const maxComplete = 5

// arrived has the ports and volumes follow a guest that is at its new place, and ends what is
// left at the old one. There is no way back from here.
func (c *Control) arrived(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, state moveState) error {
	if err := c.switchPorts(ctx, s, m.SourceHost, m.DestHost); err != nil {
		return err
	}
	if err := c.takeVolumes(ctx, s, state.Devices, run.Attempt >= maxComplete); err != nil {
		return err
	}
	there := *s
	there.Host, there.Node = m.DestHost, m.DestNode
	progress, err := work(ctx, c, compute.TakeUpGuest, m.DestHost, m.ID+"/take", compute.TakeUpRequest{Server: there}, c.Now().Add(actionTimeout), func() error { return c.notDeleting(ctx, s) })
	patch := store.ServerPatch{State: &m.WasState, Task: ptr(compute.NoTask), Host: &m.DestHost, Node: &m.DestNode, Power: &progress.Power}
	switch {
	case errors.Is(err, errAbandoned):
		return nil
	case fault.Is(err, fault.NotFound):
		f := &compute.ServerFault{Code: 500, Created: c.Now(), Message: "The guest was lost on its way.", Details: err.Error()}
		patch.State, patch.Fault = ptr(compute.Error), &f
	case errors.Is(err, errHostDown) && ctx.Err() == nil:
		patch.Power = nil // it is there, and nobody knows how it is
	case err != nil:
		return err
	}
	if err := c.destroyGuest(ctx, s, m.SourceHost, m.ID+"/leave"); err != nil { // its devices; the guest is gone
		return err
	}
	if err := c.Placement.Release(ctx, m.ID); err != nil {
		return err
	}
	return c.endTask(ctx, run, s, m, patch, compute.MigrationCompleted, "compute_post_live_migration_at_destination", m.DestHost, nil)
}

// uncarry takes back what a failed live move has done; the guest never left.
func (c *Control) uncarry(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, state moveState) error {
	if m.DestHost != "" {
		there := *s
		there.Host = m.DestHost
		if err := c.destroyGuest(ctx, &there, m.DestHost, m.ID+"/clear"); err != nil {
			return fmt.Errorf("clear %s: %w", m.DestHost, err)
		}
		if err := errors.Join(c.unannounceMove(ctx, s, m.DestHost), c.releaseOthers(ctx, s)); err != nil {
			return err
		}
	}
	if err := c.Placement.Transfer(ctx, m.ID, s.ID, consumerServer, false); err != nil {
		return err
	}
	status := compute.MigrationError
	switch now, err := c.Store.Migration(ctx, c.Store.DB, m.ID); {
	case err != nil:
		return err
	case now.Wish == compute.AbortWish:
		status = compute.MigrationCancelled
	case now.Status == compute.MigrationRunning:
		status = compute.MigrationFailed
	}
	patch := store.ServerPatch{State: &m.WasState, Task: ptr(compute.NoTask)}
	var cause error
	if status != compute.MigrationCancelled {
		f := &compute.ServerFault{Code: state.Failure.Code, Created: c.Now(), Message: state.Failure.Message, Details: state.Failure.Details}
		patch.Fault, cause = &f, errors.New(state.Failure.Details)
	}
	event := "compute_live_migration"
	switch {
	case m.DestHost == "":
		event = liveMove.event // it has not come to a host
	case cause == nil:
		event = "compute_rollback_live_migration_at_destination"
	}
	return c.endTask(ctx, run, s, m, patch, status, event, m.SourceHost, cause)
}
