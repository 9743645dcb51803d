package store

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/placement"
)

type providerRow struct {
	ID         int64   `db:"id"`
	UUID       string  `db:"uuid"`
	Name       string  `db:"name"`
	Generation int64   `db:"generation"`
	ParentID   int64   `db:"parent_id"`
	RootID     int64   `db:"root_id"`
	ParentUUID string  `db:"parent_uuid"`
	RootUUID   string  `db:"root_uuid"`
	CreatedAt  db.Time `db:"created_at"`
	UpdatedAt  db.Time `db:"updated_at"`
}

func (r *providerRow) provider() placement.Provider {
	root := r.RootUUID
	if root == r.UUID { // most are roots, and one string is enough
		root = r.UUID
	}
	return placement.Provider{UUID: r.UUID, Name: r.Name, Generation: r.Generation, ParentUUID: r.ParentUUID,
		RootUUID: root, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time}
}

const selectProviders = `SELECT p.id, p.uuid, p.name, p.generation, p.parent_id, p.root_id,
	parent.uuid AS parent_uuid, root.uuid AS root_uuid, p.created_at, p.updated_at
	FROM providers p
	JOIN providers root ON root.id = p.root_id
	LEFT JOIN providers parent ON parent.id = p.parent_id `

// row returns a provider's row, fault.NotFound if there is none.
func row(ctx context.Context, q db.Querier, uuid string) (providerRow, error) {
	r, err := db.Get[providerRow](ctx, q, selectProviders+`WHERE p.uuid = ?`, uuid)
	if errors.Is(err, db.ErrNoRow) {
		return r, placement.NoSuchProvider(uuid)
	}
	return r, err
}

// Provider returns one provider.
func (s *Store) Provider(ctx context.Context, uuid string) (placement.Provider, error) {
	r, err := row(ctx, s.db, uuid)
	return r.provider(), err
}

// CreateProvider adds p, whose UUID, name and parent are given, and returns it
// whole. fault.Conflict with CodeDuplicateName when UUID or name are taken.
func (s *Store) CreateProvider(ctx context.Context, now time.Time, p placement.Provider) (placement.Provider, error) {
	var created providerRow
	err := s.write(ctx, now, func(w *writer) error {
		var parentID any
		var rootID int64
		if p.ParentUUID != "" {
			parent, err := w.parent(ctx, p.UUID, p.ParentUUID)
			if err != nil {
				return err
			}
			parentID, rootID = parent.ID, parent.RootID
		}
		if err := w.refuseTaken(ctx, p); err != nil {
			return err
		}
		_, err := w.Exec(ctx, `INSERT INTO providers (uuid, name, generation, parent_id, root_id, revision, created_at, updated_at)
			VALUES (?, ?, 0, ?, ?, 0, ?, ?)`, p.UUID, p.Name, parentID, rootID, w.now, w.now)
		if err != nil {
			return err
		}
		if rootID == 0 {
			if _, err := w.Exec(ctx, `UPDATE providers SET root_id = id WHERE uuid = ?`, p.UUID); err != nil {
				return err
			}
		}
		if created, err = row(ctx, w, p.UUID); err != nil {
			return err
		}
		w.touched[created.ID] = true
		return nil
	})
	return created.provider(), err
}

func (w *writer) refuseTaken(ctx context.Context, p placement.Provider) error {
	taken, err := db.Select[providerRow](ctx, w, `SELECT uuid, name FROM providers WHERE uuid = ? OR name = ?`, p.UUID, p.Name)
	if err != nil {
		return err
	}
	if len(taken) == 0 {
		return nil
	}
	what := "name: " + p.Name
	if taken[0].UUID == p.UUID {
		what = "uuid: " + p.UUID
	}
	return fault.Conflictf("Conflicting resource provider %s already exists.", what).WithCode(placement.CodeDuplicateName)
}

// parent returns the row of a provider that shall become uuid's parent, locked
// so that it is not deleted meanwhile.
func (w *writer) parent(ctx context.Context, uuid, parentUUID string) (providerRow, error) {
	if uuid == parentUUID {
		return providerRow{}, fault.Invalidf("parent provider UUID cannot be same as UUID. " +
			"Please set parent provider UUID to None if there is no parent.")
	}
	r, err := db.Get[providerRow](ctx, w, `SELECT id, root_id FROM providers WHERE uuid = ?`+w.ForUpdate(), parentUUID)
	if errors.Is(err, db.ErrNoRow) {
		return r, fault.Invalidf("parent provider UUID does not exist.")
	}
	return r, err
}

// UpdateProvider changes a provider and returns it.
func (s *Store) UpdateProvider(ctx context.Context, now time.Time, uuid string, u placement.ProviderUpdate) (placement.Provider, error) {
	var updated providerRow
	err := s.write(ctx, now, func(w *writer) error {
		r, err := row(ctx, w, uuid)
		if err != nil {
			return err
		}
		if u.Parent != nil {
			if err := w.reparent(ctx, r, *u.Parent, u.Move); err != nil {
				return err
			}
		}
		if u.Name != nil {
			if err := w.rename(ctx, r, *u.Name); err != nil {
				return err
			}
		}
		if _, err := w.Exec(ctx, `UPDATE providers SET updated_at = ? WHERE id = ?`, w.now, r.ID); err != nil {
			return err
		}
		w.touched[r.ID] = true
		updated, err = row(ctx, w, uuid)
		return err
	})
	return updated.provider(), err
}

