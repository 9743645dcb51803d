// Package store keeps the object service's state in SQL, one file a resource. It
// decides nothing: what may be written when is control's. Functions that write take a
// transaction, functions that read take a transaction or the database.
package store

import (
	"context"
	"embed"

	"kilonova/internal/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is the object service's database.
type Store struct{ DB *db.DB }

// New brings the database to its newest form and returns the store.
func New(ctx context.Context, d *db.DB) (*Store, error) {
	if err := d.Migrate(ctx, "object", migrations, "migrations"); err != nil {
		return nil, err
	}
	return &Store{DB: d}, nil
}

// Tx runs fn in a transaction; see db.DB.Together.
func (s *Store) Tx(ctx context.Context, fn func(tx *db.Tx) error) error {
	return s.DB.Together(ctx, fn)
}
