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

type row struct {
	Seq        int64   `db:"seq"`
	ID         string  `db:"id"`
	Kind       string  `db:"kind"`
	Subject    string  `db:"subject"`
	Step       string  `db:"step"`
	Payload    string  `db:"payload"`
	RequestID  string  `db:"request_id"`
	Attempts   int     `db:"attempts"`
	LastError  string  `db:"last_error"`
	RunAt      db.Time `db:"run_at"`
	LeaseOwner string  `db:"lease_owner"`
	LeaseUntil db.Time `db:"lease_until"`
	CreatedAt  db.Time `db:"created_at"`
}

// Add writes a task in tx. The runner is told after the commit.
func (r *Runner) Add(ctx context.Context, tx *db.Tx, t Task) error {
	payload, err := json.Marshal(t.Payload)
	if err != nil {
		return err
	}
	now := r.Now()
	_, err = tx.Exec(ctx, `INSERT INTO tasks
		(id, kind, subject, step, payload, request_id, attempts, run_at, created_at) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)`,
		uuid.NewString(), t.Kind, t.Subject, t.Step, string(payload), t.RequestID, db.At(now.Add(t.After)), db.At(now))
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
