package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// What is taken is nobody else's until its lease ends, and what has not been
// dropped by then is taken again.
func TestNotificationsAreTakenOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
		in(t, s, func(tx *db.Tx) error {
			for i := range 50 {
				if err := s.AddNotification(ctx, tx, Notification{Topic: "t", Priority: "info", Message: fmt.Sprint(i)}, now); err != nil {
					return err
				}
			}
			return nil
		})
		var mu sync.Mutex
		var all sync.WaitGroup
		var taken []Notification
		for i := range 4 {
			all.Go(func() {
				for {
					got, err := s.TakeNotifications(context.Background(), fmt.Sprint("owner", i), now, now.Add(time.Minute), 7)
					if err != nil {
						t.Error(err)
					}
					if len(got) == 0 {
						return
					}
					mu.Lock()
					taken = append(taken, got...)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		var seqs []int64
		for _, n := range taken {
			seqs = append(seqs, n.Seq)
		}
		slices.Sort(seqs)
		if len(slices.Compact(seqs)) != 50 || len(taken) != 50 {
			t.Fatalf("%d taken, %d different", len(taken), len(slices.Compact(seqs)))
		}
		if err := s.DropNotifications(ctx, taken[:49]); err != nil {
			t.Fatal(err)
		}
		later := now.Add(2 * time.Minute)
		again, err := s.TakeNotifications(ctx, "another", later, later.Add(time.Minute), 100)
		if err != nil || len(again) != 1 || again[0].Seq != taken[49].Seq {
			t.Fatal(again, err)
		}
		if n, err := s.TrimNotifications(ctx, 0); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	})
}

// watcher counts what it is told.
type watcher struct{ acted, stepped, changed int }

func (w *watcher) Acted(context.Context, *db.Tx, compute.Action) error { w.acted++; return nil }
func (w *watcher) Stepped(context.Context, *db.Tx, compute.Action, compute.ActionEvent) error {
	w.stepped++
	return nil
}
func (w *watcher) Changed(_ context.Context, _ *db.Tx, before, after *compute.Server) error {
	if before.State != compute.Building || after.State != compute.Active {
		panic("not what changed")
	}
	w.changed++
	return nil
}

// All that happens to servers is told, whoever writes it.
func TestWatcher(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
		w := &watcher{}
		s.Watcher = w
		in(t, s, func(tx *db.Tx) error {
			return s.InsertServers(ctx, tx, &compute.Server{ID: "s1", State: compute.Building, CreatedAt: now, UpdatedAt: now})
		})
		active, power := compute.Active, compute.PowerRunning
		in(t, s, func(tx *db.Tx) error {
			if err := s.InsertAction(ctx, tx, compute.Action{RequestID: "r", ServerID: "s1", Action: "create", StartedAt: now}); err != nil {
				return err
			}
			if _, err := s.UpdateServer(ctx, tx, "s1", ServerPatch{State: &active}, Expect{States: []compute.State{compute.Building}}, now); err != nil {
				return err
			}
			if ok, err := s.UpdateServer(ctx, tx, "s1", ServerPatch{State: &active}, Expect{States: []compute.State{compute.Building}}, now); ok || err != nil {
				return fmt.Errorf("patched what is not as expected: %w", err)
			}
			if _, err := s.UpdateServer(ctx, tx, "s1", ServerPatch{Power: &power}, Expect{}, now); err != nil {
				return err
			}
			return s.AddEvent(ctx, tx, "r", "s1", compute.ActionEvent{Name: "e", StartedAt: now, FinishedAt: now}, now)
		})
		if *w != (watcher{1, 1, 1}) {
			t.Errorf("%+v", *w)
		}
	})
}
