package schedule

import (
	"math"
	"slices"
	"testing"
)

// TestWeighers asks one weigher at a time for its order of hosts a, b and c.
func TestWeighers(t *testing.T) {
	edit := func(change func(a, b, c *Host)) []*Host {
		hosts := three()
		change(hosts[0], hosts[1], hosts[2])
		return hosts
	}
	ram := edit(func(a, b, c *Host) { a.MemoryMB.Used, b.MemoryMB.Used, c.MemoryMB.Used = 4096, 0, 9000 })
	pci := edit(func(a, b, c *Host) { a.PCI, b.PCI = pools(), []PCIPool{{Count: 500}} })
	failed := edit(func(a, b, c *Host) { a.FailedBuilds, b.FailedBuilds = 1, 2 })
	metrics := edit(func(a, b, c *Host) {
		a.Metrics, b.Metrics, c.Metrics = map[string]float64{"x": 1, "y": 5}, map[string]float64{"x": 9, "y": 1}, map[string]float64{"x": math.NaN(), "y": 1}
	})
	props := edit(func(a, b, c *Host) {
		b.ImageProperties = map[ImageProperty]int{{"os_distro", "debian"}: 3, {"os_type", "linux"}: 1}
		c.ImageProperties = map[ImageProperty]int{{"os_distro", "windows"}: 9, {"os_type", "linux"}: 4}
	})
	tests := map[string]struct {
		weigher string
		hosts   []*Host
		request Request
		options func(o *Options)
		want    []string
	}{
		"memory":         {"RAMWeigher", ram, Request{}, nil, []string{"b", "a", "c"}},
		"memory, packed": {"RAMWeigher", ram, Request{}, func(o *Options) { o.Filter.RAM = -1 }, []string{"c", "a", "b"}},
		"processors": {"CPUWeigher", edit(func(a, b, c *Host) { a.VCPUs.Used, b.VCPUs.Used, c.VCPUs.Ratio = 2, 1, 4 }), Request{}, nil,
			[]string{"c", "b", "a"}},
		"disk":          {"DiskWeigher", edit(func(a, b, c *Host) { a.DiskGB.Used, c.DiskLeastGB = 20, ptr(30) }), Request{}, nil, []string{"b", "a", "c"}},
		"I/O":           {"IoOpsWeigher", edit(func(a, b, c *Host) { a.IOOps, b.IOOps = 3, 1 }), Request{}, nil, []string{"c", "b", "a"}},
		"servers":       {"NumInstancesWeigher", edit(func(a, b, c *Host) { a.Servers, b.Servers = 3, 1 }), Request{}, func(o *Options) { o.Filter.NumInstances = -1 }, []string{"c", "b", "a"}},
		"servers, off":  {"NumInstancesWeigher", edit(func(a, b, c *Host) { c.Servers = 3 }), Request{}, nil, []string{"a", "b", "c"}},
		"version":       {"HypervisorVersionWeigher", edit(func(a, b, c *Host) { a.HypervisorVersion, b.HypervisorVersion = 7000000, 8000000 }), Request{}, nil, []string{"b", "a", "c"}},
		"devices":       {"PCIWeigher", pci, Request{}, nil, []string{"c", "a", "b"}},
		"cells":         {"CrossCellWeigher", three(), Request{}, nil, []string{"a", "b", "c"}}, // there is one
		"failed builds": {"BuildFailureWeigher", failed, Request{}, nil, []string{"c", "a", "b"}},
		"metrics":       {"MetricsWeigher", metrics, Request{}, func(o *Options) { o.Metrics.Setting = []string{"x=1", "y = -1.0"} }, []string{"b", "a", "c"}},
		"metrics, none": {"MetricsWeigher", metrics, Request{}, nil, []string{"a", "b", "c"}},
		"image properties": {"ImagePropertiesWeigher", props, Request{Image: image("os_distro", "debian", "os_type", "linux")},
			func(o *Options) { o.Filter.ImageProps = 1 }, []string{"b", "c", "a"}},
		"image properties, chosen": {"ImagePropertiesWeigher", props, Request{Image: image("os_distro", "debian", "os_type", "linux")},
			func(o *Options) { o.Filter.ImageProps, o.Filter.ImagePropsSetting = 1, []string{"os_type=1"} }, []string{"c", "b", "a"}},
		"soft affinity":        {"ServerGroupSoftAffinityWeigher", three(), group(SoftAffinity, 0, "c", "b", "c"), nil, []string{"c", "b", "a"}},
		"soft affinity, other": {"ServerGroupSoftAffinityWeigher", three(), group(SoftAntiAffinity, 0, "c"), nil, []string{"a", "b", "c"}},
		"soft anti-affinity":   {"ServerGroupSoftAntiAffinityWeigher", three(), group(SoftAntiAffinity, 0, "a", "b", "a"), nil, []string{"c", "b", "a"}},
	}
	seen := map[string]bool{}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			seen[tt.weigher] = true
			o := Defaults()
			o.Metrics.Required = false
			o.Filter.WeightClasses = []string{tt.weigher}
			if tt.options != nil {
				tt.options(&o)
			}
			result := must(t, newScheduler(t, o), tt.hosts, &tt.request)
			if got := names(result.Ordered); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v: %+v", got, tt.want, result.Explanation.Weighed)
			}
		})
	}
	for _, w := range weigherTable {
		if !seen[w.name] {
			t.Errorf("%s has no test", w.name)
		}
	}
}

