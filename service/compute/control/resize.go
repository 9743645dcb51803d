package control

import (
	"context"
	"slices"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/notify"
	"kilonova/service/compute/schedule"
	"kilonova/service/compute/store"
)

// movable returns a server on a host of which the caller may ask a verb now.
func (c *Control) movable(ctx context.Context, rule, id string, verb compute.Verb) (*compute.Server, error) {
	s, err := c.asked(ctx, rule, id, verb)
	if err != nil {
		return nil, err
	}
	return s, onHost(s)
}

// hostServes refuses what a host cannot do: it is down, or its hypervisor lacks
// the call.
func (c *Control) hostServes(ctx context.Context, host, method, what string) error {
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, host)
	if err != nil {
		return err
	}
	if !c.HostUp(h) {
		return fault.Conflictf("Service is unavailable at this time: compute host %s is down.", host)
	}
	if !slices.Contains(h.Methods, method) {
		return fault.Conflictf("The hypervisor of host %s cannot %s.", host, what)
	}
	return nil
}

// ResizeServer begins to give a server another flavor. diskConfig is "" to leave
// it.
func (c *Control) ResizeServer(ctx context.Context, id, flavorID, diskConfig string) error {
	s, err := c.movable(ctx, "os_compute_api:servers:resize", id, compute.Resize)
	if err != nil {
		return err
	}
	if err := c.hostServes(ctx, s.Host, compute.ParkGuest.Name, "carry guests to another size"); err != nil {
		return err
	}
	flavor, err := c.usableFlavor(ctx, flavorID)
	if err != nil {
		return asInvalid(err)
	}
	if err := fits(s, flavor); err != nil {
		return err
	}
	there := *s
	there.Flavor = flavor
	if err := c.checkGuest(&there); err != nil {
		return err
	}
	m := c.migrationOf(ctx, s, compute.ResizeMove, compute.PreMigrating)
	m.NewFlavor = flavor
	state := moveState{MigrationID: m.ID}
	if !c.Options.ResizeToSameHost {
		state.Place.Ignored = []string{s.Host}
	}
	patch := store.ServerPatch{Progress: ptr(0)}
	if diskConfig != "" {
		patch.DiskConfig = &diskConfig
	}
	return c.beginMove(ctx, s, m, compute.Resize, "resize", patch, taskMove, state)
}

// fits refuses flavors that a server cannot get.
func fits(s *compute.Server, f compute.Flavor) error {
	local := s.ImageID != "" && !s.BootsFromVolume()
	switch image := s.ImageMeta; {
	case f.RootGB == 0 && s.Flavor.RootGB != 0 && local:
		return fault.Invalidf("Server disk was unable to be resized because: Resize to zero disk flavor is not allowed.")
	case f.ID == s.Flavor.ID:
		return fault.Invalidf("When resizing, instances must change flavor!")
	case s.ImageID != "" && f.MemoryMB < image.MinRAMMB:
		return fault.Invalidf("Flavor's memory is too small for requested image: flavor %s has %d MB, image %s needs %d MB.", f.Name, f.MemoryMB, s.ImageID, image.MinRAMMB)
	case local && f.RootGB > 0 && f.RootGB < image.MinDiskGB:
		return fault.Invalidf("Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is %d bytes, minimum size is %d bytes.",
			int64(f.RootGB)<<30, int64(image.MinDiskGB)<<30)
	}
	return nil
}

// MigrateServer begins to carry a server to another host, switched off: to the
// one named, or to one that the scheduler chooses.
func (c *Control) MigrateServer(ctx context.Context, id, host string) error {
	s, err := c.movable(ctx, "os_compute_api:os-migrate-server:migrate", id, compute.Resize)
	if err != nil {
		return err
	}
	if host != "" {
		if err := c.Policy.Enforce(ctx, "os_compute_api:os-migrate-server:migrate:host", auth.Target{"project_id": s.ProjectID}); err != nil {
			return err
		}
		if host == s.Host {
			return fault.Invalidf("Cannot migrate to the host where the server exists.")
		}
		if _, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, host); err != nil {
			return asInvalid(err)
		}
	}
	if err := c.hostServes(ctx, s.Host, compute.ParkGuest.Name, "carry guests to another host"); err != nil {
		return err
	}
	m := c.migrationOf(ctx, s, compute.ColdMigration, compute.PreMigrating)
	state := moveState{MigrationID: m.ID, Place: buildState{Requested: schedule.Place{Host: host}, Ignored: []string{s.Host}}}
	return c.beginMove(ctx, s, m, compute.Resize, "migrate", store.ServerPatch{Progress: ptr(0)}, taskMove, state)
}

