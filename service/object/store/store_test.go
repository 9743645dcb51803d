package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/internal/fault"
	"kilonova/service/object"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func each(t *testing.T, f func(t *testing.T, s *Store)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, err := New(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		f(t, s)
	})
}

func (s *Store) must(t *testing.T, fn func(tx *db.Tx) error) {
	t.Helper()
	if err := s.Tx(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func (s *Store) container(t *testing.T, name string) *object.Container {
	t.Helper()
	c := &object.Container{ID: fmt.Sprintf("%032x", len(name)) + name, Account: "AUTH_p", Name: name, Headers: object.Headers{"X": "ü"}, CreatedAt: start, UpdatedAt: start}
	c.ID = c.ID[len(c.ID)-32:]
	s.must(t, func(tx *db.Tx) error {
		return errors.Join(s.SaveAccount(t.Context(), tx, &object.Account{Name: "AUTH_p", CreatedAt: start}), s.InsertContainer(t.Context(), tx, c))
	})
	return c
}

func TestObjectsAreCounted(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		c := s.container(t, "box")
		long := strings.Repeat("ü", 512)
		o := &object.Object{Name: long, Payload: "aa", Size: 7, ETag: "e", ContentType: "text/plain", Headers: object.Headers{"A": "b"}, Large: &object.Large{Size: 99, ETag: "f"}, CreatedAt: start, DeleteAt: start.Add(time.Hour)}
		s.must(t, func(tx *db.Tx) error {
			return errors.Join(s.BeginPayload(t.Context(), tx, "aa", "p/1", start.Add(time.Hour)), s.InsertObject(t.Context(), tx, c.ID, o), s.InsertObject(t.Context(), tx, c.ID, &object.Object{Name: long + "x", Payload: "aa", Size: 7, CreatedAt: start}))
		})
		got, err := s.Object(t.Context(), s.DB, c.ID, long)
		if err != nil || got.Name != long || got.Length() != 99 || got.Tag() != "f" || got.Headers["A"] != "b" || !got.DeleteAt.Equal(o.DeleteAt) || !got.CreatedAt.Equal(start) {
			t.Fatal(got, err)
		}
		a, err := s.Account(t.Context(), s.DB, "AUTH_p")
		if err != nil || a.Containers != 1 || a.Usage != (object.Usage{Objects: 2, Bytes: 14}) {
			t.Error(a, err)
		}
		// The second of two objects takes the payload with it, and not the first.
		if kept, err := false, error(nil); true {
			s.must(t, func(tx *db.Tx) error {
				kept, err = s.KeepPayload(t.Context(), tx, "aa", "p/1", 7, "md5", start)
				return err
			})
			if !kept {
				t.Error("not kept")
			}
		}
		for i, name := range []string{long, long + "x"} {
			s.must(t, func(tx *db.Tx) error {
				o, err := s.LockObject(t.Context(), tx, c.ID, name)
				if err != nil {
					return err
				}
				return s.DeleteObject(t.Context(), tx, c.ID, o, start)
			})
			if due, err := s.DuePayloads(t.Context(), start, 9); err != nil || len(due) != i {
				t.Error(i, due, err)
			}
		}
		if _, err := s.Object(t.Context(), s.DB, c.ID, long); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if got, err := s.Container(t.Context(), s.DB, "AUTH_p", "box"); err != nil || got.Usage != (object.Usage{}) || got.Headers["X"] != "ü" {
			t.Error(got, err)
		}
		if err := s.ForgetPayload(t.Context(), "aa"); err != nil {
			t.Error(err)
		}
		if known, err := s.PayloadKnown(t.Context(), "aa"); err != nil || known {
			t.Error(known, err)
		}
	})
}

