package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

func (s *Store) must(t *testing.T, fn func(tx *db.Tx) error) {
	t.Helper()
	if err := s.Tx(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestUsage(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		insert(t, s, &image.Image{ID: id(1), Owner: "p", Status: image.Active, Size: ptr(int64(1) << 50)},
			&image.Image{ID: id(2), Owner: "p", Status: image.Deactivated, Size: ptr(int64(5))},
			&image.Image{ID: id(3), Owner: "p", Status: image.Uploading, Size: ptr(int64(7))},
			&image.Image{ID: id(4), Owner: "p", Status: image.Queued},
			&image.Image{ID: id(5), Owner: "q", Status: image.Active, Size: ptr(int64(9))})
		if u, err := s.Usage(t.Context(), s.DB, "p"); err != nil || u != (Usage{4, 1<<50 + 5, 1, 7}) {
			t.Error(u, err)
		}
		// In three stores it takes three times its size; what is being copied is on its way, with its size.
		s.must(t, func(tx *db.Tx) error {
			var all error
			for _, store := range []string{"a", "b", "c"} {
				all = errors.Join(all, s.InsertLocation(t.Context(), tx, id(2), image.Location{Store: store, Key: "key-" + store}))
			}
			_, err := tx.Exec(t.Context(), `INSERT INTO image_properties (image_id, name, value) VALUES (?, 'os_glance_importing_to_stores', 'd'), (?, 'os_glance_importing_to_stores', '')`, id(2), id(1))
			return errors.Join(all, err)
		})
		if u, err := s.Usage(t.Context(), s.DB, "p"); err != nil || u != (Usage{4, 1<<50 + 15, 2, 12}) {
			t.Error(u, err)
		}
		if u, err := s.Usage(t.Context(), s.DB, "nobody"); err != nil || u != (Usage{}) {
			t.Error(u, err)
		}
	})
}

// Those who take of one quota at once get exactly what there is, from the first
// on.
func TestQuotaIsExact(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const limit, wanted = 7, 30
		full := errors.New("full")
		var got atomic.Int32
		var all sync.WaitGroup
		for n := range wanted {
			all.Go(func() {
				ctx := context.Background()
				err := s.Tx(ctx, func(tx *db.Tx) error {
					if err := s.QuotaTurn(ctx, tx, "p"); err != nil {
						return err
					}
					used, err := s.Usage(ctx, tx, "p")
					if err == nil && used.Bytes == limit {
						err = full
					}
					if err != nil {
						return err
					}
					return s.Insert(ctx, tx, &image.Image{ID: id(n), Owner: "p", Status: image.Active, Size: ptr(int64(1)), CreatedAt: start, UpdatedAt: start})
				})
				if err == nil {
					got.Add(1)
				} else if !errors.Is(err, full) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if used, err := s.Usage(t.Context(), s.DB, "p"); err != nil || used.Bytes != limit || got.Load() != limit {
			t.Errorf("%d got something, and %+v is used (%v)", got.Load(), used, err)
		}
	})
}

// Of many who make sure that something is there, none fails.
func TestResourceTypesAreEnsuredByMany(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				ctx := context.Background()
				if err := s.Tx(ctx, func(tx *db.Tx) error { return s.EnsureResourceTypes(ctx, tx, start, "A", "B") }); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if list, err := s.ResourceTypes(t.Context()); err != nil || len(list) != 2 {
			t.Error(list, err)
		}
	})
}

func TestUploads(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		s.must(t, func(tx *db.Tx) error {
			return s.InsertUpload(ctx, tx, Upload{Key: "k1", Store: "s", ImageID: id(1), Owner: "o", Until: db.At(start)})
		})
		if list, err := s.Expired(ctx, start.Add(time.Second)); err != nil || len(list) != 1 {
			t.Error(list, err)
		}
		if held, err := s.RenewUpload(ctx, "k1", start.Add(time.Hour)); err != nil || !held {
			t.Error(held, err)
		}
		if held, err := s.RenewUpload(ctx, "k2", start); err != nil || held {
			t.Error(held, err)
		}
		if list, err := s.Expired(ctx, start.Add(time.Second)); err != nil || len(list) != 0 {
			t.Error(list, err)
		}
		if list, err := s.Uploads(ctx, s.DB, id(1)); err != nil || len(list) != 1 || list[0].Key != "k1" {
			t.Error(list, err)
		}
		s.must(t, func(tx *db.Tx) error {
			for _, want := range []bool{true, false} {
				if held, err := s.DeleteUpload(ctx, tx, "k1"); err != nil || held != want {
					t.Error(held, err)
				}
			}
			return nil
		})
	})
}

