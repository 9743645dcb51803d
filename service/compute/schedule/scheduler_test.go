package schedule

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kilonova/internal/config"
	"kilonova/internal/fault"
)

func three() []*Host {
	var hosts []*Host
	for _, name := range []string{"a", "b", "c"} {
		hosts = append(hosts, &Host{Name: name, Node: name, Up: true, Zone: "nova", MemoryMB: Resource{Total: 8192}, VCPUs: Resource{Total: 8}, DiskGB: Resource{Total: 100}})
	}
	return hosts
}

func TestNarrowing(t *testing.T) {
	hosts := append(three(), &Host{Name: "d", Node: "d1", Up: true}, &Host{Name: "d", Node: "d2", Disabled: true})
	for name, tt := range map[string]struct {
		request Request
		want    []string
	}{
		"all":                       {Request{}, []string{"a", "b", "c", "d"}},
		"destination":               {Request{Destination: Place{Host: "d"}}, []string{"d"}},
		"destination that is off":   {Request{Destination: Place{"d", "d2"}}, nil},
		"destination by node":       {Request{Destination: Place{Node: "d1"}}, []string{"d"}},
		"destination nowhere":       {Request{Destination: Place{Host: "x"}}, nil},
		"ignored":                   {Request{IgnoreHosts: []string{"A", "d"}}, []string{"b", "c"}},
		"forced":                    {Request{ForceHosts: []string{"B"}}, []string{"b"}},
		"forced though off":         {Request{ForceNodes: []string{"d2"}}, []string{"d"}},
		"forced and ignored":        {Request{ForceHosts: []string{"b"}, IgnoreHosts: []string{"b"}}, nil},
		"tried":                     {Request{Tried: []Place{{"a", "a"}, {"c", ""}}}, []string{"b", "d"}},
		"forced and tried":          {Request{ForceHosts: []string{"a"}, Tried: []Place{{"a", "a"}}}, nil},
		"zone":                      {Request{Zone: "nova"}, []string{"a", "b", "c"}},
		"another zone":              {Request{Zone: "x"}, nil},
		"forced, another zone":      {Request{Zone: "x", ForceHosts: []string{"a"}}, []string{"a"}},
		"at most two, best by name": {Request{Choices: 2}, []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := Defaults()
			o.Filter.WeightClasses = nil
			result := must(t, newScheduler(t, o), hosts, &tt.request)
			if got := names(result.Ordered); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v: %s", got, tt.want, result.Explanation.String())
			}
		})
	}
}

func TestExplanation(t *testing.T) {
	var hosts []*Host
	for i := range 30 {
		hosts = append(hosts, &Host{Name: fmt.Sprintf("h%02d", 29-i), Node: "n", Up: i >= 25, Disabled: i == 27, DisabledReason: "repair", MemoryMB: Resource{Total: 1024 * i}})
	}
	s := newScheduler(t, only("ComputeFilter", "RamFilter", "AvailabilityZoneFilter"))
	result := must(t, s, hosts, &Request{Flavor: Flavor{MemoryMB: 1 << 20}, Zone: "z"})
	e := result.Explanation
	want := "No valid host was found. 30 hosts: ComputeFilter refused 26 (25 down, 1 disabled), RamFilter refused 4 (4 with less memory than asked for)."
	if got := e.Summary(); got != want {
		t.Errorf("summary\n%s\nwant\n%s", got, want)
	}
	if len(e.Filters) != 2 { // nobody was left for the third
		t.Fatalf("%d filters", len(e.Filters))
	}
	step := e.Filters[0]
	if len(step.Refused) != MaxRefused || step.More != 6 || step.In != 30 || step.Out != 4 {
		t.Errorf("%d refused, %d more, in %d, out %d", len(step.Refused), step.More, step.In, step.Out)
	}
	if r := step.Refused[0]; r != (Refusal{"h02", "n", "disabled: repair"}) {
		t.Errorf("first refused %+v", r)
	}
	if !slices.IsSortedFunc(step.Refused, func(a, b Refusal) int { return strings.Compare(a.Host, b.Host) }) {
		t.Error("refused hosts are not in order")
	}
	for _, part := range []string{"h02 (node n): disabled: repair", "and 6 more", "1048576 MiB asked for"} {
		if !strings.Contains(e.String(), part) {
			t.Errorf("text lacks %q:\n%s", part, e.String())
		}
	}

	unnamed := Explanation{Hosts: 2, Filters: []Step{{Filter: "Placement", In: 2, More: 2, Reasons: []Reason{{"disabled", 1}, {"without room", 1}}}}}
	if got, want := unnamed.String(), "\nPlacement: 0 of 2 left\n  1 host: disabled\n  1 host: without room"; !strings.HasSuffix(got, want) {
		t.Errorf("of hosts that are not named: %q, want %q", got, want)
	}

	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back Explanation
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(e, back) {
		t.Errorf("not the same after JSON: %v\n%s", err, data)
	}

	result = must(t, newScheduler(t, Defaults()), three(), &Request{})
	if got := result.Explanation.Summary(); got != "3 hosts; 3 left." {
		t.Errorf("summary of success %q", got)
	}
	result = must(t, s, nil, &Request{})
	if got := result.Explanation.Summary(); got != "No valid host was found. There was no candidate." {
		t.Errorf("summary of nothing %q", got)
	}
}

