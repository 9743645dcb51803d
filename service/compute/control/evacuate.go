package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
	"kilonova/service/compute/store"
)

// Evacuate is how a server is brought away from a host that is down.
type Evacuate struct {
	Host      string // "" the scheduler chooses
	Forced    bool   // the scheduler is not asked about Host
	AdminPass string
	Off       bool // the guest is not started, whatever it was
}

// EvacuateServer begins to make a server anew on another host, since its own is
// down. It returns the password that it will have.
func (c *Control) EvacuateServer(ctx context.Context, id string, e Evacuate) (string, error) {
	s, err := c.ownServer(ctx, "os_compute_api:os-evacuate", id)
	if err != nil {
		return "", err
	}
	if err := compute.Allowed(compute.Evacuate, s); err != nil {
		return "", err
	}
	if e.Host != "" {
		if _, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, e.Host); fault.Is(err, fault.NotFound) {
			return "", fault.NotFoundf("Compute host %s not found.", e.Host)
		} else if err != nil {
			return "", err
		}
	}
	if e.Host != "" && e.Host == s.Host {
		return "", fault.Invalidf("The target host can't be the same one.")
	}
	up, err := c.hostUp(ctx, s.Host)
	if err != nil {
		return "", err
	}
	if up {
		return "", fault.Invalidf("Compute service of %s is still in use.", s.Host)
	}
	if e.AdminPass == "" {
		e.AdminPass = randomText(12)
	}
	m := c.migrationOf(ctx, s, compute.Evacuation, compute.MigrationAccepted)
	m.DestHost = e.Host
	state := moveState{MigrationID: m.ID, Forced: e.Forced, Off: e.Off, Place: buildState{Requested: schedule.Place{Host: e.Host}, Ignored: []string{s.Host}}}
	patch := store.ServerPatch{Progress: ptr(0), AdminPass: &e.AdminPass}
	return e.AdminPass, c.beginMove(ctx, s, m, compute.Evacuate, "evacuate", patch, taskEvacuate, state)
}

var evacuation = moveKind{compute.RebuildGuest.Name, "rebuild guests", compute.RebuildSpawn, compute.PreMigrating, "conductor_rebuild_instance"}

// evacuate makes a server anew on another host. What it had claimed of its old
// one is the migration's until that host is back and rid of its guest.
func (c *Control) evacuate(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state moveState
	if err := run.Payload(&state); err != nil {
		return err
	}
	m, err := c.Store.Migration(ctx, c.Store.DB, state.MigrationID)
	if err != nil {
		return err
	}
	if s.Task != compute.Rebuilding && s.Task != compute.RebuildSpawn {
		return nil
	}
	if run.Step != stepClear {
		progress, err := c.evacuateOnce(ctx, run, s, m, &state)
		switch {
		case err == nil:
			now, is := c.Now(), compute.Active
			if state.Off || m.WasState == compute.Stopped {
				is = compute.Stopped
			}
			var none *compute.ServerFault
			patch := store.ServerPatch{State: &is, Task: ptr(compute.NoTask), Power: &progress.Power, Host: &m.DestHost, Node: &m.DestNode, Fault: &none, LaunchedAt: &now, AdminPass: ptr("")}
			return c.endTask(ctx, run, s, m, patch, compute.MigrationDone, "compute_rebuild_instance", m.DestHost, nil)
		case errors.Is(err, errAbandoned):
			return nil
		case ctx.Err() != nil || errors.Is(err, task.ErrLost):
			return err
		}
		c.Log.Warn("evacuation failed", "server", s.ID, "from", m.SourceHost, "to", m.DestHost, "error", err)
		state.Failure = failureOf(err)
		if run.Step == "" { // no host was chosen: the one in the record was a wish
			m.DestHost = ""
		}
		if err := run.Save(ctx, stepClear, state); err != nil {
			return err
		}
	}
	if m.Status == compute.PreMigrating { // a host was chosen
		there := *s
		there.Host = m.DestHost
		if err := c.destroyGuest(ctx, &there, m.DestHost, m.ID+"/clear"); err != nil {
			return err
		}
		if err := c.bindPorts(ctx, s, m.SourceHost, m.ID); err != nil {
			return err
		}
		if err := c.volumesBack(ctx, s, m.SourceHost); errors.Is(err, errStranded) { // a hard reboot asks again
			c.Log.Error("volumes are not back where they were", "server", s.ID, "host", m.SourceHost, "error", err)
		} else if err != nil {
			return err
		}
	}
	if err := c.Placement.Transfer(ctx, m.ID, s.ID, consumerServer, false); err != nil {
		return err
	}
	f := &compute.ServerFault{Code: state.Failure.Code, Created: c.Now(), Message: state.Failure.Message, Details: state.Failure.Details}
	patch := store.ServerPatch{State: ptr(compute.Error), Task: ptr(compute.NoTask), Fault: &f, AdminPass: ptr("")}
	event := "compute_rebuild_instance"
	if m.Status != compute.PreMigrating {
		event = evacuation.event // it has not come to a host
	}
	return c.endTask(ctx, run, s, m, patch, compute.MigrationError, event, m.DestHost, errors.New(state.Failure.Details))
}

