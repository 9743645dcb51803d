package store

import (
	"context"
	"slices"
	"unique"

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

// fewChanges is up to how many providers are looked up one by one; for more, whole
// tables are read.
const fewChanges = 400

// Changes returns what has changed after revision since, up to at least revision
// now. since 0 is before everything.
//
// The parts are read one after the other while others may write. A provider
// that is written in between may come out half old; it then has a revision after
// now and is in the next delta again.
func (s *Store) Changes(ctx context.Context, since, now int64) (Delta, error) {
	d := Delta{Full: since == 0 || now-since >= deletedKept}
	if d.Full {
		return d, s.fill(ctx, &d, nil)
	}
	ids, err := db.Select[int64](ctx, s.db, `SELECT id FROM providers WHERE revision > ?`, since)
	if err != nil {
		return d, err
	}
	d.Deleted, err = db.Select[string](ctx, s.db, `SELECT uuid FROM deleted_providers WHERE revision > ?`, since)
	if err != nil || len(ids) == 0 {
		return d, err
	}
	return d, s.fill(ctx, &d, ids)
}

// fill reads the providers with the given ids, nil for all, and what hangs on
// them.
func (s *Store) fill(ctx context.Context, d *Delta, ids []int64) error {
	wanted := map[int64]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	var args []any
	where := func(string) string { return "" }
	if ids != nil && len(ids) <= fewChanges {
		var in string
		in, args = db.In(ids)
		where = func(column string) string { return " WHERE " + column + " IN " + in }
	}
	byID := map[int64]*placement.ProviderState{}
	for r, err := range db.Each[providerRow](ctx, s.db, selectProviders+where("p.id")+` ORDER BY p.id`, args...) {
		if err != nil {
			return err
		}
		if ids == nil || wanted[r.ID] {
			state := &placement.ProviderState{Provider: r.provider()}
			byID[r.ID] = state
			d.Changed = append(d.Changed, state)
		}
	}
	var last *placement.ProviderState
	var own []placement.Inventory // of last, which gets no more memory than they take
	for r, err := range db.Each[inventoryRow](ctx, s.db, `SELECT `+inventoryColumns+` FROM inventories`+where("provider_id")+
		` ORDER BY provider_id, resource_class`, args...) {
		if err != nil {
			return err
		}
		p := byID[r.ProviderID]
		if p == nil {
			continue
		}
		if p != last {
			settle(last, own)
			last, own = p, own[:0]
		}
		r.Class = unique.Make(r.Class).Value()
		own = append(own, r.inventory())
	}
	settle(last, own)
	err := s.members(ctx, `SELECT provider_id, trait AS value FROM provider_traits`+where("provider_id")+` ORDER BY provider_id, trait`, args,
		func(id int64, v string) {
			if p := byID[id]; p != nil {
				p.Traits = append(p.Traits, v)
			}
		})
	if err != nil {
		return err
	}
	return s.members(ctx, `SELECT provider_id, aggregate AS value FROM provider_aggregates`+where("provider_id")+` ORDER BY provider_id, aggregate`, args,
		func(id int64, v string) {
			if p := byID[id]; p != nil {
				p.Aggregates = append(p.Aggregates, v)
			}
		})
}

func settle(p *placement.ProviderState, own []placement.Inventory) {
	if p != nil {
		p.Inventories = slices.Clone(own)
	}
}

// members reads pairs of a provider and a value.
func (s *Store) members(ctx context.Context, query string, args []any, add func(id int64, value string)) error {
	type member struct {
		ProviderID int64  `db:"provider_id"`
		Value      string `db:"value"`
	}
	for r, err := range db.Each[member](ctx, s.db, query, args...) {
		if err != nil {
			return err
		}
		add(r.ProviderID, unique.Make(r.Value).Value()) // thousands of hosts have the same traits
	}
	return nil
}