// TestExplanationIsBounded: 100,000 refused hosts with a reason each at most make
// a record of some kilobytes.
func TestExplanationIsBounded(t *testing.T) {
	o := Defaults()
	o.Filter.EnabledFilters = nil
	for name := range filterTable {
		o.Filter.EnabledFilters = append(o.Filter.EnabledFilters, name)
	}
	slices.Sort(o.Filter.EnabledFilters)
	s := newScheduler(t, o)
	result := must(t, s, fleet(20_000, 3), &Request{Flavor: specs("capabilities:x", "y"), Zone: "z1", Image: image("hw_architecture", "x86_64")})
	data, err := json.Marshal(result.Explanation)
	if err != nil || len(data) > 32<<10 || len(result.Explanation.Summary()) > 2<<10 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

func TestOrderOfHostsMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "fleet")
		hosts := fleet(rapid.IntRange(1, 60).Draw(t, "hosts"), seed)
		for _, h := range hosts { // many ties
			h.MemoryMB.Used = h.MemoryMB.Used / 65536 * 65536
			h.VCPUs.Used, h.DiskGB.Used = 0, 0
		}
		shuffled := slices.Clone(hosts)
		rand.New(rand.NewPCG(seed, 9)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		o := Defaults()
		o.Filter.EnabledFilters = append(o.Filter.EnabledFilters, "RamFilter", "NumInstancesFilter")
		o.Filter.ShuffleBest = rapid.Bool().Draw(t, "shuffle")
		o.Filter.HostSubsetSize = rapid.IntRange(0, 4).Draw(t, "subset")
		if rapid.Bool().Draw(t, "chance") {
			o.Scheduler.Driver = ChanceScheduler
		}
		r := &Request{Flavor: Flavor{MemoryMB: 65536}, Choices: rapid.IntRange(0, 10).Draw(t, "choices")}
		var got [2]Result
		for i, list := range [][]*Host{hosts, shuffled} {
			s, err := New(o, rand.New(rand.NewPCG(seed, 5)).IntN)
			if err != nil {
				t.Fatal(err)
			}
			if got[i], err = s.Select(list, r); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(got[0], got[1]) {
			t.Fatalf("%v and %v", names(got[0].Ordered), names(got[1].Ordered))
		}
	})
}

