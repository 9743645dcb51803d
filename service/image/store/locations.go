package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/image"
)

type location struct {
	Seq      int64                   `db:"seq"`
	ImageID  string                  `db:"image_id"`
	Store    string                  `db:"store"`
	Key      string                  `db:"blob_key"`
	URL      string                  `db:"url"`
	Metadata db.JSON[map[string]any] `db:"metadata"`
}

func (l *location) location() image.Location {
	return image.Location{Store: l.Store, Key: l.Key, URL: l.URL, Metadata: l.Metadata.V}
}

// InsertLocation adds a location to an image, as its last.
func (s *Store) InsertLocation(ctx context.Context, tx *db.Tx, imageID string, l image.Location) error {
	_, err := tx.Exec(ctx, `INSERT INTO image_locations (image_id, store, blob_key, url, metadata) VALUES (?, ?, ?, ?, ?)`,
		imageID, l.Store, l.Key, l.URL, db.AsJSON(l.Metadata))
	return err
}

// DeleteLocation removes a location from an image.
func (s *Store) DeleteLocation(ctx context.Context, tx *db.Tx, imageID string, l image.Location) error {
	_, err := tx.Exec(ctx, `DELETE FROM image_locations WHERE image_id = ? AND store = ? AND blob_key = ? AND url = ?`, imageID, l.Store, l.Key, l.URL)
	return err
}

// ReplaceLocations writes an image's locations anew, in their order.
func (s *Store) ReplaceLocations(ctx context.Context, tx *db.Tx, imageID string, list []image.Location) error {
	if _, err := tx.Exec(ctx, `DELETE FROM image_locations WHERE image_id = ?`, imageID); err != nil {
		return err
	}
	for _, l := range list {
		if err := s.InsertLocation(ctx, tx, imageID, l); err != nil {
			return err
		}
	}
	return nil
}

// Wanted reports whether a blob belongs to an image, or is being written, or has
// a task that will remove it.
func (s *Store) Wanted(ctx context.Context, q db.Querier, storeID, key string) (bool, error) {
	n, err := db.Get[int](ctx, q, `SELECT (SELECT COUNT(*) FROM image_locations WHERE store = ? AND blob_key = ?)
		+ (SELECT COUNT(*) FROM uploads WHERE blob_key = ?) AS n`, storeID, key, key)
	return n > 0, err
}
