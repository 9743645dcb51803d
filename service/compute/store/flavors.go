package store

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type flavorRow struct {
	Seq         int64                      `db:"seq"`
	ID          string                     `db:"id"`
	Name        string                     `db:"name"`
	Description *string                    `db:"description"`
	VCPUs       int                        `db:"vcpus"`
	MemoryMB    int                        `db:"memory_mb"`
	RootGB      int                        `db:"root_gb"`
	EphemeralGB int                        `db:"ephemeral_gb"`
	SwapMB      int                        `db:"swap_mb"`
	RxTxFactor  float64                    `db:"rxtx_factor"`
	Public      bool                       `db:"is_public"`
	ExtraSpecs  db.JSON[map[string]string] `db:"extra_specs"`
	CreatedAt   db.Time                    `db:"created_at"`
}

type newFlavorRow struct {
	flavorRow
	Seq int64 `db:"-"`
}

func (r *flavorRow) flavor() compute.Flavor {
	return compute.Flavor{ID: r.ID, Name: r.Name, Description: r.Description, VCPUs: r.VCPUs, MemoryMB: r.MemoryMB, RootGB: r.RootGB,
		EphemeralGB: r.EphemeralGB, SwapMB: r.SwapMB, RxTxFactor: r.RxTxFactor, Public: r.Public, ExtraSpecs: r.ExtraSpecs.V, CreatedAt: r.CreatedAt.Time}
}

// InsertFlavor writes a new flavor; fault.Conflict when its id or name is taken.
func (s *Store) InsertFlavor(ctx context.Context, tx *db.Tx, f compute.Flavor) error {
	row := newFlavorRow{flavorRow: flavorRow{ID: f.ID, Name: f.Name, Description: f.Description, VCPUs: f.VCPUs, MemoryMB: f.MemoryMB,
		RootGB: f.RootGB, EphemeralGB: f.EphemeralGB, SwapMB: f.SwapMB, RxTxFactor: f.RxTxFactor, Public: f.Public,
		ExtraSpecs: db.AsJSON(f.ExtraSpecs), CreatedAt: db.At(f.CreatedAt)}}
	taken, err := db.Select[string](ctx, tx, `SELECT id FROM flavors WHERE id = ? OR name = ?`, f.ID, f.Name)
	switch {
	case err != nil:
		return err
	case slices.Contains(taken, f.ID):
		return fault.Conflictf("Flavor with ID %s already exists.", f.ID)
	case len(taken) > 0:
		return fault.Conflictf("Flavor with name %s already exists.", f.Name)
	}
	return db.Raced(db.Insert(ctx, tx, "flavors", row))
}

// Flavor returns the flavor with an id; fault.NotFound if there is none.
func (s *Store) Flavor(ctx context.Context, q db.Querier, id string) (compute.Flavor, error) {
	row, err := db.Get[flavorRow](ctx, q, `SELECT * FROM flavors WHERE id = ?`, id)
	if errors.Is(err, db.ErrNoRow) {
		return compute.Flavor{}, fault.NotFoundf("Flavor %s could not be found.", id)
	}
	if err != nil {
		return compute.Flavor{}, err
	}
	return row.flavor(), nil
}

// Flavors returns all flavors, oldest first.
func (s *Store) Flavors(ctx context.Context, q db.Querier) ([]compute.Flavor, error) {
	var all []compute.Flavor
	for row, err := range db.Each[flavorRow](ctx, q, `SELECT * FROM flavors ORDER BY seq`) {
		if err != nil {
			return nil, err
		}
		all = append(all, row.flavor())
	}
	return all, nil
}

// UpdateFlavor writes what may change of a flavor: its description and its
// extra specs.
func (s *Store) UpdateFlavor(ctx context.Context, tx *db.Tx, f compute.Flavor) error {
	_, err := tx.Exec(ctx, `UPDATE flavors SET description = ?, extra_specs = ? WHERE id = ?`, f.Description, db.AsJSON(f.ExtraSpecs), f.ID)
	return err
}

// DeleteFlavor removes a flavor and who may use it.
func (s *Store) DeleteFlavor(ctx context.Context, tx *db.Tx, id string) error {
	if n, err := tx.Exec(ctx, `DELETE FROM flavors WHERE id = ?`, id); err != nil {
		return err
	} else if n == 0 {
		return fault.NotFoundf("Flavor %s could not be found.", id)
	}
	_, err := tx.Exec(ctx, `DELETE FROM flavor_projects WHERE flavor_id = ?`, id)
	return err
}

// FlavorProjects returns the projects that may use a flavor that is not public.
func (s *Store) FlavorProjects(ctx context.Context, q db.Querier, id string) ([]string, error) {
	return db.Select[string](ctx, q, `SELECT project_id FROM flavor_projects WHERE flavor_id = ? ORDER BY project_id`, id)
}

// ProjectFlavors returns the ids of the flavors that a project has been given.
func (s *Store) ProjectFlavors(ctx context.Context, q db.Querier, projectID string) ([]string, error) {
	return db.Select[string](ctx, q, `SELECT flavor_id FROM flavor_projects WHERE project_id = ?`, projectID)
}

// AllowFlavor lets a project use a flavor; fault.Conflict when it may already.
func (s *Store) AllowFlavor(ctx context.Context, tx *db.Tx, id, projectID string) error {
	_, err := tx.Exec(ctx, `INSERT INTO flavor_projects (flavor_id, project_id) VALUES (?, ?)`, id, projectID)
	if db.IsUnique(err) {
		return fault.Conflictf("Flavor access already exists for flavor %s and project %s combination.", id, projectID)
	}
	return err
}

// RefuseFlavor takes that back; fault.NotFound when it could not.
func (s *Store) RefuseFlavor(ctx context.Context, tx *db.Tx, id, projectID string) error {
	n, err := tx.Exec(ctx, `DELETE FROM flavor_projects WHERE flavor_id = ? AND project_id = ?`, id, projectID)
	if err == nil && n == 0 {
		return fault.NotFoundf("Flavor access not found for %s / %s combination.", id, projectID)
	}
	return err
}