func (c *Control) evacuateOnce(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, state *moveState) (progress compute.Progress, err error) {
	if run.Step == "" {
		if err := c.overtake(ctx, s, m); err != nil {
			return progress, err
		}
		if err := c.leave(ctx, run, s, m, state); err != nil {
			return progress, err
		}
		if err := c.placeMove(ctx, run, s, m, state, evacuation); err != nil {
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
	there.Host, there.Node = m.DestHost, m.DestNode
	if there.Hold, err = c.heldBy(ctx, &there, there.Host); err != nil {
		return progress, err
	}
	if err := c.countDevices(ctx, s, there.Hold); err != nil {
		return progress, err
	}
	request := compute.RebuildRequest{Server: there, On: !state.Off && m.WasState != compute.Stopped}
	progress, err = work(ctx, c, compute.RebuildGuest, m.DestHost, m.ID+"/evacuate", request, run.Created.Add(c.Options.BuildTimeout.D()), func() error { return c.notDeleting(ctx, s) })
	if err != nil {
		return progress, err
	}
	return progress, c.completeVolumes(ctx, s)
}

// overtake ends other moves of a server that its host's failure has cut off: what
// they hold is the server's again.
func (c *Control) overtake(ctx context.Context, s *compute.Server, m *compute.Migration) error {
	open, err := c.Store.Migrations(ctx, c.Store.DB, compute.MigrationQuery{ServerID: s.ID, Statuses: compute.OpenMigrations})
	if err != nil {
		return err
	}
	for _, o := range open {
		if o.ID == m.ID {
			continue
		}
		if o.DestHost != "" && o.DestHost != s.Host {
			if err := c.destroyGuest(ctx, s, o.DestHost, o.ID+"/overtaken"); err != nil {
				return err
			}
			if o.Type == compute.LiveMigration {
				if err := c.unannounceMove(ctx, s, o.DestHost); err != nil {
					return err
				}
			}
		}
		if err := c.Placement.Transfer(ctx, o.ID, s.ID, consumerServer, false); err != nil {
			return err
		}
		if err := c.setMigration(ctx, o.ID, compute.MigrationError); err != nil {
			return err
		}
	}
	return nil
}

func (c *Control) setMigration(ctx context.Context, id string, status compute.MigrationStatus) error {
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		_, err := c.Store.UpdateMigration(ctx, tx, id, store.MigrationPatch{Status: &status}, nil, c.Now())
		return err
	})
}

// evacuated ends the evacuations from a host that is back and has no guest of
// theirs any more: their claims on it are given back.
func (c *Control) evacuated(ctx context.Context, r compute.HostReport, looked time.Time) error {
	done, err := c.Store.Migrations(ctx, c.Store.DB, compute.MigrationQuery{SourceHost: r.Host, Types: []compute.MigrationType{compute.Evacuation}, Statuses: []compute.MigrationStatus{compute.MigrationDone}})
	if err != nil {
		return err
	}
	for _, m := range done {
		here := slices.ContainsFunc(r.Guests, func(g compute.GuestReport) bool { return g.ServerID == m.ServerID })
		if here || m.UpdatedAt.After(looked) || slices.Contains(r.Busy, m.ServerID) {
			continue
		}
		if err := c.Placement.Release(ctx, m.ID); err != nil {
			return err
		}
		if err := c.setMigration(ctx, m.ID, compute.MigrationCompleted); err != nil {
			return err
		}
	}
	return nil
}
