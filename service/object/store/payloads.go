package store

import (
	"context"
	"time"

	"kilonova/internal/db"
)

// Payload is what a device has or may have.
type Payload struct {
	ID     string  `db:"id"`
	Size   int64   `db:"size"`
	MD5    string  `db:"md5"`
	Writer string  `db:"writer"`
	Due    db.Time `db:"due"` // zero: an object refers to it
}

// BeginPayload notes that somebody writes a payload until a moment.
func (s *Store) BeginPayload(ctx context.Context, tx *db.Tx, id, writer string, until time.Time) error {
	return db.Insert(ctx, tx, "payloads", Payload{ID: id, Writer: writer, Due: db.At(until)})
}

// KeepPayload makes a payload one that an object refers to. It reports false where
// it has become nobody's meanwhile.
func (s *Store) KeepPayload(ctx context.Context, tx *db.Tx, id, writer string, size int64, md5 string, now time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE payloads SET size = ?, md5 = ?, writer = '', due = NULL WHERE id = ? AND writer = ? AND due > ?`, size, md5, id, writer, db.At(now))
	return n == 1, err
}

// GiveUpPayload makes a payload that was begun nobody's.
func (s *Store) GiveUpPayload(ctx context.Context, tx *db.Tx, id string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE payloads SET due = ?, writer = '' WHERE id = ? AND due IS NOT NULL`, db.At(now), id)
	return err
}

// Inherit makes nobody's what earlier processes at a place were writing.
func (s *Store) Inherit(ctx context.Context, place, process string, now time.Time) error {
	_, err := s.DB.Exec(ctx, `UPDATE payloads SET due = ?, writer = '' WHERE writer > ? AND writer < ? AND writer <> ?`, db.At(now), place+"/", place+"0", process) // 0 comes after /
	return err
}

// DuePayloads lists payloads that are nobody's.
func (s *Store) DuePayloads(ctx context.Context, now time.Time, limit int) ([]string, error) {
	return db.Select[string](ctx, s.DB, `SELECT id FROM payloads WHERE due <= ? ORDER BY due LIMIT ?`, db.At(now), limit)
}

// PostponePayload has a payload that is nobody's, and cannot be removed everywhere
// now, looked at again later.
func (s *Store) PostponePayload(ctx context.Context, id string, until time.Time) error {
	_, err := s.DB.Exec(ctx, `UPDATE payloads SET due = ?, writer = '' WHERE id = ? AND due IS NOT NULL`, db.At(until), id)
	return err
}

// ForgetPayload removes the row of a payload that no device has any more.
func (s *Store) ForgetPayload(ctx context.Context, id string) error {
	_, err := s.DB.Exec(ctx, `DELETE FROM payloads WHERE id = ? AND due IS NOT NULL`, id)
	return err
}

// Payloads lists the payloads that objects refer to, after one, in the order of
// their ids.
func (s *Store) Payloads(ctx context.Context, after string, limit int) ([]Payload, error) {
	return db.Select[Payload](ctx, s.DB, `SELECT id, size, md5, writer, due FROM payloads WHERE id > ? AND due IS NULL ORDER BY id LIMIT ?`, after, limit)
}

// PayloadKnown reports whether there is a row of a payload.
func (s *Store) PayloadKnown(ctx context.Context, id string) (bool, error) {
	n, err := db.Get[int](ctx, s.DB, `SELECT COUNT(*) FROM payloads WHERE id = ?`, id)
	return n > 0, err
}

// PayloadKept reports whether objects refer to a payload.
func (s *Store) PayloadKept(ctx context.Context, id string) (bool, error) {
	n, err := db.Get[int](ctx, s.DB, `SELECT COUNT(*) FROM payloads WHERE id = ? AND due IS NULL`, id)
	return n > 0, err
}

// DropUnreferred makes a payload nobody's that no object refers to.
func (s *Store) DropUnreferred(ctx context.Context, id string, now time.Time) error {
	_, err := s.DB.Exec(ctx, `UPDATE payloads SET due = ? WHERE id = ? AND due IS NULL AND NOT EXISTS (SELECT 1 FROM objects WHERE payload = ?)`, db.At(now), id, id)
	return err
}

// Unreferred lists payloads that are not nobody's, though no object refers to them.
func (s *Store) Unreferred(ctx context.Context, limit int) ([]string, error) {
	return db.Select[string](ctx, s.DB, `SELECT id FROM payloads WHERE due IS NULL AND NOT EXISTS (SELECT 1 FROM objects WHERE objects.payload = payloads.id) LIMIT ?`, limit)
}
