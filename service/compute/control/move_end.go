package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

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
	if err := c.holdOnly(ctx, m, false); err != nil {
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
	case lost(err) && ctx.Err() == nil: // a hard reboot takes it back, when the host is up again
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
