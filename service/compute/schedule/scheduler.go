package schedule

import (
	"math"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute/hardware"
)

// Scheduler decides. It is safe for concurrent use if its source of chance is.
type Scheduler struct {
	options  Options
	filters  []namedFilter
	weighers []makeWeigher
	pick     func(n int) int
	driver   string
	chance   bool // driver is ChanceScheduler
}

type namedFilter struct {
	name string
	make makeFilter
}

// New checks the options. pick draws a number from [0, n), each as likely, as
// math/rand/v2.IntN does; it must be safe for concurrent use. An unknown filter,
// weigher or driver, or a setting that is no number, is fault.Invalid.
func New(o Options, pick func(n int) int) (*Scheduler, error) {
	s := &Scheduler{options: o, pick: pick}
	driver, err := DriverOf(o.Scheduler.Driver)
	if err != nil {
		return nil, err
	}
	s.driver, s.chance = driver, driver == ChanceScheduler
	if err := s.checkValues(); err != nil {
		return nil, err
	}
	if err := s.chooseFilters(); err != nil {
		return nil, err
	}
	if err := s.chooseWeighers(); err != nil {
		return nil, err
	}
	return s, s.compileOwn()
}

// Driver is one of the drivers' constants.
func (s *Scheduler) Driver() string { return s.driver }

func (s *Scheduler) checkValues() error {
	f := &s.options.Filter
	any := math.Inf(-1)
	for _, n := range []struct {
		option     string
		value, min float64
	}{
		{"host_subset_size", float64(f.HostSubsetSize), 0}, // 0 stands for 1
		{"max_io_ops_per_host", float64(f.MaxIOOpsPerHost), 0},
		{"max_instances_per_host", float64(f.MaxInstancesPerHost), 0},
		{"[scheduler] periodic_task_interval", float64(s.options.Scheduler.CacheSeconds), 0},
		{"pci_weight_multiplier", f.PCI, 0},
		{"soft_affinity_weight_multiplier", f.SoftAffinity, 0},
		{"soft_anti_affinity_weight_multiplier", f.SoftAntiAffinity, 0},
		{"ram_weight_multiplier", f.RAM, any},
		{"cpu_weight_multiplier", f.CPU, any},
		{"disk_weight_multiplier", f.Disk, any},
		{"hypervisor_version_weight_multiplier", f.HypervisorVersion, any},
		{"num_instances_weight_multiplier", f.NumInstances, any},
		{"io_ops_weight_multiplier", f.IOOps, any},
		{"build_failure_weight_multiplier", f.BuildFailure, any},
		{"cross_cell_move_weight_multiplier", f.CrossCell, any},
		{"image_props_weight_multiplier", f.ImageProps, any},
		{"[metrics] weight_multiplier", s.options.Metrics.Multiplier, any},
		{"[metrics] weight_of_unavailable", s.options.Metrics.Unavailable, any},
	} {
		if n.value < n.min || !finite(n.value) {
			return fault.Invalidf("The scheduler's option %s is %v, which is out of range.", n.option, n.value)
		}
	}
	if err := hardware.CheckArchitecture(f.DefaultArchitecture); err != nil {
		return fault.New(fault.Invalid, "[filter_scheduler] image_properties_default_architecture: %w", err)
	}
	return nil
}

func (s *Scheduler) chooseFilters() error {
	allowed := map[string]bool{}
	for _, name := range s.options.Filter.AvailableFilters {
		allowed[className(name)] = true
	}
	for _, enabled := range s.options.Filter.EnabledFilters {
		name := className(enabled)
		build, ok := filterTable[name]
		if !ok {
			return fault.Invalidf("[filter_scheduler] enabled_filters names %q, which is no filter.", enabled)
		}
		if len(allowed) > 0 && !allowed["all_filters"] && !allowed[name] {
			return fault.Invalidf("[filter_scheduler] enabled_filters names %q, which is not among available_filters.", enabled)
		}
		s.filters = append(s.filters, namedFilter{name, build})
	}
	return nil
}

