package auth

import (
	"context"
	"crypto/sha256"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Cached keeps what another validator found valid for a short time, so that a
// request costs a map look-up. Tokens are kept as hashes. Refusals are not kept.
type Cached struct {
	next Validator
	ttl  time.Duration
	now  func() time.Time

	mu      sync.Mutex
	known   map[[32]byte]cached
	turn    uint64 // how often all was forgotten
	asking  singleflight.Group
	sweepAt time.Time
}

type cached struct {
	caller *Caller
	until  time.Time
}

// maxCached bounds the cache; when it is full it starts anew.
const maxCached = 20000

// NewCached returns a validator that believes next for ttl.
func NewCached(next Validator, ttl time.Duration, now func() time.Time) *Cached {
	return &Cached{next: next, ttl: ttl, now: now, known: map[[32]byte]cached{}}
}

// Validate implements Validator.
func (c *Cached) Validate(ctx context.Context, token string) (*Caller, error) {
	key := sha256.Sum256([]byte(token))
	now := c.now()
	c.mu.Lock()
	hit, ok := c.known[key]
	turn := c.turn
	c.mu.Unlock()
	if ok && now.Before(hit.until) && now.Before(hit.caller.Expires) {
		return hit.caller, nil
	}
	// Who comes after a revocation does not take the answer to a question from before.
	found, err, _ := c.asking.Do(strconv.FormatUint(turn, 10)+string(key[:]), func() (any, error) {
		return c.next.Validate(context.WithoutCancel(ctx), token)
	})
	if err != nil {
		return nil, err
	}
	caller := found.(*Caller)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turn != turn {
		return caller, nil
	}
	if len(c.known) >= maxCached {
		clear(c.known)
	}
	if now.After(c.sweepAt) {
		for k, v := range c.known {
			if now.After(v.until) {
				delete(c.known, k)
			}
		}
		c.sweepAt = now.Add(10 * c.ttl)
	}
	c.known[key] = cached{caller, now.Add(c.ttl)}
	return caller, nil
}

// ValidateLate implements LateValidator. Its answers are not kept.
func (c *Cached) ValidateLate(ctx context.Context, token string) (*Caller, error) {
	late, ok := c.next.(LateValidator)
	if !ok {
		return c.Validate(ctx, token)
	}
	return late.ValidateLate(ctx, token)
}

// Forget drops everything, also what is being asked now: some token has been
// revoked.
func (c *Cached) Forget() {
	c.mu.Lock()
	c.turn++
	clear(c.known)
	c.mu.Unlock()
}
