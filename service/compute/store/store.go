// Package store keeps the compute service's state in SQL, one file a resource.
// It decides nothing: what may be written when is control's.
package store

import (
	"context"
	"embed"

	"kilonova/internal/db"
	"kilonova/internal/task"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is the compute service's database.
type Store struct {
	DB *db.DB
	// Watcher is told of what happens to servers; nil: nobody is.
	Watcher Watcher
}

// New brings the database to its newest form and returns the store.
func New(ctx context.Context, d *db.DB) (*Store, error) {
	if err := d.Migrate(ctx, "compute", migrations, "migrations"); err != nil {
		return nil, err
	}
	if err := task.Migrate(ctx, d); err != nil {
		return nil, err
	}
	return &Store{DB: d}, nil
}

// Tx runs fn in a transaction; see db.DB.Tx.
func (s *Store) Tx(ctx context.Context, fn func(tx *db.Tx) error) error { return s.DB.Tx(ctx, fn) }

// Together runs fn in a transaction that others may share; see db.DB.Together.
func (s *Store) Together(ctx context.Context, fn func(tx *db.Tx) error) error {
	return s.DB.Together(ctx, fn)
}
