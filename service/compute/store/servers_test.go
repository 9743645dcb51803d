package store

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

func open(t testing.TB, d *db.DB) *Store {
	t.Helper()
	s, err := New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// each runs a test on every database.
func each(t *testing.T, test func(t *testing.T, s *Store)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(t, open(t, d)) })
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fill writes n servers; names go a, b, c, a, b, c, … and every fourth has no
// launch time.
func fill(t testing.TB, s *Store, n int) []*compute.Server {
	t.Helper()
	var all []*compute.Server
	for i := range n {
		all = append(all, &compute.Server{ID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", i), DisplayName: string(rune('a' + i%3)), ProjectID: fmt.Sprint("p", i%2),
			State: compute.Active, Flavor: compute.Flavor{ID: "1", VCPUs: 1, MemoryMB: 10}, Metadata: map[string]string{"i": fmt.Sprint(i)},
			CreatedAt: epoch.Add(time.Duration(i) * time.Second), UpdatedAt: epoch})
	}
	err := s.Tx(t.Context(), func(tx *db.Tx) error {
		if err := s.InsertServers(t.Context(), tx, all...); err != nil {
			return err
		}
		for i, v := range all {
			if i%4 == 0 {
				continue
			}
			at := epoch.Add(time.Duration(n-i) * time.Minute)
			if _, err := s.UpdateServer(t.Context(), tx, v.ID, ServerPatch{LaunchedAt: &at}, Expect{}, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func ids(t *testing.T, s *Store, q compute.ServerQuery) []string {
	t.Helper()
	var all []string
	for v, err := range s.Servers(t.Context(), s.DB, q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v.ID)
	}
	return all
}

// Pages put together must be the whole list, whatever the order, also where the
// keys to sort by are equal or missing.
func TestPagesAreTheWholeList(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		fill(t, s, 23)
		orders := [][]compute.Order{nil, {{Key: "display_name"}}, {{Key: "display_name", Desc: true}}, {{Key: "launched_at", Desc: true}, {Key: "display_name"}},
			{{Key: "launched_at"}}, {{Key: "project_id", Desc: true}, {Key: "display_name", Desc: true}, {Key: "created_at"}}, {{Key: "uuid"}}}
		for _, key := range compute.ServerSortKeys {
			orders = append(orders, []compute.Order{{Key: key, Desc: len(key)%2 == 0}})
		}
		for _, order := range orders {
			whole := ids(t, s, compute.ServerQuery{Sort: order})
			if len(whole) != 23 {
				t.Fatalf("%v: %d servers", order, len(whole))
			}
			var pages []string
			for marker := ""; ; {
				page := ids(t, s, compute.ServerQuery{Sort: order, Marker: marker, Limit: 5})
				if len(page) == 0 {
					break
				}
				pages = append(pages, page...)
				marker = page[len(page)-1]
			}
			if !slices.Equal(whole, pages) {
				t.Errorf("order %v:\nwhole %v\npages %v", order, whole, pages)
			}
		}
	})
}

func TestServerFilters(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		fill(t, s, 12)
		no := false
		if n := len(ids(t, s, compute.ServerQuery{ProjectID: "p1", Deleted: &no})); n != 6 {
			t.Errorf("%d of project p1", n)
		}
		if n := len(ids(t, s, compute.ServerQuery{States: []compute.State{}})); n != 0 {
			t.Errorf("%d in none of the states", n)
		}
		if got := ids(t, s, compute.ServerQuery{Match: func(v *compute.Server) bool { return v.DisplayName == "b" }, Limit: 2}); len(got) != 2 {
			t.Errorf("matched %v", got)
		}
		for _, err := range s.Servers(t.Context(), s.DB, compute.ServerQuery{Marker: "nobody"}) {
			if !fault.Is(err, fault.Invalid) {
				t.Error(err)
			}
		}
		if _, err := s.Server(t.Context(), s.DB, "nobody"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

// TestExtents: each reads the same servers in the same order, and what it says of
// them is what the whole has.
func TestExtents(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		fill(t, s, 10)
		all := func(q compute.ServerQuery) (out []compute.Server) {
			for v, err := range s.Servers(t.Context(), s.DB, q) {
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, *v)
			}
			return out
		}
		whole, visible, brief := all(compute.ServerQuery{}), all(compute.ServerQuery{Extent: compute.Visible}), all(compute.ServerQuery{Extent: compute.Brief})
		matched := all(compute.ServerQuery{Extent: compute.Brief, Match: func(v *compute.Server) bool { return v.Metadata["i"] == "3" }})
		if len(whole) != 10 || len(visible) != 10 || len(brief) != 10 || len(matched) != 1 {
			t.Fatalf("%d, %d, %d and %d servers", len(whole), len(visible), len(brief), len(matched))
		}
		for i, v := range whole {
			if !reflect.DeepEqual(visible[i], v) { // fill writes nothing that users do not see
				t.Errorf("visible %+v\nis not %+v", visible[i], v)
			}
			if want := (compute.Server{ID: v.ID, DisplayName: v.DisplayName}); !reflect.DeepEqual(brief[i], want) {
				t.Errorf("brief %+v", brief[i])
			}
		}
	})
}

func TestUpdateServerIsCompareAndSwap(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		id := fill(t, s, 1)[0].ID
		try := func(e Expect, p ServerPatch) (ok bool) {
			err := s.Tx(t.Context(), func(tx *db.Tx) (err error) {
				ok, err = s.UpdateServer(t.Context(), tx, id, p, e, epoch.Add(time.Hour))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		stopped, off, gone := compute.Stopped, compute.PoweringOff, epoch.Add(2*time.Hour)
		if try(Expect{States: []compute.State{compute.Building}}, ServerPatch{State: &stopped}) {
			t.Fatal("swapped what it did not compare")
		}
		if !try(Expect{States: []compute.State{compute.Active}, Tasks: []compute.Task{compute.NoTask}, Existing: true}, ServerPatch{State: &stopped, Task: &off, DeletedAt: &gone}) {
			t.Fatal("did not swap")
		}
		if try(Expect{Existing: true}, ServerPatch{State: &stopped}) {
			t.Fatal("swapped a deleted server")
		}
		v, err := s.Server(t.Context(), s.DB, id)
		if err != nil || v.State != stopped || v.Task != off || !v.DeletedAt.Equal(gone) || !v.UpdatedAt.Equal(epoch.Add(time.Hour)) || v.Metadata["i"] != "0" {
			t.Fatalf("%+v, %v", v, err)
		}
		if u, err := s.Usage(t.Context(), s.DB, "p0"); err != nil || u.Servers != 0 {
			t.Fatalf("%+v, %v", u, err)
		}
	})
}

func BenchmarkServersDetail1000(b *testing.B) {
	s := open(b, dbtest.SQLite(b))
	fill(b, s, 1000)
	no := false
	for b.Loop() {
		n := 0
		for _, err := range s.Servers(b.Context(), s.DB, compute.ServerQuery{Deleted: &no, Limit: 1000, Extent: compute.Visible}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 1000 {
			b.Fatal(n)
		}
	}
}

// What the service remembers of a server has the lengths that may be asked for.
func TestSystemIsAsLongAsItIs(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		v := fill(t, s, 1)[0]
		system := compute.System{BootRoles: strings.Repeat("é", 20_000)}
		in(t, s, func(tx *db.Tx) error {
			_, err := s.UpdateServer(t.Context(), tx, v.ID, ServerPatch{System: &system}, Expect{}, epoch)
			return err
		})
		if got, err := s.Server(t.Context(), s.DB, v.ID); err != nil || got.System.BootRoles != system.BootRoles {
			t.Errorf("%d bytes of %d: %v", len(got.System.BootRoles), len(system.BootRoles), err)
		}
	})
}