func TestTasks(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		s.must(t, func(tx *db.Tx) error {
			for n := range 5 {
				at := start.Add(time.Duration(n/2) * time.Second)
				if err := s.InsertTask(ctx, tx, image.Task{ID: id(n), Type: "api_image_import", Status: image.TaskPending, Owner: "p", ImageID: id(9),
					Input: map[string]any{"n": "ü"}, CreatedAt: at, UpdatedAt: at}); err != nil {
					return err
				}
			}
			return s.SaveTask(ctx, tx, id(0), image.TaskFailure, "why", start, start.Add(time.Hour))
		})
		got, err := s.Task(ctx, id(0), "")
		if err != nil || got.Status != image.TaskFailure || got.Message != "why" || got.Input["n"] != "ü" || got.Result != nil {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := s.Task(ctx, id(0), "q"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		q, seen := image.TaskQuery{Owner: "p", Status: image.TaskPending, Limit: 3}, 0
		for {
			list, err := s.Tasks(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			if seen += len(list); len(list) < 3 {
				break
			}
			q.Marker = &list[2]
		}
		if list, err := s.TasksOf(ctx, id(9)); seen != 4 || err != nil || len(list) != 5 || list[0].ID != id(4) {
			t.Error(seen, len(list), err)
		}
		if err := s.DeleteTasks(ctx, start.Add(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if list, err := s.TasksOf(ctx, id(9)); err != nil || len(list) != 4 {
			t.Error(len(list), err)
		}
	})
}

func TestMetadefs(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		s.must(t, func(tx *db.Tx) error {
			for range 2 {
				if err := s.EnsureResourceTypes(ctx, tx, start, "A", "B"); err != nil {
					return err
				}
			}
			if err := s.InsertNamespace(ctx, tx, &image.Namespace{Name: "n", Visibility: image.Public, Owner: "p", CreatedAt: start, UpdatedAt: start}); err != nil {
				return err
			}
			return s.InsertDefinitions(ctx, tx, "n",
				image.Definition{Kind: image.DefAssociation, Name: "A", CreatedAt: start, UpdatedAt: start},
				image.Definition{Kind: image.DefObject, Name: "A", Body: map[string]any{"x": "y"}, CreatedAt: start, UpdatedAt: start})
		})
		err := s.Tx(ctx, func(tx *db.Tx) error {
			return s.InsertNamespace(ctx, tx, &image.Namespace{Name: "n", CreatedAt: start, UpdatedAt: start})
		})
		if !fault.Is(err, fault.Conflict) {
			t.Error(err)
		}
		if list, err := s.ResourceTypes(ctx); err != nil || len(list) != 2 {
			t.Error(list, err)
		}
		for viewer, q := range map[int]image.NamespaceQuery{1: {Viewer: "q", ResourceTypes: []string{"A", "Z"}, Limit: 5}, 0: {Visibility: "private", Limit: 5}} {
			if list, err := s.Namespaces(ctx, q); err != nil || len(list) != viewer {
				t.Error(list, err)
			}
		}
		s.must(t, func(tx *db.Tx) error {
			return s.SaveNamespace(ctx, tx, "n", &image.Namespace{Name: "m", Visibility: image.Private, UpdatedAt: start})
		})
		all, err := s.Definitions(ctx, "", "m", "n")
		if err != nil || len(all["m"]) != 2 || len(all["n"]) != 0 {
			t.Error(all, err)
		}
		d, err := s.Definition(ctx, s.DB, "m", image.DefObject, "A")
		if err != nil || d.Body["x"] != "y" {
			t.Error(d, err)
		}
		s.must(t, func(tx *db.Tx) error {
			d.Name = "C"
			if err := s.SaveDefinition(ctx, tx, "m", "A", d); err != nil {
				return err
			}
			if n, err := s.DeleteDefinition(ctx, tx, "m", image.DefObject, ""); err != nil || n != 1 {
				t.Error(n, err)
			}
			return s.DeleteNamespace(ctx, tx, "m")
		})
		if _, err := s.Namespace(ctx, s.DB, "m"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}
