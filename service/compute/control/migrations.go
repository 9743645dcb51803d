package control

import (
	"context"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// MigrationsSeen is a list of migrations, and whether the caller may see between
// which hosts they went.
type MigrationsSeen struct {
	Migrations []*compute.Migration
	Hosts      bool
	// Flavors are the numbers of flavors by id, for old views.
	Flavors map[string]int64
}

// Migrations lists moves: those of all projects, or of the caller's when more is
// not the caller's to see.
func (c *Control) Migrations(ctx context.Context, q compute.MigrationQuery) (*MigrationsSeen, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-migrations:index", auth.Own(ctx)); err != nil {
		return nil, err
	}
	if !c.Policy.Allows(ctx, "os_compute_api:os-migrations:index:all_projects", nil) {
		own := auth.From(ctx).ProjectID
		if q.ProjectID != "" && q.ProjectID != own {
			return &MigrationsSeen{}, nil
		}
		q.ProjectID = own
	}
	all, err := c.Store.Migrations(ctx, c.Store.DB, q)
	if err != nil {
		return nil, err
	}
	flavors, err := c.Store.FlavorNumbers(ctx, c.Store.DB)
	return &MigrationsSeen{all, c.Policy.Allows(ctx, "os_compute_api:os-migrations:index:host", nil), flavors}, err
}

// ServerMigrations lists the live migrations of a server that are under way.
func (c *Control) ServerMigrations(ctx context.Context, id string) (*MigrationsSeen, error) {
	if _, err := c.ownServer(ctx, "os_compute_api:servers:migrations:index", id); err != nil {
		return nil, err
	}
	all, err := c.Store.Migrations(ctx, c.Store.DB, compute.MigrationQuery{ServerID: id, Types: []compute.MigrationType{compute.LiveMigration}, Statuses: compute.LiveInProgress})
	for _, m := range all {
		c.fresh(ctx, m)
	}
	return &MigrationsSeen{Migrations: all, Hosts: c.Policy.Allows(ctx, "os_compute_api:servers:migrations:index:host", nil)}, err
}

// ServerMigration returns one live migration under way.
func (c *Control) ServerMigration(ctx context.Context, id string, number int64) (*compute.Migration, error) {
	if _, err := c.ownServer(ctx, "os_compute_api:servers:migrations:show", id); err != nil {
		return nil, err
	}
	m, err := c.Store.MigrationOf(ctx, c.Store.DB, id, number)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, fault.NotFoundf("In-progress live migration %d is not found for server %s.", number, id)
	case err != nil:
		return nil, err
	case m.Type != compute.LiveMigration:
		return nil, fault.NotFoundf("Migration %d for server %s is not live-migration.", number, id)
	case !slices.Contains(compute.LiveInProgress, m.Status):
		return nil, fault.NotFoundf("Live migration %d for server %s is not in progress.", number, id)
	}
	c.fresh(ctx, m)
	return m, nil
}
