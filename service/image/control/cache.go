package control

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
	"kilonova/service/image/blob"
)

// CacheState is what this node has of images beside their stores.
type CacheState struct {
	Cached []image.Cached
	Queued []string
}

// cacheKey is the name of an image's data in the cache.
func cacheKey(imageID string) string { return strings.ToLower(imageID) + ".cached" }

// HasCache reports whether this node keeps a cache.
func (c *Control) HasCache() bool { return c.cache != nil }

// mayCache enforces a rule upon the cache, and says where there is none.
func (c *Control) mayCache(ctx context.Context, rule string) error {
	if err := policy.Enforce(ctx, rule, auth.Own(ctx)); err != nil {
		return err
	}
	if c.cache == nil {
		return fault.NotFoundf("Caching via API is not supported at this site.")
	}
	return nil
}

// Cache tells what is in this node's cache and what is yet to come.
func (c *Control) Cache(ctx context.Context) (CacheState, error) {
	if err := c.mayCache(ctx, "cache_list"); err != nil {
		return CacheState{}, err
	}
	cached, err := c.store.Cached(ctx, c.store.DB, c.node)
	if err != nil {
		return CacheState{}, err
	}
	queued, err := c.store.CacheQueue(ctx, c.node)
	return CacheState{cached, queued}, err
}

// CacheImage has an image fetched into this node's cache.
func (c *Control) CacheImage(ctx context.Context, id string) error {
	if !rest.IsUUID(id) {
		return fault.NotFoundf("Image %.64s not found.", id)
	}
	i, err := c.store.Get(ctx, c.store.DB, id)
	if err != nil {
		return err
	}
	if err := c.mayCache(ctx, "cache_image"); err != nil {
		return err
	}
	if i.Status != image.Active {
		return fault.Invalidf("Only images with status active can be targeted for queueing")
	}
	return c.enqueue(ctx, id)
}

func (c *Control) enqueue(ctx context.Context, id string) error {
	err := c.store.Tx(ctx, func(tx *db.Tx) error { return c.store.Enqueue(ctx, tx, c.node, id, c.now()) })
	select {
	case c.toCache <- struct{}{}:
	default:
	}
	return err
}

// Uncache removes an image from the cache and its queue.
func (c *Control) Uncache(ctx context.Context, id string) error {
	if err := c.mayCache(ctx, "cache_delete"); err != nil {
		return err
	}
	_, imageErr := c.store.Get(ctx, c.store.DB, id)
	if imageErr != nil && !fault.Is(imageErr, fault.NotFound) {
		return imageErr
	}
	queued, err := c.store.Dequeue(ctx, c.node, id)
	if err != nil {
		return err
	}
	cached, err := c.evict(ctx, id)
	if err == nil && !cached && queued == 0 && imageErr != nil {
		err = fault.NotFoundf("Image %.64s not found.", id)
	}
	return err
}

// ClearCache empties the cache, its queue or, for "", both, and says how many
// images each of them had.
func (c *Control) ClearCache(ctx context.Context, target string) (cached, queued int64, err error) {
	if err := c.mayCache(ctx, "cache_delete"); err != nil {
		return 0, 0, err
	}
	if target != "" && target != "cache" && target != "queue" {
		return 0, 0, fault.Invalidf("If provided 'x-image-cache-clear-target' must be 'cache', 'queue' or empty string.")
	}
	if target != "cache" {
		if queued, err = c.store.Dequeue(ctx, c.node, ""); err != nil {
			return 0, 0, err
		}
	}
	if target == "queue" {
		return 0, queued, nil
	}
	list, err := c.store.Cached(ctx, c.store.DB, c.node)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range list {
		if _, err := c.evict(ctx, e.ImageID); err != nil {
			return cached, queued, err
		}
		cached++
	}
	return cached, queued, nil
}

// evict removes an image from the cache: first the note, then the data, so that
// nothing is noted that is not there. What a crash leaves, tidyCache finds.
func (c *Control) evict(ctx context.Context, id string) (bool, error) {
	n, err := c.store.DeleteCached(ctx, c.node, id)
	if err != nil || !rest.IsUUID(id) {
		return false, err
	}
	return n > 0, c.cache.Delete(ctx, cacheKey(id))
}