// className cuts a Python path to the class: upstream's options have either.
func className(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// Select orders the hosts that may have the server. That there is none is no
// error: the result says so. A request that no host could ever satisfy because it
// is wrong in itself, like a malformed query, is fault.Invalid.
//
// The order of hosts makes no difference; hosts of the same weight are ordered by
// name unless the options say by lot.
func (s *Scheduler) Select(hosts []*Host, r *Request) (Result, error) {
	left := slices.Clone(hosts) // compacted in place from here on
	result := Result{Explanation: Explanation{Hosts: len(hosts), Filters: make([]Step, 0, len(s.filters)+4)}}
	left, err := s.filter(left, r, &result.Explanation)
	if err != nil {
		return Result{}, err
	}
	result.Explanation.Left = len(left)
	if len(left) == 0 {
		return result, nil
	}
	if s.chance {
		result.Ordered = s.draw(left, r.Choices)
		return result, nil
	}
	w := s.weigh(left, r)
	defer w.release()
	result.Ordered = w.order(s, r.Choices)
	result.Explanation.Weighed = w.explain(result.Ordered)
	return result, nil
}

// filter runs all filters over hosts, which it overwrites, and returns those that
// are left.
func (s *Scheduler) filter(hosts []*Host, r *Request, e *Explanation) ([]*Host, error) {
	for _, nf := range s.plan(r) {
		f, err := nf.make(&s.options, r)
		if err != nil {
			return nil, err
		}
		in := len(hosts)
		var rec record
		if f != nil {
			kept := hosts[:0]
			for _, h := range hosts {
				if why := f.refuse(h); why != "" {
					rec.refuse(h, why)
				} else {
					kept = append(kept, h)
				}
			}
			hosts = kept
			e.Filters = append(e.Filters, rec.step(nf.name, in, f.detail))
		} else {
			e.Filters = append(e.Filters, Step{Filter: nf.name, In: in, Out: in})
		}
		if len(hosts) == 0 {
			break
		}
	}
	return hosts, nil
}

// plan lists the filters for a request: first what narrows the field without
// being configured, then the enabled ones.
func (s *Scheduler) plan(r *Request) []namedFilter {
	plan := make([]namedFilter, 0, len(s.filters)+6)
	if r.Destination != (Place{}) {
		plan = append(plan, namedFilter{"RequestedDestination", requestedDestination})
	}
	if len(r.IgnoreHosts) > 0 {
		plan = append(plan, namedFilter{"IgnoredHosts", ignoredHosts})
	}
	if len(r.ForceHosts) > 0 {
		plan = append(plan, namedFilter{"ForcedHosts", forcedHosts})
	}
	if len(r.ForceNodes) > 0 {
		plan = append(plan, namedFilter{"ForcedNodes", forcedNodes})
	}
	forced := len(r.ForceHosts) > 0 || len(r.ForceNodes) > 0
	// A host where the build has failed is never tried again, and a metric that
	// is required is required, whether their filters are enabled or not.
	if len(r.Tried) > 0 && (forced || s.chance || !s.Enabled("RetryFilter")) {
		plan = append(plan, namedFilter{"RetryFilter", retryFilter})
	}
	if r.Rebuild {
		for _, f := range s.filters {
			if rebuildFilters[f.name] {
				plan = append(plan, f)
			}
		}
		return plan
	}
	if forced { // an administrator knows what they do
		return plan
	}
	// A zone that was asked for is a promise. Upstream keeps it by asking
	// Placement for the zone's hosts only, whatever filters are enabled.
	if r.Zone != "" && (s.chance || !s.Enabled("AvailabilityZoneFilter")) {
		plan = append(plan, namedFilter{"AvailabilityZoneFilter", availabilityZone})
	}
	if s.chance {
		return append(plan, namedFilter{"ComputeFilter", computeFilter})
	}
	plan = append(plan, s.filters...)
	// What is asked of processors, memory and devices is refused by the host in
	// the end, whatever filters are enabled: better before than after.
	for _, f := range []namedFilter{{"NUMATopologyFilter", numaTopology}, {"PciPassthroughFilter", pciPassthrough}} {
		if !s.Enabled(f.name) && f.asked(r) {
			plan = append(plan, f)
		}
	}
	if m := &s.options.Metrics; m.Required && m.Multiplier != 0 && len(m.Setting) > 0 && !s.Enabled("MetricsFilter") {
		plan = append(plan, namedFilter{"MetricsFilter", metricsFilter})
	}
	return plan
}

// asked reports whether a filter has anything to say to a request.
func (f namedFilter) asked(r *Request) bool {
	made, err := f.make(nil, r)
	return made != nil || err != nil
}

// Enabled reports whether a filter is among the enabled ones, by its class name.
func (s *Scheduler) Enabled(name string) bool {
	return slices.ContainsFunc(s.filters, func(f namedFilter) bool { return f.name == name })
}

// draw puts hosts in random order.
func (s *Scheduler) draw(hosts []*Host, choices int) []Choice {
	// From a known order, so that the same numbers give the same hosts.
	slices.SortFunc(hosts, byName)
	n := len(hosts)
	if choices > 0 {
		n = min(n, choices)
	}
	drawn := make([]Choice, n)
	for i := range drawn {
		j := i + s.pick(len(hosts)-i)
		hosts[i], hosts[j] = hosts[j], hosts[i]
		drawn[i].Host = hosts[i]
	}
	return drawn
}
