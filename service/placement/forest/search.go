package forest

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"kilonova/service/placement"
)

// Manners are how an operator wants searches to go.
type Manners struct {
	// Most bounds the candidates of one search; 0: no bound.
	Most int
	// BreadthFirst takes one candidate of each tree before the second of any.
	BreadthFirst bool
	// Random visits trees in a random order.
	Random *rand.Rand
}

// Candidates searches for ways to satisfy q. All of a request's providers are in
// one tree, its anchor, or share with it. An empty answer is no error; the
// search ends early when ctx does.
func (f *Forest) Candidates(ctx context.Context, q *placement.Query, m Manners) (*placement.Candidates, error) {
	mem, _ := f.memories.Get().(*memory)
	if mem == nil {
		mem = new(memory)
	}
	s := &search{ctx: ctx, q: q, view: f.View(), limit: m.Most, most: m.Most, memory: mem}
	if q.Limit > 0 && (s.limit == 0 || q.Limit < s.limit) {
		s.limit = q.Limit
	}
	for i := range q.Groups {
		g := &q.Groups[i]
		root := ""
		if g.InTree != "" {
			if root = f.Root(g.InTree); root == "" {
				return &placement.Candidates{}, nil
			}
		}
		s.groups = append(s.groups, group{Group: g, inTree: root, conditions: conditions{g.Required, g.Forbidden, g.MemberOf, g.NotMemberOf}})
	}
	s.countAlike()
	s.mixed = m.BreadthFirst && s.view.nested || len(s.view.sharing) > 0
	c := f.compare(s, m)
	switch {
	case c == nil:
		s.run(s.order(m), m.BreadthFirst)
	case !s.mixed:
		s.run(c.trees, m.BreadthFirst)
	case !s.firsts(c.trees): // who has one already may have to give another
		c = nil
		s.restart()
		s.run(s.order(m), m.BreadthFirst)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.sumUp()
	out := &placement.Candidates{Requests: s.found, Summaries: s.summaries, GaveUp: s.gaveUp, Done: func() { f.release(mem) }}
	if c != nil {
		out.Picture, out.Edits = s.view.picture, f.remember(c)
	}
	return out, nil
}

type group struct {
	*placement.Group
	conditions
	inTree string // UUID of a root
}

// search is one search under way.
type search struct {
	ctx    context.Context
	q      *placement.Query
	view   View
	groups []group
	// alike counts for each group those that ask for the same, if it is the first of
	// them, and 0 else.
	alike []int
	limit int // 0: none
	kept  int // candidates that the asker has and that still hold; they are not in found
	most  int // the operator's limit; 0: none

	seen  map[string]bool // candidates made of sharing providers only
	mixed bool            // a tree may come up again after others
	known map[*tree]bool  // in roots, if mixed
	used  map[*placement.ProviderState]bool
	steps int
	*memory

	fruitless int  // steps in the tree under search since it last gave a candidate
	gaveUp    bool // on some tree
}

// mostFruitless is after how many steps without a candidate the search gives up
// on a tree: many groups for many like providers have more combinations than
// anybody can wait for, and those not tried are like those that were.
const mostFruitless = 50_000

func (s *search) order(m Manners) iter.Seq[*tree] {
	if m.Random == nil {
		return s.view.trees.all()
	}
	trees := s.view.trees.list()
	return func(yield func(*tree) bool) { // each is drawn when it is wanted: most searches want few
		for i := range trees {
			j := i + m.Random.IntN(len(trees)-i)
			trees[i], trees[j] = trees[j], trees[i]
			if !yield(trees[i]) {
				return
			}
		}
	}
}

func (s *search) run(trees iter.Seq[*tree], breadthFirst bool) {
	if !breadthFirst {
		for t := range trees {
			for c := range s.candidates(t) {
				if !s.keep(c) {
					return
				}
			}
			s.again()
		}
		return
	}
	var open []func() (*choice, bool)
	for t := range trees { // the first round
		if len(t.nodes) == 1 && len(s.view.sharing) == 0 { // there is one way at most
			for c := range s.candidates(t) {
				if !s.keep(c) {
					return
				}
			}
			if len(open) == 0 {
				s.again()
			}
			continue
		}
		next, stop := iter.Pull(s.candidates(t))
		defer stop()
		c, ok := next()
		if !ok {
			continue
		}
		if !s.keep(c) {
			return
		}
		open = append(open, next)
	}
	for len(open) > 0 {
		still := open[:0]
		for _, next := range open {
			c, ok := next()
			if !ok {
				continue
			}
			if !s.keep(c) {
				return
			}
			still = append(still, next)
		}
		open = still
	}
}

// firsts takes the first candidate of each tree, which is what a search that is breadth
// first begins with, and reports whether these are enough.
func (s *search) firsts(trees iter.Seq[*tree]) bool {
	for t := range trees {
		for c := range s.candidates(t) {
			if !s.keep(c) {
				return true
			}
			break
		}
		s.again()
	}
	return !s.wants() // those that the asker has may be enough
}

// restart forgets what was found.
func (s *search) restart() {
	s.found, s.roots, s.kept, s.known, s.gaveUp = s.found[:0], s.roots[:0], 0, nil, false
}

// keep adds a candidate to what was found and reports whether more are wanted.
func (s *search) keep(c *choice) bool {
	candidate, onlySharing := c.candidate(s)
	if onlySharing { // it can turn up below several anchors
		key := fingerprint(candidate)
		if s.seen[key] {
			return true
		}
		if s.seen == nil {
			s.seen = map[string]bool{}
		}
		s.seen[key] = true
	}
	if len(s.found) == 0 && s.limit > 0 {
		s.found = slices.Grow(s.found, min(s.limit, max(s.view.trees.n, leastPieces)))
	}
	s.found = append(s.found, candidate)
	if s.known == nil {
		if s.limit > 0 {
			s.roots = slices.Grow(s.roots, min(s.limit, s.view.trees.n))
		}
		s.known, s.used = map[*tree]bool{}, map[*placement.ProviderState]bool{}
	}
	for _, t := range c.takes {
		if s.q.Flat && s.view.nested {
			s.used[t.node.ProviderState] = true
		}
		if s.fresh(t.node.tree) {
			s.roots = append(s.roots, t.node.tree)
		}
	}
	return s.wants() && s.ctx.Err() == nil
}

// wants reports whether more candidates are wanted.
func (s *search) wants() bool { return s.limit == 0 || s.kept+len(s.found) < s.limit }

// fits reports whether n more are not too many.
func (s *search) fits(n int) bool { return s.limit == 0 || s.kept+len(s.found)+n <= s.limit }

// fresh reports whether a tree is not among the roots, and is about to be.
func (s *search) fresh(t *tree) bool {
	if !s.mixed {
		return len(s.roots) == 0 || s.roots[len(s.roots)-1] != t
	}
	known := s.known[t]
	s.known[t] = true
	return !known
}

// fingerprint is equal for equal candidates.
func fingerprint(c placement.Candidate) string {
	var parts []string
	for _, a := range c.Allocations {
		for _, amount := range a.Amounts {
			parts = append(parts, a.Provider.UUID+amount.Class)
		}
	}
	slices.Sort(parts)
	for _, m := range c.Mappings {
		group := []string{"|" + m.Suffix}
		for _, p := range m.Providers {
			group = append(group, p.UUID)
		}
		slices.Sort(group[1:])
		parts = append(parts, group...)
	}
	return strings.Join(parts, ",")
}

// sumUp lists the providers of all trees that were found, or, for callers that
// know no trees, just those that are used.
func (s *search) sumUp() {
	for _, t := range s.roots {
		for _, n := range t.nodes {
			if !s.q.Flat || !s.view.nested || s.used[n.ProviderState] {
				s.summaries = append(s.summaries, n.ProviderState)
			}
		}
	}
}

// candidates yields the choices below one anchor.
func (s *search) candidates(t *tree) iter.Seq[*choice] {
	return func(yield func(*choice) bool) {
		root := t.nodes[0].ProviderState
		for _, trait := range s.q.RootRequired {
			if !has(root.Traits, trait) {
				return
			}
		}
		if !noneOf(root.Traits, s.q.RootForbidden, has) {
			return
		}
		helpers := s.helpers(t)
		var options [][]option
		wanted := 0
		for i := range s.groups {
			list := s.optionsOf(&s.groups[i], t, helpers)
			if len(list) == 0 || s.alike[i] > 1 && !s.enoughAlike(i, list) {
				return
			}
			if options == nil { // not before: most trees of a search may have none
				options = s.lists.list(len(s.groups))
			}
			options = append(options, list)
			wanted += len(s.groups[i].Resources)
		}
		if !s.enough(t, helpers) {
			return
		}
		s.fruitless = 0
		c := &s.choices.list(1)[:1][0]
		c.picked, c.takes = s.picked.list(len(options)), s.takes.list(wanted)
		s.combine(c, options, yield)
	}
}

// enough reports whether a tree and its helpers together have as much as all
// groups together want. Where they have not, no combination needs to be tried.
func (s *search) enough(t *tree, helpers []*node) bool {
	if len(s.groups) == 1 {
		return true
	}
	missing := map[string]int64{}
	for i := range s.groups {
		for _, a := range s.groups[i].Resources {
			missing[a.Class] += a.Amount
		}
	}
	for _, nodes := range [][]*node{t.nodes, helpers} {
		for _, n := range nodes {
			for i := range n.Inventories {
				if inv := &n.Inventories[i]; inv.Capacity() > inv.Used {
					missing[inv.Class] -= inv.Capacity() - inv.Used
				}
			}
		}
	}
	for _, m := range missing {
		if m > 0 {
			return false
		}
	}
	return true
}

// countAlike finds the groups that ask for the same: a server's like devices are one
// each.
func (s *search) countAlike() {
	s.alike = make([]int, len(s.groups))
	for i := range s.groups {
		a := *s.groups[i].Group
		a.Suffix = ""
		first := i
		for k := range i {
			b := *s.groups[k].Group
			if b.Suffix = ""; s.alike[k] > 0 && reflect.DeepEqual(a, b) {
				first = k
				break
			}
		}
		s.alike[first]++
	}
}

// enoughAlike reports whether a tree has enough for all groups that are like the i-th,
// of which these are the options. Where it has not, the combinations of all but the
// last one need not be tried.
func (s *search) enoughAlike(i int, options []option) bool {
	g, missing := &s.groups[i], int64(s.alike[i])
	if !g.SameProvider {
		return true
	}
	for k := range options {
		if missing -= times(options[k].nodes[0].ProviderState, g.Resources, s.q.Isolate); missing <= 0 {
			return true
		}
	}
	return false
}

// times is how often a provider has these resources; once for who may be asked once.
func times(p *placement.ProviderState, resources []placement.Amount, once bool) int64 {
	least := int64(math.MaxInt64)
	if once {
		least = 1
	}
	for _, a := range resources {
		for i := range p.Inventories {
			if inv := &p.Inventories[i]; inv.Class == a.Class && a.Amount > 0 {
				least = min(least, (inv.Capacity()-inv.Used)/a.Amount)
			}
		}
	}
	return least
}

// helpers returns the providers outside of t that share with it.
func (s *search) helpers(t *tree) []*node {
	if len(s.view.sharing) == 0 {
		return nil
	}
	var list []*node
	for _, a := range t.aggregates {
		for _, n := range s.view.sharing[a] {
			if n.tree.nodes[0] != t.nodes[0] && !slices.Contains(list, n) {
				list = append(list, n)
			}
		}
	}
	return list
}

// combine picks one option of each further group, as far as they go together,
// and yields each whole choice. It reports whether to go on.
func (s *search) combine(c *choice, options [][]option, yield func(*choice) bool) bool {
	if s.fruitless++; s.fruitless > mostFruitless {
		s.gaveUp = true
		return false
	}
	if !s.goOn() {
		return false
	}
	i := len(c.picked)
	if i == len(options) {
		if s.q.Flat && c.twiceInOneTree() {
			return true
		}
		s.fruitless = 0
		return yield(c)
	}
	for j := range options[i] {
		o := &options[i][j]
		if s.q.Isolate && s.groups[i].SameProvider && c.has(s.groups, o.nodes[0]) {
			continue
		}
		before := len(c.takes)
		c.picked = append(c.picked, o)
		more := true
		if c.take(o) && s.subtrees(c) {
			more = s.combine(c, options, yield)
		}
		c.undo(before, o)
		c.picked = c.picked[:i]
		if !more {
			return false
		}
	}
	return true
}

// goOn reports, once in a while, that nobody waits for the answer any more.
func (s *search) goOn() bool {
	s.steps++
	return s.steps%1024 != 0 || s.ctx.Err() == nil
}