// TestFirstOf: the first n are those of a full sort.
func TestFewChoicesAreTheFirstOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := fleet(rapid.IntRange(1, 80).Draw(t, "hosts"), rapid.Uint64().Draw(t, "seed"))
		n := rapid.IntRange(1, 90).Draw(t, "choices")
		s, err := New(Defaults(), rand.IntN)
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.Select(hosts, &Request{})
		if err != nil {
			t.Fatal(err)
		}
		few, err := s.Select(hosts, &Request{Choices: n})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(few.Ordered, all.Ordered[:min(n, len(all.Ordered))]) {
			t.Fatalf("%v of %v", names(few.Ordered), names(all.Ordered))
		}
		if !slices.IsSortedFunc(all.Ordered, func(a, b Choice) int {
			if a.Weight > b.Weight {
				return -1
			}
			return 1
		}) {
			t.Fatalf("not in order: %v", all.Ordered)
		}
	})
}

// TestChance: every host is as likely, at every place (chi-square, 99.9 %).
func TestChance(t *testing.T) {
	const hosts, draws = 10, 20_000
	o := Defaults()
	o.Scheduler.Driver = ChanceScheduler
	fair(t, o, hosts, draws)
}

func TestShuffleBestIsFair(t *testing.T) {
	o := Defaults()
	o.Filter.ShuffleBest = true
	fair(t, o, 10, 20_000)
}

func TestSubsetIsFair(t *testing.T) {
	o := Defaults()
	o.Filter.HostSubsetSize = 10
	fair(t, o, 10, 20_000)
}

func fair(t *testing.T, o Options, hosts, draws int) {
	s, err := New(o, rand.New(rand.NewPCG(7, 7)).IntN)
	if err != nil {
		t.Fatal(err)
	}
	var list []*Host
	for i := range hosts {
		list = append(list, &Host{Name: fmt.Sprint(i), Up: true})
	}
	list = append(list, &Host{Name: "down"}, &Host{Name: "off", Up: true, Disabled: true})
	seen := map[string]int{}
	for range draws {
		seen[must(t, s, list, &Request{Choices: 1}).Ordered[0].Name]++
	}
	if len(seen) != hosts {
		t.Fatalf("chosen: %v", seen)
	}
	expected, chi := float64(draws)/float64(hosts), 0.0
	for _, n := range seen {
		chi += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	if chi > 27.88 { // 9 degrees of freedom
		t.Errorf("chi-square %.1f: %v", chi, seen)
	}
}

func TestSubsetKeepsTheOthersInOrder(t *testing.T) {
	o := Defaults()
	o.Filter.HostSubsetSize = 3
	o.Filter.WeightClasses = nil
	s, err := New(o, func(n int) int { return n - 1 })
	if err != nil {
		t.Fatal(err)
	}
	if got := names(must(t, s, three(), &Request{}).Ordered); !slices.Equal(got, []string{"c", "a", "b"}) {
		t.Errorf("got %v", got)
	}
	if got := names(must(t, s, three(), &Request{Choices: 1}).Ordered); !slices.Equal(got, []string{"c"}) {
		t.Errorf("got %v", got)
	}
}

func TestSelectMany(t *testing.T) {
	ids := []string{"1", "2", "3", "4"}
	first := func(results []Result) []string {
		list := []string{}
		for _, r := range results {
			if len(r.Ordered) > 0 {
				list = append(list, r.Ordered[0].Name)
			}
		}
		return list
	}
	run := func(o Options, r *Request) []Result {
		results, err := newScheduler(t, o).SelectMany(three(), r, ids)
		if err != nil {
			t.Fatal(err)
		}
		return results
	}
	f := Flavor{VCPUs: 1, MemoryMB: 2048, RootGB: 1}
	if got := first(run(Defaults(), &Request{Flavor: f})); !slices.Equal(got, []string{"a", "b", "c", "a"}) {
		t.Errorf("spread: %v", got)
	}
	results := run(Defaults(), &Request{Flavor: f, Group: &Group{ID: "g", Policy: AntiAffinity}})
	if got := first(results); len(results) != 4 || !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("anti-affinity: %v of %d", got, len(results))
	}
	if got := first(run(Defaults(), &Request{Flavor: f, Group: &Group{ID: "g", Policy: Affinity}})); !slices.Equal(got, []string{"a", "a", "a", "a"}) {
		t.Errorf("affinity: %v", got)
	}
	o := only("RamFilter")
	if got := first(run(o, &Request{Flavor: Flavor{MemoryMB: 8192}})); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("full: %v", got)
	}
	o.Scheduler.Driver = ChanceScheduler
	got := first(run(o, &Request{}))
	if slices.Sort(got); len(got) != 4 || len(slices.Compact(got)) != 3 {
		t.Errorf("chance deals %v", got)
	}
}

