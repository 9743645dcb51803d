package hardware

import (
	"reflect"
	"strings"
	"testing"
)

func TestTopologyOf(t *testing.T) {
	type m = map[string]string
	one := func(c Cell) []Cell { return []Cell{c} }
	shared, pinned := Cell{MemoryMB: 4096, Floating: []int{0, 1, 2, 3}}, Cell{MemoryMB: 4096, Pinned: []int{0, 1, 2, 3}}
	mixed := Cell{MemoryMB: 4096, Floating: []int{0, 1}, Pinned: []int{2, 3}}
	byHand := m{"hw:numa_nodes": "2", "hw:numa_cpus.0": "0,2-3", "hw:numa_mem.0": "3072", "hw:numa_cpus.1": "1", "hw:numa_mem.1": "1024"}
	for name, c := range map[string]struct {
		flavor, image m
		want          *Topology
	}{
		"nothing":                {nil, nil, nil},
		"shared only":            {m{"hw:cpu_policy": "shared"}, nil, nil},
		"nodes":                  {m{"hw:numa_nodes": "2"}, nil, &Topology{Cells: []Cell{{2048, []int{0, 1}, nil}, {2048, []int{2, 3}, nil}}}},
		"by hand":                {byHand, nil, &Topology{Cells: []Cell{{3072, []int{0, 2, 3}, nil}, {1024, []int{1}, nil}}}},
		"pages":                  {m{"hw:mem_page_size": "2MB"}, nil, &Topology{Cells: one(shared), PageKB: 2048}},
		"pages chosen by image":  {m{"hw:mem_page_size": "large"}, m{"hw_mem_page_size": "1GB"}, &Topology{Cells: one(shared), PageKB: 1 << 20}},
		"pinned":                 {m{"hw:cpu_policy": "dedicated", "hw:emulator_threads_policy": "isolate"}, nil, &Topology{Cells: one(pinned), Pinned: true, IsolateEmulator: true}},
		"pinned by resources":    {m{"resources:PCPU": "4"}, nil, &Topology{Cells: one(pinned), Pinned: true}},
		"no amount":              {m{"resources:PCPU": "x", "resources1:PCPU": "-1"}, nil, nil},
		"pinned by the image":    {nil, m{"hw_cpu_policy": "dedicated", "hw_cpu_thread_policy": "require"}, &Topology{Cells: one(pinned), Pinned: true, Threads: "require"}},
		"threads by a trait":     {m{"hw:cpu_policy": "dedicated", "trait:HW_CPU_HYPERTHREADING": "forbidden"}, nil, &Topology{Cells: one(pinned), Pinned: true, Threads: "isolate"}},
		"by the image's trait":   {m{"hw:cpu_policy": "dedicated"}, m{"trait:HW_CPU_HYPERTHREADING": "required"}, &Topology{Cells: one(pinned), Pinned: true, Threads: "require"}},
		"the flavor's threads":   {m{"hw:cpu_policy": "dedicated", "hw:cpu_thread_policy": "prefer"}, m{"hw_cpu_thread_policy": "require"}, &Topology{Cells: one(pinned), Pinned: true, Threads: "prefer"}},
		"mixed":                  {m{"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "2-3,"}, nil, &Topology{Cells: one(mixed), Pinned: true}},
		"mixed by excluding":     {m{"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "^0-1"}, nil, &Topology{Cells: one(mixed), Pinned: true}},
		"mixed by the real time": {m{"hw:cpu_policy": "mixed", "hw:cpu_realtime": "yes", "hw:cpu_realtime_mask": "^0"}, m{"hw_cpu_realtime_mask": "2,3"}, &Topology{Cells: one(mixed), Pinned: true}},
	} {
		got, err := TopologyOf(Flavor{Name: "f", VCPUs: 4, MemoryMB: 4096, ExtraSpecs: c.flavor}, Image{Properties: c.image})
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	if _, err := TopologyOf(Flavor{VCPUs: 1 << 31, ExtraSpecs: m{"hw:cpu_policy": "dedicated"}}, Image{}); err == nil {
		t.Error("a guest of two thousand million processors is taken")
	}
}

func TestPageSizes(t *testing.T) {
	for text, want := range map[string]int{"small": SmallPages, "large": LargePages, "any": AnyPages, "4": 4, "2048": 2048, "2MB": 2048, "2MiB": 2048, "2M": 2048, "2048kB": 2048,
		"1GB": 1 << 20, "2097152B": 2048, "16Mb": 2048, "16Mbit": 2048, "1TB": 1 << 30} {
		if got, ok := parsePageSize(text); !ok || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "x", "2.5MB", "large ", "1B", "1Kb", "MB", "5i", "2TB", "9999999999TB", "99999999999"} {
		if got, ok := parsePageSize(text); ok {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestCPULists(t *testing.T) {
	for text, want := range map[string][]int{"0-3,^2,5": {0, 1, 3, 5}, "^2,0-3": {0, 1, 3}, " 1 , 2 ": {1, 2}, "7": {7}, "": nil, "1,^1": nil, "0-1,": {0, 1}} {
		got, err := parseCPUs(text)
		set := map[int]bool{}
		for _, cpu := range want {
			set[cpu] = true
		}
		if err != nil || !reflect.DeepEqual(got, set) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"3-1", "a", "-1", "1-", "0-99999999999", "8192"} {
		if got, err := parseCPUs(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

// TestManyProcessors: only a topology bounds the processors of a flavor.
func TestManyProcessors(t *testing.T) {
	var f Flavor
	f.Name, f.VCPUs, f.MemoryMB = "large", 20_001, 20_001
	if got, err := TopologyOf(f, Image{}); got != nil || err != nil {
		t.Errorf("without a topology: %v, %v", got, err)
	}
	for _, specs := range []map[string]string{{"hw:numa_nodes": "1"}, {"hw:cpu_policy": "dedicated"}, {"hw:mem_page_size": "large"}, {"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "0-2"}} {
		f.ExtraSpecs = specs
		if _, err := TopologyOf(f, Image{}); err == nil || !strings.Contains(err.Error(), "processors") {
			t.Errorf("%v: %v", specs, err)
		}
	}
}
