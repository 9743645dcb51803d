package task

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
)

// one takes one task, nil if there is none.
func (r *Runner) one(ctx context.Context) (*Run, error) {
	taken, err := r.take(ctx, 1)
	if err != nil || len(taken) == 0 {
		return nil, err
	}
	return taken[0], nil
}

// TestSeveralAreTakenAtOnce: as many as are wanted, in order, of each subject the
// oldest, and none twice.
func TestSeveralAreTakenAtOnce(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		r := &Runner{DB: d, Now: time.Now, Log: slog.New(slog.DiscardHandler), Handlers: map[string]Handler{"k": nil}}
		r.setUp()
		for _, subject := range []string{"a", "a", "b", "c", "", "", "b"} {
			add(t, r, Task{Kind: "k", Subject: subject, Payload: subject})
		}
		var seqs []int64
		for _, want := range []int{3, 2, 0} { // a b c, and two that have no subject
			taken, err := r.take(t.Context(), 3)
			if err != nil || len(taken) != want {
				t.Fatalf("%d taken and not %d: %v", len(taken), want, err)
			}
			for _, run := range taken {
				if len(seqs) > 0 && run.row.Seq <= seqs[len(seqs)-1] {
					t.Errorf("task %d after %v", run.row.Seq, seqs)
				}
				seqs = append(seqs, run.row.Seq)
				if run.Attempt != 1 {
					t.Errorf("attempt %d", run.Attempt)
				}
			}
		}
	})
}

// claimAlone is claim in a transaction of its own.
func (r *Runner) claimAlone(ctx context.Context, t row, now db.Time) (won bool, err error) {
	err = r.DB.Tx(ctx, func(tx *db.Tx) error {
		won, err = r.claim(ctx, tx, t, now)
		return err
	})
	return won, err
}

// TestWhatIsUnderWayIsNotRead: looking for tasks costs by those that may run, not
// by those that somebody has.
func TestWhatIsUnderWayIsNotRead(t *testing.T) {
	d := dbtest.SQLite(t)
	if err := Migrate(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	type asked struct {
		query string
		args  []any
	}
	var seen []asked
	d.Trace = func(query string, args []any) { seen = append(seen, asked{query, args}) }
	r := &Runner{DB: d, Now: time.Now, Log: slog.New(slog.DiscardHandler), Handlers: map[string]Handler{"k": nil}}
	r.setUp()
	if _, err := r.take(t.Context(), 3); err != nil || len(seen) != 1 {
		t.Fatalf("%d questions, %v", len(seen), err)
	}
	d.Trace = nil
	type planStep struct {
		ID     int    `db:"id"`
		Parent int    `db:"parent"`
		Unused int    `db:"notused"`
		Detail string `db:"detail"`
	}
	steps, err := db.Select[planStep](t.Context(), d, "EXPLAIN QUERY PLAN "+seen[0].query, seen[0].args...)
	if err != nil {
		t.Fatal(err)
	}
	plan := fmt.Sprint(steps)
	for _, part := range []string{"tasks_free (lease_until<?)", "tasks_free (lease_until=?)"} {
		if !strings.Contains(plan, part) {
			t.Errorf("not found by %s: %s", part, plan)
		}
	}
	if strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN t ") {
		t.Errorf("read whole, or sorted: %s", plan)
	}
}
