package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// Migrations are found by what is asked of them, in pages that are the whole list.
func TestMigrations(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		var all []*compute.Migration
		for i := range 9 {
			m := &compute.Migration{ID: fmt.Sprintf("%08d-0000-4000-8000-00000000000a", i), ServerID: fmt.Sprint("s", i%2), Type: []compute.MigrationType{compute.ResizeMove, compute.LiveMigration, compute.Evacuation}[i%3],
				Status: compute.MigrationFinished, WasState: compute.Active, SourceHost: fmt.Sprint("h", i%2), DestHost: fmt.Sprint("h", 1+i%2), OldFlavor: compute.Flavor{ID: "1", VCPUs: i},
				ProjectID: fmt.Sprint("p", i%2), UserID: "u", CreatedAt: epoch.Add(time.Duration(i/2) * time.Second), UpdatedAt: epoch.Add(time.Duration(i) * time.Minute)}
			all = append(all, m)
		}
		err := s.Tx(t.Context(), func(tx *db.Tx) error {
			for _, m := range all {
				if err := s.InsertMigration(t.Context(), tx, m); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		found := func(q compute.MigrationQuery) (which []int) {
			t.Helper()
			list, err := s.Migrations(t.Context(), s.DB, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range list {
				which = append(which, m.OldFlavor.VCPUs)
			}
			return which
		}
		for _, tt := range []struct {
			q    compute.MigrationQuery
			want []int
		}{
			{compute.MigrationQuery{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}},
			{compute.MigrationQuery{NewestFirst: true}, []int{8, 7, 6, 5, 4, 3, 2, 1, 0}},
			{compute.MigrationQuery{ServerID: "s1", Types: []compute.MigrationType{compute.LiveMigration}}, []int{1, 7}},
			{compute.MigrationQuery{Host: "h2"}, []int{1, 3, 5, 7}},
			{compute.MigrationQuery{SourceHost: "h0", ProjectID: "p0", UserID: "u"}, []int{0, 2, 4, 6, 8}},
			{compute.MigrationQuery{Statuses: []compute.MigrationStatus{compute.MigrationError}}, nil},
			{compute.MigrationQuery{ChangesSince: epoch.Add(6 * time.Minute), ChangesBefore: epoch.Add(7 * time.Minute)}, []int{6, 7}},
			{compute.MigrationQuery{NewestFirst: true, Marker: all[5].ID, Limit: 3}, []int{4, 3, 2}},
		} {
			if got := found(tt.q); !slices.Equal(got, tt.want) {
				t.Errorf("%+v finds %v, want %v", tt.q, got, tt.want)
			}
		}
		var paged []int
		for marker := ""; ; {
			page := found(compute.MigrationQuery{NewestFirst: true, Marker: marker, Limit: 2})
			if paged = append(paged, page...); len(page) < 2 {
				break
			}
			marker = all[page[1]].ID
		}
		if !slices.Equal(paged, []int{8, 7, 6, 5, 4, 3, 2, 1, 0}) {
			t.Errorf("the pages are %v", paged)
		}
		if _, err := s.Migrations(t.Context(), s.DB, compute.MigrationQuery{NewestFirst: true, Marker: "none"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("a marker that is not there: %v", err)
		}
		patch := MigrationPatch{Status: ptrTo(compute.Confirming), DestIP: ptrTo("1.2.3.4"), Wish: ptrTo(compute.AbortWish), Transfer: &compute.Transfer{MemoryTotal: 7}}
		for _, want := range []bool{true, false} { // the second finds another status
			err := s.Tx(t.Context(), func(tx *db.Tx) error {
				ok, err := s.UpdateMigration(t.Context(), tx, all[3].ID, patch, []compute.MigrationStatus{compute.MigrationFinished}, epoch)
				if ok != want {
					t.Errorf("it was changed: %v, want %v", ok, want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		m, err := s.Migration(t.Context(), s.DB, all[3].ID)
		if err != nil || m.Status != compute.Confirming || m.DestIP != "1.2.3.4" || m.Wish != compute.AbortWish || m.Transfer.MemoryTotal != 7 || m.SourceHost != "h1" {
			t.Errorf("%+v, %v", m, err)
		}
		if _, err := s.MigrationOf(t.Context(), s.DB, "s0", m.Seq); !fault.Is(err, fault.NotFound) {
			t.Errorf("a migration of another server: %v", err)
		}
	})
}

func ptrTo[T any](v T) *T { return &v }
