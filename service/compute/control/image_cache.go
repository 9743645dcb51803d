package control

import (
	"context"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/notify"
)

// taskCacheImages has one host fetch images; it is about no server.
const taskCacheImages = "host.cache_images"

// cacheState is the host and what is still to be fetched.
type cacheState struct {
	Host   string   `json:"host"`
	Images []string `json:"images"`
	// Of are all that were asked for, Failed those that could not be had; Hosts is
	// how many hosts of Aggregate were asked.
	Of        []string `json:"of,omitempty"`
	Failed    []string `json:"failed,omitempty"`
	Hosts     int      `json:"hosts,omitempty"`
	Aggregate int64    `json:"aggregate,omitempty"`
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
	hosts := slices.DeleteFunc(slices.Clone(a.Hosts), func(name string) bool {
		h := f.byName[name]
		return h == nil || h.disabled || !h.up(c.Now(), f.down)
	})
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.tellCaching(ctx, tx, "start", a, nil); err != nil {
			return err
		}
		for _, name := range hosts {
			state := cacheState{Host: name, Images: images, Of: images, Hosts: len(hosts), Aggregate: a.Seq}
			if err := c.tasks.Add(ctx, tx, task.Task{Kind: taskCacheImages, Payload: state, RequestID: rest.RequestID(ctx)}); err != nil {
				return err
			}
		}
		if len(hosts) == 0 {
			return c.tellCaching(ctx, tx, "end", a, nil)
		}
		return nil
	})
}

// tellCaching tells a phase of an aggregate's caching, after what a host has done.
func (c *Control) tellCaching(ctx context.Context, tx *db.Tx, phase string, a compute.Aggregate, done *notify.CacheProgress) error {
	return c.tell(ctx, tx, func(cause notify.Cause) (all []notify.Message) {
		if done != nil {
			all = append(all, notify.Cached(cause, a, *done))
		}
		if phase != "" {
			all = append(all, notify.Aggregate(cause, "cache_images", phase, a))
		}
		return all
	})
}

// cached ends a host's part of an aggregate's caching, and that with the last host's.
func (c *Control) cached(ctx context.Context, run *task.Run, state cacheState) error {
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.Store.AggregatesTurn(ctx, tx); err != nil { // who is last knows it
			return err
		}
		a, missing := c.Store.Aggregate(ctx, tx, state.Aggregate)
		if missing != nil && !fault.Is(missing, fault.NotFound) {
			return missing
		}
		if err := run.EndIn(ctx, tx); err != nil || missing != nil {
			return err
		}
		left, err := task.Count(ctx, tx, taskCacheImages, run.RequestID)
		if err != nil {
			return err
		}
		phase := ""
		if left == 0 {
			phase = "end"
		}
		return c.tellCaching(ctx, tx, phase, a, &notify.CacheProgress{Host: state.Host, Index: state.Hosts - left, Total: state.Hosts, Failed: state.Failed,
			Cached: slices.DeleteFunc(slices.Clone(state.Of), func(id string) bool { return slices.Contains(state.Failed, id) })})
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
			state.Failed = append(state.Failed, id)
		}
		state.Images = state.Images[1:]
		if err := run.Save(ctx, run.Step, state); err != nil {
			return err
		}
	}
	return c.cached(ctx, run, state)
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
