package schedule

import (
	"fmt"
	"testing"
)

// cards are pools of two devices each: of one make, on nodes 0, 1 and 2 and nowhere,
// each with a root of its own.
func cards(makes ...string) []PCIPool {
	var all []PCIPool
	for i, product := range makes {
		p := PCIPool{Count: 2, Tags: map[string]string{"vendor_id": "8086", "product_id": product, "dev_type": "type-VF"}, Cell: i, Root: fmt.Sprint("r", i), Class: "CUSTOM_" + product}
		if i == 3 {
			p.Cell = -1
		}
		all = append(all, p)
	}
	return all
}

// TestSettleDevices: of which pools devices are taken, or why there are none.
func TestSettleDevices(t *testing.T) {
	want := func(alias string, n int, products ...string) PCIRequest {
		r := PCIRequest{Alias: alias, Count: n}
		for _, p := range products {
			r.Alternatives = append(r.Alternatives, map[string]string{"product_id": p})
		}
		return r
	}
	edited := func(f func(p []PCIPool)) []PCIPool {
		p := cards("a", "a", "b")
		f(p)
		return p
	}
	policy := func(r PCIRequest, policy string) PCIRequest { r.Policy = policy; return r }
	placed := func(r PCIRequest, class string, traits ...string) PCIRequest {
		r.Class, r.Traits = class, traits
		return r
	}
	nodes := func(n string) map[string]string { return map[string]string{"hw:numa_nodes": n} }
	for name, x := range map[string]struct {
		pools []PCIPool
		rooms map[string]int
		specs map[string]string
		apart bool
		asked []PCIRequest
		want  string // the pools, or why there are none
	}{
		"some":                          {pools: cards("a", "b"), asked: []PCIRequest{want("x", 2, "b")}, want: "[1 1]"},
		"over pools":                    {pools: cards("a", "a"), asked: []PCIRequest{want("x", 3, "a")}, want: "[0 0 1]"},
		"too few":                       {pools: cards("a", "b"), asked: []PCIRequest{want("x", 3, "b")}, want: "with too few devices of alias x left"},
		"one gives way":                 {pools: cards("a", "b"), asked: []PCIRequest{want("x", 2, "a", "b"), want("y", 2, "a")}, want: "[1 1 0 0]"},
		"two for one":                   {pools: cards("a", "b"), asked: []PCIRequest{want("x", 2, "a"), want("y", 1, "a")}, want: "with too few devices of alias y left"},
		"apart":                         {pools: cards("a", "a"), apart: true, asked: []PCIRequest{want("x", 2, "a")}, want: "[0 1]"},
		"too many to be apart":          {pools: cards("a", "a"), apart: true, asked: []PCIRequest{want("x", 3, "a")}, want: "with too few devices of alias x left"},
		"as Placement has them":         {pools: cards("a", "a"), rooms: map[string]int{"r1": 2}, asked: []PCIRequest{placed(want("x", 2, "a"), "CUSTOM_a")}, want: "[1 1]"},
		"Placement has none":            {pools: cards("a", "a"), rooms: map[string]int{}, asked: []PCIRequest{placed(want("x", 1, "a"), "CUSTOM_a")}, want: "with too few devices of alias x left"},
		"another class":                 {pools: cards("a"), asked: []PCIRequest{placed(want("x", 1, "a"), "CUSTOM_b")}, want: "with too few devices of alias x left"},
		"not in Placement":              {pools: edited(func(p []PCIPool) { p[0].Root, p[0].Class = "", "" }), asked: []PCIRequest{placed(want("x", 1, "a"), "CUSTOM_a")}, want: "[1]"},
		"a host that tells nothing":     {pools: []PCIPool{{Count: 1, Tags: map[string]string{"product_id": "a"}}}, asked: []PCIRequest{placed(want("x", 1, "a"), "CUSTOM_a")}, want: "with devices of alias x that Placement is not told of"},
		"traits":                        {pools: edited(func(p []PCIPool) { p[1].Traits = []string{"A", "B"} }), asked: []PCIRequest{placed(want("x", 1, "a"), "CUSTOM_a", "B")}, want: "[1]"},
		"a PF that nobody asks for":     {pools: edited(func(p []PCIPool) { p[0].Tags["dev_type"] = "type-PF" }), asked: []PCIRequest{want("x", 1, "a")}, want: "[1]"},
		"a PF":                          {pools: edited(func(p []PCIPool) { p[1].Tags["dev_type"] = "type-PF" }), asked: []PCIRequest{{Alias: "x", Count: 1, Alternatives: []map[string]string{{"dev_type": "type-PF"}}}}, want: "[1]"},
		"no PF":                         {pools: cards("a"), asked: []PCIRequest{{Alias: "x", Count: 1, Alternatives: []map[string]string{{"dev_type": "type-PF"}}}}, want: "with too few PFs of alias x left"},
		"vDPA":                          {pools: edited(func(p []PCIPool) { p[0].Tags["dev_type"] = "type-VDPA" }), asked: []PCIRequest{want("x", 1, "a")}, want: "[1]"},
		"remote ones":                   {pools: edited(func(p []PCIPool) { p[0].Remote = true }), asked: []PCIRequest{want("x", 1, "a")}, want: "[1]"},
		"migratable":                    {pools: edited(func(p []PCIPool) { p[1].Tags["live_migratable"] = "true" }), asked: []PCIRequest{{Alias: "x", Count: 1, Alternatives: []map[string]string{{"live_migratable": "true"}}}}, want: "[1]"},
		"said not to be migratable":     {pools: cards("a"), asked: []PCIRequest{{Alias: "x", Count: 1, Alternatives: []map[string]string{{"live_migratable": "false"}}}}, want: "with too few devices of alias x left"},
		"a guest without nodes":         {pools: cards("a", "b", "c"), asked: []PCIRequest{policy(want("x", 1, "c"), NearRequired)}, want: "[2]"},
		"a node where the device is":    {pools: cards("a", "b", "c"), specs: nodes("1"), asked: []PCIRequest{policy(want("x", 1, "c"), NearRequired)}, want: "[2] on [2]"},
		"two nodes":                     {pools: cards("a", "b", "c"), specs: nodes("2"), asked: []PCIRequest{policy(want("x", 1, "c"), NearRequired), policy(want("y", 1, "a"), NearRequired)}, want: "[2 0] on [0 2]"},
		"too far apart":                 {pools: cards("a", "b", "c"), specs: nodes("1"), asked: []PCIRequest{policy(want("x", 1, "a"), NearRequired), policy(want("y", 1, "c"), NearRequired)}, want: "with devices of alias y on other NUMA nodes only"},
		"of one socket":                 {pools: cards("a", "b", "c"), specs: nodes("1"), asked: []PCIRequest{policy(want("x", 1, "a"), NearRequired), policy(want("y", 1, "b"), NearSocket)}, want: "[0 1] on [0]"},
		"of another socket":             {pools: cards("a", "b", "c"), specs: nodes("1"), asked: []PCIRequest{policy(want("x", 1, "a"), NearRequired), policy(want("y", 1, "c"), NearSocket)}, want: "with devices of alias y on other NUMA nodes only"},
		"nobody knows where":            {pools: cards("a", "b", "c", "d"), specs: nodes("1"), asked: []PCIRequest{policy(want("x", 1, "d"), NearLegacy)}, want: "[3] on [0]"},
		"nobody knows, and it must":     {pools: cards("a", "b", "c", "d"), specs: nodes("1"), asked: []PCIRequest{policy(want("x", 1, "d"), NearRequired)}, want: "with devices of alias x on other NUMA nodes only"},
		"preferred, as near as can be":  {pools: cards("a", "b", "a"), specs: nodes("1"), asked: []PCIRequest{policy(want("x", 3, "a"), NearPreferred)}, want: "[0 0 2] on [0]"},
		"preferred, near if it is so":   {pools: cards("a", "b", "b"), specs: nodes("1"), asked: []PCIRequest{policy(want("x", 2, "a", "b"), NearPreferred), policy(want("y", 1, "b"), NearPreferred)}, want: "[0 0 1] on [0]"},
		"legacy is strict of the known": {pools: cards("a", "b", "a"), specs: nodes("1"), asked: []PCIRequest{policy(want("x", 3, "a"), NearLegacy)}, want: "with devices of alias x on other NUMA nodes only"},
	} {
		h := &Host{PCI: x.pools, Rooms: x.rooms}
		for i := range 3 {
			h.NUMA = append(h.NUMA, NUMACell{ID: i, Socket: new(i / 2), MemoryMB: 1024, Shared: []int{2 * i, 2*i + 1}})
		}
		r := &Request{Flavor: Flavor{VCPUs: 2, MemoryMB: 64, ExtraSpecs: x.specs}, PCI: x.asked, PCIApart: x.apart}
		s, ok, err := Settle(h, r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := ""
		if ok {
			got = fmt.Sprint(s.Devices)
			if len(s.Seats) > 0 {
				var on []int
				for _, seat := range s.Seats {
					on = append(on, seat.Cell)
				}
				got += fmt.Sprint(" on ", on)
			}
		}
		lacks, err := Lacks(r)
		if err != nil {
			t.Fatal(err)
		}
		if got += lacks(h); got != x.want {
			t.Errorf("%s: %s, want %s", name, got, x.want)
		}
		if ok {
			after := h.With(r)
			free := 0
			for i := range after.PCI {
				free += after.PCI[i].Count - h.PCI[i].Count
			}
			if free != -len(s.Devices) {
				t.Errorf("%s: %d devices fewer are left", name, free)
			}
		}
	}
}

// TestSets: all sets, each once.
func TestSets(t *testing.T) {
	for _, x := range []struct {
		n, k, most, want int
	}{{5, 2, 100, 10}, {4, 4, 100, 1}, {3, 4, 100, 0}, {30, 3, 100, 100}, {6, 1, 100, 6}} {
		seen := map[string]bool{}
		for set := range sets(x.n, x.k, x.most) {
			seen[fmt.Sprint(set)] = true
		}
		if len(seen) != x.want {
			t.Errorf("%d of %d: %d sets, want %d", x.k, x.n, len(seen), x.want)
		}
	}
}
