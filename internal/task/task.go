package task

import (
	"context"
	"embed"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"kilonova/internal/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate adds the task table to a service's database.
func Migrate(ctx context.Context, d *db.DB) error {
	return d.Migrate(ctx, "task", migrations, "migrations")
}

// Task is what has to be done.
type Task struct {
	Kind    string // which handler
	Subject string // what it is about, e.g. a server's id; "" has no order
	Step    string // where to begin; "" is the beginning
	Payload any    // as JSON
	// RequestID is the request that caused it, for the logs. May be empty.
	RequestID string
	// After delays the first attempt.
	After time.Duration
}

// newRow is what of a row a new task has.
type newRow struct {
	ID        string  `db:"id"`
	Kind      string  `db:"kind"`
	Subject   string  `db:"subject"`
	Step      string  `db:"step"`
	Payload   string  `db:"payload"`
	RequestID string  `db:"request_id"`
	Attempts  int     `db:"attempts"`
	RunAt     db.Time `db:"run_at"`
	CreatedAt db.Time `db:"created_at"`
}

type row struct {
	newRow
	Seq        int64   `db:"seq"`
	LastError  string  `db:"last_error"`
	LeaseOwner string  `db:"lease_owner"`
	LeaseUntil db.Time `db:"lease_until"`
}

// Add writes tasks in tx, in their order. The runner is told after the commit.
func (r *Runner) Add(ctx context.Context, tx *db.Tx, tasks ...Task) error {
	now := r.Now()
	rows := make([]newRow, len(tasks))
	for i, t := range tasks {
		payload, err := json.Marshal(t.Payload)
		if err != nil {
			return err
		}
		rows[i] = newRow{ID: uuid.NewString(), Kind: t.Kind, Subject: t.Subject, Step: t.Step, Payload: string(payload), RequestID: t.RequestID,
			RunAt: db.At(now.Add(t.After)), CreatedAt: db.At(now)}
	}
	err := db.Insert(ctx, tx, "tasks", rows...)
	if err == nil {
		tx.OnCommit(r.Wake)
	}
	return err
}

// Count is how many tasks of a kind a request has caused that are not done yet.
func Count(ctx context.Context, q db.Querier, kind, requestID string) (int, error) {
	return db.Get[int](ctx, q, `SELECT COUNT(*) FROM tasks WHERE kind = ? AND request_id = ?`, kind, requestID)
}

// Pending reports whether work on subject is still to be done or under way.
func Pending(ctx context.Context, q db.Querier, subject string) (bool, error) {
	n, err := db.Get[int](ctx, q, `SELECT COUNT(*) FROM tasks WHERE subject = ?`, subject)
	return n > 0, err
}