func TestRanges(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		c := s.container(t, "box")
		all := []string{"A", "B", "a", "a b", "a/b", "b", "z", "ü", "𝄞"}
		s.must(t, func(tx *db.Tx) error {
			var err error
			for _, n := range all {
				err = errors.Join(err, s.InsertObject(t.Context(), tx, c.ID, &object.Object{Name: n, CreatedAt: start}))
			}
			return err
		})
		for _, tt := range []struct {
			r    Range
			want []string
		}{
			{Range{Limit: 99}, all}, {Range{After: "a", Until: "b", Limit: 99}, []string{"a b", "a/b"}}, {Range{From: "a", Limit: 2}, []string{"a", "a b"}},
			{Range{Until: "a", Reverse: true, Limit: 99}, []string{"B", "A"}}, {Range{From: "z", Limit: 99}, []string{"z", "ü", "𝄞"}},
		} {
			list, err := s.Objects(t.Context(), c.ID, tt.r)
			var names []string
			for _, o := range list {
				names = append(names, o.Name)
			}
			if err != nil || !slices.Equal(names, tt.want) {
				t.Errorf("%+v: %q, not %q; %v", tt.r, names, tt.want, err)
			}
		}
		s.container(t, "other box")
		if list, err := s.Containers(t.Context(), "AUTH_p", Range{After: "box", Limit: 9}); err != nil || len(list) != 1 || list[0].Name != "other box" {
			t.Error(list, err)
		}
	})
}

func TestPayloadsHaveWriters(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		s.must(t, func(tx *db.Tx) error {
			var err error
			for _, w := range []string{"here/1", "here/2", "there/1"} {
				err = errors.Join(err, s.BeginPayload(t.Context(), tx, "id of "+w, w, start.Add(time.Hour)))
			}
			return err
		})
		if err := s.Inherit(t.Context(), "here", "here/2", start); err != nil {
			t.Fatal(err)
		}
		if due, err := s.DuePayloads(t.Context(), start, 9); err != nil || !slices.Equal(due, []string{"id of here/1"}) {
			t.Error(due, err)
		}
		s.must(t, func(tx *db.Tx) error {
			if kept, err := s.KeepPayload(t.Context(), tx, "id of here/1", "here/1", 1, "m", start); err != nil || kept {
				t.Error("what is nobody's was kept", err)
			}
			kept, err := s.KeepPayload(t.Context(), tx, "id of here/2", "here/2", 1, "m", start)
			if !kept {
				t.Error("not kept")
			}
			return err
		})
		if list, err := s.Payloads(t.Context(), "", 9); err != nil || len(list) != 1 || list[0].MD5 != "m" {
			t.Error(list, err)
		}
	})
}

// A payload that no object refers to, whatever its row says, is found and becomes
// nobody's; one that cannot be removed now waits.
func TestUnreferredPayloads(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		c := s.container(t, "box")
		s.must(t, func(tx *db.Tx) error {
			var err error
			for _, id := range []string{"aa", "bb"} {
				err = errors.Join(err, s.BeginPayload(t.Context(), tx, id, "p/1", start.Add(time.Hour)))
				_, kept := s.KeepPayload(t.Context(), tx, id, "p/1", 1, "m", start)
				err = errors.Join(err, kept)
			}
			return errors.Join(err, s.InsertObject(t.Context(), tx, c.ID, &object.Object{Name: "o", Payload: "aa", CreatedAt: start, DeleteAt: start}))
		})
		lost, err := s.Unreferred(t.Context(), 9)
		if err != nil || !slices.Equal(lost, []string{"bb"}) {
			t.Fatal(lost, err)
		}
		if err := errors.Join(s.DropUnreferred(t.Context(), "aa", start), s.DropUnreferred(t.Context(), "bb", start)); err != nil {
			t.Fatal(err)
		}
		if due, err := s.DuePayloads(t.Context(), start, 9); err != nil || !slices.Equal(due, lost) {
			t.Error(due, err)
		}
		if err := s.PostponePayload(t.Context(), "bb", start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if due, err := s.DuePayloads(t.Context(), start, 9); err != nil || len(due) != 0 {
			t.Error(due, err)
		}
		if kept, err := s.PayloadKept(t.Context(), "aa"); err != nil || !kept {
			t.Error(kept, err)
		}
		if kept, err := s.PayloadKept(t.Context(), "bb"); err != nil || kept {
			t.Error(kept, err)
		}
		if over, err := s.Ended(t.Context(), start, 9); err != nil || len(over) != 1 || over[0] != (object.Path{Account: "AUTH_p", Container: "box", Object: "o"}) {
			t.Error(over, err)
		}
		if over, err := s.Ended(t.Context(), start.Add(-time.Second), 9); err != nil || len(over) != 0 {
			t.Error(over, err)
		}
	})
}
