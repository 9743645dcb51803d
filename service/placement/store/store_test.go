package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/internal/fault"
	"kilonova/service/placement"
)

// each runs a test on an empty store on every database.
func each(t *testing.T, f func(t *testing.T, s *Store)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, err := New(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(t.Context(), d); err != nil { // all is there already
			t.Fatal(err)
		}
		f(t, s)
	})
}

var now = time.Date(2026, 11, 20, 19, 0, 0, 0, time.UTC)

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// host makes a provider with VCPU and MEMORY_MB.
func host(t *testing.T, s *Store, name, parent string, vcpu int64) string {
	t.Helper()
	id := uuid.NewString()
	must(s.CreateProvider(t.Context(), now, placement.Provider{UUID: id, Name: name, ParentUUID: parent}))(t)
	must(s.SetInventories(t.Context(), now, id, nil, []placement.Inventory{
		{Class: "VCPU", Total: vcpu, MinUnit: 1, MaxUnit: vcpu, StepSize: 1, Ratio: 1},
		{Class: "MEMORY_MB", Total: 1 << 20, MinUnit: 64, MaxUnit: 1 << 20, StepSize: 64, Ratio: 1.5}}))(t)
	return id
}

func want(consumer string, vcpu int64, hosts ...string) placement.Claim {
	c := placement.Claim{ConsumerUUID: consumer, ProjectID: "p", UserID: "u"}
	for _, h := range hosts {
		c.Allocations = append(c.Allocations, placement.ProviderAmounts{ProviderUUID: h,
			Amounts: []placement.Amount{{Class: "VCPU", Amount: vcpu}, {Class: "MEMORY_MB", Amount: 64}}})
	}
	return c
}

// consistent fails the test when usages are not the sums of allocations, or a
// consumer is there without any.
func consistent(t *testing.T, s *Store) {
	t.Helper()
	wrong := must(db.Select[string](context.Background(), s.db, `SELECT i.resource_class FROM inventories i WHERE i.used <>
		COALESCE((SELECT SUM(a.used) FROM allocations a WHERE a.provider_id = i.provider_id AND a.resource_class = i.resource_class), 0)`))(t)
	idle := must(db.Select[string](context.Background(), s.db, `SELECT uuid FROM consumers WHERE uuid NOT IN (SELECT consumer_uuid FROM allocations)`))(t)
	lost := must(db.Select[string](context.Background(), s.db, `SELECT consumer_uuid FROM allocations WHERE consumer_uuid NOT IN (SELECT uuid FROM consumers)
		OR provider_id NOT IN (SELECT id FROM providers)`))(t)
	if len(wrong)+len(idle)+len(lost) > 0 {
		t.Fatalf("usages that are wrong: %v; consumers without allocations: %v; allocations without consumer or provider: %v", wrong, idle, lost)
	}
}

func TestTrees(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		a, b := host(t, s, "a", "", 4), host(t, s, "b", "", 4)
		child := host(t, s, "child", a, 4)
		grandchild := host(t, s, "grandchild", child, 4)
		move := func(id, parent string) error {
			_, err := s.UpdateProvider(ctx, now, id, placement.ProviderUpdate{Parent: &parent, Move: true})
			return err
		}
		if err := move(a, grandchild); !fault.Is(err, fault.Invalid) {
			t.Errorf("a ring of providers: %v", err)
		}
		if err := move(child, b); err != nil {
			t.Fatal(err)
		}
		if p := must(s.Provider(ctx, grandchild))(t); p.RootUUID != b || p.ParentUUID != child {
			t.Errorf("after the move: %+v", p)
		}
		if err := s.DeleteProvider(ctx, now, child); !fault.Is(err, fault.Conflict) {
			t.Errorf("deleting a parent: %v", err)
		}
		if err := move(child, ""); err != nil {
			t.Fatal(err)
		}
		if p := must(s.Provider(ctx, grandchild))(t); p.RootUUID != child {
			t.Errorf("after it became a root: %+v", p)
		}
		for _, id := range []string{grandchild, child, a, b} {
			if err := s.DeleteProvider(ctx, now, id); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Provider(ctx, a); !fault.Is(err, fault.NotFound) {
			t.Errorf("a deleted provider: %v", err)
		}
		if rows := must(db.Select[int64](ctx, s.db, `SELECT provider_id FROM inventories`))(t); len(rows) > 0 {
			t.Errorf("inventories are left over: %v", rows)
		}
	})
}

