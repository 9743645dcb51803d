package forest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"kilonova/service/placement"
)

func state(uuid, parent, root string, total, used int64, traits ...string) *placement.ProviderState {
	s := &placement.ProviderState{Provider: placement.Provider{UUID: uuid, Name: uuid, ParentUUID: parent, RootUUID: root}, Traits: traits}
	if total > 0 {
		s.Inventories = []placement.Inventory{{Class: "VCPU", Total: total, MinUnit: 1, MaxUnit: total, StepSize: 1, Ratio: 1, Used: used}}
	}
	return s
}

// row is n hosts with four NUMA nodes of 4 VCPU each.
func row(n int) *Forest {
	f := New()
	var all []*placement.ProviderState
	for i := range n {
		root := fmt.Sprintf("host%d", i)
		all = append(all, state(root, "", root, 0, 0))
		for j := range 4 {
			all = append(all, state(fmt.Sprintf("%s.%d", root, j), root, root, 4, 0))
		}
	}
	f.Replace(all)
	return f
}

func vcpu(suffix string, amount int64) placement.Group {
	return placement.Group{Suffix: suffix, SameProvider: suffix != "", Resources: []placement.Amount{{Class: "VCPU", Amount: amount}}}
}

func find(t *testing.T, f *Forest, q *placement.Query, m Manners) *placement.Candidates {
	t.Helper()
	c, err := f.Candidates(t.Context(), q, m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func roots(c *placement.Candidates) []string {
	var list []string
	for _, r := range c.Requests {
		list = append(list, r.Allocations[0].Provider.RootUUID)
	}
	return list
}

func TestOrderAndLimits(t *testing.T) {
	f := row(3)
	q := &placement.Query{Groups: []placement.Group{vcpu("", 1)}}
	if c := find(t, f, q, Manners{}); len(c.Requests) != 12 || len(c.Summaries) != 15 {
		t.Errorf("%d candidates, %d summaries", len(c.Requests), len(c.Summaries))
	}
	q.Limit = 4
	if got := roots(find(t, f, q, Manners{})); !slices.Equal(got, []string{"host0", "host0", "host0", "host0"}) {
		t.Errorf("depth first: %v", got)
	}
	c := find(t, f, q, Manners{BreadthFirst: true})
	if got := roots(c); !slices.Equal(got, []string{"host0", "host1", "host2", "host0"}) {
		t.Errorf("breadth first: %v", got)
	}
	flat := New()
	for i := range 5 {
		flat.Apply([]*placement.ProviderState{state(fmt.Sprint("host", i), "", fmt.Sprint("host", i), 4, 0)}, nil)
	}
	for _, m := range []Manners{{}, {BreadthFirst: true}} {
		if c := find(t, flat, q, m); !slices.Equal(roots(c), []string{"host0", "host1", "host2", "host3"}) || len(c.Summaries) != 4 {
			t.Errorf("of trees of one provider, breadth first %v: %v, %d summaries", m.BreadthFirst, roots(c), len(c.Summaries))
		}
	}
	if c := find(t, f, &placement.Query{Groups: q.Groups}, Manners{BreadthFirst: true}); len(c.Requests) != 12 {
		t.Errorf("breadth first finds %d in all", len(c.Requests))
	}
	if c := find(t, f, q, Manners{Most: 2}); len(c.Requests) != 2 || len(c.Summaries) != 5 {
		t.Errorf("at most two: %d, %d", len(c.Requests), len(c.Summaries))
	}
	seen := map[string]bool{}
	for seed := range uint64(20) {
		seen[roots(find(t, f, q, Manners{Random: rand.New(rand.NewPCG(seed, 1))}))[0]] = true
	}
	if len(seen) != 3 {
		t.Errorf("at random only %v came first", seen)
	}
}

// TestLimitIsOfCandidates: what the operator's limit counts are whole candidates. The
// first ways to satisfy a group may go with nothing else of the question.
func TestLimitIsOfCandidates(t *testing.T) {
	f := row(1)
	f.Apply([]*placement.ProviderState{state("host0.0", "host0", "host0", 4, 0, "CUSTOM_FAST")}, nil)
	fast := vcpu("_A", 4)
	fast.Required = [][]string{{"CUSTOM_FAST"}}
	for _, tt := range []struct {
		q    placement.Query
		want int
	}{
		{placement.Query{Groups: []placement.Group{vcpu("", 4), fast}}, 1},
		{placement.Query{Groups: []placement.Group{vcpu("", 4)}}, 1},
	} {
		if c := find(t, f, &tt.q, Manners{Most: 1}); len(c.Requests) != tt.want {
			t.Errorf("%d groups: %d candidates, want %d", len(tt.q.Groups), len(c.Requests), tt.want)
		}
	}
	// Of two classes, a way that takes them from two providers is none to who knows no trees.
	two := func(uuid string) *placement.ProviderState {
		s := state(uuid, "host1", "host1", 4, 0)
		s.Inventories = append(s.Inventories, placement.Inventory{Class: "DISK_GB", Total: 4, MinUnit: 1, MaxUnit: 4, StepSize: 1, Ratio: 1})
		return s
	}
	g := New()
	g.Replace([]*placement.ProviderState{state("host1", "", "host1", 0, 0), two("a"), two("b")})
	both := vcpu("", 1)
	both.Resources = append(both.Resources, placement.Amount{Class: "DISK_GB", Amount: 1})
	if c := find(t, g, &placement.Query{Flat: true, Groups: []placement.Group{both}}, Manners{Most: 2}); len(c.Requests) != 2 {
		t.Errorf("%d candidates, want 2", len(c.Requests))
	}
}

// TestWideTreesAreNotTried has a request whose combinations nobody could count
// through, and whose groups cannot be told apart.
func TestWideTreesAreNotTried(t *testing.T) {
	f := New()
	all := []*placement.ProviderState{state("root", "", "root", 0, 0)}
	for i := range 24 {
		all = append(all, state(fmt.Sprintf("pf%d", i), "root", "root", 1, 0))
	}
	f.Replace(all)
	q := &placement.Query{Limit: 5}
	for i := range 12 {
		q.Groups = append(q.Groups, vcpu(fmt.Sprintf("_%d", i), 1))
	}
	if c := find(t, f, q, Manners{}); len(c.Requests) != 5 || len(c.Requests[0].Allocations) != 12 {
		t.Errorf("%d candidates", len(c.Requests))
	}
	for i := range 13 { // more than there are providers
		q.Groups = append(q.Groups, vcpu(fmt.Sprintf("_more%d", i), 1))
	}
	if c := find(t, f, q, Manners{}); len(c.Requests) != 0 || c.GaveUp {
		t.Errorf("25 of 24: %d candidates", len(c.Requests))
	}
	q.Groups = q.Groups[:12]
	q.SameSubtree = [][]string{{"_0", "_1"}} // cannot be: all are leaves
	if c := find(t, f, q, Manners{}); len(c.Requests) != 0 || c.GaveUp {
		t.Errorf("two leaves in one subtree: %d candidates", len(c.Requests))
	}
	q.SameSubtree = [][]string{{"_0", "_11"}}
	if c := find(t, f, q, Manners{}); len(c.Requests) != 0 || !c.GaveUp {
		t.Errorf("the same, seen late: %d candidates, gave up: %v", len(c.Requests), c.GaveUp)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Candidates(ctx, q, Manners{}); err == nil {
		t.Error("a search for nobody went on to its end")
	}
}

func TestGroupsOnOneProviderAddUp(t *testing.T) {
	f := row(1)
	q := &placement.Query{Groups: []placement.Group{vcpu("_a", 3), vcpu("_b", 2)}}
	for _, r := range find(t, f, q, Manners{}).Requests {
		if len(r.Allocations) != 2 {
			t.Errorf("5 VCPU from a node of 4: %+v", r.Allocations)
		}
	}
	q = &placement.Query{Groups: []placement.Group{vcpu("_a", 2), vcpu("_b", 2)}}
	together := 0
	for _, r := range find(t, f, q, Manners{}).Requests {
		if len(r.Allocations) == 1 {
			together++
			if a := r.Allocations[0].Amounts; len(a) != 1 || a[0].Amount != 4 {
				t.Errorf("two groups on one node: %+v", a)
			}
		}
	}
	if together != 4 {
		t.Errorf("%d of 4 nodes take both groups", together)
	}
	q.Isolate = true
	if n := len(find(t, f, q, Manners{}).Requests); n != 12 {
		t.Errorf("%d ways to put two groups on two of four nodes", n)
	}
	q.Flat = true
	if n := len(find(t, f, q, Manners{}).Requests); n != 0 {
		t.Errorf("%d ways without trees", n)
	}
}

// TestApply changes a forest step by step and looks whether it is what a new one
// would be.
func TestApply(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	f, truth := New(), map[string]*placement.ProviderState{}
	for step := range 2000 {
		uuid := fmt.Sprint(random.IntN(30))
		have := truth[uuid]
		var changed []*placement.ProviderState
		var deleted []string
		switch {
		case have == nil: // a new one, a root or below another
			s := state(uuid, "", uuid, 4, 0)
			if p := truth[fmt.Sprint(random.IntN(30))]; p != nil {
				s.ParentUUID, s.RootUUID = p.UUID, p.RootUUID
			}
			changed = append(changed, s)
		case random.IntN(3) == 0 && childless(truth, uuid):
			deleted = append(deleted, uuid)
		case random.IntN(3) == 0: // it becomes a root, with all below it
			for _, s := range below(truth, have) {
				moved := *s
				moved.RootUUID = uuid
				if s == have {
					moved.ParentUUID = ""
				}
				changed = append(changed, &moved)
			}
		default:
			s := *have
			s.Traits, s.Aggregates = nil, nil
			if random.IntN(2) == 0 {
				s.Traits, s.Aggregates = []string{placement.Sharing}, []string{fmt.Sprint("agg", random.IntN(3))}
			}
			changed = append(changed, &s)
		}
		for _, s := range changed {
			truth[s.UUID] = s
		}
		for _, id := range deleted {
			delete(truth, id)
		}
		f.Apply(changed, deleted)
		if err := same(f, truth); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
	}
}

func childless(truth map[string]*placement.ProviderState, uuid string) bool {
	for _, s := range truth {
		if s.ParentUUID == uuid {
			return false
		}
	}
	return true
}

// below returns s and all below it.
func below(truth map[string]*placement.ProviderState, s *placement.ProviderState) []*placement.ProviderState {
	list := []*placement.ProviderState{s}
	for i := 0; i < len(list); i++ {
		for _, c := range truth {
			if c.ParentUUID == list[i].UUID {
				list = append(list, c)
			}
		}
	}
	return list
}

// same compares a forest with what it should be a picture of.
func same(f *Forest, truth map[string]*placement.ProviderState) error {
	v := f.View()
	sharing, members, trees := map[string]int{}, 0, 0
	for t := range v.trees.all() {
		for i, n := range t.nodes {
			want := truth[n.UUID]
			switch {
			case want != n.ProviderState:
				return fmt.Errorf("%s is not the newest", n.UUID)
			case i == 0 && n.parent != nil, i > 0 && (n.parent == nil || n.parent.UUID != want.ParentUUID):
				return fmt.Errorf("%s has a wrong parent", n.UUID)
			case want.RootUUID != t.nodes[0].UUID:
				return fmt.Errorf("%s is in the tree of %s", n.UUID, t.nodes[0].UUID)
			}
			members++
		}
	}
	for _, s := range truth {
		if s.ParentUUID == "" {
			trees++
		}
		for _, a := range s.Aggregates {
			sharing[a]++
		}
	}
	if members != len(truth) || trees != v.trees.n || v.nested != (members > trees) {
		return fmt.Errorf("%d providers in %d trees, want %d in %d", members, v.trees.n, len(truth), trees)
	}
	for a, nodes := range v.sharing {
		for _, n := range nodes {
			if truth[n.UUID] != n.ProviderState {
				return fmt.Errorf("%s shares and is not the newest", n.UUID)
			}
		}
		if len(nodes) != sharing[a] {
			return fmt.Errorf("%d providers share with %s, want %d", len(nodes), a, sharing[a])
		}
	}
	return nil
}

// TestLikeGroups: what like groups cannot have together is known without trying all
// ways to give them all but the last.
func TestLikeGroups(t *testing.T) {
	f := New()
	all := []*placement.ProviderState{state("host", "", "host", 0, 0)}
	for i := range 8 {
		all = append(all, state(fmt.Sprint("card", i), "host", "host", 4, 0, "FAST"))
	}
	for i := range 4 { // which are not what is asked for
		all = append(all, state(fmt.Sprint("slow", i), "host", "host", 4, 0))
	}
	f.Replace(all)
	for _, x := range []struct {
		groups  int
		amount  int64
		isolate bool
		found   bool
	}{{8, 1, true, true}, {9, 1, true, false}, {8, 3, false, true}, {9, 3, false, false}, {16, 2, false, true}, {17, 2, false, false}} {
		q := &placement.Query{Isolate: x.isolate, Limit: 1}
		for i := range x.groups {
			g := vcpu(fmt.Sprint("_", i), x.amount)
			g.Required = [][]string{{"FAST"}}
			q.Groups = append(q.Groups, g)
		}
		if c := find(t, f, q, Manners{BreadthFirst: true}); (len(c.Requests) == 1) != x.found || c.GaveUp {
			t.Errorf("%+v: %d found, given up %v", x, len(c.Requests), c.GaveUp)
		}
	}
}
