package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"kilonova/internal/db/dbtest"
	"kilonova/internal/fault"
	"kilonova/service/placement"
	"kilonova/service/placement/store"
)

var now = time.Date(2026, 11, 20, 19, 0, 0, 0, time.UTC)

func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.New(t.Context(), dbtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// with returns the use cases on a store that others may use too.
func with(t *testing.T, s *store.Store, change ...func(*Options)) *Control {
	t.Helper()
	o := Defaults()
	for _, f := range change {
		f(&o)
	}
	c, err := New(Config{Store: s, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }, Options: o})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPictureKeepsUp has two processes change providers in turn; after each
// change the picture of the one that did not make it is what a new one would be.
func TestPictureKeepsUp(t *testing.T) {
	s := open(t)
	a, b := with(t, s), with(t, s)
	random := rand.New(rand.NewPCG(5, 6))
	var uuids []string
	ctx := t.Context()
	for step := range 150 {
		c := []*Control{a, b}[random.IntN(2)]
		var err error
		switch n := random.IntN(6); {
		case len(uuids) < 3 || n == 0:
			p := placement.Provider{UUID: uuid.NewString(), Name: fmt.Sprint(step)}
			if len(uuids) > 0 && random.IntN(2) == 0 {
				p.ParentUUID = uuids[random.IntN(len(uuids))]
			}
			_, err = c.CreateProvider(ctx, p)
			uuids = append(uuids, p.UUID)
		case n == 1:
			_, err = c.store.SetInventories(ctx, now, uuids[random.IntN(len(uuids))], nil, []placement.Inventory{
				{Class: "VCPU", Total: 8, MinUnit: 1, MaxUnit: 8, StepSize: 1, Ratio: 1}})
		case n == 2:
			_, err = c.store.SetTraits(ctx, now, uuids[random.IntN(len(uuids))], nil, []string{placement.Sharing})
		case n == 3:
			_, err = c.SetAggregates(ctx, uuids[random.IntN(len(uuids))], nil, []string{uuids[random.IntN(2)]})
		case n == 4:
			err = c.Claim(ctx, placement.Claim{ConsumerUUID: uuid.NewString(), Allocations: []placement.ProviderAmounts{
				{ProviderUUID: uuids[random.IntN(len(uuids))], Amounts: []placement.Amount{{Class: "VCPU", Amount: 1}}}}})
		default:
			i := random.IntN(len(uuids))
			if err = c.DeleteProvider(ctx, uuids[i]); err == nil {
				uuids = append(uuids[:i], uuids[i+1:]...)
			}
		}
		if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
		q := func() *placement.Query {
			return &placement.Query{Groups: []placement.Group{{Resources: []placement.Amount{{Class: "VCPU", Amount: 1}}}}}
		}
		fresh := with(t, s)
		for _, old := range []*Control{a, b} {
			want, err := fresh.Candidates(ctx, q())
			got, err2 := old.Candidates(ctx, q())
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(byRoot(want), byRoot(got)); diff != "" {
				t.Fatalf("step %d: %s", step, diff)
			}
		}
	}
}

// byRoot counts candidates by the providers that they use: the order of trees is
// that in which a picture came to know them.
func byRoot(c *placement.Candidates) map[string]int {
	count := map[string]int{}
	for _, r := range c.Requests {
		key := ""
		for _, a := range r.Allocations {
			key += fmt.Sprint(a.Provider.UUID, a.Provider.Inventories[0].Used, a.Amounts)
		}
		count[key]++
	}
	for _, p := range c.Summaries {
		count[fmt.Sprint(p.UUID, p.ParentUUID, p.RootUUID, p.Generation, p.Traits, p.Aggregates)]++
	}
	return count
}

// TestPictureUnderWriters reads while others write: what is asked for after a
// claim has been answered knows of it.
func TestPictureUnderWriters(t *testing.T) {
	s := open(t)
	c := with(t, s)
	ctx := t.Context()
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			p, err := c.CreateProvider(ctx, placement.Provider{UUID: uuid.NewString(), Name: fmt.Sprint("h", n)})
			if err == nil {
				_, err = c.SetInventories(ctx, p.UUID, 0, true, []placement.Inventory{{Class: "VCPU", Total: 50, MinUnit: 1, MaxUnit: 50, StepSize: 1, Ratio: 1}})
			}
			for used := int64(1); used <= 30 && err == nil; used++ {
				err = c.Claim(ctx, placement.Claim{ConsumerUUID: uuid.NewString(), Allocations: []placement.ProviderAmounts{
					{ProviderUUID: p.UUID, Amounts: []placement.Amount{{Class: "VCPU", Amount: 1}}}}})
				var found *placement.Candidates
				if err == nil {
					found, err = c.Candidates(ctx, &placement.Query{Groups: []placement.Group{{InTree: p.UUID, Resources: []placement.Amount{{Class: "VCPU", Amount: 1}}}}})
				}
				if err == nil && (len(found.Summaries) != 1 || found.Summaries[0].Inventories[0].Used != used) {
					err = fmt.Errorf("after %d claims: %+v", used, found.Summaries)
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOptions(t *testing.T) {
	s := open(t)
	if _, err := New(Config{Store: s, Log: slog.New(slog.DiscardHandler), Now: time.Now, Options: Options{Strategy: "sideways"}}); err == nil {
		t.Error("a strategy that there is not")
	}
	if _, err := New(Config{Store: s, Log: slog.New(slog.DiscardHandler), Now: time.Now, Options: Defaults(),
		Rules: map[string]string{RuleUsages: "rule:nothing"}}); err == nil {
		t.Error("a rule that refers to none")
	}
	c := with(t, s, func(o *Options) { o.MaxCandidates, o.Randomize = 2, true })
	for i := range 5 {
		p, err := c.CreateProvider(t.Context(), placement.Provider{UUID: uuid.NewString(), Name: fmt.Sprint(i)})
		if err == nil {
			_, err = c.SetInventories(t.Context(), p.UUID, 0, true, []placement.Inventory{{Class: "VCPU", Total: 1, MinUnit: 1, MaxUnit: 1, StepSize: 1, Ratio: 1}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	found, err := c.Candidates(t.Context(), &placement.Query{Groups: []placement.Group{{Resources: []placement.Amount{{Class: "VCPU", Amount: 1}}}}})
	if err != nil || len(found.Requests) != 2 {
		t.Errorf("%d candidates where two are allowed (%v)", len(found.Requests), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- with(t, s).Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestPictureFollowsClaims: it is brought up to date after the claim of whoever has
// asked, before anybody asks again; not after one that nobody asked before.
func TestPictureFollowsClaims(t *testing.T) {
	s := open(t)
	id := uuid.NewString()
	if _, err := s.CreateProvider(t.Context(), now, placement.Provider{UUID: id, Name: "host"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetInventories(t.Context(), now, id, nil, []placement.Inventory{{Class: "VCPU", Total: 8, MinUnit: 1, MaxUnit: 8, StepSize: 1, Ratio: 1}}); err != nil {
		t.Fatal(err)
	}
	one := []placement.Amount{{Class: "VCPU", Amount: 1}}
	ask := func(c *Control) {
		t.Helper()
		if _, err := c.Candidates(t.Context(), &placement.Query{Groups: []placement.Group{{Resources: one}}}); err != nil {
			t.Fatal(err)
		}
	}
	claim := func(c *Control) {
		t.Helper()
		err := c.Claim(t.Context(), placement.Claim{ConsumerUUID: uuid.NewString(), ProjectID: "p", UserID: "u", Allocations: []placement.ProviderAmounts{{ProviderUUID: id, Amounts: one}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	c := with(t, s)
	if claim(c); len(c.picture.claimed) > 0 {
		t.Error("a claim that nobody asked before has the picture read")
	}
	ask(c)
	claim(c)
	if claim(c); len(c.picture.claimed) != 1 {
		t.Error("the first claim after a question has not the picture read")
	}
	running, end := context.WithCancel(t.Context())
	var run sync.WaitGroup
	defer run.Wait()
	defer end()
	run.Go(func() { _ = c.Run(running) })
	for range 3 {
		ask(c)
		claim(c)
		revision, _, err := s.Revisions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		late := time.After(30 * time.Second)
		for c.picture.providers.Load() < revision {
			select {
			case <-late:
				t.Fatalf("the picture is at %d, the database at %d", c.picture.providers.Load(), revision)
			case <-time.After(time.Millisecond):
			}
		}
	}
}
