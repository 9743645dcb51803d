package control

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// eachControl runs a test with a control over every database.
func eachControl(t *testing.T, test func(t *testing.T, c *Control)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		st, err := store.New(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		test(t, &Control{Config: Config{Store: st, Options: Defaults(), Now: func() time.Time { return epoch }}})
	})
}

func mustTx(t *testing.T, c *Control, f func(tx *db.Tx) error) {
	t.Helper()
	if err := c.Store.Tx(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// member writes a server of a group that is to be built.
func member(t *testing.T, c *Control, g *compute.ServerGroup, n int) *compute.Server {
	t.Helper()
	s := &compute.Server{ID: newID(), DisplayName: fmt.Sprint("s", n), State: compute.Building, Task: compute.Scheduling, Flavor: compute.Flavor{ID: "1", VCPUs: 1, MemoryMB: 1},
		Hints: map[string]any{"group": g.ID}, CreatedAt: epoch, UpdatedAt: epoch}
	mustTx(t, c, func(tx *db.Tx) error {
		if err := c.Store.InsertServers(t.Context(), tx, s); err != nil {
			return err
		}
		return c.Store.AddMembers(t.Context(), tx, g.ID, []*compute.Server{s})
	})
	return s
}

// noteHost does what a build does with a host: hold it and write it down.
func noteHost(t *testing.T, c *Control, s *compute.Server, host string) error {
	return c.Store.Tx(t.Context(), func(tx *db.Tx) error {
		if err := c.hold(t.Context(), tx, s, host); err != nil {
			return err
		}
		_, err := c.Store.UpdateServer(t.Context(), tx, s.ID, store.ServerPatch{Host: &host}, store.Expect{Existing: true}, epoch)
		return err
	})
}

// TestSeatsAreTakenOnce has many who know nothing of each other put the servers of
// groups on hosts at once, blindly, move some and delete some. What holds refuses
// is all that keeps them apart.
func TestSeatsAreTakenOnce(t *testing.T) {
	eachControl(t, func(t *testing.T, c *Control) {
		hosts := []string{"a", "b", "c"}
		for i, g := range []*compute.ServerGroup{{Policy: compute.Affinity}, {Policy: compute.AntiAffinity}, {Policy: compute.AntiAffinity, MaxPerHost: 3},
			{Policy: compute.SoftAffinity}, {Policy: compute.SoftAntiAffinity}} {
			g.ID, g.CreatedAt = newID(), epoch
			mustTx(t, c, func(tx *db.Tx) error { return c.Store.InsertGroup(t.Context(), tx, g) })
			var all []*compute.Server
			for n := range 24 {
				all = append(all, member(t, c, g, n))
			}
			var wg sync.WaitGroup
			for n, s := range all {
				wg.Go(func() {
					dice := rand.New(rand.NewPCG(uint64(i), uint64(n)))
					for range 4 { // the first puts it there, further ones move it
						if err := noteHost(t, c, s, hosts[dice.IntN(len(hosts))]); err != nil && !errors.Is(err, errHeld) {
							t.Error(err)
						}
						// whatever it got, it is done with it
						err := c.Store.Tx(t.Context(), func(tx *db.Tx) error {
							_, err := c.Store.UpdateServer(t.Context(), tx, s.ID, store.ServerPatch{State: ptr(compute.Active), Task: ptr(compute.NoTask)}, store.Expect{}, epoch)
							return err
						})
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			places, err := c.Store.PlacesOf(t.Context(), c.Store.DB, g.ID)
			if err != nil {
				t.Fatal(err)
			}
			on := map[string]int{}
			for id, at := range places {
				if len(at) != 1 {
					t.Errorf("%s is at %v", id, at)
				}
				on[at[0]]++
			}
			most := slices.Max(slices.Collect(maps.Values(on)))
			switch {
			case g.Policy == compute.Affinity && (len(on) != 1 || most == 0):
				t.Errorf("affinity: %v", on)
			case g.Policy == compute.AntiAffinity && (most > max(1, g.MaxPerHost) || len(on) != len(hosts)):
				t.Errorf("anti-affinity %d: %v", g.MaxPerHost, on)
			case !g.Strict() && len(places) != len(all):
				t.Errorf("%s refused some: %v", g.Policy, on)
			}
		}
	})
}

// TestSeatsOfHintedLists: a group that is hinted at as a list of one binds as one that
// stands alone does.
func TestSeatsOfHintedLists(t *testing.T) {
	eachControl(t, func(t *testing.T, c *Control) {
		g := &compute.ServerGroup{ID: newID(), Policy: compute.AntiAffinity, CreatedAt: epoch}
		mustTx(t, c, func(tx *db.Tx) error { return c.Store.InsertGroup(t.Context(), tx, g) })
		if err := noteHost(t, c, member(t, c, g, 1), "a"); err != nil {
			t.Fatal(err)
		}
		listed := member(t, c, g, 2)
		listed.Hints = map[string]any{"group": []any{g.ID}}
		if err := noteHost(t, c, listed, "a"); !errors.Is(err, errHeld) {
			t.Errorf("the second of an anti-affinity group on one host: %v", err)
		}
	})
}

// TestSeatsOfMoves: who moves is in two places until it has arrived, and a move
// that ended leaves nothing.
func TestSeatsOfMoves(t *testing.T) {
	eachControl(t, func(t *testing.T, c *Control) {
		g := &compute.ServerGroup{ID: newID(), Policy: compute.AntiAffinity, CreatedAt: epoch}
		mustTx(t, c, func(tx *db.Tx) error { return c.Store.InsertGroup(t.Context(), tx, g) })
		set := func(s *compute.Server, p store.ServerPatch) {
			mustTx(t, c, func(tx *db.Tx) error {
				_, err := c.Store.UpdateServer(t.Context(), tx, s.ID, p, store.Expect{}, epoch)
				return err
			})
		}
		mover, other := member(t, c, g, 1), member(t, c, g, 2)
		if err := noteHost(t, c, mover, "a"); err != nil {
			t.Fatal(err)
		}
		set(mover, store.ServerPatch{State: ptr(compute.Active), Task: ptr(compute.ResizePrep)})
		mustTx(t, c, func(tx *db.Tx) error { return c.hold(t.Context(), tx, mover, "b") })
		for _, host := range []string{"a", "b"} {
			if err := noteHost(t, c, other, host); !errors.Is(err, errHeld) {
				t.Errorf("%s, while the other moves from a to b: %v", host, err)
			}
		}
		set(mover, store.ServerPatch{Task: ptr(compute.NoTask)}) // the move was given up
		if err := noteHost(t, c, other, "b"); err != nil {
			t.Error(err)
		}
		set(other, store.ServerPatch{DeletedAt: ptr(epoch)})
		if err := noteHost(t, c, member(t, c, g, 3), "b"); err != nil {
			t.Errorf("the place of a deleted server: %v", err)
		}
	})
}