func (w *writer) rename(ctx context.Context, r providerRow, name string) error {
	taken, err := db.Select[int64](ctx, w, `SELECT id FROM providers WHERE name = ? AND id <> ?`, name, r.ID)
	if err != nil {
		return err
	}
	if len(taken) > 0 {
		return fault.Conflictf("Conflicting resource provider %s already exists.", name).WithCode(placement.CodeDuplicateName)
	}
	_, err = w.Exec(ctx, `UPDATE providers SET name = ? WHERE id = ?`, name, r.ID)
	return err
}

// reparent hangs a provider and all below it under another parent.
func (w *writer) reparent(ctx context.Context, r providerRow, parentUUID string, move bool) error {
	if parentUUID == r.ParentUUID {
		return nil
	}
	subtree, err := w.subtree(ctx, r)
	if err != nil {
		return err
	}
	var parentID any
	rootID := r.ID
	if parentUUID == "" {
		if !move {
			return fault.Invalidf("un-parenting a provider is not currently allowed.")
		}
	} else {
		if parentUUID == r.UUID {
			return fault.Invalidf("creating loop in the provider tree is not allowed.")
		}
		parent, err := w.parent(ctx, r.UUID, parentUUID)
		if err != nil {
			return err
		}
		if r.ParentID != 0 && !move {
			return fault.Invalidf("re-parenting a provider is not currently allowed.")
		}
		for _, id := range subtree {
			if id == parent.ID {
				return fault.Invalidf("creating loop in the provider tree is not allowed.")
			}
		}
		parentID, rootID = parent.ID, parent.RootID
	}
	if _, err := w.Exec(ctx, `UPDATE providers SET parent_id = ? WHERE id = ?`, parentID, r.ID); err != nil {
		return err
	}
	in, args := db.In(subtree)
	if _, err := w.Exec(ctx, `UPDATE providers SET root_id = ? WHERE id IN `+in, append([]any{rootID}, args...)...); err != nil {
		return err
	}
	for _, id := range subtree {
		w.touched[id] = true
	}
	return nil
}

// subtree returns the ids of a provider and of all below it. The whole tree is
// locked, so that two moves cannot make a ring of it.
func (w *writer) subtree(ctx context.Context, r providerRow) ([]int64, error) {
	all, err := db.Select[providerRow](ctx, w, `SELECT id, parent_id FROM providers WHERE root_id = ? ORDER BY id`+w.ForUpdate(), r.RootID)
	if err != nil {
		return nil, err
	}
	children := map[int64][]int64{}
	for _, p := range all {
		children[p.ParentID] = append(children[p.ParentID], p.ID)
	}
	ids := []int64{r.ID}
	for i := 0; i < len(ids); i++ {
		ids = append(ids, children[ids[i]]...)
	}
	return ids, nil
}

// DeleteProvider removes a provider with its inventories, traits and
// aggregates. fault.Conflict when it has children or allocations.
func (s *Store) DeleteProvider(ctx context.Context, now time.Time, uuid string) error {
	return s.write(ctx, now, func(w *writer) error {
		id, err := db.Get[int64](ctx, w, `SELECT id FROM providers WHERE uuid = ?`+w.ForUpdate(), uuid)
		if errors.Is(err, db.ErrNoRow) {
			return fault.NotFoundf("No resource provider with uuid %.64s found for delete", uuid)
		}
		if err != nil {
			return err
		}
		children, err := db.Select[int64](ctx, w, `SELECT id FROM providers WHERE parent_id = ? LIMIT 1`, id)
		if err != nil {
			return err
		}
		if len(children) > 0 {
			return fault.Conflictf("Unable to delete parent resource provider %s: It has child resource providers.", uuid).
				WithCode(placement.CodeHasChildren)
		}
		used, err := db.Select[int64](ctx, w, `SELECT provider_id FROM allocations WHERE provider_id = ? LIMIT 1`, id)
		if err != nil {
			return err
		}
		if len(used) > 0 {
			return fault.Conflictf("Unable to delete resource provider %s: Resource provider has allocations.", uuid).
				WithCode(placement.CodeProviderInUse)
		}
		for _, statement := range []string{
			`DELETE FROM inventories WHERE provider_id = ?`,
			`DELETE FROM provider_traits WHERE provider_id = ?`,
			`DELETE FROM provider_aggregates WHERE provider_id = ?`,
			`DELETE FROM providers WHERE id = ?`,
		} {
			if _, err := w.Exec(ctx, statement, id); err != nil {
				return err
			}
		}
		w.deleted = append(w.deleted, uuid)
		return nil
	})
}

// advance raises a provider's generation from the one that the caller's change
// is based on.
func (w *writer) advance(ctx context.Context, id, from int64) error {
	n, err := w.Exec(ctx, `UPDATE providers SET generation = generation + 1, updated_at = ? WHERE id = ? AND generation = ?`, w.now, id, from)
	if err != nil {
		return err
	}
	if n == 0 {
		return placement.Conflicting("Another thread concurrently updated the resource provider data. Please retry your update")
	}
	w.touched[id] = true
	return nil
}
