package metadata

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// maxCached bounds the instances that are remembered. A guest reads some twenty
// paths while it boots, and then hardly any.
const maxCached = 4096

// findTimeout ends a look-up that hangs, so that the next request starts anew.
const findTimeout = 30 * time.Second

// cache remembers found instances for a while, and lets requests for one that is
// being looked up wait for the same answer. What was not found is not
// remembered: the guest may be faster than the database.
type cache struct {
	find       func(ctx context.Context, id string) (*Instance, error)
	now        func() time.Time
	expiration time.Duration
	flights    singleflight.Group

	mu        sync.Mutex
	found     map[string]cached
	forgotten int // how often forget was called: what was being looked up then is old
}

type cached struct {
	inst  *Instance
	until time.Time
}

func newCache(find func(context.Context, string) (*Instance, error), now func() time.Time, expiration time.Duration) *cache {
	return &cache{find: find, now: now, expiration: expiration, found: map[string]cached{}}
}

func (c *cache) get(ctx context.Context, id string) (*Instance, error) {
	c.mu.Lock()
	e, ok := c.found[id]
	c.mu.Unlock()
	if ok && c.now().Before(e.until) {
		return e.inst, nil
	}
	// The look-up goes on when the first who asked has gone: others wait for it.
	flight := c.flights.DoChan(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), findTimeout)
		defer cancel()
		c.mu.Lock()
		before := c.forgotten
		c.mu.Unlock()
		inst, err := c.find(ctx, id)
		if err != nil {
			return nil, err
		}
		c.keep(id, inst, before)
		return inst, nil
	})
	select {
	case r := <-flight:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*Instance), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *cache) keep(id string, inst *Instance, before int) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forgotten != before {
		return
	}
	if len(c.found) >= maxCached {
		c.makeRoom(now)
	}
	c.found[id] = cached{inst, now.Add(c.expiration)}
}

// makeRoom drops what has expired, or anything if nothing has.
func (c *cache) makeRoom(now time.Time) {
	for id, e := range c.found {
		if !now.Before(e.until) {
			delete(c.found, id)
		}
	}
	for id := range c.found {
		if len(c.found) < maxCached {
			break
		}
		delete(c.found, id)
	}
}

func (c *cache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	delete(c.found, id)
	c.flights.Forget(id)
}
