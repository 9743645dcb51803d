package store

import (
	"context"
	"time"

	"kilonova/internal/db"
)

// Upload is a blob that is being written for an image, or is staged. Whoever
// writes renews its lease.
type Upload struct {
	Key     string  `db:"blob_key"`
	Store   string  `db:"store"`
	ImageID string  `db:"image_id"`
	Owner   string  `db:"lease_owner"`
	Until   db.Time `db:"lease_until"`
}

// InsertUpload notes that a blob is about to be written.
func (s *Store) InsertUpload(ctx context.Context, tx *db.Tx, u Upload) error {
	return db.Insert(ctx, tx, "uploads", u)
}

// RenewUpload extends a lease; false says that it was lost.
func (s *Store) RenewUpload(ctx context.Context, key string, until time.Time) (bool, error) {
	n, err := s.DB.Exec(ctx, `UPDATE uploads SET lease_until = ? WHERE blob_key = ?`, db.At(until), key)
	return n == 1, err
}

// DeleteUpload removes the note; false says that somebody else did.
func (s *Store) DeleteUpload(ctx context.Context, tx *db.Tx, key string) (bool, error) {
	n, err := tx.Exec(ctx, `DELETE FROM uploads WHERE blob_key = ?`, key)
	return n == 1, err
}

// Uploads lists what is being written or staged for an image.
func (s *Store) Uploads(ctx context.Context, q db.Querier, imageID string) ([]Upload, error) {
	return db.Select[Upload](ctx, q, `SELECT * FROM uploads WHERE image_id = ?`, imageID)
}

// Expired lists uploads whose lease ended before now, but for those of images
// that a task is about.
func (s *Store) Expired(ctx context.Context, now time.Time) ([]Upload, error) {
	return db.Select[Upload](ctx, s.DB, `SELECT u.* FROM uploads AS u WHERE u.lease_until < ?
		AND NOT EXISTS (SELECT 1 FROM tasks AS t WHERE t.subject = u.image_id) ORDER BY u.lease_until LIMIT 100`, db.At(now))
}
