package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/placement"
)

// deletedKept is for how many revisions a deletion is remembered.
const deletedKept = 100_000

// Revisions says how often providers and names (traits and resource classes)
// have been changed. It is one look at two rows.
func (s *Store) Revisions(ctx context.Context) (providers, names int64, err error) {
	type revision struct {
		Name  string `db:"name"`
		Value int64  `db:"value"`
	}
	for r, err := range db.Each[revision](ctx, s.db, `SELECT name, value FROM revisions`) {
		if err != nil {
			return 0, 0, err
		}
		if r.Name == "names" {
			names = r.Value
		} else {
			providers = r.Value
		}
	}
	return providers, names, nil
}

// Delta is what has happened to providers since a revision.
type Delta struct {
	Full    bool // Changed has all providers that there are
	Changed []*placement.ProviderState
	Deleted []string // UUIDs
}

// Changes returns what has changed after revision since, up to at least revision
// now. since 0 is before everything.
//
// The parts are read one after the other while others may write. A provider
// that is written in between may come out half old; it then has a revision after
// now and is in the next delta again.
func (s *Store) Changes(ctx context.Context, since, now int64) (Delta, error) {
	d := Delta{Full: since == 0 || now-since >= deletedKept}
	if d.Full {
		since = -1
	}
	rows, err := db.Select[providerRow](ctx, s.db, selectProviders+`WHERE p.revision > ? ORDER BY p.id`, since)
	if err != nil {
		return d, err
	}
	byID := make(map[int64]*placement.ProviderState, len(rows))
	for i := range rows {
		state := &placement.ProviderState{Provider: rows[i].provider()}
		byID[rows[i].ID] = state
		d.Changed = append(d.Changed, state)
	}
	if !d.Full {
		d.Deleted, err = db.Select[string](ctx, s.db, `SELECT uuid FROM deleted_providers WHERE revision > ?`, since)
		if err != nil {
			return d, err
		}
	}
	return d, s.fill(ctx, since, byID)
}

// fill adds what hangs on the providers that changed after since.
func (s *Store) fill(ctx context.Context, since int64, byID map[int64]*placement.ProviderState) error {
	if len(byID) == 0 {
		return nil
	}
	for r, err := range db.Each[inventoryRow](ctx, s.db, `SELECT `+qualified+` FROM providers p
		JOIN inventories i ON i.provider_id = p.id WHERE p.revision > ? ORDER BY i.provider_id, i.resource_class`, since) {
		if err != nil {
			return err
		}
		if p := byID[r.ProviderID]; p != nil {
			p.Inventories = append(p.Inventories, r.inventory())
		}
	}
	type member struct {
		ProviderID int64  `db:"provider_id"`
		Value      string `db:"value"`
	}
	for r, err := range db.Each[member](ctx, s.db, `SELECT t.provider_id, t.trait AS value FROM providers p
		JOIN provider_traits t ON t.provider_id = p.id WHERE p.revision > ? ORDER BY t.provider_id, t.trait`, since) {
		if err != nil {
			return err
		}
		if p := byID[r.ProviderID]; p != nil {
			p.Traits = append(p.Traits, r.Value)
		}
	}
	for r, err := range db.Each[member](ctx, s.db, `SELECT a.provider_id, a.aggregate AS value FROM providers p
		JOIN provider_aggregates a ON a.provider_id = p.id WHERE p.revision > ? ORDER BY a.provider_id, a.aggregate`, since) {
		if err != nil {
			return err
		}
		if p := byID[r.ProviderID]; p != nil {
			p.Aggregates = append(p.Aggregates, r.Value)
		}
	}
	return nil
}

const qualified = `i.provider_id, i.resource_class, i.total, i.reserved, i.min_unit, i.max_unit, i.step_size, i.allocation_ratio, i.used, i.updated_at`
