package schedule

import (
	"slices"
	"testing"
)

func TestNUMAFit(t *testing.T) {
	big := Flavor{VCPUs: 4, MemoryMB: 4096}
	with := func(pairs ...string) Flavor {
		f := specs(pairs...)
		f.VCPUs, f.MemoryMB = big.VCPUs, big.MemoryMB
		return f
	}
	change := func(edit func(cells []NUMACell)) []NUMACell {
		cells := numaHost()
		edit(cells)
		return cells
	}
	for name, tt := range map[string]struct {
		flavor Flavor
		host   []NUMACell
		want   bool
	}{
		"two shared nodes":       {with("hw:numa_nodes", "2"), numaHost(), true},
		"one node, too few CPUs": {with("hw:numa_nodes", "1"), numaHost(), false},
		"memory of one node": {with("hw:numa_nodes", "2"), change(func(c []NUMACell) {
			c[1].MemoryMB, c[1].Pages = 2047, nil
		}), false},
		"shared CPUs overcommitted": {with("hw:numa_nodes", "2"), change(func(c []NUMACell) { c[0].SharedUsed = 31 }), false},
		"memory overcommitted":      {with("hw:numa_nodes", "2"), change(func(c []NUMACell) { c[0].MemoryUsedMB = 8192 }), false},

		"pinned":                      {with("hw:cpu_policy", "dedicated"), numaHost(), true},
		"pinned, one free":            {with("hw:cpu_policy", "dedicated"), change(func(c []NUMACell) { c[0].Pinned = []int{2}; c[1].Pinned = []int{8} }), false},
		"pinned, other node":          {with("hw:cpu_policy", "dedicated"), change(func(c []NUMACell) { c[0].Pinned = []int{2} }), true},
		"emulator threads too":        {with("hw:cpu_policy", "dedicated", "hw:emulator_threads_policy", "isolate"), numaHost(), false},
		"no threads wanted, has them": {with("hw:cpu_policy", "dedicated", "hw:cpu_thread_policy", "isolate"), numaHost(), false},
		"no threads wanted": {with("hw:cpu_policy", "dedicated", "hw:cpu_thread_policy", "isolate"), change(func(c []NUMACell) {
			c[0].Siblings = nil
		}), true},
		"threads wanted": {with("hw:cpu_policy", "dedicated", "hw:cpu_thread_policy", "require"), numaHost(), true},
		"threads wanted, has none": {with("hw:cpu_policy", "dedicated", "hw:cpu_thread_policy", "require"), change(func(c []NUMACell) {
			c[0].Siblings, c[1].Siblings = nil, nil
		}), false},
		"threads wanted, cores broken": {with("hw:cpu_policy", "dedicated", "hw:cpu_thread_policy", "require", "hw:numa_nodes", "2"), change(func(c []NUMACell) {
			c[0].Pinned, c[1].Pinned = []int{2}, []int{8, 10}
		}), false},
		"threads preferred, cores broken": {with("hw:cpu_policy", "dedicated", "hw:cpu_thread_policy", "prefer", "hw:numa_nodes", "2"), change(func(c []NUMACell) {
			c[0].Pinned, c[1].Pinned = []int{2}, []int{8, 10}
		}), true},
		"mixed":             {with("hw:cpu_policy", "mixed", "hw:cpu_dedicated_mask", "0-1"), numaHost(), true},
		"mixed, mask by ^":  {with("hw:cpu_policy", "mixed", "hw:cpu_realtime", "yes", "hw:cpu_realtime_mask", "^0"), numaHost(), true},
		"mixed, too shared": {with("hw:cpu_policy", "mixed", "hw:cpu_dedicated_mask", "3"), numaHost(), false},

		"huge pages":          {with("hw:numa_nodes", "2", "hw:mem_page_size", "large"), numaHost(), true},
		"huge pages by size":  {with("hw:numa_nodes", "2", "hw:mem_page_size", "2MB"), numaHost(), true},
		"huge pages, too few": {with("hw:numa_nodes", "2", "hw:mem_page_size", "2048"), change(func(c []NUMACell) { c[0].Pages[1].Used = 1 }), false},
		"any pages":           {with("hw:numa_nodes", "2", "hw:mem_page_size", "any"), change(func(c []NUMACell) { c[0].Pages[1].Reserved = 1 }), true},
		"small pages":         {with("hw:numa_nodes", "2", "hw:mem_page_size", "small"), change(func(c []NUMACell) { c[0].Pages[0].Used = 1 << 20 }), false},
		"size not there":      {with("hw:numa_nodes", "2", "hw:mem_page_size", "1GB"), numaHost(), false},

		"by hand": {with("hw:numa_nodes", "2", "hw:cpu_policy", "dedicated", "hw:numa_cpus.0", "0,2-3", "hw:numa_mem.0", "3072", "hw:numa_cpus.1", "1", "hw:numa_mem.1", "1024"), change(func(c []NUMACell) {
			c[0].Pinned = []int{2, 3} // so the larger node goes on the second
		}), true},
		"by hand, no room": {with("hw:numa_nodes", "2", "hw:cpu_policy", "dedicated", "hw:numa_cpus.0", "0,2-3", "hw:numa_mem.0", "3072", "hw:numa_cpus.1", "1", "hw:numa_mem.1", "1024"), change(func(c []NUMACell) {
			c[0].Pinned, c[1].Pinned = []int{2, 3}, []int{8, 9}
		}), false},
	} {
		t.Run(name, func(t *testing.T) {
			h := &Host{Name: "h", NUMA: tt.host, VCPUs: Resource{Ratio: 16}, MemoryMB: Resource{Ratio: 1}}
			result := must(t, newScheduler(t, only("NUMATopologyFilter")), []*Host{h}, &Request{Flavor: tt.flavor})
			if got := len(result.Ordered) == 1; got != tt.want {
				t.Errorf("fits = %v: %s", got, result.Explanation.String())
			}
		})
	}
}