// TestNormalisation follows the figures by hand: memory counts from 0, versions
// from the least there is, and what is equal everywhere counts nothing.
func TestNormalisation(t *testing.T) {
	hosts := three()
	hosts[0].MemoryMB.Used = 4096 // half of the best
	hosts[2].MemoryMB.Used = 9000 // less than nothing is nothing
	hosts[0].HypervisorVersion, hosts[1].HypervisorVersion, hosts[2].HypervisorVersion = 1000, 2000, 3000
	o := Defaults()
	o.Filter.HypervisorVersion = 2
	o.Filter.DefaultArchitecture = ""
	result := must(t, newScheduler(t, o), hosts, &Request{})
	// CPU and disk are equal and count from 0, and so are 1 for every host.
	want := map[string]float64{"a": 0.5 + 1 + 1 + 0, "b": 1 + 1 + 1 + 1, "c": 0 + 1 + 1 + 2}
	for _, c := range result.Ordered {
		if math.Abs(c.Weight-want[c.Name]) > 1e-9 {
			t.Errorf("%s weighs %v, want %v", c.Name, c.Weight, want[c.Name])
		}
	}
	for _, w := range result.Explanation.Weighed {
		sum := 0.0
		for _, part := range w.Parts {
			sum += part
		}
		if math.Abs(sum-w.Weight) > 1e-9 {
			t.Errorf("the parts of %s add up to %v, not %v", w.Host, sum, w.Weight)
		}
	}
	if alone := must(t, newScheduler(t, o), hosts[:1], &Request{}); alone.Ordered[0].Weight != 0 {
		t.Errorf("a single host weighs %v", alone.Ordered[0].Weight)
	}
}

// TestMultipliersOfAggregates: the least of a host's aggregates' wins over the
// configured one.
func TestMultipliersOfAggregates(t *testing.T) {
	hosts := three()
	hosts[1].Aggregates = append(aggregate("ram_weight_multiplier", "5"), aggregate("ram_weight_multiplier", "3.0")...)
	hosts[2].Aggregates = aggregate("ram_weight_multiplier", "inf") // no number: the configured one holds
	o := Defaults()
	o.Filter.WeightClasses = []string{"RAMWeigher"}
	result := must(t, newScheduler(t, o), hosts, &Request{})
	for _, c := range result.Ordered {
		if want := map[string]float64{"a": 1, "b": 3, "c": 1}[c.Name]; c.Weight != want {
			t.Errorf("%s weighs %v, want %v", c.Name, c.Weight, want)
		}
	}

	o.Filter.WeightClasses = []string{"BuildFailureWeigher"}
	hosts = three()
	hosts[0].FailedBuilds = 1
	hosts[0].Aggregates = aggregate("build_failure_weight_multiplier", "7")
	if c := must(t, newScheduler(t, o), hosts, &Request{}).Ordered[2]; c.Name != "a" || c.Weight != -7 {
		t.Errorf("last is %s with %v", c.Name, c.Weight)
	}
}

// TestRequiredMetric: hosts that lack what is to be weighed are refused though
// MetricsFilter is not enabled.
func TestRequiredMetric(t *testing.T) {
	hosts := three()
	hosts[1].Metrics = map[string]float64{"x": 1}
	o := Defaults()
	o.Metrics.Setting = []string{"x=1"}
	if got := names(must(t, newScheduler(t, o), hosts, &Request{}).Ordered); !slices.Equal(got, []string{"b"}) {
		t.Errorf("got %v", got)
	}
}
