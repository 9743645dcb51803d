package store

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

func TestAggregates(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		var a compute.Aggregate
		in(t, s, func(tx *db.Tx) (err error) {
			a, err = s.InsertAggregate(ctx, tx, compute.Aggregate{ID: "a", Name: "ä", Metadata: map[string]string{"availability_zone": "z"}, CreatedAt: epoch})
			return err
		})
		refused(t, s, fault.Conflict, func(tx *db.Tx) error {
			_, err := s.InsertAggregate(ctx, tx, compute.Aggregate{ID: "b", Name: "ä", CreatedAt: epoch})
			return err
		})
		if got, err := s.Aggregate(ctx, s.DB, a.Seq); err != nil || got.Seq == 0 || !got.UpdatedAt.IsZero() || !got.CreatedAt.Equal(epoch) {
			t.Errorf("%+v, %v", got, err)
		}
		a.Name, a.Hosts, a.Metadata, a.UpdatedAt = "b", []string{"h2", "h1"}, nil, epoch.Add(time.Second)
		in(t, s, func(tx *db.Tx) error { return s.UpdateAggregate(ctx, tx, a) })
		if all, err := s.Aggregates(ctx, s.DB); err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], a) {
			t.Errorf("%+v, %v, want %+v", all, err, a)
		}
		in(t, s, func(tx *db.Tx) error { return s.DeleteAggregate(ctx, tx, a.Seq) })
		if _, err := s.Aggregate(ctx, s.DB, a.Seq); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

func TestServerGroups(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx, servers := t.Context(), fill(t, s, 4)
		for i, id := range []string{"g1", "g2", "g3"} {
			g := &compute.ServerGroup{ID: id, Name: "g", ProjectID: []string{"p", "p", "q"}[i], UserID: "u", Policy: compute.AntiAffinity, MaxPerHost: i, CreatedAt: epoch}
			in(t, s, func(tx *db.Tx) error { return s.InsertGroup(ctx, tx, g) })
		}
		in(t, s, func(tx *db.Tx) error { return s.AddMembers(ctx, tx, "g2", servers[:3]) })
		in(t, s, func(tx *db.Tx) error {
			_, err := s.UpdateServer(ctx, tx, servers[1].ID, ServerPatch{DeletedAt: &epoch}, Expect{}, epoch)
			return err
		})
		want := []string{servers[0].ID, servers[2].ID} // of the existing ones
		if g, err := s.Group(ctx, s.DB, "g2"); err != nil || g.MaxPerHost != 1 || !slices.Equal(g.Members, want) {
			t.Errorf("%+v, %v", g, err)
		}
		if g, err := s.GroupOf(ctx, s.DB, servers[0].ID); err != nil || g == nil || g.ID != "g2" {
			t.Errorf("%+v, %v", g, err)
		}
		if g, err := s.GroupOf(ctx, s.DB, servers[3].ID); err != nil || g != nil {
			t.Errorf("%+v, %v", g, err)
		}
		if n, err := s.CountMembers(ctx, s.DB, "g2", ""); err != nil || n != 2 {
			t.Error(n, err)
		}
		if n, err := s.CountGroups(ctx, s.DB, "p"); err != nil || n != 2 {
			t.Error(n, err)
		}
		for _, x := range []struct {
			project       string
			offset, limit int
			want          string
		}{{"p", 0, 9, "g1g2"}, {"", 0, 9, "g1g2g3"}, {"", 1, 1, "g2"}, {"none", 0, 9, ""}} {
			groups, err := s.Groups(ctx, s.DB, x.project, x.offset, x.limit)
			got := ""
			for _, g := range groups {
				got += g.ID
			}
			if err != nil || got != x.want {
				t.Errorf("%+v: %s, %v", x, got, err)
			}
		}
		in(t, s, func(tx *db.Tx) error { return s.DeleteGroup(ctx, tx, "g2") })
		refused(t, s, fault.NotFound, func(tx *db.Tx) error { return s.DeleteGroup(ctx, tx, "g2") })
		if of, err := s.GroupsOf(ctx, s.DB, want); err != nil || len(of) != 0 {
			t.Error(of, err)
		}
	})
}

// TestHolds: a hold counts where its server is or is going to, and is gone with
// what it was for.
func TestHolds(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx, servers := t.Context(), fill(t, s, 2)
		id := servers[0].ID
		hold := compute.Hold{Cells: []compute.GuestCell{{HostCell: 1, MemoryMB: 2, CPUs: []int{0, 1}, Pins: map[int]int{0: 7}, Shared: []int{3}}}, Emulator: []int{9},
			Devices: []compute.HeldDevice{{Address: "0000:81:00.1", Request: "vf", Cell: -1}}}
		patch := func(p ServerPatch) {
			in(t, s, func(tx *db.Tx) error {
				_, err := s.UpdateServer(ctx, tx, id, p, Expect{}, epoch)
				return err
			})
		}
		on := func(host string) {
			patch(ServerPatch{Host: &host})
			in(t, s, func(tx *db.Tx) error { return s.PutHold(ctx, tx, id, host, compute.Hold{}) })
			in(t, s, func(tx *db.Tx) error { return s.PutHold(ctx, tx, id, host, hold) }) // again
		}
		counted := func(when string, want ...string) {
			t.Helper()
			all, err := s.Holds(ctx, s.DB)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for host, of := range all {
				if got = append(got, host); !reflect.DeepEqual(of[id], hold) {
					t.Errorf("%s: %+v", when, of)
				}
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("%s it holds something of %v, want %v", when, got, want)
			}
		}
		on("a")
		counted("at rest", "a")
		going, none, resized, active := compute.ResizePrep, compute.NoTask, compute.Resized, compute.Active
		patch(ServerPatch{Task: &going})
		in(t, s, func(tx *db.Tx) error { return s.PutHold(ctx, tx, id, "b", hold) })
		counted("on its way", "a", "b")
		b := "b"
		patch(ServerPatch{Host: &b, Task: &none, State: &resized})
		counted("waiting for a word", "a", "b")
		patch(ServerPatch{Task: &none, State: &active})
		counted("confirmed", "b")
		patch(ServerPatch{Task: &going})
		counted("on its way again", "b") // what it held of a is forgotten
		if one, err := s.Holds(ctx, s.DB, "b"); err != nil || len(one) != 1 {
			t.Error(one, err)
		}
		if got, err := s.Hold(ctx, s.DB, id, "b"); err != nil || !reflect.DeepEqual(got, hold) {
			t.Errorf("%+v, %v", got, err)
		}
		patch(ServerPatch{DeletedAt: &epoch})
		counted("deleted")
		if got, err := s.Hold(ctx, s.DB, id, "b"); err != nil || !got.Empty() {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestBuildFailures(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		for range 3 {
			in(t, s, func(tx *db.Tx) error { return s.AddBuildFailure(ctx, tx, "a") })
		}
		in(t, s, func(tx *db.Tx) error { return s.AddBuildFailure(ctx, tx, "b") })
		in(t, s, func(tx *db.Tx) error { return s.ForgetBuildFailures(ctx, tx, "b") })
		if all, err := s.BuildFailures(ctx, s.DB); err != nil || !reflect.DeepEqual(all, map[string]int{"a": 3}) {
			t.Error(all, err)
		}
	})
}
