package control

import (
	"fmt"
	"testing"
	"time"

	"kilonova/service/compute"
)

// TestHostsAtTheirPlaces: who is looked for at a place is found there, also where
// another one was before, and in another fleet.
func TestHostsAtTheirPlaces(t *testing.T) {
	fleet := func(nodes ...string) *Fleet {
		f := &Fleet{byNode: map[string]*fleetHost{}}
		for _, n := range nodes {
			f.byNode[n] = &fleetHost{nodeID: n}
		}
		return f
	}
	first, second := fleet("a", "b", "c"), fleet("b", "c", "d")
	var memory hostMemory
	for _, asked := range []struct {
		fleet *Fleet
		nodes []string
	}{{first, []string{"a", "b", "c", "x"}}, {first, []string{"c", "b", "a"}}, {second, []string{"a", "b", "c", "d"}}, {second, []string{"a", "b", "c", "d"}}, {first, []string{"a"}}} {
		for at, node := range asked.nodes {
			want := asked.fleet.byNode[node]
			if got := memory.host(asked.fleet, at, node); got != want {
				t.Errorf("%s at %d is %v, want %v", node, at, got, want)
			}
			if got := (*hostMemory)(nil).host(asked.fleet, at, node); got != want {
				t.Errorf("%s is %v without memory, want %v", node, got, want)
			}
		}
	}
	if h := memory.host(first, mostHosts, "b"); h != first.byNode["b"] || len(memory.hosts) > mostHosts {
		t.Errorf("%v, and %d hosts are remembered", h, len(memory.hosts))
	}
}

// TestListsOfOneHostGoFirst: however many servers go to hosts that were asked for, the list
// that all others share stands.
func TestListsOfOneHostGoFirst(t *testing.T) {
	c, r := fleetOf(t, 3*maxLists, 10, func(o *Options) { o.Scheduler.Scheduler.MaxPlacementResults = 7 })
	s := &compute.Server{ID: newID(), Flavor: compute.Flavor{VCPUs: 1, MemoryMB: 64}}
	v := newView(time.Hour)
	if _, err := c.decide(t.Context(), s, &buildState{}, v); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxLists {
		var state buildState
		state.Requested.Host = fmt.Sprintf("h%05d", i)
		if d, err := c.decide(t.Context(), s, &state, v); err != nil || d.choices[0].Name != state.Requested.Host {
			t.Fatal(err)
		}
	}
	asked := r.asked
	if _, err := c.decide(t.Context(), s, &buildState{}, v); err != nil || r.asked != asked || len(v.lists) > maxLists {
		t.Errorf("Placement was asked %d times more, %d lists are remembered: %v", r.asked-asked, len(v.lists), err)
	}
}