func TestClaimIsAllOrNothing(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		a, b := host(t, s, "a", "", 4), host(t, s, "b", "", 2)
		one, two := uuid.NewString(), uuid.NewString()
		for what, tt := range map[string]struct {
			claims []placement.Claim
			kind   fault.Kind
		}{
			"too much on b":          {[]placement.Claim{want(one, 3, a, b)}, fault.Conflict},
			"too much by the second": {[]placement.Claim{want(one, 3, a), want(two, 2, a)}, fault.Conflict},
			"no such provider":       {[]placement.Claim{want(one, 1, a, uuid.NewString())}, fault.Invalid},
			"step size": {[]placement.Claim{{ConsumerUUID: one, ProjectID: "p", UserID: "u", Allocations: []placement.ProviderAmounts{
				{ProviderUUID: a, Amounts: []placement.Amount{{Class: "MEMORY_MB", Amount: 65}}}}}}, fault.Conflict},
		} {
			if err := s.Claim(ctx, now, tt.claims); !fault.Is(err, tt.kind) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, list, err := s.ConsumerAllocations(ctx, one); err != nil || len(list) > 0 {
			t.Errorf("a refused claim left %v (%v)", list, err)
		}
		var unknown placement.UnknownClass
		err := s.Claim(ctx, now, []placement.Claim{{ConsumerUUID: one, ProjectID: "p", UserID: "u", Allocations: []placement.ProviderAmounts{
			{ProviderUUID: a, Amounts: []placement.Amount{{Class: "CUSTOM_NOTHING", Amount: 1}}}}}})
		if !errors.As(err, &unknown) {
			t.Errorf("an unknown class: %v", err)
		}
		consistent(t, s)

		// Both move from a to b and from b to a in one go, where neither has room first.
		if err := s.Claim(ctx, now, []placement.Claim{want(one, 2, a), want(two, 2, b)}); err != nil {
			t.Fatal(err)
		}
		if err := s.Claim(ctx, now, []placement.Claim{want(one, 2, b), want(two, 4, a)}); err != nil {
			t.Fatal(err)
		}
		consumer, list, err := s.ConsumerAllocations(ctx, two)
		if err != nil || consumer.Generation != 2 || len(list) != 2 || list[1].Used != 4 {
			t.Errorf("after the exchange: %+v %+v (%v)", consumer, list, err)
		}
		consistent(t, s)

		// What is over its capacity may shrink and may not grow.
		must(s.SetInventories(ctx, now, a, nil, []placement.Inventory{
			{Class: "VCPU", Total: 1, MinUnit: 1, MaxUnit: 4, StepSize: 1, Ratio: 1},
			{Class: "MEMORY_MB", Total: 1 << 20, MinUnit: 64, MaxUnit: 1 << 20, StepSize: 64, Ratio: 1.5}}))(t)
		if err := s.Claim(ctx, now, []placement.Claim{want(two, 3, a)}); err != nil {
			t.Errorf("less than before: %v", err)
		}
		if err := s.Claim(ctx, now, []placement.Claim{want(two, 4, a)}); !fault.Is(err, fault.Conflict) {
			t.Errorf("more than before: %v", err)
		}
		if err := s.Release(ctx, now, two); err != nil {
			t.Fatal(err)
		}
		if err := s.Release(ctx, now, two); !fault.Is(err, fault.NotFound) {
			t.Errorf("released twice: %v", err)
		}
		if err := s.Claim(ctx, now, []placement.Claim{want(one, 0)}); err != nil { // nothing at all
			t.Fatal(err)
		}
		consistent(t, s)
	})
}

func TestGenerationsOfConsumers(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		a, consumer := host(t, s, "a", "", 8), uuid.NewString()
		claim := func(generation *int64) error {
			c := want(consumer, 1, a)
			c.CheckGeneration, c.Generation = true, generation
			return s.Claim(t.Context(), now, []placement.Claim{c})
		}
		n := func(g int64) *int64 { return &g }
		for i, tt := range []struct {
			generation *int64
			good       bool
		}{{n(1), false}, {nil, true}, {nil, false}, {n(1), true}, {n(1), false}, {n(2), true}} {
			err := claim(tt.generation)
			if tt.good != (err == nil) {
				t.Errorf("step %d: %v", i, err)
			}
			if f, ok := errors.AsType[*fault.Error](err); err != nil && (!ok || f.Code != placement.CodeConcurrentUpdate) {
				t.Errorf("step %d: %v has no code", i, err)
			}
		}
	})
}