// TestNUMAClaim places servers until the host is full, and looks at what each
// was given.
func TestNUMAClaim(t *testing.T) {
	h := &Host{Name: "h", NUMA: numaHost(), VCPUs: Resource{Total: 12}, MemoryMB: Resource{Total: 16384}}
	f := specs("hw:cpu_policy", "dedicated", "hw:mem_page_size", "large")
	f.VCPUs, f.MemoryMB = 2, 1024
	r := &Request{Flavor: f}
	results, err := newScheduler(t, only("NUMATopologyFilter")).SelectMany([]*Host{h}, r, []string{"a", "b", "c", "d", "e"})
	if err != nil {
		t.Fatal(err)
	}
	// Two nodes with two pages of 1 GiB memory each: memory is the limit.
	if len(results) != 5 || len(results[3].Ordered) != 1 || len(results[4].Ordered) != 0 {
		t.Fatalf("%d results", len(results))
	}
	last := results[3].Ordered[0].Host
	if got := last.NUMA[0].Pinned; !slices.Equal(got, []int{2, 3, 4, 5}) {
		t.Errorf("pinned %v", got)
	}
	if last.NUMA[1].Pages[1].Used != 512 || last.NUMA[1].MemoryUsedMB != 1024 {
		t.Errorf("second node %+v", last.NUMA[1])
	}
	if len(h.NUMA[0].Pinned) != 0 || h.NUMA[0].Pages[1].Used != 0 {
		t.Errorf("the caller's host was changed: %+v", h.NUMA[0])
	}
}

// TestNUMAOrder: of nodes that all fit a guest has the emptiest, or the fullest if it
// is to be packed, and those with devices only if it wants some.
func TestNUMAOrder(t *testing.T) {
	shared, pinned := specs("hw:numa_nodes", "1"), specs("hw:cpu_policy", "dedicated")
	three := specs("hw:numa_nodes", "3")
	for name, x := range map[string]struct {
		flavor Flavor
		edit   func(h *Host)
		pack   bool
		want   []int
	}{
		"nothing to choose by":   {flavor: shared, edit: func(h *Host) {}, want: []int{0}},
		"processors that float":  {flavor: shared, edit: func(h *Host) { h.NUMA[0].SharedUsed, h.NUMA[2].SharedUsed = 1, 2 }, want: []int{1}},
		"packed":                 {flavor: shared, pack: true, edit: func(h *Host) { h.NUMA[0].SharedUsed, h.NUMA[2].SharedUsed = 1, 2 }, want: []int{2}},
		"processors to pin":      {flavor: pinned, edit: func(h *Host) { h.NUMA[0].Pinned, h.NUMA[1].SharedUsed = []int{4}, 9 }, want: []int{1}},
		"pinned and packed":      {flavor: pinned, pack: true, edit: func(h *Host) { h.NUMA[2].Pinned = []int{14} }, want: []int{2}},
		"memory":                 {flavor: shared, edit: func(h *Host) { h.NUMA[0].MemoryUsedMB, h.NUMA[1].MemoryUsedMB = 512, 1024 }, want: []int{2}},
		"processors over memory": {flavor: shared, edit: func(h *Host) { h.NUMA[0].SharedUsed, h.NUMA[1].MemoryUsedMB, h.NUMA[2].SharedUsed = 1, 1024, 1 }, want: []int{1}},
		"devices are kept":       {flavor: shared, edit: func(h *Host) { h.PCI, h.NUMA[1].SharedUsed = []PCIPool{{Count: 1, Cell: 0}, {Count: 2, Cell: 2}}, 2 }, want: []int{1}},
		"as many as there are":   {flavor: three, edit: func(h *Host) { h.NUMA[0].SharedUsed = 2 }, want: []int{0, 1, 2}},
	} {
		h := &Host{VCPUs: Resource{Ratio: 16}, MemoryMB: Resource{Ratio: 1}}
		for i := range 3 {
			h.NUMA = append(h.NUMA, NUMACell{ID: i, MemoryMB: 4096, Shared: []int{6 * i, 6*i + 1, 6*i + 2}, Dedicated: []int{6*i + 3, 6*i + 4, 6*i + 5}})
		}
		x.edit(h)
		x.flavor.VCPUs, x.flavor.MemoryMB = 3, 768
		settled, ok, err := Settle(h, &Request{Flavor: x.flavor, PackCells: x.pack})
		if err != nil || !ok {
			t.Errorf("%s: fits %v, %v", name, ok, err)
			continue
		}
		var got []int
		for _, seat := range settled.Seats {
			got = append(got, seat.Cell)
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%s: on %v, want %v", name, got, x.want)
		}
	}
}
