package store

import (
	"context"

	"kilonova/internal/db"
)

// CountChange notes that something has changed that tokens depend on. It comes
// last in a transaction: whoever changes something else meanwhile waits for it.
func CountChange(ctx context.Context, tx *db.Tx) error {
	return touch(tx.Exec(ctx, `UPDATE changes SET number = number + 1 WHERE id = 'tokens'`))
}

// Changes is how many changes have been noted.
func Changes(ctx context.Context, q db.Querier) (int64, error) {
	return db.Get[int64](ctx, q, `SELECT number FROM changes WHERE id = 'tokens'`)
}
