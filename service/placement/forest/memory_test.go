package forest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"kilonova/service/placement"
)

// told is all of an answer as text.
func told(c *placement.Candidates) string {
	var b strings.Builder
	for _, r := range c.Requests {
		for _, a := range r.Allocations {
			fmt.Fprint(&b, a.Provider.UUID, a.Amounts, " ")
		}
		for _, m := range r.Mappings {
			fmt.Fprint(&b, m.Suffix)
			for _, p := range m.Providers {
				fmt.Fprint(&b, ":", p.UUID)
			}
		}
		fmt.Fprintln(&b)
	}
	for _, p := range c.Summaries {
		fmt.Fprint(&b, p.UUID, " ")
	}
	return b.String()
}

// TestMemoryIsUsedAgain: searches that have the memory of others find what they
// would find with their own, and leave answers alone that are still read.
func TestMemoryIsUsedAgain(t *testing.T) {
	large, small := row(300), row(2)
	queries := []*placement.Query{
		{Groups: []placement.Group{vcpu("", 1)}},
		{Groups: []placement.Group{vcpu("", 1)}, Limit: 10},
		{Groups: []placement.Group{vcpu("_a", 1), vcpu("_b", 2)}, Limit: 700},
		{Groups: []placement.Group{vcpu("", 100)}}, // nothing
	}
	want := map[string]string{}
	name := func(f *Forest, i int) string { return fmt.Sprintf("%p %d", f, i) }
	for _, f := range []*Forest{large, small} {
		for i, q := range queries {
			want[name(f, i)] = told(find(t, f, q, Manners{}))
		}
	}
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for n := range 40 {
				i, f := (n+w)%len(queries), large
				if n%3 == 0 {
					f = small
				}
				c, err := f.Candidates(t.Context(), queries[i], Manners{BreadthFirst: false})
				if err != nil {
					t.Error(err)
					continue
				}
				if got := told(c); got != want[name(f, i)] {
					t.Errorf("query %d found another answer", i)
				}
				if n%4 != 0 { // some are never done
					c.Done()
				}
			}
		})
	}
	all.Wait()
}
