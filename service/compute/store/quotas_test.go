package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

func TestQuotas(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		for range 2 {
			in(t, s, func(tx *db.Tx) error {
				return s.SetQuotas(ctx, tx, "p", "", map[string]int{"cores": -1, "ram": 1<<31 - 1})
			})
		}
		in(t, s, func(tx *db.Tx) error { return s.SetQuotas(ctx, tx, "p", "u", map[string]int{"cores": 4}) })
		if got, err := s.Quotas(ctx, s.DB, "p", ""); err != nil || !maps.Equal(got, map[string]int{"cores": -1, "ram": 1<<31 - 1}) {
			t.Error(got, err)
		}
		in(t, s, func(tx *db.Tx) error { return s.DeleteQuotas(ctx, tx, "p", "u") })
		if got, err := s.Quotas(ctx, s.DB, "p", "u"); err != nil || len(got) != 0 {
			t.Error(got, err)
		}
		var all sync.WaitGroup
		for i := range 12 { // many set the same at once
			all.Go(func() {
				err := s.Tx(context.Background(), func(tx *db.Tx) error {
					return s.SetQuotas(context.Background(), tx, "q", "", map[string]int{"cores": i, "ram": i, "instances": i})
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got, err := s.Quotas(ctx, s.DB, "q", ""); err != nil || len(got) != 3 || got["cores"] != got["ram"] {
			t.Error(got, err)
		}
	})
}

// Those who take of one quota at once get exactly what there is, from the first
// on: also those who find that the project has no row to wait at.
func TestQuotaIsExact(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const limit, wanted, projects = 7, 30, 2
		full := errors.New("full")
		var got [projects]int
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range wanted * projects {
			project := fmt.Sprint("p", i%projects)
			all.Go(func() {
				err := s.Tx(context.Background(), func(tx *db.Tx) error {
					if err := s.QuotaTurn(context.Background(), tx, project); err != nil {
						return err
					}
					used, err := s.Usage(context.Background(), tx, project)
					if err != nil {
						return err
					}
					if used.Servers == limit {
						return full
					}
					return s.InsertServers(context.Background(), tx, &compute.Server{ID: fmt.Sprint("s", i), ProjectID: project, CreatedAt: epoch, UpdatedAt: epoch,
						Flavor: compute.Flavor{VCPUs: 2, MemoryMB: 1<<31 - 1}})
				})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					got[i%projects]++
				} else if !errors.Is(err, full) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for i, n := range got {
			used, err := s.Usage(t.Context(), s.DB, fmt.Sprint("p", i))
			if want := (Usage{limit, 2 * limit, limit * (1<<31 - 1)}); err != nil || n != limit || used != want {
				t.Errorf("project %d got %d of %d and uses %+v (%v)", i, n, limit, used, err)
			}
		}
	})
}