// TestParallelClaims has many claim at once on few hosts, some on two hosts in
// either order, some for one consumer, and some give back.
func TestParallelClaims(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const room = 30
		hosts := []string{host(t, s, "a", "", room), host(t, s, "b", "", room), host(t, s, "c", "", room)}
		shared := uuid.NewString()
		var wg sync.WaitGroup
		for n := range 12 {
			random := rand.New(rand.NewPCG(7, uint64(n)))
			wg.Go(func() {
				for range 15 {
					pair := slices.Clone(hosts)
					random.Shuffle(len(pair), func(i, j int) { pair[i], pair[j] = pair[j], pair[i] })
					consumer := uuid.NewString()
					if random.IntN(4) == 0 {
						consumer = shared
					}
					err := s.Claim(t.Context(), now, []placement.Claim{want(consumer, 1+random.Int64N(2), pair[:1+random.IntN(2)]...)})
					if err != nil && !fault.Is(err, fault.Conflict) {
						t.Error(err)
					}
					if random.IntN(3) == 0 {
						if err := s.Release(t.Context(), now, consumer); err != nil && !fault.Is(err, fault.NotFound) {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		consistent(t, s)
		for _, h := range hosts {
			_, list, err := s.Inventories(t.Context(), h)
			if err != nil || list[1].Used > room {
				t.Errorf("%+v (%v)", list, err)
			}
		}
	})
}

// TestExactlyAsManyAsFit has more claims than there is room for at once: just
// those that fit succeed.
func TestExactlyAsManyAsFit(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const room, claims = 20, 60
		h := host(t, s, "a", "", room)
		results := make(chan error, claims)
		for range claims {
			go func() { results <- s.Claim(t.Context(), now, []placement.Claim{want(uuid.NewString(), 1, h)}) }()
		}
		good := 0
		for range claims {
			err := <-results
			if err == nil {
				good++
			} else if !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		}
		if good != room {
			t.Errorf("%d claims succeeded where %d fit", good, room)
		}
		consistent(t, s)
	})
}

func TestReshape(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		root := host(t, s, "root", "", 8)
		child := uuid.NewString()
		must(s.CreateProvider(ctx, now, placement.Provider{UUID: child, Name: "numa", ParentUUID: root}))(t)
		consumer := uuid.NewString()
		if err := s.Claim(ctx, now, []placement.Claim{want(consumer, 4, root)}); err != nil {
			t.Fatal(err)
		}
		vcpu := placement.Inventory{Class: "VCPU", Total: 8, MinUnit: 1, MaxUnit: 8, StepSize: 1, Ratio: 1}
		changes := func() []placement.InventoryChange {
			p := must(s.Provider(ctx, root))(t)
			q := must(s.Provider(ctx, child))(t)
			return []placement.InventoryChange{{ProviderUUID: root, Generation: p.Generation}, {ProviderUUID: child, Generation: q.Generation, Inventories: []placement.Inventory{vcpu}}}
		}
		if err := s.Reshape(ctx, now, changes(), nil); !fault.Is(err, fault.Conflict) {
			t.Errorf("inventory in use was taken away: %v", err)
		}
		moved := placement.Claim{ConsumerUUID: consumer, ProjectID: "p", UserID: "u", Allocations: []placement.ProviderAmounts{
			{ProviderUUID: child, Amounts: []placement.Amount{{Class: "VCPU", Amount: 4}}}}}
		stale := changes()
		stale[0].Generation--
		if err := s.Reshape(ctx, now, stale, []placement.Claim{moved}); !fault.Is(err, fault.Conflict) {
			t.Errorf("a stale generation: %v", err)
		}
		if err := s.Reshape(ctx, now, changes(), []placement.Claim{moved}); err != nil {
			t.Fatal(err)
		}
		_, left, err := s.Inventories(ctx, root)
		_, there, err2 := s.Inventories(ctx, child)
		if err != nil || err2 != nil || len(left) != 0 || len(there) != 1 || there[0].Used != 4 {
			t.Errorf("after reshaping: %+v and %+v (%v, %v)", left, there, err, err2)
		}
		consistent(t, s)
	})
}

