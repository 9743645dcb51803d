package forest

import (
	"slices"

	"kilonova/service/placement"
)

// option is one way to satisfy one group.
type option struct {
	nodes []*node // who satisfies it, each once
	takes []take
}

// take is an amount of a class from a node.
type take struct {
	node   *node
	class  string
	amount int64
}

// optionsOf returns the ways to satisfy a group below the anchor t, where helpers
// share with t.
func (s *search) optionsOf(g *group, t *tree, helpers []*node) []option {
	if g.SameProvider {
		return s.singles(g, t, helpers)
	}
	return s.spread(g, t, helpers)
}

// singles returns the providers that satisfy a group alone.
func (s *search) singles(g *group, t *tree, helpers []*node) []option {
	var list []option
	consider := func(n *node) {
		if g.inTree != "" && n.RootUUID != g.inTree || !hasRoom(n.ProviderState, g.Resources) ||
			!g.traits(n.ProviderState) || !g.aggregates(n.ProviderState) {
			return
		}
		o := option{nodes: append(s.nodes.list(1), n), takes: s.takes.list(len(g.Resources))}
		for _, a := range g.Resources {
			o.takes = append(o.takes, take{n, a.Class, a.Amount})
		}
		list = append(list, o)
	}
	for _, n := range t.nodes {
		consider(n)
	}
	for _, n := range helpers {
		consider(n)
	}
	return list
}

// spread returns the ways to satisfy the group without a suffix: each resource
// from any provider of the tree, or that shares with it; all of them together
// have the required traits, none has a forbidden one. An aggregate that the root
// is in counts for the whole tree.
func (s *search) spread(g *group, t *tree, helpers []*node) []option {
	if g.inTree != "" && t.nodes[0].UUID != g.inTree {
		return nil
	}
	root := t.nodes[0].ProviderState
	rootIn, rootOut := g.inAggregates(root), g.outsideAggregates(root)
	if !rootOut {
		return nil
	}
	if len(t.nodes) == 1 && len(helpers) == 0 { // most clouds are made of such
		alone := t.nodes[:1]
		if !rootIn || !s.offers(g, alone[0], g.Resources) || !collectively(alone, g.required) {
			return nil
		}
		o := option{nodes: append(s.nodes.list(1), alone[0]), takes: s.takes.list(len(g.Resources))}
		for _, a := range g.Resources {
			o.takes = append(o.takes, take{alone[0], a.Class, a.Amount})
		}
		return append(s.options.list(1), o)
	}
	providers := make([][]*node, len(g.Resources))
	for i := range g.Resources {
		want := g.Resources[i : i+1]
		for _, n := range t.nodes {
			if (rootIn || g.inAggregates(n.ProviderState)) && s.offers(g, n, want) {
				providers[i] = append(providers[i], n)
			}
		}
		if g.inTree == "" {
			for _, n := range helpers {
				if g.inAggregates(n.ProviderState) && s.offers(g, n, want) {
					providers[i] = append(providers[i], n)
				}
			}
		}
		if len(providers[i]) == 0 {
			return nil
		}
	}
	most := s.most
	if most > 0 && (len(s.groups) > 1 || s.q.Flat) { // not each of these will be a candidate
		most = max(most, mostFruitless)
	}
	var list []option
	product(providers, nil, func(picked []*node) bool {
		if collectively(picked, g.required) {
			list = append(list, s.spreadOption(g, picked))
		}
		return s.goOn() && (most == 0 || len(list) < most)
	})
	return list
}

func (s *search) offers(g *group, n *node, want []placement.Amount) bool {
	return hasRoom(n.ProviderState, want) && noneOf(n.Traits, g.forbidden, has) && g.outsideAggregates(n.ProviderState)
}

// product calls f with each way to pick one of each list, until f returns false.
func product(lists [][]*node, picked []*node, f func([]*node) bool) bool {
	if len(picked) == len(lists) {
		return f(picked)
	}
	for _, n := range lists[len(picked)] {
		if !product(lists, append(picked, n), f) {
			return false
		}
	}
	return true
}

// collectively reports whether nodes together have the required traits.
func collectively(nodes []*node, required [][]string) bool {
	for _, options := range required {
		if !slices.ContainsFunc(nodes, func(n *node) bool {
			return slices.ContainsFunc(options, func(o string) bool { return has(n.Traits, o) })
		}) {
			return false
		}
	}
	return true
}

