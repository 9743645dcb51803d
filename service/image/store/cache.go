package store

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/image"
)

type cachedRow struct {
	Node         string  `db:"node"`
	ImageID      string  `db:"image_id"`
	Size         int64   `db:"size"`
	Hits         int64   `db:"hits"`
	LastAccessed db.Time `db:"last_accessed"`
	LastModified db.Time `db:"last_modified"`
}

// Cached lists what a node has in its cache, the longest unused first.
func (s *Store) Cached(ctx context.Context, q db.Querier, node string) ([]image.Cached, error) {
	rows, err := db.Select[cachedRow](ctx, q, `SELECT * FROM cached_images WHERE node = ? ORDER BY last_accessed, image_id`, node)
	list := make([]image.Cached, len(rows))
	for i, r := range rows {
		list[i] = image.Cached{ImageID: r.ImageID, Size: r.Size, Hits: r.Hits, LastAccessed: r.LastAccessed.Time, LastModified: r.LastModified.Time}
	}
	return list, err
}

// SaveCached notes that a node has an image in its cache now.
func (s *Store) SaveCached(ctx context.Context, tx *db.Tx, node string, c image.Cached) error {
	if _, err := tx.Exec(ctx, `DELETE FROM cached_images WHERE node = ? AND image_id = ?`, node, c.ImageID); err != nil {
		return err
	}
	return db.Insert(ctx, tx, "cached_images", cachedRow{node, c.ImageID, c.Size, c.Hits, db.At(c.LastAccessed), db.At(c.LastModified)})
}

// HitCached counts a use; false says that the node does not have the image.
func (s *Store) HitCached(ctx context.Context, node, imageID string, now time.Time) (bool, error) {
	n, err := s.DB.Exec(ctx, `UPDATE cached_images SET hits = hits + 1, last_accessed = ? WHERE node = ? AND image_id = ?`, db.At(now), node, imageID)
	return n == 1, err
}

// DeleteCached forgets an image in a node's cache, imageID "" all of them, and
// says how many there were.
func (s *Store) DeleteCached(ctx context.Context, node, imageID string) (int64, error) {
	return s.DB.Exec(ctx, `DELETE FROM cached_images WHERE node = ? AND (image_id = ? OR ? = '')`, node, imageID, imageID)
}

// CacheQueue lists what a node is to fetch, the longest waiting first.
func (s *Store) CacheQueue(ctx context.Context, node string) ([]string, error) {
	return db.Select[string](ctx, s.DB, `SELECT image_id FROM cache_queue WHERE node = ? ORDER BY queued_at, image_id`, node)
}

// Enqueue has a node fetch an image; it may be to do so already.
func (s *Store) Enqueue(ctx context.Context, tx *db.Tx, node, imageID string, now time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM cache_queue WHERE node = ? AND image_id = ?`, node, imageID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO cache_queue (node, image_id, queued_at) VALUES (?, ?, ?)`, node, imageID, db.At(now))
	return err
}

// Dequeue takes an image from a node's queue, imageID "" all of them, and says
// how many there were.
func (s *Store) Dequeue(ctx context.Context, node, imageID string) (int64, error) {
	return s.DB.Exec(ctx, `DELETE FROM cache_queue WHERE node = ? AND (image_id = ? OR ? = '')`, node, imageID, imageID)
}
