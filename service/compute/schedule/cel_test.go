package schedule

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/fault"
)

func withFilter(expression string) Options {
	o := only()
	o.Filter.CELFilters = []CELFilter{{Name: "Own", Expression: expression}}
	return o
}

func TestCELFilters(t *testing.T) {
	hosts := []*Host{
		{Name: "a", Node: "a", Up: true, MemoryMB: Resource{Total: 8192, Used: 2048}, Zone: "z1", Traits: []string{"HW_CPU_X86_AVX2"},
			Aggregates: aggregate("rack", "7"), Metrics: map[string]float64{"cpu.percent": 0.9}},
		{Name: "b", Node: "b", Up: true, MemoryMB: Resource{Total: 4096, Used: 2048}, Zone: "z2", Metrics: map[string]float64{"cpu.percent": 0.1}},
	}
	request := &Request{ProjectID: "p", Flavor: Flavor{Name: "small", VCPUs: 1, MemoryMB: 2048, ExtraSpecs: map[string]string{"class": "gold"}},
		Image: Image{Properties: map[string]string{"os": "linux"}}}
	for expression, want := range map[string]string{
		"host.free_ram_mb > 2 * flavor.ram":                                   "a",
		"host.zone == 'z2'":                                                   "b",
		"'HW_CPU_X86_AVX2' in host.traits":                                    "a",
		"host.traits.exists(t, t.startsWith('HW_CPU'))":                       "a",
		"has(host.metrics.x) || host.metrics['cpu.percent'] < 0.5":            "b",
		"'rack' in host.metadata && host.metadata['rack'] == '7'":             "a",
		"host.metadata['rack'] == '7'":                                        "a", // b has none: refused
		"flavor.extra_specs['class'] == 'gold' && host.name != 'a'":           "b",
		"image.properties['os'] == 'linux' && request.project_id == 'p'":      "a b",
		"flavor.name.matches('^small$') && double(host.free_ram_mb) < 3000.0": "b",
	} {
		s := newScheduler(t, withFilter(expression))
		got := names(must(t, s, hosts, request).Ordered)
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", expression, got, want)
		}
	}
	result := must(t, newScheduler(t, withFilter("host.metadata['rack'] == '8'")), hosts, request)
	if text := result.Explanation.String(); !strings.Contains(text, "Own refused 2 (1 for which Own cannot be evaluated, 1 not matching Own)") ||
		!strings.Contains(text, "no such key: rack") {
		t.Errorf("the explanation is\n%s", text)
	}
}

func TestCELWeighers(t *testing.T) {
	o := only()
	o.Filter.CELWeighers = []CELWeigher{{Name: "Emptiest", Expression: "host.num_instances"}}
	minus := -2.0
	hosts := []*Host{{Name: "a", Servers: 5}, {Name: "b", Servers: 7}, {Name: "c", Servers: 1}}
	if got := names(must(t, newScheduler(t, o), hosts, &Request{}).Ordered); !slices.Equal(got, []string{"b", "a", "c"}) {
		t.Errorf("by more servers: %v", got)
	}
	o.Filter.CELWeighers[0].Multiplier = &minus
	result := must(t, newScheduler(t, o), hosts, &Request{})
	if got := names(result.Ordered); !slices.Equal(got, []string{"c", "a", "b"}) {
		t.Errorf("by fewer servers: %v", got)
	}
	if w := result.Explanation.Weighed; w[2].Parts["Emptiest"] != -2 {
		t.Errorf("the explanation does not tell the weigher's part: %+v", w)
	}
	o.Filter.CELWeighers[0].Expression = "100 / (host.num_instances - 5)" // a cannot be evaluated
	if got := names(must(t, newScheduler(t, o), hosts, &Request{}).Ordered); !slices.Equal(got, []string{"c", "a", "b"}) {
		t.Errorf("with one that divides by zero: %v", got)
	}
}

