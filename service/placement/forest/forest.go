package forest

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"kilonova/service/placement"
)

// Forest is the current picture. It is safe for concurrent use.
type Forest struct {
	mu    sync.RWMutex
	nodes map[string]*placement.ProviderState // by UUID
	place map[string]int                      // UUID of a root -> place in trees
	view  View

	answers  *lru.Cache[asked, *answer] // that were given of late
	memories sync.Pool                  // of *memory, of searches whose answers nobody needs any more
}

// View is the picture at one moment. It does not change.
type View struct {
	picture uint64 // numbers what is seen; no two forests have the same numbers
	trees   grove
	sharing map[string][]*node // by aggregate: who shares with it
	nested  bool               // some tree has more than one provider
}

// tree is a root and all below it.
type tree struct {
	nodes      []*node  // parents before children; nodes[0] is the root
	aggregates []string // of any node

	// Most trees are no more than a root, which is therefore here and not somewhere
	// else in memory.
	root node
	one  [1]*node
}

// node is a provider in its tree.
type node struct {
	*placement.ProviderState
	tree   *tree
	parent *node
	shares bool
}

// New returns an empty forest.
func New() *Forest {
	answers, err := lru.New[asked, *answer](mostAnswers)
	if err != nil {
		panic(err) // it is for sizes below 1
	}
	f := &Forest{answers: answers, view: View{picture: 1 + rand.Uint64N(math.MaxUint64/2)}}
	f.clear()
	return f
}

func (f *Forest) clear() {
	f.nodes, f.place = map[string]*placement.ProviderState{}, map[string]int{}
	f.view = View{picture: f.view.picture, sharing: map[string][]*node{}}
}

// Replace makes all what there is.
func (f *Forest) Replace(all []*placement.ProviderState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clear()
	f.apply(all, nil)
}

// Apply brings in providers that are new or have changed, and removes those that
// are gone.
func (f *Forest) Apply(changed []*placement.ProviderState, deleted []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apply(changed, deleted)
}

// View returns the picture as it is now.
func (f *Forest) View() View {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.view
}

// Root returns the UUID of the root of a provider's tree, "" if there is no such
// provider.
func (f *Forest) Root(uuid string) string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.rootOf(uuid)
}

func (f *Forest) rootOf(uuid string) string {
	if n := f.nodes[uuid]; n != nil {
		return n.RootUUID
	}
	return ""
}

func (f *Forest) apply(changed []*placement.ProviderState, deleted []string) {
	members := map[string][]*placement.ProviderState{} // of the trees to make anew, by root
	var roots []string                                 // its keys, in the order of their coming
	mark := func(root string) {
		if _, marked := members[root]; !marked && root != "" {
			members[root] = nil
			roots = append(roots, root)
			if i, ok := f.place[root]; ok {
				for _, n := range f.view.trees.at(i).nodes {
					members[root] = append(members[root], n.ProviderState)
				}
			}
		}
	}
	for _, uuid := range deleted {
		mark(f.rootOf(uuid))
		delete(f.nodes, uuid)
	}
	var last *placement.ProviderState
	for _, p := range changed {
		share(p, f.nodes[p.UUID])
		share(p, last)
		last = p
		before := f.rootOf(p.UUID)
		mark(before)
		mark(p.RootUUID)
		if before != p.RootUUID { // not yet a member where it belongs
			members[p.RootUUID] = append(members[p.RootUUID], p)
		}
		f.nodes[p.UUID] = p
	}
	f.view.picture++
	sharingBefore := f.sharingIn(roots)
	trees, holes := f.view.trees.change(f.view.picture), false
	for _, root := range roots {
		holes = !f.plant(trees, root, members[root]) || holes
	}
	f.view.trees = trees.grove
	if holes {
		f.compact()
	}
	if sharingBefore || f.sharingIn(roots) {
		f.collectSharing()
	}
	f.view.nested = len(f.nodes) > f.view.trees.n
}

// share gives a provider the traits of another one, or of itself before, if they are
// the same: what thousands of hosts have in common is then looked at in one place of
// memory.
func share(p, other *placement.ProviderState) {
	if other != nil && other != p && slices.Equal(p.Traits, other.Traits) {
		p.Traits = other.Traits
	}
}

// plant puts the tree of root into trees, where its old one was, or at the end.
// A root without members leaves a hole; false says so.
func (f *Forest) plant(trees *planting, root string, list []*placement.ProviderState) bool {
	t := f.build(root, list)
	i, had := f.place[root]
	switch {
	case had:
		trees.set(i, t)
	case t != nil:
		f.place[root] = trees.add(t)
	}
	return t != nil || !had
}

// build makes a tree of those in list that still belong to root.
func (f *Forest) build(root string, list []*placement.ProviderState) *tree {
	top := f.nodes[root]
	if top == nil || top.RootUUID != root {
		return nil
	}
	t := &tree{}
	t.nodes = t.one[:0]
	children := map[string][]string{}
	for _, p := range list {
		if now := f.nodes[p.UUID]; now != nil && now.RootUUID == root && p.UUID != root {
			if !slices.Contains(children[now.ParentUUID], p.UUID) {
				children[now.ParentUUID] = append(children[now.ParentUUID], p.UUID)
			}
		}
	}
	t.add(top, nil)
	for i := 0; i < len(t.nodes); i++ {
		for _, uuid := range children[t.nodes[i].UUID] {
			t.add(f.nodes[uuid], t.nodes[i])
		}
	}
	return t
}

func (t *tree) add(p *placement.ProviderState, parent *node) {
	n := &t.root
	if parent != nil {
		n = new(node)
	}
	*n = node{ProviderState: p, tree: t, parent: parent, shares: has(p.Traits, placement.Sharing)}
	t.nodes = append(t.nodes, n)
	for _, a := range p.Aggregates {
		if !slices.Contains(t.aggregates, a) {
			t.aggregates = append(t.aggregates, a)
		}
	}
}

// compact removes holes. It goes through all trees: roots are hardly ever removed.
func (f *Forest) compact() {
	trees := grove{}.change(f.view.picture)
	clear(f.place)
	for t := range f.view.trees.all() {
		if t != nil {
			f.place[t.nodes[0].UUID] = trees.add(t)
		}
	}
	f.view.trees = trees.grove
}

// sharingIn reports whether any of the trees has a provider that shares.
func (f *Forest) sharingIn(roots []string) bool {
	for _, root := range roots {
		if i, ok := f.place[root]; ok {
			for _, n := range f.view.trees.at(i).nodes {
				if n.shares {
					return true
				}
			}
		}
	}
	return false
}

func (f *Forest) collectSharing() {
	sharing := map[string][]*node{}
	for t := range f.view.trees.all() {
		for _, n := range t.nodes {
			if !n.shares {
				continue
			}
			for _, a := range n.Aggregates {
				sharing[a] = append(sharing[a], n)
			}
		}
	}
	f.view.sharing = sharing
}

// has reports whether a sorted list has s.
func has(sorted []string, s string) bool {
	_, found := slices.BinarySearch(sorted, s)
	return found
}
