package forest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"kilonova/service/placement"
)

// BenchmarkSearch looks for a thousand candidates among ten thousand hosts, as they
// were loaded, after claims on all of them, when each lies somewhere in memory, and for
// what has changed since.
func BenchmarkSearch(b *testing.B) {
	const hosts = 10_000
	f := New()
	of := func(i int) *placement.ProviderState {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		p := &placement.ProviderState{Provider: placement.Provider{UUID: id, RootUUID: id}}
		for _, class := range []string{"DISK_GB", "MEMORY_MB", "VCPU"} {
			p.Inventories = append(p.Inventories, placement.Inventory{Class: class, Total: 1 << 20, MinUnit: 1, MaxUnit: 1 << 20, StepSize: 1, Ratio: 1})
		}
		return p
	}
	var all []*placement.ProviderState
	for i := range hosts {
		all = append(all, of(i))
	}
	f.Replace(all)
	q := &placement.Query{Limit: 1000, Groups: []placement.Group{{Resources: []placement.Amount{{Class: "DISK_GB", Amount: 1}, {Class: "MEMORY_MB", Amount: 64}, {Class: "VCPU", Amount: 1}}}}}
	other := make([]int64, 8<<20)
	search := func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			for i := range other { // as what a cloud does between two decisions
				other[i]++
			}
			b.StartTimer()
			c, err := f.Candidates(b.Context(), q, Manners{})
			if err != nil || len(c.Requests) != q.Limit && c.Edits == nil {
				b.Fatal(len(c.Requests), err)
			}
			c.Done()
			if q.Text == "" {
				continue
			}
			b.StopTimer()
			q.Since = c.Picture
			f.Apply([]*placement.ProviderState{of(rand.IntN(q.Limit))}, nil)
			b.StartTimer()
		}
	}
	b.Run("loaded", search)
	for _, i := range rand.Perm(hosts) {
		f.Apply([]*placement.ProviderState{of(i)}, nil)
	}
	b.Run("claimed", search)
	q.Text = "again"
	b.Run("again after a claim", search)
}
