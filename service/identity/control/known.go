package control

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"kilonova/internal/db"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Tokens that have been looked up are known for a while: as long as nothing that
// tokens stand for has changed. Each change raises a number in the database, with
// the change itself; this process sees its own at once, and those of others when
// it next looks, within lookEvery.
const (
	lookEvery = 400 * time.Millisecond
	knownFor  = 5 * time.Second // for what changes without us: a directory, the time
	maxKnown  = 20000
)

// known are the tokens that have been looked up, at one number of changes.
type known struct {
	mu     sync.Mutex
	tokens map[[32]byte]knownToken
	// catalogs are those of users and projects.
	catalogs map[[2]string]knownCatalog
	changes  int64
	seen     time.Time // when changes was read; zero: not since our own last change
}

type knownCatalog struct {
	catalog   []identity.CatalogEntry
	providers []identity.ServiceProvider
	until     time.Time
}

type knownToken struct {
	token *identity.Token
	until time.Time
}

// changing runs a transaction that changes what tokens stand for.
func (c *Control) changing(ctx context.Context, fn func(tx *db.Tx) error) error {
	return c.db.Tx(ctx, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		tx.OnCommit(c.forget)
		return store.CountChange(ctx, tx)
	})
}

// forget is called after each change.
func (c *Control) forget() {
	c.known.forget()
	c.changed()
}

// forget has the number be read before any token is believed again.
func (k *known) forget() {
	k.mu.Lock()
	k.seen = time.Time{}
	clear(k.tokens)
	clear(k.catalogs)
	k.mu.Unlock()
}

// checked is lookUp for tokens that may be known.
func (c *Control) checked(ctx context.Context, text string) (*identity.Token, error) {
	key, now := sha256.Sum256([]byte(text)), c.now()
	changes, err := c.changes(ctx, now)
	if err != nil {
		return nil, err
	}
	k := &c.known
	k.mu.Lock()
	hit, ok := k.tokens[key]
	k.mu.Unlock()
	if ok && now.Before(hit.until) {
		return hit.token, nil
	}
	t, err := c.lookUp(ctx, text)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changes != changes || k.seen.IsZero() { // something changed meanwhile: what was read may be older
		return t, nil
	}
	if k.tokens == nil || len(k.tokens) >= maxKnown {
		k.tokens = map[[32]byte]knownToken{}
	}
	k.tokens[key] = knownToken{t, now.Add(knownFor)}
	return t, nil
}

// changes returns the number of changes, at most lookEvery old, and forgets what
// is known when it has risen.
func (c *Control) changes(ctx context.Context, now time.Time) (int64, error) {
	k := &c.known
	k.mu.Lock()
	n, seen := k.changes, k.seen
	k.mu.Unlock()
	if !seen.IsZero() && now.Sub(seen).Abs() < lookEvery {
		return n, nil
	}
	n, err := store.Changes(ctx, c.db)
	if err != nil {
		return 0, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if n != k.changes {
		clear(k.tokens)
		clear(k.catalogs)
	}
	k.changes, k.seen = n, now
	return n, nil
}