// TestSelectManyConsumes follows what one server takes of everything that a host
// has, and that the caller's host stays as it was.
func TestSelectManyConsumes(t *testing.T) {
	h := &Host{Name: "h", Up: true, VCPUs: Resource{Total: 8}, MemoryMB: Resource{Total: 8192}, DiskGB: Resource{Total: 100}, DiskLeastGB: ptr(50),
		PCI: pools(), Flavors: map[string]int{"m1": 1}}
	r := &Request{Flavor: Flavor{Name: "m1", VCPUs: 2, MemoryMB: 1024, RootGB: 10, SwapMB: 1},
		PCI: []PCIRequest{{Alias: "gpu", Count: 1, Alternatives: []map[string]string{{"vendor_id": "10de"}}}}}
	results, err := newScheduler(t, only("PciPassthroughFilter", "CoreFilter")).SelectMany([]*Host{h}, r, []string{"a", "b", "c", "d"})
	if err != nil || len(results) != 4 || len(results[3].Ordered) != 0 { // there are three devices
		t.Fatalf("%d results, %v", len(results), err)
	}
	got := results[2].Ordered[0].Host // as the third server finds it
	if got.VCPUs.Used != 4 || got.MemoryMB.Used != 2048 || got.DiskGB.Used != 22 || *got.DiskLeastGB != 28 || got.Servers != 2 || got.IOOps != 2 ||
		got.Flavors["m1"] != 3 || got.PCI[0].Count != 0 || got.PCI[1].Count != 1 {
		t.Errorf("%+v, least %d", got, *got.DiskLeastGB)
	}
	if h.VCPUs.Used != 0 || *h.DiskLeastGB != 50 || h.PCI[0].Count != 2 || h.Flavors["m1"] != 1 {
		t.Errorf("the caller's host was changed: %+v", h)
	}
}

func TestOptions(t *testing.T) {
	o := Defaults()
	text := `
[scheduler]
driver = "filter_scheduler"
[filter_scheduler]
enabled_filters = ["nova.scheduler.filters.ram_filter.RamFilter", "ComputeFilter"]
available_filters = ["RamFilter", "ComputeFilter"]
weight_classes = ["nova.scheduler.weights.ram.RAMWeigher"]
ram_weight_multiplier = -1.0
[metrics]
required = false
`
	if err := config.Parse(text, &o); err != nil {
		t.Fatal(err)
	}
	s := newScheduler(t, o)
	if len(s.filters) != 2 || len(s.weighers) != 1 || s.options.Filter.RAM != -1 || s.options.Filter.HostSubsetSize != 1 {
		t.Errorf("%d filters, %d weighers, %+v", len(s.filters), len(s.weighers), s.options.Filter)
	}
	if s := newScheduler(t, Options{}); len(must(t, s, three(), &Request{}).Ordered) != 3 {
		t.Error("the zero value refuses hosts")
	}
	for _, bad := range []func(o *Options){
		func(o *Options) { o.Scheduler.Driver = "best_scheduler" },
		func(o *Options) { o.Filter.EnabledFilters = []string{"NoSuchFilter"} },
		func(o *Options) { o.Filter.AvailableFilters = []string{"RamFilter"} },
		func(o *Options) { o.Filter.WeightClasses = []string{"NoSuchWeigher"} },
		func(o *Options) { o.Filter.HostSubsetSize = -1 },
		func(o *Options) { o.Filter.DefaultArchitecture = "x87" },
		func(o *Options) { o.Filter.PCI = -1 },
		func(o *Options) { o.Metrics.Setting = []string{"cpu"} },
		func(o *Options) { o.Filter.ImagePropsSetting = []string{"os_distro=much"} },
	} {
		o := Defaults()
		bad(&o)
		if _, err := New(o, rand.IntN); !fault.Is(err, fault.Invalid) {
			t.Errorf("err = %v for %+v", err, o)
		}
	}
}

