package control

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/compute"
)

// taskCacheImages has one host fetch images; it is about no server.
const taskCacheImages = "host.cache_images"

// cacheState is the host and what is still to be fetched.
type cacheState struct {
	Host   string   `json:"host"`
	Images []string `json:"images"`
}

// cacheTimeout bounds the fetching of one image.
const cacheTimeout = time.Hour

// CacheImages has the hosts of an aggregate that are in service fetch images
// ahead of servers.
func (c *Control) CacheImages(ctx context.Context, seq int64, images []string) error {
	if err := c.Policy.Enforce(ctx, "compute:aggregates:images", nil); err != nil {
		return err
	}
	a, err := c.Store.Aggregate(ctx, c.Store.DB, seq)
	if err != nil {
		return err
	}
	f, err := c.Fleet(ctx)
	if err != nil {
		return err
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		for _, name := range a.Hosts {
			if h := f.byName[name]; h == nil || h.disabled || !h.up(c.Now(), f.down) {
				continue
			}
			err := c.tasks.Add(ctx, tx, task.Task{Kind: taskCacheImages, Payload: cacheState{name, images}, RequestID: rest.RequestID(ctx)})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// cacheImages works off one host's images. An image that cannot be had is passed
// over: caching is a favour, and nothing waits for it.
func (c *Control) cacheImages(ctx context.Context, run *task.Run) error {
	ctx = rest.WithRequestID(ctx, run.RequestID)
	var state cacheState
	if err := run.Payload(&state); err != nil {
		return err
	}
	for len(state.Images) > 0 {
		id := state.Images[0]
		err := c.cacheImage(ctx, run, state.Host, id)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.Log.Warn("a host could not cache an image", "host", state.Host, "image", id, "error", err)
		}
		state.Images = state.Images[1:]
		if err := run.Save(ctx, run.Step, state); err != nil {
			return err
		}
	}
	return nil
}

func (c *Control) cacheImage(ctx context.Context, run *task.Run, host, id string) error {
	image, err := c.Images.Image(ctx, id)
	if err != nil {
		return err
	}
	if image.Status != "active" {
		return fault.Conflictf("Image %s is %s and not active.", id, image.Status)
	}
	request := compute.CacheImageRequest{ImageID: id, Meta: compute.ImageMeta{DiskFormat: image.DiskFormat, Properties: image.Properties}}
	_, err = work(ctx, c, compute.CacheImage, host, run.ID()+"/"+id, request, c.Now().Add(cacheTimeout), nil)
	return err
}
