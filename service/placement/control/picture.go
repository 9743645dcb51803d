package control

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"kilonova/service/placement"
	"kilonova/service/placement/forest"
)

// picture is what is kept in memory of the database. Each use of it first looks
// at the database's revisions, so that it is never older than the request.
type picture struct {
	forest    *forest.Forest
	providers atomic.Int64 // the revision that forest has
	names     atomic.Pointer[names]
	mu        sync.Mutex // held while the picture is brought up to date

	asked   atomic.Bool   // since the last claim
	claimed chan struct{} // has one when something was claimed after that
}

// names are the traits and resource classes that there are at a revision.
type names struct {
	revision        int64
	traits, classes []placement.Named
	trait, class    map[string]int // index by name
}

// Run makes the first picture, so that the first request need not wait for it, and
// brings it up to date after claims, while who has claimed is busy with other things.
// It returns when ctx ends. All works without it.
func (c *Control) Run(ctx context.Context) error {
	for {
		if _, err := c.current(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("the picture of all resource providers could not be made; the next request will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.picture.claimed:
		}
	}
}

// hasClaimed says that the picture is old. It is not made anew for every claim of
// those who claim without asking, like a scheduler that remembers what it was told.
func (p *picture) hasClaimed() {
	if p.asked.Swap(false) {
		select {
		case p.claimed <- struct{}{}:
		default:
		}
	}
}

// current brings the picture up to date and returns it.
func (c *Control) current(ctx context.Context) (*forest.Forest, error) {
	revision, _, err := c.store.Revisions(ctx)
	if err != nil {
		return nil, err
	}
	return c.at(ctx, revision)
}

// at brings the picture up to a revision of the providers and returns it.
func (c *Control) at(ctx context.Context, revision int64) (*forest.Forest, error) {
	p := &c.picture
	if p.providers.Load() >= revision {
		return p.forest, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.providers.Load()
	if have >= revision { // somebody else did it while we waited
		return p.forest, nil
	}
	delta, err := c.store.Changes(ctx, have, revision)
	if err != nil {
		return nil, err
	}
	if delta.Full {
		p.forest.Replace(delta.Changed)
	} else {
		p.forest.Apply(delta.Changed, delta.Deleted)
	}
	p.providers.Store(revision)
	return p.forest, nil
}

// known returns the names that there are.
func (c *Control) known(ctx context.Context) (*names, error) {
	_, revision, err := c.store.Revisions(ctx)
	if err != nil {
		return nil, err
	}
	return c.knownAt(ctx, revision)
}

// knownAt returns the names that there are at a revision of them.
func (c *Control) knownAt(ctx context.Context, revision int64) (*names, error) {
	p := &c.picture
	if n := p.names.Load(); n != nil && n.revision >= revision {
		return n, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := &names{revision: revision}
	customTraits, err := c.store.CustomTraits(ctx)
	if err != nil {
		return nil, err
	}
	customClasses, err := c.store.CustomClasses(ctx)
	if err != nil {
		return nil, err
	}
	n.traits, n.trait = withStandard(placement.StandardTraits, customTraits)
	n.classes, n.class = withStandard(placement.StandardClasses, customClasses)
	p.names.Store(n)
	return n, nil
}

func withStandard(standard []string, custom []placement.Named) ([]placement.Named, map[string]int) {
	all := make([]placement.Named, 0, len(standard)+len(custom))
	for _, name := range standard {
		all = append(all, placement.Named{Name: name})
	}
	all = append(all, custom...)
	index := make(map[string]int, len(all))
	for i, n := range all {
		index[n.Name] = i
	}
	return all, index
}

// mustKnow refuses traits and resource classes that do not exist.
func (n *names) mustKnow(resources []placement.Amount, traits ...string) error {
	for _, a := range resources {
		if _, ok := n.class[a.Class]; !ok {
			return placement.NoSuchClass(a.Class)
		}
	}
	for _, t := range traits {
		if _, ok := n.trait[t]; !ok {
			return placement.NoSuchTrait(t)
		}
	}
	return nil
}

// all puts conjunctions of disjunctions and single names into one list.
func all(required [][]string, forbidden []string) []string {
	return append(slices.Concat(required...), forbidden...)
}
