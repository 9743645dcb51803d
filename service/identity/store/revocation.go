package store

import (
	"context"
	"time"

	"kilonova/internal/db"
)

// Revocation ends tokens of a subject that were issued up to an instant.
type Revocation struct {
	Kind         string  `db:"kind"`
	Subject      string  `db:"subject"`
	IssuedBefore db.Time `db:"issued_before"`
	ExpiresAt    db.Time `db:"expires_at"` // when no such token can be left
}

// Revoke writes a revocation; an earlier one of the same subject is replaced.
func Revoke(ctx context.Context, tx *db.Tx, r Revocation) error {
	if _, err := tx.Exec(ctx, `DELETE FROM revocations WHERE subject = ? AND kind = ?`, r.Subject, r.Kind); err != nil {
		return err
	}
	return db.Raced(db.Insert(ctx, tx, "revocations", r))
}

// RevokedUpTo returns the latest instant up to which tokens with any of the
// subjects are revoked; zero when none are.
func RevokedUpTo(ctx context.Context, q db.Querier, subjects []string) (time.Time, error) {
	in, args := db.In(subjects)
	t, err := db.Get[db.Time](ctx, q, `SELECT MAX(issued_before) FROM revocations WHERE subject IN `+in, args...)
	return t.Time, err
}

// Revocations lists those since an instant.
func Revocations(ctx context.Context, q db.Querier, since time.Time) ([]Revocation, error) {
	return db.Select[Revocation](ctx, q, `SELECT `+columns[Revocation]()+` FROM revocations WHERE issued_before >= ? ORDER BY issued_before`, db.At(since))
}

// PruneRevocations removes those of no more use.
func PruneRevocations(ctx context.Context, tx *db.Tx, now time.Time) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM revocations WHERE expires_at < ?`, db.At(now))
}
