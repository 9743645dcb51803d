package task

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"kilonova/internal/db"
)

// TestWhatIsBegunIsEndedOrTakenUp: a task that its caller has under way is nobody
// else's until he lets it go or dies, and is gone once he has ended it.
func TestWhatIsBegunIsEndedOrTakenUp(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		taken := make(chan string, 8)
		handlers := map[string]Handler{"clean": func(_ context.Context, run *Run) error {
			var what string
			err := run.Payload(&what)
			taken <- what
			return err
		}}
		r, _ := start(t, d, "here", time.Second, handlers)
		begin := func(r *Runner, what string) (*Run, func()) {
			t.Helper()
			run, let, err := r.Begin(t.Context(), Task{Kind: "clean", Payload: what})
			if err != nil {
				t.Fatal(err)
			}
			return run, let
		}
		end := func(run *Run) error {
			return d.Tx(t.Context(), func(tx *db.Tx) error { return run.EndIn(t.Context(), tx) })
		}
		run, let := begin(r, "ended")
		if err := end(run); err != nil {
			t.Fatal(err)
		}
		let()
		run, let = begin(r, "let go")
		let()
		if got := await(t, taken); got != "let go" {
			t.Fatalf("taken up is %q", got)
		}
		if err := end(run); !errors.Is(err, ErrLost) {
			t.Errorf("the end of what was let go: %v", err)
		}
		dying := &Runner{DB: d, Place: "there", Now: func() time.Time { return time.Now().Add(-2 * time.Second) }, Log: slog.New(slog.DiscardHandler), Lease: time.Second}
		_, let = begin(dying, "left") // its lease has run out, and the next renewal is a third of a second away
		defer let()
		if got := await(t, taken); got != "left" {
			t.Fatalf("taken up is %q", got)
		}
		_, let = begin(r, "held")
		eventually(t, "the other tasks' end", func() bool {
			n, err := db.Get[int](t.Context(), d, `SELECT COUNT(*) FROM tasks`)
			return err == nil && n == 1
		})
		select {
		case got := <-taken:
			t.Errorf("%q is taken while it is under way", got)
		default:
		}
		let()
		if got := await(t, taken); got != "held" {
			t.Fatalf("taken up is %q", got)
		}
	})
}
