package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type consoleRow struct {
	Hash     string                          `db:"token_hash"`
	ServerID string                          `db:"server_id"`
	Type     string                          `db:"console_type"`
	Address  db.JSON[compute.ConsoleAddress] `db:"address"`
	Expires  db.Time                         `db:"expires_at"`
}

func consoleHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// InsertConsole keeps what a token opens, and forgets the tokens that are over.
func (s *Store) InsertConsole(ctx context.Context, tx *db.Tx, token string, console compute.Console, now time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM console_tokens WHERE expires_at < ?`, db.At(now)); err != nil {
		return err
	}
	return db.Insert(ctx, tx, "console_tokens", consoleRow{Hash: consoleHash(token), ServerID: console.ServerID, Type: console.Type,
		Address: db.AsJSON(console.Address), Expires: db.At(console.Expires)})
}

// Console returns what a token opens; fault.NotFound when it is none (any more).
func (s *Store) Console(ctx context.Context, q db.Querier, token string, now time.Time) (compute.Console, error) {
	row, err := db.Get[consoleRow](ctx, q, `SELECT * FROM console_tokens WHERE token_hash = ? AND expires_at >= ?`, consoleHash(token), db.At(now))
	if errors.Is(err, db.ErrNoRow) {
		return compute.Console{}, fault.NotFoundf("Token not found")
	}
	return compute.Console{ServerID: row.ServerID, Type: row.Type, Address: row.Address.V, Expires: row.Expires.Time}, err
}

// DropConsoles makes the tokens of a server open nothing.
func (s *Store) DropConsoles(ctx context.Context, tx *db.Tx, serverID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM console_tokens WHERE server_id = ?`, serverID)
	return err
}
