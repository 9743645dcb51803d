package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/placement"
)

type consumerRow struct {
	UUID       string  `db:"uuid"`
	Generation int64   `db:"generation"`
	ProjectID  string  `db:"project_id"`
	UserID     string  `db:"user_id"`
	Type       *string `db:"consumer_type"`
	UpdatedAt  db.Time `db:"updated_at"`
}

type allocationRow struct {
	ConsumerUUID string  `db:"consumer_uuid"`
	ProviderID   int64   `db:"provider_id"`
	Class        string  `db:"resource_class"`
	Used         int64   `db:"used"`
	CreatedAt    db.Time `db:"created_at"`
}

// Claim carries claims out, all or none. fault.Conflict when something does not
// fit or, with CodeConcurrentUpdate, when a consumer has changed; fault.Invalid
// for providers that do not exist; UnknownClass for resource classes.
func (s *Store) Claim(ctx context.Context, now time.Time, claims []placement.Claim) error {
	return s.write(ctx, now, func(w *writer) error { return w.claim(ctx, claims) })
}

// settlement is a set of claims being carried out.
type settlement struct {
	w         *writer
	claims    []placement.Claim
	consumers map[string]consumerRow
	old       []allocationRow
	providers map[string]providerRow // by UUID; has those of old too
	stock     map[stockKey]*stock
}

type stockKey struct {
	provider int64
	class    string
}

// stock is an inventory while claims are settled.
type stock struct {
	placement.Inventory
	before int64 // usage as it was
	delta  int64 // by how much it changes
}

// claim takes locks in one order (consumers, allocations, providers by id,
// revisions last), then looks, then writes. On MariaDB the first read without a
// lock fixes what later ones see, so the locks come before it.
func (w *writer) claim(ctx context.Context, claims []placement.Claim) error {
	st := &settlement{w: w, claims: claims, consumers: map[string]consumerRow{}, providers: map[string]providerRow{}, stock: map[stockKey]*stock{}}
	if err := st.lockConsumers(ctx); err != nil {
		return err
	}
	if err := st.lockProviders(ctx); err != nil {
		return err
	}
	if err := w.mustKnowClasses(ctx, st.classes()); err != nil {
		return err
	}
	if err := st.load(ctx); err != nil {
		return err
	}
	if err := st.fit(); err != nil {
		return err
	}
	if err := st.writeConsumers(ctx); err != nil {
		return err
	}
	return st.writeAllocations(ctx)
}

