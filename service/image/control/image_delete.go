package control

import (
	"context"
	"fmt"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/image"
)

// stagingID is the name of the staging area where stores are named.
const stagingID = "os_glance_staging_store"

// Delete removes an image at once, and its bytes soon after. Downloads that are
// under way go on; uploads find that it is gone.
func (c *Control) Delete(ctx context.Context, id string) error {
	if _, err := c.seeFor(ctx, id, "delete_image"); err != nil {
		return err
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		i, err := c.store.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if i.Protected {
			return fault.Forbiddenf("Image %s is protected and cannot be deleted.", id)
		}
		uploads, err := c.store.Uploads(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, l := range i.Locations {
			if err := c.discard(ctx, tx, l.Store, l.Key); err != nil {
				return err
			}
		}
		for _, u := range uploads {
			if err := c.discard(ctx, tx, u.Store, u.Key); err != nil {
				return err
			}
		}
		return c.store.Delete(ctx, tx, id)
	})
}

// DeleteFromStore removes an image's bytes from one of the stores that have them.
func (c *Control) DeleteFromStore(ctx context.Context, id, storeID string) error {
	if c.backend(storeID) == nil {
		return fault.Conflictf("The selected store %.64s is not available on this node.", storeID)
	}
	if _, err := c.seeFor(ctx, id, "delete_image_location"); err != nil {
		return err
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		i, err := c.store.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		at := locationIn(i, storeID)
		switch {
		case i.Status != image.Active:
			return fault.Conflictf("It's not allowed to remove image data from store if image status is not 'active'")
		case at == nil:
			return fault.NotFoundf("Image %s is not stored in store %s.", id, storeID)
		case len(i.Locations) == 1:
			return fault.Forbiddenf("Cannot delete image data from the only store containing it. Consider deleting the image instead.")
		}
		if err := c.store.DeleteLocation(ctx, tx, id, *at); err != nil {
			return err
		}
		if err := c.store.Touch(ctx, tx, id, c.stampNow()); err != nil {
			return err
		}
		return c.discard(ctx, tx, at.Store, at.Key)
	})
}

func locationIn(i *image.Image, storeID string) *image.Location {
	for n := range i.Locations {
		if i.Locations[n].Store == storeID {
			return &i.Locations[n]
		}
	}
	return nil
}

type discardPayload struct{ Store, Key string }

// discard has a blob removed, in the transaction that makes it nobody's.
func (c *Control) discard(ctx context.Context, tx *db.Tx, storeID, key string) error {
	if key == "" {
		return nil // somebody else's
	}
	return c.tasks.Add(ctx, tx, task.Task{Kind: "image.discard", Payload: discardPayload{storeID, key}, RequestID: rest.RequestID(ctx)})
}

func (c *Control) runDiscard(ctx context.Context, run *task.Run) error {
	var p discardPayload
	if err := run.Payload(&p); err != nil {
		return fmt.Errorf("discard: %w", err)
	}
	blobs := c.staging
	if p.Store != stagingID {
		b := c.backend(p.Store)
		if b == nil {
			c.log.Warn("image: data is left in a store that is no longer configured", "store", p.Store, "key", p.Key)
			return nil
		}
		blobs = b.Blobs
	}
	return blobs.Delete(ctx, p.Key)
}
