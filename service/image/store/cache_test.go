package store

import (
	"slices"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/service/image"
)

func TestCacheIsEachNodesOwn(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for n := range 3 {
			s.must(t, func(tx *db.Tx) error {
				return s.SaveCached(t.Context(), tx, "a", image.Cached{ImageID: id(n), Size: int64(n), LastAccessed: start.Add(time.Duration(n) * time.Second), LastModified: start})
			})
			s.must(t, func(tx *db.Tx) error {
				return s.Enqueue(t.Context(), tx, "a", id(n), start.Add(-time.Duration(n)*time.Second))
			})
		}
		s.must(t, func(tx *db.Tx) error {
			return s.SaveCached(t.Context(), tx, "b", image.Cached{ImageID: id(0), LastAccessed: start, LastModified: start})
		})
		s.must(t, func(tx *db.Tx) error {
			return s.SaveCached(t.Context(), tx, "a", image.Cached{ImageID: id(1), Size: 9, LastAccessed: start.Add(time.Second), LastModified: start})
		})
		if hit, err := s.HitCached(t.Context(), "a", id(0), start.Add(time.Hour)); err != nil || !hit {
			t.Error(hit, err)
		}
		if hit, err := s.HitCached(t.Context(), "b", id(2), start); err != nil || hit {
			t.Error(hit, err)
		}
		list, err := s.Cached(t.Context(), s.DB, "a")
		if err != nil || len(list) != 3 || list[0].ImageID != id(1) || list[0].Size != 9 || list[2].ImageID != id(0) || list[2].Hits != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		if queue, err := s.CacheQueue(t.Context(), "a"); err != nil || !slices.Equal(queue, []string{id(2), id(1), id(0)}) {
			t.Error(queue, err)
		}
		if n, err := s.Dequeue(t.Context(), "a", id(1)); n != 1 || err != nil {
			t.Error(n, err)
		}
		if n, err := s.Dequeue(t.Context(), "a", ""); n != 2 || err != nil {
			t.Error(n, err)
		}
		if n, err := s.DeleteCached(t.Context(), "a", ""); n != 3 || err != nil {
			t.Error(n, err)
		}
		if list, err := s.Cached(t.Context(), s.DB, "b"); err != nil || len(list) != 1 {
			t.Error(list, err)
		}
	})
}

func TestLocationsAreReplacedInOrder(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		insert(t, s, &image.Image{ID: id(1), Owner: "p", Status: image.Active}, &image.Image{ID: id(2), Owner: "p", Status: image.Active})
		all := []image.Location{{Store: "web", URL: "http://b/", Metadata: map[string]any{"n": 1.}}, {Store: "web", URL: "http://a/"}, {Store: "file", Key: "key.1", URL: "file:///x"}}
		for _, i := range []int{1, 2} {
			s.must(t, func(tx *db.Tx) error { return s.ReplaceLocations(t.Context(), tx, id(i), all) })
		}
		all = []image.Location{all[2], all[0], all[1]}
		s.must(t, func(tx *db.Tx) error { return s.ReplaceLocations(t.Context(), tx, id(1), all) })
		s.must(t, func(tx *db.Tx) error { return s.DeleteLocation(t.Context(), tx, id(1), all[2]) })
		i, err := s.Get(t.Context(), s.DB, id(1))
		if err != nil || len(i.Locations) != 2 || i.Locations[0].Key != "key.1" || i.Locations[1].URL != "http://b/" || i.Locations[1].Metadata["n"] != 1. {
			t.Errorf("%+v, %v", i, err)
		}
		if i, err := s.Get(t.Context(), s.DB, id(2)); err != nil || len(i.Locations) != 3 {
			t.Errorf("%+v, %v", i, err)
		}
	})
}

func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		insert(t, s, &image.Image{ID: id(1), Owner: "p", CreatedAt: start}, &image.Image{ID: id(2), Owner: "p", CreatedAt: start})
		s.must(t, func(tx *db.Tx) error { return s.Delete(t.Context(), tx, id(2)) })
		for n, status := range []image.TaskStatus{image.TaskSuccess, image.TaskFailure, image.TaskProcessing} {
			s.must(t, func(tx *db.Tx) error {
				return s.InsertTask(t.Context(), tx, image.Task{ID: id(n), Type: "import", Status: status, ImageID: id(1), CreatedAt: start, UpdatedAt: start})
			})
		}
		if n, err := s.PurgeTasks(t.Context(), start); n != 0 || err != nil {
			t.Error("too young:", n, err)
		}
		if n, err := s.PurgeTasks(t.Context(), start.Add(time.Second)); n != 2 || err != nil {
			t.Error(n, err)
		}
		if n, err := s.PurgeIDs(t.Context(), start.Add(time.Second)); n != 1 || err != nil {
			t.Error(n, err)
		}
		insert(t, s, &image.Image{ID: id(2), Owner: "p", CreatedAt: start}) // its id may be used again
	})
}
