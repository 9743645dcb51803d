package forest

import (
	"slices"

	"kilonova/service/placement"
)

// conditions are those of a group or a filter that look at one provider.
type conditions struct {
	required    [][]string
	forbidden   []string
	memberOf    [][]string
	notMemberOf []string
}

// anyOf reports whether list has one of each alternative.
func anyOf(list []string, alternatives [][]string, contains func([]string, string) bool) bool {
	for _, options := range alternatives {
		if !slices.ContainsFunc(options, func(o string) bool { return contains(list, o) }) {
			return false
		}
	}
	return true
}

func noneOf(list, forbidden []string, contains func([]string, string) bool) bool {
	return !slices.ContainsFunc(forbidden, func(o string) bool { return contains(list, o) })
}

func (c *conditions) traits(p *placement.ProviderState) bool {
	return anyOf(p.Traits, c.required, has) && noneOf(p.Traits, c.forbidden, has)
}

func (c *conditions) aggregates(p *placement.ProviderState) bool {
	return c.inAggregates(p) && c.outsideAggregates(p)
}

func (c *conditions) inAggregates(p *placement.ProviderState) bool {
	return len(c.memberOf) == 0 || anyOf(p.Aggregates, c.memberOf, slices.Contains[[]string])
}

func (c *conditions) outsideAggregates(p *placement.ProviderState) bool {
	return noneOf(p.Aggregates, c.notMemberOf, slices.Contains[[]string])
}

func hasRoom(p *placement.ProviderState, want []placement.Amount) bool {
	for _, a := range want {
		if i := p.Inventory(a.Class); i == nil || !i.HasRoom(a.Amount) {
			return false
		}
	}
	return true
}

// List returns the providers that match a filter, tree by tree.
func (f *Forest) List(filter placement.ProviderFilter) []*placement.ProviderState {
	root := ""
	if filter.InTree != "" {
		if root = f.Root(filter.InTree); root == "" {
			return nil
		}
	}
	if filter.UUID != "" {
		f.mu.RLock()
		p := f.nodes[filter.UUID]
		f.mu.RUnlock()
		if p == nil || root != "" && p.RootUUID != root {
			return nil
		}
		return matching(nil, p, filter)
	}
	var list []*placement.ProviderState
	for t := range f.View().trees.all() {
		if root != "" && t.nodes[0].UUID != root {
			continue
		}
		for _, n := range t.nodes {
			list = matching(list, n.ProviderState, filter)
		}
	}
	return list
}

// matching appends p to list if it matches.
func matching(list []*placement.ProviderState, p *placement.ProviderState, f placement.ProviderFilter) []*placement.ProviderState {
	c := conditions{f.Required, f.Forbidden, f.MemberOf, f.NotMemberOf}
	if f.Name != "" && p.Name != f.Name || !c.traits(p) || !c.aggregates(p) || !hasRoom(p, f.Resources) {
		return list
	}
	return append(list, p)
}