// TestHostsCostNoAllocation: what a decision allocates does not grow with the
// number of hosts, but for the lists of them.
func TestHostsCostNoAllocation(t *testing.T) {
	r := &Request{Zone: "z1", Flavor: specs("aggregate_instance_extra_specs:ssd", "true"), Choices: 10, Image: image("hw_architecture", "x86_64")}
	o := Defaults()
	o.Filter.EnabledFilters = append(o.Filter.EnabledFilters, "AvailabilityZoneFilter", "RamFilter", "DiskFilter", "AggregateCoreFilter",
		"AggregateInstanceExtraSpecsFilter", "AggregateMultiTenancyIsolation", "AggregateNumInstancesFilter", "AggregateIoOpsFilter")
	s := newScheduler(t, o)
	allocations := func(n int) float64 {
		hosts := fleet(n, 2)
		return testing.AllocsPerRun(5, func() { must(t, s, hosts, r) })
	}
	// The explanation has a text for up to MaxRefused hosts of each filter.
	if n := allocations(10_000); n > 1_000 {
		t.Errorf("%v allocations for 10,000 hosts", n)
	}
}

// TestRebuild is CVE-2017-16239: a rebuild with another image must not get past
// the filters that keep images where they belong, also where the host is forced;
// what counts servers and resources does not matter to it.
func TestRebuild(t *testing.T) {
	h := &Host{Name: "h", Node: "h", Servers: 99, Supported: kvm, Aggregates: aggregate("os_distro", "debian")} // and down
	o := Defaults()
	o.Filter.EnabledFilters = append(o.Filter.EnabledFilters, "NumInstancesFilter", "AggregateImagePropertiesIsolation", "IsolatedHostsFilter")
	o.Filter.IsolatedImages = []string{"secret"}
	s := newScheduler(t, o)
	for name, tt := range map[string]struct {
		image Image
		want  int
	}{
		"may stay":      {image("os_distro", "debian"), 1},
		"architecture":  {image("hw_architecture", "aarch64"), 0},
		"aggregate":     {image("os_distro", "windows"), 0},
		"isolated":      {Image{ID: "secret"}, 0},
		"nothing known": {Image{}, 1},
	} {
		for _, r := range []Request{{Destination: Place{Host: "h"}}, {ForceHosts: []string{"h"}}} {
			r.Image, r.Rebuild = tt.image, true
			if result := must(t, s, append(three(), h), &r); len(result.Ordered) != tt.want {
				t.Errorf("%s: %s", name, result.Explanation.String())
			}
		}
	}
}

// TestHintsWithoutEnd is CVE-2012-3371: hints with very many servers must not
// keep the scheduler busy. Looked at host by host these would be 10^10 steps.
func TestHintsWithoutEnd(t *testing.T) {
	r := &Request{Located: map[string]string{"99999": "compute-000001.example.org"}}
	for i := range 100_000 {
		r.Hints.DifferentHost = append(r.Hints.DifferentHost, fmt.Sprint(i))
		r.Hints.SameHost = append(r.Hints.SameHost, fmt.Sprint(i))
	}
	s, hosts := newScheduler(t, only("DifferentHostFilter", "SameHostFilter")), fleet(100_000, 1)
	done := make(chan Result, 1)
	go func() {
		result, err := s.Select(hosts, r)
		if err != nil {
			t.Error(err)
		}
		done <- result
	}()
	select {
	case result := <-done:
		if step := result.Explanation.Filters[0]; step.Out != len(hosts)-1 || len(result.Ordered) != 0 {
			t.Errorf("%s", result.Explanation.Summary())
		}
	case <-time.After(20 * time.Second):
		t.Error("the scheduler is busy with hints")
	}
}
