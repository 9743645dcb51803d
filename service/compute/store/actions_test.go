package store

import (
	"fmt"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// TestHistoriesAreWrittenTogether: what one transaction adds to the histories of
// several servers, for several requests, comes to the right actions in its order.
func TestHistoriesAreWrittenTogether(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		act := func(tx *db.Tx, request, server, action string) error {
			return s.InsertAction(ctx, tx, compute.Action{RequestID: request, ServerID: server, Action: action, StartedAt: epoch})
		}
		result := map[bool]*string{true: ptrTo("Success"), false: ptrTo("Error")}
		step := func(tx *db.Tx, request, server, name string, well bool, now time.Time) error {
			return s.AddEvent(ctx, tx, request, server, compute.ActionEvent{Name: name, StartedAt: epoch, FinishedAt: now, Result: result[well]}, now)
		}
		in(t, s, func(tx *db.Tx) error { // an event may come before an action of another, and beside its own
			for i := range 20 {
				server := fmt.Sprint("s", i)
				if err := act(tx, fmt.Sprint("r", i%3), server, "create"); err != nil {
					return err
				}
				if err := step(tx, fmt.Sprint("r", i%3), server, "first", true, epoch.Add(time.Second)); err != nil {
					return err
				}
			}
			return act(tx, "r0", "s0", "stop") // the same request once more: its events are the newer one's
		})
		in(t, s, func(tx *db.Tx) error {
			for i := range 20 {
				server := fmt.Sprint("s", i)
				if err := step(tx, fmt.Sprint("r", i%3), server, "second", true, epoch.Add(2*time.Second)); err != nil {
					return err
				}
				if err := step(tx, fmt.Sprint("r", i%3), server, "third", i != 7, epoch.Add(3*time.Second)); err != nil {
					return err
				}
			}
			return step(tx, "unknown", "s1", "lost", true, epoch)
		})
		for i := range 20 {
			server := fmt.Sprint("s", i)
			a, err := s.Action(ctx, s.DB, server, fmt.Sprint("r", i%3))
			if err != nil {
				t.Fatal(err)
			}
			got := a.Action + ":"
			for _, e := range a.Events {
				got += " " + e.Name
			}
			want := "create: third second first"
			if i == 0 { // all in one transaction: the newer action was there when it ended
				want = "stop: third second first"
			}
			failed := a.Message != nil && *a.Message == "Error"
			if got != want || failed != (i == 7) || !a.UpdatedAt.Equal(epoch.Add(3*time.Second)) {
				t.Errorf("%s: %q, failed: %v, changed at %v", server, got, failed, a.UpdatedAt)
			}
		}
	})
}
