package task

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"kilonova/internal/db"
)

// Begin writes a task that its caller has under way already, and is the way to do
// something outside the database that only a later transaction makes sense of:
// that transaction ends the task (EndIn). If it never comes, because this process
// dies or let has been called before, the handler of the task's kind cleans up,
// as with any task that somebody left. After is not looked at.
//
// The lease is renewed until let is called, which must be.
func (r *Runner) Begin(ctx context.Context, t Task) (run *Run, let func(), err error) {
	r.setUp()
	payload, err := json.Marshal(t.Payload)
	if err != nil {
		return nil, nil, err
	}
	now := db.At(r.Now())
	run = &Run{runner: r, Subject: t.Subject, Step: t.Step, Attempt: 1, RequestID: t.RequestID, Created: now.Time,
		row: row{newRow: newRow{ID: uuid.NewString(), Kind: t.Kind, Payload: string(payload), Attempts: 1}}}
	err = r.DB.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO tasks (id, kind, subject, step, payload, request_id, attempts, run_at, created_at, lease_owner, lease_until)
			VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?)`,
			run.row.ID, t.Kind, t.Subject, t.Step, run.row.Payload, t.RequestID, now, now, r.owner, db.At(now.Add(r.Lease)))
		if err == nil {
			run.row.Seq, err = db.Get[int64](ctx, tx, `SELECT seq FROM tasks WHERE id = ?`, run.row.ID)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	renewing, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	go r.renew(renewing, stop, run)
	return run, func() {
		stop(nil)
		if run.ended {
			return
		}
		if err := run.letGo(context.WithoutCancel(ctx)); err != nil {
			r.Log.Error("task: cannot let go", "task", t.Kind, "error", err)
		}
		r.Wake()
	}, nil
}

// letGo has the task taken up by whoever comes next.
func (r *Run) letGo(ctx context.Context) error {
	_, err := r.runner.DB.Exec(ctx, `UPDATE tasks SET lease_owner = NULL, lease_until = NULL`+held, r.lease()...)
	return err
}
