package forest

import (
	"fmt"
	"slices"
	"testing"

	"kilonova/service/placement"
)

// flat is n hosts that are trees by themselves.
func flat(n int) (*Forest, map[string]*placement.ProviderState) {
	f, truth := New(), map[string]*placement.ProviderState{}
	var all []*placement.ProviderState
	for i := range n {
		s := state(fmt.Sprintf("host%d", i), "", fmt.Sprintf("host%d", i), 4, 0)
		all, truth[s.UUID] = append(all, s), s
	}
	f.Replace(all)
	return f, truth
}

// TestViewsStayAndShare: a view is as it was, whatever comes later, and a later
// one shares with it all pieces in which nothing has changed.
func TestViewsStayAndShare(t *testing.T) {
	f, truth := flat(5*pieceSize + 7)
	if err := same(f, truth); err != nil {
		t.Fatal(err)
	}
	before := f.View()
	was := before.trees.list()
	changed := state(fmt.Sprint("host", 2*pieceSize+3), "", fmt.Sprint("host", 2*pieceSize+3), 4, 1)
	added := state("new", "", "new", 4, 0)
	truth[changed.UUID], truth[added.UUID] = changed, added
	f.Apply([]*placement.ProviderState{changed, added}, nil)
	if err := same(f, truth); err != nil {
		t.Fatal(err)
	}
	after := f.View()
	for i := range before.trees.pieces {
		if shared := &before.trees.pieces[i].trees[0] == &after.trees.pieces[i].trees[0]; shared != (i != 2 && i != 5) {
			t.Errorf("piece %d is shared: %v", i, shared)
		}
	}
	delete(truth, "host9")
	delete(truth, fmt.Sprint("host", pieceSize))
	f.Apply(nil, []string{"host9", fmt.Sprint("host", pieceSize)})
	if err := same(f, truth); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before.trees.list(), was) {
		t.Error("an older view has changed")
	}
	order := slices.DeleteFunc(after.trees.list(), func(t *tree) bool {
		id := t.nodes[0].UUID
		return id == "host9" || id == fmt.Sprint("host", pieceSize)
	})
	if !slices.Equal(f.View().trees.list(), order) {
		t.Error("those that stay have another order")
	}
}

// BenchmarkApply is what the picture costs after a claim; it must not depend on
// how many hosts there are.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f, truth := flat(n)
			change := []*placement.ProviderState{truth[fmt.Sprint("host", n/2)]}
			b.ReportAllocs()
			for b.Loop() {
				f.Apply(change, nil)
			}
		})
	}
}