// fromCache opens an image in the cache; nil: it is not there, and is fetched
// soon where that is of use.
func (c *Control) fromCache(ctx context.Context, i *image.Image) blob.Reader {
	if c.cache == nil {
		return nil
	}
	hit, err := c.store.HitCached(ctx, c.node, i.ID, c.now())
	if err == nil && hit {
		r, err := c.cache.Open(ctx, cacheKey(i.ID))
		if err == nil {
			return r
		}
		c.log.Warn("image: the cache does not have what it should", "image", i.ID, "error", err)
		_, _ = c.evict(ctx, i.ID)
	}
	// Files are as near as the cache.
	far := !slices.ContainsFunc(i.Locations, func(l image.Location) bool { b := c.backend(l.Store); return b != nil && b.Type == "file" })
	if err == nil && far && i.HashValue+i.Checksum != "" {
		err = c.enqueue(context.WithoutCancel(ctx), i.ID)
	}
	if err != nil {
		c.log.Warn("image: the cache cannot be asked", "error", err)
	}
	return nil
}

// fillCache fetches what is queued until ctx ends.
func (c *Control) fillCache(ctx context.Context) error {
	if c.cache == nil {
		return nil
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		queue, err := c.store.CacheQueue(ctx, c.node)
		for n := 0; err == nil && n < len(queue); n++ {
			if e := c.fetchToCache(ctx, queue[n]); e != nil && ctx.Err() == nil {
				c.log.Warn("image: cannot fetch into the cache", "image", queue[n], "error", e)
			}
		}
		if err != nil && ctx.Err() == nil {
			c.log.Error("image: the cache's queue cannot be read", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.toCache:
			select { // so that others may join, and that who has queued an image finds it in the queue
			case <-ctx.Done():
				return nil
			case <-time.After(cacheGather):
			}
		case <-tick.C:
			if err := c.tidyCache(ctx); err != nil && ctx.Err() == nil {
				c.log.Warn("image: cannot tidy the cache", "error", err)
			}
		}
	}
}

// cacheGather is how long an image is in the queue at least.
const cacheGather = time.Second

// fetchToCache fetches one image. Where the store does not answer it stays
// queued.
func (c *Control) fetchToCache(ctx context.Context, id string) error {
	i, err := c.store.Get(ctx, c.store.DB, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err == nil && i.Status == image.Active {
		if err = c.copyToCache(ctx, i); fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
			return err
		}
	}
	_, dequeueErr := c.store.Dequeue(ctx, c.node, id)
	return errors.Join(err, dequeueErr)
}

func (c *Control) copyToCache(ctx context.Context, i *image.Image) error {
	list, err := c.store.Cached(ctx, c.store.DB, c.node)
	if err != nil || slices.ContainsFunc(list, func(e image.Cached) bool { return e.ImageID == i.ID }) {
		return err
	}
	source, err := c.read(ctx, i, nil)
	if err != nil {
		return err
	}
	defer source.Close()
	size := source.Size()
	if err := c.makeRoom(ctx, list, size); err != nil {
		return err
	}
	w, err := c.cache.Create(ctx, cacheKey(i.ID), size)
	if err != nil {
		return err
	}
	defer func() { _ = w.Abort() }()
	sum, want := newHash(i.HashAlgo), i.HashValue
	if sum == nil || want == "" {
		sum, want = md5.New(), i.Checksum
	}
	n, err := io.Copy(io.MultiWriter(w, sum), source)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != size || want != "" && got != want {
		return fmt.Errorf("the data of image %s came with checksum %s, where %s was right", i.ID, got, want)
	}
	if err := w.Commit(ctx); err != nil {
		return err
	}
	now := c.stampNow()
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		return c.store.SaveCached(ctx, tx, c.node, image.Cached{ImageID: i.ID, Size: size, LastAccessed: now, LastModified: now})
	})
}

// makeRoom evicts what was not used for longest until size more bytes fit.
func (c *Control) makeRoom(ctx context.Context, list []image.Cached, size int64) error {
	if size > c.o.CacheMaxSize {
		return fmt.Errorf("an image of %d bytes is more than image_cache_max_size", size)
	}
	var used int64
	for _, e := range list {
		used += e.Size
	}
	for _, e := range list {
		if used+size <= c.o.CacheMaxSize {
			return nil
		}
		if _, err := c.evict(ctx, e.ImageID); err != nil {
			return err
		}
		used -= e.Size
	}
	return nil
}

// tidyCache removes images that are deleted, and data that is not noted.
func (c *Control) tidyCache(ctx context.Context) error {
	list, err := c.store.Cached(ctx, c.store.DB, c.node)
	if err != nil {
		return err
	}
	noted := map[string]bool{}
	for _, e := range list {
		_, err := c.store.Get(ctx, c.store.DB, e.ImageID)
		if fault.Is(err, fault.NotFound) {
			_, err = c.evict(ctx, e.ImageID)
		} else {
			noted[cacheKey(e.ImageID)] = true
		}
		if err != nil {
			return err
		}
	}
	return c.cache.Each(ctx, func(e blob.Entry) error {
		if noted[e.Key] || c.now().Sub(e.Modified) < time.Hour {
			return nil
		}
		return c.cache.Delete(ctx, e.Key)
	})
}
