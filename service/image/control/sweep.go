package control

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/task"
	"kilonova/service/image/blob"
	"kilonova/service/image/store"
)

const (
	sweepEvery  = 10 * time.Second
	strayAge    = 24 * time.Hour // of begun blobs that nobody knows of
	straysEvery = time.Hour
)

// sweep ends what others left half done: at once, and from then on regularly.
func (c *Control) sweep(ctx context.Context) error {
	if err := c.inherit(ctx); err != nil && ctx.Err() == nil {
		c.log.Error("image: uploads of an earlier process wait until their leases end", "error", err)
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var strays time.Time
	for {
		if err := c.expire(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("image: cannot sweep", "error", err)
		}
		if now := c.now(); now.Sub(strays) >= straysEvery {
			strays = now
			if err := c.removeStrays(ctx); err != nil && ctx.Err() == nil {
				c.log.Error("image: cannot look for strays", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// inherit voids the leases of an earlier process at this place: nobody writes what
// it wrote, and those who wait for it need not wait for a lease to run out.
func (c *Control) inherit(ctx context.Context) error {
	if c.node == "" {
		return nil
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE uploads SET lease_until = ? WHERE lease_owner > ? AND lease_owner < ? AND lease_owner <> ?`,
			db.At(time.Unix(1, 0)), c.node+"/", c.node+"0", c.process) // 0 comes after /
		return err
	})
}

// expire takes away uploads whose writer has died and stages that were never
// imported, and queues their images again. Tasks that ended long ago go too.
func (c *Control) expire(ctx context.Context) error {
	now := c.now()
	expired, err := c.store.Expired(ctx, now)
	if err != nil {
		return err
	}
	for _, u := range expired {
		if err := c.expireOne(ctx, u, now); err != nil {
			return err
		}
	}
	return c.store.DeleteTasks(ctx, now)
}

func (c *Control) expireOne(ctx context.Context, u store.Upload, now time.Time) error {
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		if pending, err := task.Pending(ctx, tx, u.ImageID); err != nil || pending {
			return err // an import will see to it
		}
		n, err := tx.Exec(ctx, `DELETE FROM uploads WHERE blob_key = ? AND lease_until < ?`, u.Key, db.At(now))
		if err != nil || n == 0 {
			return err
		}
		c.log.Warn("image: an upload ended with its writer", "image", u.ImageID, "store", u.Store, "key", u.Key)
		if err := c.requeue(ctx, tx, u.ImageID); err != nil {
			return err
		}
		return c.discard(ctx, tx, u.Store, u.Key)
	})
}

// removeStrays deletes begun blobs that no upload is noted for and that nobody
// has written to for a day. Whole blobs are never deleted for being unknown:
// it may be the database that is wrong.
func (c *Control) removeStrays(ctx context.Context) error {
	for _, b := range append(c.backends[:len(c.backends):len(c.backends)], Backend{ID: stagingID, Blobs: c.staging}) {
		err := b.Blobs.Each(ctx, func(e blob.Entry) error {
			if e.Whole || c.now().Sub(e.Modified) < strayAge {
				return nil
			}
			wanted, err := c.store.Wanted(ctx, c.store.DB, b.ID, e.Key)
			if err != nil || wanted {
				return err
			}
			c.log.Warn("image: removing begun data that nobody knows of", "store", b.ID, "key", e.Key)
			return b.Blobs.Delete(ctx, e.Key)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
