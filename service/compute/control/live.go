package control

import (
	"context"
	"slices"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
	"kilonova/service/compute/store"
)

// LiveMigrate is how a server is carried to another host while it runs.
type LiveMigrate struct {
	Host   string // "" the scheduler chooses
	Forced bool   // the scheduler is not asked about Host
	// Checked: what can be known is refused now, not in the history.
	Checked bool
}

// LiveMigrateServer begins to carry a server to another host while it runs.
func (c *Control) LiveMigrateServer(ctx context.Context, id string, l LiveMigrate) error {
	s, err := c.movable(ctx, "os_compute_api:os-migrate-server:migrate_live", id, compute.LiveMigrate)
	if err != nil {
		return err
	}
	if l.Host != "" {
		if err := c.Policy.Enforce(ctx, "os_compute_api:os-migrate-server:migrate_live:host", auth.Target{"project_id": s.ProjectID}); err != nil {
			return err
		}
		h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, l.Host)
		switch {
		case err != nil:
			return asInvalid(err)
		case l.Host == s.Host:
			return fault.Invalidf("Unable to migrate instance (%s) to current host (%s).", id, l.Host)
		case l.Checked && !c.HostUp(h):
			return fault.Invalidf("Compute service of %s is unavailable at this time.", l.Host)
		}
	}
	if err := c.hostServes(ctx, s.Host, compute.CarryGuest.Name, "carry guests while they run"); err != nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	m := c.migrationOf(ctx, s, compute.LiveMigration, compute.MigrationQueued)
	state := moveState{MigrationID: m.ID, Forced: l.Forced, Place: buildState{Requested: schedule.Place{Host: l.Host}, Ignored: []string{s.Host}}}
	if l.Checked {
		fleet, err := c.Fleet(ctx)
		if err != nil {
			return err
		}
		dry := state
		if _, err := c.moveChoices(ctx, s, &dry, fleet); fault.Is(err, fault.Conflict) {
			return fault.New(fault.Invalid, "%w", err)
		} else if err != nil {
			return err
		}
	}
	return c.beginMove(ctx, s, m, compute.LiveMigrate, "live-migration", store.ServerPatch{Progress: ptr(0)}, taskLive, state)
}

// AbortLiveMigration has a live migration end without the server having moved.
// queued says whether it may be asked before the copying has begun.
func (c *Control) AbortLiveMigration(ctx context.Context, id string, number int64, queued bool) error {
	allowed := []compute.MigrationStatus{compute.MigrationRunning}
	if queued {
		allowed = append(allowed, compute.MigrationQueued, compute.MigrationPreparing)
	}
	return c.wish(ctx, id, number, wishKind{"os_compute_api:servers:migrations:delete", compute.AbortMigration, compute.AbortWish, "live_migration_cancel", "abort live migration"}, allowed)
}

// CompleteLiveMigration has a live migration end soon, at the guest's cost.
func (c *Control) CompleteLiveMigration(ctx context.Context, id string, number int64) error {
	kind := wishKind{"os_compute_api:servers:migrations:force_complete", compute.ForceMigration, compute.CompleteWish, "live_migration_force_complete", "force complete"}
	err := c.wish(ctx, id, number, kind, []compute.MigrationStatus{compute.MigrationRunning})
	if f := fault.KindOf(err); f == fault.NotFound && err != nil {
		if _, missing := c.Store.Server(ctx, c.Store.DB, id); missing == nil { // the server is there, the migration is not
			return fault.New(fault.Invalid, "%w", err)
		}
	}
	return err
}

type wishKind struct {
	rule         string
	verb         compute.Verb
	wish         compute.MigrationWish
	action, what string
}

// wish notes what is asked of a live migration and tells its host at once; what
// the host did not hear it is told by the task.
func (c *Control) wish(ctx context.Context, id string, number int64, kind wishKind, allowed []compute.MigrationStatus) error {
	s, err := c.movable(ctx, kind.rule, id, kind.verb)
	if err != nil {
		return err
	}
	var m *compute.Migration
	err = c.Store.Tx(ctx, func(tx *db.Tx) error {
		if m, err = c.Store.MigrationOf(ctx, tx, id, number); err != nil {
			return err
		}
		if m.Type != compute.LiveMigration || !slices.Contains(allowed, m.Status) {
			return fault.Invalidf("Migration %d state of instance %s is %s. Cannot %s while the migration is in this state.", number, id, m.Status, kind.what)
		}
		ok, err := c.Store.UpdateMigration(ctx, tx, m.ID, store.MigrationPatch{Wish: &kind.wish}, allowed, c.Now())
		if err != nil {
			return err
		}
		if !ok {
			return fault.Invalidf("Migration %d of instance %s has changed meanwhile. Cannot %s now.", number, id, kind.what)
		}
		return c.act(ctx, tx, id, kind.action)
	})
	if err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := compute.SteerCarry.Do(ask, c.Bus, s.Host, compute.SteerRequest{ServerID: id, Wish: kind.wish}); err != nil {
		c.Log.Info("a wish for a live migration waits", "server", id, "wish", kind.wish, "error", err)
	}
	return nil
}

// fresh asks the host of a live migration how far it has come.
func (c *Control) fresh(ctx context.Context, m *compute.Migration) {
	if m.Status != compute.MigrationRunning {
		return
	}
	ask, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if now, err := compute.SteerCarry.Do(ask, c.Bus, m.SourceHost, compute.SteerRequest{ServerID: m.ServerID}); err == nil && now.MemoryTotal > 0 {
		m.Transfer = now
	}
}
