package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

// each runs a test on an empty store on every database.
func each(t *testing.T, f func(t *testing.T, s *Store)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) { f(t, open(t, d)) })
}

func open(t testing.TB, d *db.DB) *Store {
	t.Helper()
	s, err := New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func insert(t testing.TB, s *Store, list ...*image.Image) {
	t.Helper()
	err := s.Tx(t.Context(), func(tx *db.Tx) error {
		for _, i := range list {
			if i.CreatedAt.IsZero() {
				i.CreatedAt = start
			}
			i.UpdatedAt = i.CreatedAt
			if err := s.Insert(t.Context(), tx, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func id(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func ptr[T any](v T) *T { return &v }

func TestImageRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		want := &image.Image{ID: id(1), Name: ptr("näme"), Owner: "p1", Status: image.Queued, Visibility: image.Shared, MinDisk: 3,
			Properties: map[string]string{"os_distro": "debian", "x": strings.Repeat("y", 5000)}, Tags: []string{"a", "b"}}
		insert(t, s, want)
		got, err := s.Get(t.Context(), s.DB, id(1))
		if err != nil || *got.Name != "näme" || got.Size != nil || got.Properties["x"] != want.Properties["x"] || !slices.Equal(got.Tags, want.Tags) || !got.CreatedAt.Equal(start) {
			t.Fatalf("%+v, %v", got, err)
		}
		err = s.Tx(t.Context(), func(tx *db.Tx) error {
			was, err := s.Lock(t.Context(), tx, id(1))
			if err != nil {
				return err
			}
			next := *was
			next.Name, next.Size, next.Tags, next.Properties = nil, ptr(int64(1)<<40), []string{"c"}, map[string]string{"k": "v"}
			if err := s.Save(t.Context(), tx, was, &next); err != nil {
				return err
			}
			return s.InsertLocation(t.Context(), tx, id(1), image.Location{Store: "s", Key: "k", URL: "u", Metadata: map[string]any{"m": "n"}})
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err = s.Get(t.Context(), s.DB, id(1))
		if err != nil || got.Name != nil || *got.Size != 1<<40 || !slices.Equal(got.Tags, []string{"c"}) || len(got.Properties) != 1 || got.Locations[0].Metadata["m"] != "n" {
			t.Fatalf("%+v, %v", got, err)
		}
		if wanted, err := s.Wanted(t.Context(), s.DB, "s", "k"); err != nil || !wanted {
			t.Error(wanted, err)
		}
		if err := s.Tx(t.Context(), func(tx *db.Tx) error { return s.Delete(t.Context(), tx, id(1)) }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), s.DB, id(1)); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if wanted, err := s.Wanted(t.Context(), s.DB, "s", "k"); err != nil || wanted {
			t.Error(wanted, err)
		}
		err = s.Tx(t.Context(), func(tx *db.Tx) error { return s.Insert(t.Context(), tx, want) })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("the id of a deleted image was given again: %v", err)
		}
	})
}

func TestListShowsWhatTheViewerMaySee(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		insert(t, s,
			&image.Image{ID: id(1), Owner: "p1", Visibility: image.Private},
			&image.Image{ID: id(2), Owner: "p1", Visibility: image.Shared},
			&image.Image{ID: id(3), Owner: "p1", Visibility: image.Community},
			&image.Image{ID: id(4), Owner: "p1", Visibility: image.Public})
		now := db.At(start)
		if err := s.Tx(t.Context(), func(tx *db.Tx) error {
			for p, status := range map[string]image.MemberStatus{"p2": image.Accepted, "p3": image.Pending} {
				if err := s.InsertMember(t.Context(), tx, image.Member{ImageID: id(2), ProjectID: p, Status: status, CreatedAt: now.Time, UpdatedAt: now.Time}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		tests := []struct {
			q    Query
			want []int
		}{
			{Query{Viewer: "p1", MemberStatus: image.Accepted}, []int{1, 2, 3, 4}},
			{Query{Viewer: "p2", MemberStatus: image.Accepted}, []int{2, 4}},
			{Query{Viewer: "p3", MemberStatus: image.Accepted}, []int{4}},
			{Query{Viewer: "p3", MemberStatus: image.Pending, Visibility: "shared"}, []int{2}},
			{Query{Viewer: "p3"}, []int{2, 4}},
			{Query{Viewer: "p4", Visibility: "all"}, []int{3, 4}},
			{Query{Viewer: "p4", Visibility: "community"}, []int{3}},
			{Query{Viewer: "p4", Visibility: "private"}, nil},
			{Query{Viewer: "admin", Everything: true}, []int{1, 2, 4}},
			{Query{Viewer: "admin", Everything: true, Visibility: "all"}, []int{1, 2, 3, 4}},
		}
		for _, tt := range tests {
			tt.q.Sort, tt.q.Limit = []image.Order{{Column: "id", Desc: false}}, 10
			if got := listed(t, s, tt.q); !slices.Equal(got, tt.want) {
				t.Errorf("%+v: %v, want %v", tt.q, got, tt.want)
			}
		}
	})
}

func listed(t *testing.T, s *Store, q Query) []int {
	t.Helper()
	list, err := s.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, i := range list {
		var n int
		fmt.Sscanf(i.ID[24:], "%d", &n)
		got = append(got, n)
	}
	return got
}

// TestPagesMeet walks through a list of many equal sort values and values that
// are missing, in pages of every size.
func TestPagesMeet(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for n := range 20 {
			i := &image.Image{ID: id(n), Visibility: image.Public, CreatedAt: start.Add(time.Duration(n%3) * time.Second), Status: image.Queued}
			if n%4 != 0 {
				i.Size, i.Name = ptr(int64(n%5)), ptr(fmt.Sprint("n", n%2))
			}
			insert(t, s, i)
		}
		for _, sort := range [][]image.Order{
			{{Column: "created_at", Desc: true}, {Column: "id", Desc: true}},
			{{Column: "size", Desc: false}, {Column: "name", Desc: true}, {Column: "created_at", Desc: true}, {Column: "id", Desc: false}},
			{{Column: "name", Desc: true}, {Column: "id", Desc: true}},
			{{Column: "status", Desc: false}, {Column: "size", Desc: true}, {Column: "id", Desc: false}},
		} {
			all := listed(t, s, Query{Sort: sort, Limit: 100})
			if len(all) != 20 {
				t.Fatal(all)
			}
			for _, size := range []int{1, 3, 7} {
				q, got := Query{Sort: sort, Limit: size}, []int(nil)
				for {
					page := listed(t, s, q)
					got = append(got, page...)
					if len(page) < size {
						break
					}
					var err error
					if q.Marker, err = s.Get(t.Context(), s.DB, id(page[len(page)-1])); err != nil {
						t.Fatal(err)
					}
				}
				if !slices.Equal(got, all) {
					t.Errorf("%v in pages of %d: %v, want %v", sort, size, got, all)
				}
			}
		}
	})
}

func TestConditions(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for n := range 6 {
			insert(t, s, &image.Image{ID: id(n), Visibility: image.Public, Size: ptr(int64(n * 100)), Name: ptr(fmt.Sprint("n", n)), Protected: n == 3,
				Properties: map[string]string{"k": fmt.Sprint(n % 2)}, Tags: []string{"t", fmt.Sprint("t", n%3)}, CreatedAt: start.Add(time.Duration(n) * time.Hour)})
		}
		tests := []struct {
			q    Query
			want []int
		}{
			{Query{Where: []image.Condition{{Column: "size", Op: ">=", Values: []any{200}}, {Column: "size", Op: "<=", Values: []any{400}}}}, []int{2, 3, 4}},
			{Query{Where: []image.Condition{{Column: "name", Op: "IN", Values: []any{"n1", "n5", "no"}}}}, []int{1, 5}},
			{Query{Where: []image.Condition{{Column: "protected", Op: "=", Values: []any{true}}}}, []int{3}},
			{Query{Where: []image.Condition{{Column: "created_at", Op: ">", Values: []any{start.Add(3 * time.Hour)}}}}, []int{4, 5}},
			{Query{Properties: [][2]string{{"k", "1"}}}, []int{1, 3, 5}},
			{Query{Properties: [][2]string{{"k", "1"}}, Tags: []string{"t", "t0"}}, []int{3}},
			{Query{Tags: []string{"T"}}, nil},
		}
		for _, tt := range tests {
			tt.q.Sort, tt.q.Limit = []image.Order{{Column: "id", Desc: false}}, 10
			if got := listed(t, s, tt.q); !slices.Equal(got, tt.want) {
				t.Errorf("%+v: %v, want %v", tt.q, got, tt.want)
			}
		}
		if _, err := s.List(t.Context(), Query{Where: []image.Condition{{Column: "1=1; --", Op: "=", Values: []any{1}}}}); err == nil {
			t.Error("a column from nowhere")
		}
	})
}

func BenchmarkList1000(b *testing.B) {
	s := open(b, dbtest.SQLite(b))
	for n := range 1000 {
		insert(b, s, &image.Image{ID: id(n), Owner: "p", Visibility: image.Public, Name: ptr("n"), CreatedAt: start.Add(time.Duration(n) * time.Second),
			Properties: map[string]string{"os_distro": "debian", "hw_disk_bus": "virtio", "hw_vif_model": "virtio"}, Tags: []string{"a", "b"}})
	}
	b.ResetTimer()
	for b.Loop() {
		list, err := s.List(b.Context(), Query{Viewer: "q", Sort: []image.Order{{Column: "created_at", Desc: true}, {Column: "id", Desc: true}}, Limit: 1000})
		if err != nil || len(list) != 1000 {
			b.Fatal(len(list), err)
		}
	}
}
