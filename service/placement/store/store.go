package store

import (
	"context"
	"embed"
	"time"

	"kilonova/internal/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is placement's database.
type Store struct{ db *db.DB }

// New brings the tables up to date and returns the store.
func New(ctx context.Context, d *db.DB) (*Store, error) {
	if err := d.Migrate(ctx, "placement", migrations, "migrations"); err != nil {
		return nil, err
	}
	s := &Store{db: d}
	for _, name := range []string{"providers", "names"} {
		_, err := d.Exec(ctx, `INSERT INTO revisions (name, value)
			SELECT ?, 1 FROM (SELECT 1 AS one) AS once
			WHERE NOT EXISTS (SELECT 1 FROM revisions WHERE name = ?)`, name, name)
		if err != nil && !db.IsUnique(err) {
			return nil, err
		}
	}
	return s, nil
}

// writer is a transaction that remembers what it has changed.
type writer struct {
	*db.Tx
	now     db.Time
	touched map[int64]bool // ids of providers
	deleted []string       // UUIDs of providers
	names   bool           // traits or resource classes
}

// raceAttempts bounds how often a transaction is run again because another one
// inserted the same key between its look and its write.
const raceAttempts = 5

// write runs fn in a transaction and publishes what it has changed.
func (s *Store) write(ctx context.Context, now time.Time, fn func(w *writer) error) error {
	var err error
	for range raceAttempts {
		err = s.db.Tx(ctx, func(tx *db.Tx) error {
			w := &writer{Tx: tx, now: db.At(now), touched: map[int64]bool{}}
			if err := fn(w); err != nil {
				return err
			}
			return w.publish(ctx)
		})
		if !db.IsUnique(err) {
			return err
		}
	}
	return err
}

// publish raises the revisions. It is the last thing that a transaction does,
// because others wait for these rows; and as all do it last, revisions are
// committed in their order.
func (w *writer) publish(ctx context.Context) error {
	if w.names {
		if _, err := w.Exec(ctx, `UPDATE revisions SET value = value + 1 WHERE name = 'names'`); err != nil {
			return err
		}
	}
	if len(w.touched) == 0 && len(w.deleted) == 0 {
		return nil
	}
	if _, err := w.Exec(ctx, `UPDATE revisions SET value = value + 1 WHERE name = 'providers'`); err != nil {
		return err
	}
	revision, err := db.Get[int64](ctx, w, `SELECT value FROM revisions WHERE name = 'providers'`)
	if err != nil {
		return err
	}
	ids := make([]int64, 0, len(w.touched))
	for id := range w.touched {
		ids = append(ids, id)
	}
	in, args := db.In(ids)
	if _, err := w.Exec(ctx, `UPDATE providers SET revision = ? WHERE id IN `+in, append([]any{revision}, args...)...); err != nil {
		return err
	}
	for _, uuid := range w.deleted {
		if _, err := w.Exec(ctx, `INSERT INTO deleted_providers (uuid, revision) VALUES (?, ?)`, uuid, revision); err != nil {
			return err
		}
	}
	if len(w.deleted) > 0 { // Changes does not ask for what is older
		_, err = w.Exec(ctx, `DELETE FROM deleted_providers WHERE revision < ?`, revision-deletedKept)
	}
	return err
}