// migrationOf begins the record of a move.
func (c *Control) migrationOf(ctx context.Context, s *compute.Server, kind compute.MigrationType, status compute.MigrationStatus) *compute.Migration {
	caller, now := auth.From(ctx), c.Now()
	return &compute.Migration{ID: newID(), ServerID: s.ID, Type: kind, Status: status, WasState: s.State, SourceHost: s.Host, SourceNode: s.Node,
		OldFlavor: s.Flavor, NewFlavor: s.Flavor, UserID: caller.UserID, ProjectID: caller.ProjectID, CreatedAt: now, UpdatedAt: now}
}

// beginMove writes, in one transaction, that a move has begun: the server's task,
// its quota, the migration, the history and the durable task.
func (c *Control) beginMove(ctx context.Context, s *compute.Server, m *compute.Migration, verb compute.Verb, action string, patch store.ServerPatch, kind string, state moveState) error {
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.growQuota(ctx, tx, s, m.NewFlavor); err != nil {
			return err
		}
		fresh, err := c.Store.Server(ctx, tx, s.ID)
		if err != nil {
			return err
		}
		if err := compute.Allowed(verb, fresh); err != nil {
			return err
		}
		if err := c.withoutShares(ctx, tx, fresh, verb); err != nil {
			return err
		}
		if fresh.Host != s.Host || fresh.Flavor.ID != s.Flavor.ID {
			return fault.Conflictf("Instance %s has changed its place meanwhile.", s.ID)
		}
		patch.Task = ptr(compute.TaskOf(verb))
		patch.Reserved = ptr(m.OldFlavor.Reserved().Max(m.NewFlavor.Reserved()))
		ok, err := c.Store.UpdateServer(ctx, tx, s.ID, patch, store.Expect{Existing: true, Tasks: []compute.Task{fresh.Task}, States: []compute.State{fresh.State}}, c.Now())
		if err != nil {
			return err
		}
		if !ok {
			return fault.Conflictf("Instance %s has changed meanwhile.", s.ID)
		}
		if err := c.Store.InsertMigration(ctx, tx, m); err != nil {
			return err
		}
		about, err := notify.Flavored(m.NewFlavor)
		if err != nil {
			return err
		}
		if err := c.actAbout(ctx, tx, s.ID, action, about); err != nil {
			return err
		}
		return c.add(ctx, tx, kind, s.ID, state)
	})
}

// growQuota checks, in tx, that the server's project may have the larger of both
// flavors.
func (c *Control) growQuota(ctx context.Context, tx *db.Tx, s *compute.Server, to compute.Flavor) error {
	more := to.Reserved()
	more.VCPUs, more.MemoryMB = more.VCPUs-s.Flavor.VCPUs, more.MemoryMB-s.Flavor.MemoryMB
	if more.VCPUs <= 0 && more.MemoryMB <= 0 {
		return nil
	}
	if err := c.Store.QuotaTurn(ctx, tx, s.ProjectID); err != nil {
		return err
	}
	limits, err := c.limits(ctx, tx, s.ProjectID, "")
	if err != nil {
		return err
	}
	used, err := c.Store.Usage(ctx, tx, s.ProjectID)
	if err != nil {
		return err
	}
	for _, w := range []struct {
		resource   string
		wants, has int
	}{{"cores", more.VCPUs, used.VCPUs}, {"ram", more.MemoryMB, used.MemoryMB}} {
		if limit := limits[w.resource]; w.wants > 0 && limit >= 0 && w.has+w.wants > limit {
			return overQuota(w.resource, w.wants, w.has, limit)
		}
	}
	return nil
}