func (st *settlement) lockConsumers(ctx context.Context) error {
	uuids := make([]string, 0, len(st.claims))
	for _, c := range st.claims {
		uuids = append(uuids, c.ConsumerUUID)
	}
	in, args := db.In(uuids)
	rows, err := db.Select[consumerRow](ctx, st.w, `SELECT uuid, generation, project_id, user_id, consumer_type, updated_at
		FROM consumers WHERE uuid IN `+in+` ORDER BY uuid`+st.w.ForUpdate(), args...)
	if err != nil {
		return err
	}
	for _, r := range rows {
		st.consumers[r.UUID] = r
	}
	for _, c := range st.claims {
		if err := st.checkGeneration(c); err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	st.old, err = db.Select[allocationRow](ctx, st.w, `SELECT consumer_uuid, provider_id, resource_class, used, created_at
		FROM allocations WHERE consumer_uuid IN `+in+` ORDER BY consumer_uuid, provider_id, resource_class`+st.w.ForUpdate(), args...)
	return err
}

func (st *settlement) checkGeneration(c placement.Claim) error {
	if !c.CheckGeneration {
		return nil
	}
	have, exists := st.consumers[c.ConsumerUUID]
	switch {
	case exists && c.Generation == nil:
		return placement.Conflicting("consumer generation conflict - expected %d but got None", have.Generation)
	case exists && *c.Generation != have.Generation:
		return placement.Conflicting("consumer generation conflict - expected %d but got %d", have.Generation, *c.Generation)
	case !exists && c.Generation != nil:
		return placement.Conflicting("consumer generation conflict - expected null but got %d", *c.Generation)
	}
	return nil
}

func (st *settlement) lockProviders(ctx context.Context) error {
	uuids, ids := map[string]bool{}, map[int64]bool{}
	for _, c := range st.claims {
		for _, a := range c.Allocations {
			uuids[a.ProviderUUID] = true
		}
	}
	for _, a := range st.old {
		ids[a.ProviderID] = true
	}
	byUUID, args := db.In(slices.Collect(maps.Keys(uuids)))
	byID, idArgs := db.In(slices.Collect(maps.Keys(ids)))
	rows, err := db.Select[providerRow](ctx, st.w, `SELECT id, uuid, generation FROM providers
		WHERE uuid IN `+byUUID+` OR id IN `+byID+` ORDER BY id`+st.w.ForUpdate(), append(args, idArgs...)...)
	if err != nil {
		return err
	}
	for _, r := range rows {
		st.providers[r.UUID] = r
		delete(uuids, r.UUID)
	}
	for missing := range uuids {
		return fault.Invalidf("Allocation for resource provider '%.64s' that does not exist.", missing)
	}
	return nil
}

// classes returns the resource classes that are claimed.
func (st *settlement) classes() []string {
	seen := map[string]bool{}
	for _, c := range st.claims {
		for _, a := range c.Allocations {
			for _, amount := range a.Amounts {
				seen[amount.Class] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// load reads the inventories of all providers concerned and takes from their
// usage what the consumers have now.
func (st *settlement) load(ctx context.Context) error {
	ids := make([]int64, 0, len(st.providers))
	for _, p := range st.providers {
		ids = append(ids, p.ID)
	}
	in, args := db.In(ids)
	for r, err := range db.Each[inventoryRow](ctx, st.w, `SELECT `+inventoryColumns+` FROM inventories WHERE provider_id IN `+in+st.w.ForUpdate(), args...) {
		if err != nil {
			return err
		}
		st.stock[stockKey{r.ProviderID, r.Class}] = &stock{Inventory: r.inventory(), before: r.Used}
	}
	for _, a := range st.old {
		if s := st.stock[stockKey{a.ProviderID, a.Class}]; s != nil {
			s.Used -= a.Used
			s.delta -= a.Used
		}
	}
	return nil
}

// fit adds what is claimed to the usage, or says what does not fit.
func (st *settlement) fit() error {
	for _, c := range st.claims {
		for _, a := range c.Allocations {
			p := st.providers[a.ProviderUUID]
			for _, want := range a.Amounts {
				s := st.stock[stockKey{p.ID, want.Class}]
				if s == nil {
					return fault.Conflictf("Inventory for '%s' on resource provider '%s' invalid.", want.Class, p.UUID)
				}
				if err := s.take(want, p.UUID); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// take adds an amount. Where a provider is over its capacity already, because
// its inventory shrank, a change that makes it no worse is let through.
func (s *stock) take(want placement.Amount, provider string) error {
	if !s.Suits(want.Amount) {
		return fault.Conflictf("Unable to create allocation for '%s' on resource provider '%s'. "+
			"The requested amount would violate inventory constraints.", want.Class, provider)
	}
	s.Used += want.Amount
	s.delta += want.Amount
	if s.Used > s.Capacity() && s.Used > s.before {
		return fault.Conflictf("Unable to create allocation for '%s' on resource provider '%s'. "+
			"The requested amount would exceed the capacity.", want.Class, provider)
	}
	return nil
}

func (st *settlement) writeConsumers(ctx context.Context) error {
	var added []consumerRow
	var gone []string
	for _, c := range st.claims {
		have, exists := st.consumers[c.ConsumerUUID]
		if len(c.Allocations) == 0 {
			if exists {
				gone = append(gone, c.ConsumerUUID)
			}
			continue
		}
		if c.Type != "" {
			have.Type = &c.Type
		}
		if !exists {
			added = append(added, consumerRow{c.ConsumerUUID, 1, c.ProjectID, c.UserID, have.Type, st.w.now})
			continue
		}
		_, err := st.w.Exec(ctx, `UPDATE consumers SET generation = generation + 1, project_id = ?, user_id = ?, consumer_type = ?, updated_at = ?
			WHERE uuid = ?`, c.ProjectID, c.UserID, have.Type, st.w.now, c.ConsumerUUID)
		if err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		in, args := db.In(gone)
		if _, err := st.w.Exec(ctx, `DELETE FROM consumers WHERE uuid IN `+in, args...); err != nil {
			return err
		}
	}
	return db.Insert(ctx, st.w.Tx, "consumers", added...)
}

func (st *settlement) writeAllocations(ctx context.Context) error {
	advanced := map[int64]bool{}
	var added []allocationRow
	emptied := map[string]bool{}
	for _, c := range st.claims {
		emptied[c.ConsumerUUID] = len(c.Allocations) == 0
		for _, a := range c.Allocations {
			id := st.providers[a.ProviderUUID].ID
			advanced[id] = true
			for _, amount := range a.Amounts {
				added = append(added, allocationRow{c.ConsumerUUID, id, amount.Class, amount.Amount, st.w.now})
			}
		}
	}
	for _, a := range st.old {
		st.w.touched[a.ProviderID] = true
		if emptied[a.ConsumerUUID] {
			advanced[a.ProviderID] = true
		}
	}
	if len(st.old) > 0 {
		in, args := db.In(slices.Collect(maps.Keys(st.consumers)))
		if _, err := st.w.Exec(ctx, `DELETE FROM allocations WHERE consumer_uuid IN `+in, args...); err != nil {
			return err
		}
	}
	if err := db.Insert(ctx, st.w.Tx, "allocations", added...); err != nil {
		return err
	}
	if err := st.w.adjust(ctx, st.stock); err != nil {
		return err
	}
	if len(advanced) == 0 {
		return nil
	}
	maps.Copy(st.w.touched, advanced)
	in, args := db.In(slices.Sorted(maps.Keys(advanced)))
	_, err := st.w.Exec(ctx, `UPDATE providers SET generation = generation + 1, updated_at = ? WHERE id IN `+in, append([]any{st.w.now}, args...)...)
	return err
}

// adjust writes changed usages: of alike claims all that change by the same amount
// at once.
func (w *writer) adjust(ctx context.Context, all map[stockKey]*stock) error {
	type change struct {
		class string
		delta int64
	}
	providers := map[change][]int64{}
	for k, s := range all {
		if s.delta != 0 {
			c := change{k.class, s.delta}
			providers[c] = append(providers[c], k.provider)
		}
	}
	inOrder := func(a, b change) int { return cmp.Or(strings.Compare(a.class, b.class), cmp.Compare(a.delta, b.delta)) }
	for _, c := range slices.SortedFunc(maps.Keys(providers), inOrder) {
		slices.Sort(providers[c])
		in, args := db.In(providers[c])
		_, err := w.Exec(ctx, `UPDATE inventories SET used = used + ? WHERE resource_class = ? AND provider_id IN `+in, append([]any{c.delta, c.class}, args...)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// Release gives back all that a consumer has. fault.NotFound if it has nothing.
// Generations of providers stay: who waits for room does not care who left.
func (s *Store) Release(ctx context.Context, now time.Time, consumer string) error {
	return s.write(ctx, now, func(w *writer) error {
		st := &settlement{w: w, claims: []placement.Claim{{ConsumerUUID: consumer}}, consumers: map[string]consumerRow{},
			providers: map[string]providerRow{}, stock: map[stockKey]*stock{}}
		if err := st.lockConsumers(ctx); err != nil {
			return err
		}
		if len(st.old) == 0 {
			return fault.NotFoundf("No allocations for consumer '%.64s'", consumer)
		}
		if err := st.lockProviders(ctx); err != nil {
			return err
		}
		if err := st.load(ctx); err != nil {
			return err
		}
		for _, a := range st.old {
			w.touched[a.ProviderID] = true
		}
		if err := w.adjust(ctx, st.stock); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `DELETE FROM allocations WHERE consumer_uuid = ?`, consumer); err != nil {
			return err
		}
		_, err := w.Exec(ctx, `DELETE FROM consumers WHERE uuid = ?`, consumer)
		return err
	})
}
