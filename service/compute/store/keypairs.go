package store

import (
	"context"
	"errors"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type keypairRow struct {
	Seq         int64   `db:"seq"`
	UserID      string  `db:"user_id"`
	Name        string  `db:"name"`
	Type        string  `db:"type"`
	PublicKey   string  `db:"public_key"`
	Fingerprint string  `db:"fingerprint"`
	CreatedAt   db.Time `db:"created_at"`
}

func (r *keypairRow) keypair() compute.Keypair {
	return compute.Keypair{Seq: r.Seq, UserID: r.UserID, Name: r.Name, Type: r.Type, PublicKey: r.PublicKey, Fingerprint: r.Fingerprint, CreatedAt: r.CreatedAt.Time}
}

// InsertKeypair writes a new keypair; fault.Conflict when the user has one of
// that name.
func (s *Store) InsertKeypair(ctx context.Context, tx *db.Tx, k compute.Keypair) error {
	_, err := tx.Exec(ctx, `INSERT INTO keypairs (user_id, name, type, public_key, fingerprint, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		k.UserID, k.Name, k.Type, k.PublicKey, k.Fingerprint, db.At(k.CreatedAt))
	if db.IsUnique(err) {
		return fault.Conflictf("Key pair '%s' already exists.", k.Name)
	}
	return err
}

// Keypair returns a user's keypair; fault.NotFound if there is none.
func (s *Store) Keypair(ctx context.Context, q db.Querier, userID, name string) (compute.Keypair, error) {
	row, err := db.Get[keypairRow](ctx, q, `SELECT * FROM keypairs WHERE user_id = ? AND name = ?`, userID, name)
	if errors.Is(err, db.ErrNoRow) {
		return compute.Keypair{}, fault.NotFoundf("Keypair %s not found for user %s", name, userID)
	}
	if err != nil {
		return compute.Keypair{}, err
	}
	return row.keypair(), nil
}

// Keypairs returns a user's keypairs by name, those after marker, at most limit
// (0: all).
func (s *Store) Keypairs(ctx context.Context, q db.Querier, userID, marker string, limit int) ([]compute.Keypair, error) {
	query, args := `SELECT * FROM keypairs WHERE user_id = ? AND name > ? ORDER BY name`, []any{userID, marker}
	if limit > 0 {
		query, args = query+` LIMIT ?`, append(args, limit)
	}
	var all []compute.Keypair
	for row, err := range db.Each[keypairRow](ctx, q, query, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, row.keypair())
	}
	return all, nil
}

// DeleteKeypair removes a user's keypair; fault.NotFound if there is none.
func (s *Store) DeleteKeypair(ctx context.Context, tx *db.Tx, userID, name string) error {
	n, err := tx.Exec(ctx, `DELETE FROM keypairs WHERE user_id = ? AND name = ?`, userID, name)
	if err == nil && n == 0 {
		return fault.NotFoundf("Keypair %s not found for user %s", name, userID)
	}
	return err
}