// TestCELIsStrict: whatever is wrong with an expression is said at the start,
// with its place.
func TestCELIsStrict(t *testing.T) {
	for _, c := range []struct {
		filter CELFilter
		want   []string
	}{
		{CELFilter{"Own", "host.free_rum_mb > 1"}, []string{"cel_filters[0] (Own)", "line 1, column 5", "undeclared reference"}},
		{CELFilter{"Own", "host.free_ram_mb >\n 'x'"}, []string{"line 1, column 18", "no matching overload"}},
		{CELFilter{"Own", "host.up &&"}, []string{"line 1", "Syntax error"}},
		{CELFilter{"Own", "host.free_ram_mb"}, []string{"yields int; it has to be bool"}},
		{CELFilter{"", "true"}, []string{"cel_filters[0]: the name"}},
		{CELFilter{"RamFilter", "true"}, []string{"already"}},
		{CELFilter{"Own", "'" + strings.Repeat("x", 5000) + "' == host.name"}, []string{"limit is 4096"}},
	} {
		o := only()
		o.Filter.CELFilters = []CELFilter{c.filter}
		_, err := New(o, rand.IntN)
		for _, want := range c.want {
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%.40s: %v, want %q", c.filter.Expression, err, want)
			}
		}
	}
	o := only()
	o.Filter.CELWeighers = []CELWeigher{{Name: "RAMWeigher", Expression: "1"}}
	if _, err := New(o, rand.IntN); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a weigher of a name that is taken: %v", err)
	}
	o.Filter.CELWeighers = []CELWeigher{{Name: "Own", Expression: "host.name"}}
	if _, err := New(o, rand.IntN); err == nil || !strings.Contains(err.Error(), "yields string; it has to be a number") {
		t.Errorf("a weigher of text: %v", err)
	}
	o.Filter.CELWeighers = slices.Repeat([]CELWeigher{{Name: "Own", Expression: "1"}}, maxCELCount+1)
	if _, err := New(o, rand.IntN); err == nil || !strings.Contains(err.Error(), "limit is 32") {
		t.Errorf("too many: %v", err)
	}
}

// TestCELIsBounded: an expression that takes too long for a host refuses it.
func TestCELIsBounded(t *testing.T) {
	s := newScheduler(t, withFilter("host.traits.all(a, host.traits.all(b, host.traits.all(c, a + b + c != 'x')))"))
	traits := make([]string, 200)
	for i := range traits {
		traits[i] = strings.Repeat("t", 50)
	}
	result := must(t, s, []*Host{{Name: "a", Traits: traits}, {Name: "b"}}, &Request{})
	if got := names(result.Ordered); !slices.Equal(got, []string{"b"}) {
		t.Errorf("%v", got)
	}
	if text := result.Explanation.String(); !strings.Contains(text, "cost limit exceeded") {
		t.Errorf("the explanation is\n%s", text)
	}
}

func TestDriversHaveAllTheirNames(t *testing.T) {
	for name, want := range map[string]string{"": FilterScheduler, "filter": FilterScheduler, "filter_scheduler": FilterScheduler,
		"nova.scheduler.filter_scheduler.FilterScheduler": FilterScheduler, "chance": ChanceScheduler, "chance_scheduler": ChanceScheduler,
		"nova.scheduler.chance.ChanceScheduler": ChanceScheduler, "caching": CachingScheduler, "caching_scheduler": CachingScheduler,
		"nova.scheduler.caching_scheduler.CachingScheduler": CachingScheduler} {
		o := Defaults()
		o.Scheduler.Driver = name
		if s, err := New(o, rand.IntN); err != nil || s.Driver() != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	o := Defaults()
	o.Scheduler.Driver = "best"
	if _, err := New(o, rand.IntN); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown driver: %v", err)
	}
}

func BenchmarkCEL(b *testing.B) {
	o := withFilter("host.free_ram_mb > 2 * flavor.ram && host.num_instances < 50")
	benchmark(b, 10_000, o, &Request{Flavor: Flavor{MemoryMB: 1024}, Choices: 10})
}
