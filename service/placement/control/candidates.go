package control

import (
	"context"
	"math/rand/v2"

	"kilonova/internal/fault"
	"kilonova/service/placement"
	"kilonova/service/placement/forest"
)

// Candidates returns ways to satisfy a request, by what was free when it began.
// fault.Invalid for traits and resource classes that do not exist.
func (c *Control) Candidates(ctx context.Context, q *placement.Query) (*placement.Candidates, error) {
	c.picture.asked.Store(true)
	revision, names, err := c.store.Revisions(ctx)
	if err != nil {
		return nil, err
	}
	known, err := c.knownAt(ctx, names)
	if err != nil {
		return nil, err
	}
	for i := range q.Groups {
		g := &q.Groups[i]
		if err := known.mustKnow(g.Resources); err != nil {
			return nil, rephrase(err, fault.Invalid, "Invalid resource class in resources parameter")
		}
		if err := known.mustKnow(nil, all(g.Required, g.Forbidden)...); err != nil {
			return nil, fault.Invalidf("%w", err)
		}
	}
	if err := known.mustKnow(nil, append(q.RootRequired, q.RootForbidden...)...); err != nil {
		return nil, fault.Invalidf("%w", err)
	}
	f, err := c.at(ctx, revision)
	if err != nil {
		return nil, err
	}
	m := forest.Manners{Most: max(c.options.MaxCandidates, 0), BreadthFirst: c.options.Strategy == "breadth-first"}
	if c.options.Randomize {
		m.Random = rand.New(rand.NewPCG(c.seed(), c.seed()))
	}
	found, err := f.Candidates(ctx, q, m)
	if err == nil && found.GaveUp {
		c.log.Warn("a search for allocation candidates gave up on trees with too many combinations", "groups", len(q.Groups), "found", len(found.Requests))
	}
	return found, err
}

// Providers returns the providers that match a filter.
func (c *Control) Providers(ctx context.Context, filter placement.ProviderFilter) ([]*placement.ProviderState, error) {
	if len(filter.Resources)+len(filter.Required)+len(filter.Forbidden) > 0 {
		known, err := c.known(ctx)
		if err != nil {
			return nil, err
		}
		if err := known.mustKnow(filter.Resources); err != nil {
			return nil, rephrase(err, fault.Invalid, "Invalid resource class in resources parameter")
		}
		if err := known.mustKnow(nil, all(filter.Required, filter.Forbidden)...); err != nil {
			return nil, rephrase(err, fault.Invalid, `Invalid trait(s) in "required" parameter`)
		}
	}
	f, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	return f.List(filter), nil
}
