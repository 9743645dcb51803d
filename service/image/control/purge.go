package control

import (
	"context"
	"time"
)

// Purge removes tasks that were over before then, whatever their time to live,
// and says how many there were.
func (c *Control) Purge(ctx context.Context, before time.Time) (int64, error) {
	return c.store.PurgeTasks(ctx, before)
}

// PurgeIDs forgets the ids of images that were deleted and had been made before
// then: they may be used again, by whoever asks for one of them.
func (c *Control) PurgeIDs(ctx context.Context, before time.Time) (int64, error) {
	return c.store.PurgeIDs(ctx, before)
}
