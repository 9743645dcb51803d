package control

import "testing"

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