func TestChanges(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		look := func(since int64) (Delta, int64) {
			revision, _, err := s.Revisions(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return must(s.Changes(ctx, since, revision))(t), revision
		}
		a, b := host(t, s, "a", "", 4), host(t, s, "b", "", 4)
		all, revision := look(0)
		if !all.Full || len(all.Changed) != 2 || all.Changed[0].UUID != a {
			t.Fatalf("everything: %+v", all)
		}
		if d, _ := look(revision); len(d.Changed)+len(d.Deleted) > 0 {
			t.Errorf("nothing has happened: %+v", d)
		}
		if err := s.Claim(ctx, now, []placement.Claim{want(uuid.NewString(), 2, b)}); err != nil {
			t.Fatal(err)
		}
		must(s.SetAggregates(ctx, now, b, nil, []string{a}))(t)
		d, revision := look(revision)
		if len(d.Changed) != 1 || d.Changed[0].UUID != b || d.Changed[0].Inventory("VCPU").Used != 2 || !slices.Equal(d.Changed[0].Aggregates, []string{a}) {
			t.Errorf("after a claim on b: %+v", d)
		}
		if err := s.DeleteProvider(ctx, now, a); err != nil {
			t.Fatal(err)
		}
		if d, _ = look(revision); !slices.Equal(d.Deleted, []string{a}) {
			t.Errorf("after a was deleted: %+v", d)
		}
	})
}

func TestNames(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		if !must(s.AddClass(ctx, now, "CUSTOM_OLD"))(t) || must(s.AddClass(ctx, now, "CUSTOM_OLD"))(t) {
			t.Error("a class is new once")
		}
		id := uuid.NewString()
		must(s.CreateProvider(ctx, now, placement.Provider{UUID: id, Name: "n"}))(t)
		must(s.AddInventory(ctx, now, id, placement.Inventory{Class: "CUSTOM_OLD", Total: 1, MinUnit: 1, MaxUnit: 1, StepSize: 1, Ratio: 1}))(t)
		if err := s.DeleteClass(ctx, now, "CUSTOM_OLD"); !fault.Is(err, fault.Conflict) {
			t.Errorf("a class in use: %v", err)
		}
		if err := s.RenameClass(ctx, now, "CUSTOM_OLD", "CUSTOM_NEW"); err != nil {
			t.Fatal(err)
		}
		_, list, err := s.Inventories(ctx, id)
		if err != nil || len(list) != 1 || list[0].Class != "CUSTOM_NEW" {
			t.Errorf("after the class was renamed: %+v (%v)", list, err)
		}
		must(s.AddTrait(ctx, now, "CUSTOM_T"))(t)
		p := must(s.SetTraits(ctx, now, id, nil, []string{"CUSTOM_T", "HW_CPU_X86_AVX"}))(t)
		if again := must(s.SetTraits(ctx, now, id, nil, []string{"CUSTOM_T", "HW_CPU_X86_AVX"}))(t); again.Generation != p.Generation {
			t.Error("the same traits are no change")
		}
		if err := s.DeleteTrait(ctx, now, "CUSTOM_T"); !fault.Is(err, fault.Conflict) {
			t.Errorf("a trait in use: %v", err)
		}
		if _, err := s.SetTraits(ctx, now, id, nil, []string{"CUSTOM_NONE"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("an unknown trait: %v", err)
		}
		if got := must(s.AssociatedTraits(ctx))(t); !slices.Equal(got, []string{"CUSTOM_T", "HW_CPU_X86_AVX"}) {
			t.Errorf("associated: %v", got)
		}
	})
}

func TestUsages(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		h := host(t, s, "a", "", 100)
		for i, kind := range []string{"INSTANCE", "INSTANCE", "", "MIGRATION"} {
			c := want(uuid.NewString(), int64(i+1), h)
			c.Type, c.UserID = kind, fmt.Sprintf("u%d", i%2)
			if err := s.Claim(ctx, now, []placement.Claim{c}); err != nil {
				t.Fatal(err)
			}
		}
		got := must(s.Usages(ctx, placement.UsageFilter{ProjectID: "p", UserID: "u1"}, true))(t)
		if diff := cmp.Diff([]placement.Usage{
			{ConsumerType: "INSTANCE", Consumers: 1, Class: "MEMORY_MB", Used: 64}, {ConsumerType: "INSTANCE", Consumers: 1, Class: "VCPU", Used: 2},
			{ConsumerType: "MIGRATION", Consumers: 1, Class: "MEMORY_MB", Used: 64}, {ConsumerType: "MIGRATION", Consumers: 1, Class: "VCPU", Used: 4},
		}, got); diff != "" {
			t.Error(diff)
		}
		got = must(s.Usages(ctx, placement.UsageFilter{ProjectID: "p", Type: placement.UnknownConsumer}, true))(t)
		if len(got) != 2 || got[1].Used != 3 || got[1].ConsumerType != "unknown" {
			t.Errorf("without a type: %+v", got)
		}
		if got = must(s.Usages(ctx, placement.UsageFilter{ProjectID: "p"}, false))(t); len(got) != 2 || got[1].Used != 10 || got[1].Consumers != 4 {
			t.Errorf("all together: %+v", got)
		}
	})
}