// ConfirmResize ends a finished move: what is left at the server's old place goes.
func (c *Control) ConfirmResize(ctx context.Context, id string) error {
	s, m, err := c.finishedMove(ctx, "os_compute_api:servers:confirm_resize", id, compute.ConfirmResize)
	if err != nil {
		return err
	}
	if err := c.hostServes(ctx, m.SourceHost, compute.DropParked.Name, "end a move"); err != nil {
		return err
	}
	return c.endMove(ctx, s, m, compute.ConfirmResize, "confirmResize", store.ServerPatch{}, taskConfirm, compute.Confirming)
}

// RevertResize takes a finished move back.
func (c *Control) RevertResize(ctx context.Context, id string) error {
	s, m, err := c.finishedMove(ctx, "os_compute_api:servers:revert_resize", id, compute.RevertResize)
	if err != nil {
		return err
	}
	if err := c.hostServes(ctx, m.SourceHost, compute.UnparkGuest.Name, "take a guest back"); err != nil {
		return err
	}
	patch := store.ServerPatch{Reserved: ptr(m.OldFlavor.Reserved().Max(m.NewFlavor.Reserved()))}
	return c.endMove(ctx, s, m, compute.RevertResize, "revertResize", patch, taskRevert, compute.Reverting)
}

func (c *Control) finishedMove(ctx context.Context, rule, id string, verb compute.Verb) (*compute.Server, *compute.Migration, error) {
	s, err := c.movable(ctx, rule, id, verb)
	if err != nil {
		return nil, nil, err
	}
	all, err := c.Store.Migrations(ctx, c.Store.DB, compute.MigrationQuery{ServerID: id, Statuses: []compute.MigrationStatus{compute.MigrationFinished}})
	if err != nil {
		return nil, nil, err
	}
	if len(all) == 0 {
		return nil, nil, fault.Invalidf("Instance has not been resized.")
	}
	return s, all[len(all)-1], nil
}

// endMove begins to confirm or to revert.
func (c *Control) endMove(ctx context.Context, s *compute.Server, m *compute.Migration, verb compute.Verb, action string, patch store.ServerPatch, kind string, status compute.MigrationStatus) error {
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if verb == compute.RevertResize {
			if err := c.growQuota(ctx, tx, s, m.OldFlavor); err != nil {
				return err
			}
		}
		now := c.Now()
		patch.Task = ptr(compute.TaskOf(verb))
		ok, err := c.Store.UpdateServer(ctx, tx, s.ID, patch, store.Expect{Existing: true, States: []compute.State{compute.Resized}, Tasks: []compute.Task{compute.NoTask}}, now)
		if err != nil {
			return err
		}
		if ok {
			ok, err = c.Store.UpdateMigration(ctx, tx, m.ID, store.MigrationPatch{Status: &status}, []compute.MigrationStatus{compute.MigrationFinished}, now)
		}
		if err != nil {
			return err
		}
		if !ok {
			return fault.Conflictf("Cannot '%s' instance %s: it has changed meanwhile.", verb, s.ID)
		}
		if err := c.act(ctx, tx, s.ID, action); err != nil {
			return err
		}
		return c.add(ctx, tx, kind, s.ID, moveState{MigrationID: m.ID})
	})
}

// autoConfirm confirms the moves that nobody has confirmed for longer than the
// option says. One whose old host is down waits.
func (c *Control) autoConfirm(ctx context.Context) error {
	if c.Options.ConfirmWindow <= 0 {
		return nil
	}
	all, err := c.Store.Migrations(ctx, c.Store.DB, compute.MigrationQuery{Statuses: []compute.MigrationStatus{compute.MigrationFinished},
		ChangesBefore: c.Now().Add(-time.Duration(c.Options.ConfirmWindow) * time.Second)})
	if err != nil {
		return err
	}
	for _, m := range all {
		s, err := c.Store.Server(ctx, c.Store.DB, m.ServerID)
		if err != nil {
			return err
		}
		if s.State != compute.Resized || s.Task != compute.NoTask || c.hostServes(ctx, m.SourceHost, compute.DropParked.Name, "end a move") != nil {
			continue
		}
		err = c.endMove(ctx, s, m, compute.ConfirmResize, "confirmResize", store.ServerPatch{}, taskConfirm, compute.Confirming)
		if err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}