func (s *search) spreadOption(g *group, picked []*node) option {
	o := option{nodes: s.nodes.list(len(picked)), takes: s.takes.list(len(picked))}
	for i, n := range picked {
		if !slices.Contains(o.nodes, n) {
			o.nodes = append(o.nodes, n)
		}
		o.takes = append(o.takes, take{n, g.Resources[i].Class, g.Resources[i].Amount})
	}
	return o
}

// choice is a set of options, one a group, being put together.
type choice struct {
	picked []*option
	takes  []take // with the amounts of one class from one node added up
}

// take adds an option and reports whether all still fits.
func (c *choice) take(o *option) bool {
	fits := true
	for _, t := range o.takes {
		i := slices.IndexFunc(c.takes, func(have take) bool { return have.node == t.node && have.class == t.class })
		if i < 0 {
			c.takes = append(c.takes, t) // that it fits alone is known
			continue
		}
		c.takes[i].amount += t.amount
		inv := t.node.Inventory(t.class)
		if sum := c.takes[i].amount; sum > inv.MaxUnit || inv.Used+sum > inv.Capacity() {
			fits = false
		}
	}
	return fits
}

// undo takes an option away again; before is how many takes there were without it.
func (c *choice) undo(before int, o *option) {
	for _, t := range o.takes {
		for i := range c.takes[:before] {
			if c.takes[i].node == t.node && c.takes[i].class == t.class {
				c.takes[i].amount -= t.amount
			}
		}
	}
	c.takes = c.takes[:before]
}

// has reports whether a group with a suffix is satisfied by n already.
func (c *choice) has(groups []group, n *node) bool {
	for i, o := range c.picked {
		if groups[i].SameProvider && o.nodes[0] == n {
			return true
		}
	}
	return false
}

// twiceInOneTree reports whether a choice takes from two providers of a tree.
func (c *choice) twiceInOneTree() bool {
	for i, a := range c.takes {
		for _, b := range c.takes[:i] {
			if a.node != b.node && a.node.RootUUID == b.node.RootUUID {
				return true
			}
		}
	}
	return false
}

// subtrees reports whether each set of groups that must be in one subtree is,
// as far as the last option picked completes it.
func (s *search) subtrees(c *choice) bool {
	newest := s.groups[len(c.picked)-1].Suffix
	for _, suffixes := range s.q.SameSubtree {
		if !slices.Contains(suffixes, newest) {
			continue
		}
		var nodes []*node
		for i, o := range c.picked {
			if slices.Contains(suffixes, s.groups[i].Suffix) {
				nodes = append(nodes, o.nodes...)
			}
		}
		later := func(g group) bool { return slices.Contains(suffixes, g.Suffix) }
		if slices.ContainsFunc(s.groups[len(c.picked):], later) {
			continue
		}
		if !slices.ContainsFunc(nodes, func(top *node) bool {
			return !slices.ContainsFunc(nodes, func(n *node) bool { return !n.below(top) })
		}) {
			return false
		}
	}
	return true
}

// below reports whether n is top or has it among its ancestors.
func (n *node) below(top *node) bool {
	for ; n != nil; n = n.parent {
		if n == top {
			return true
		}
	}
	return false
}

// candidate copies a choice out. onlySharing says that no provider is one that
// must be in the anchor's own tree.
func (c *choice) candidate(s *search) (out placement.Candidate, onlySharing bool) {
	onlySharing = true
	providers := 0
	for i, t := range c.takes {
		if !slices.ContainsFunc(c.takes[:i], func(earlier take) bool { return earlier.node == t.node }) {
			providers++
		}
	}
	out.Allocations = s.claimed.list(providers)
	amounts := s.amounts.list(len(c.takes))
	for i, t := range c.takes {
		if slices.ContainsFunc(c.takes[:i], func(earlier take) bool { return earlier.node == t.node }) {
			continue
		}
		onlySharing = onlySharing && t.node.shares
		start := len(amounts)
		for _, same := range c.takes[i:] {
			if same.node == t.node {
				amounts = append(amounts, placement.Amount{Class: same.class, Amount: same.amount})
			}
		}
		out.Allocations = append(out.Allocations, placement.CandidateAllocation{Provider: t.node.ProviderState, Amounts: amounts[start:len(amounts):len(amounts)]})
	}
	out.Mappings = s.mappings.list(len(c.picked))
	for i, o := range c.picked {
		m := placement.Mapping{Suffix: s.groups[i].Suffix, Providers: s.satisfying.list(len(o.nodes))}
		for _, n := range o.nodes {
			m.Providers = append(m.Providers, n.ProviderState)
			onlySharing = onlySharing && n.shares
		}
		out.Mappings = append(out.Mappings, m)
	}
	return out, onlySharing
}
