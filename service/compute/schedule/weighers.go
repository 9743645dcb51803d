package schedule

import (
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute/hardware"
)

// weigher gives hosts a weight for one request; more is better. Weights are then
// brought to [0, 1] over the hosts at hand and multiplied.
type weigher struct {
	name string // upstream's class name
	// option names the multiplier, in the configuration and in the metadata of
	// aggregates, where it is written for their hosts.
	option     string
	multiplier float64
	// negated multipliers are written as positive numbers and mean the opposite.
	negated bool
	// fromZero weighs from 0 on and not from the least weight there is.
	fromZero bool
	// weigh must not allocate; nil: the weigher has nothing to say to the request.
	weigh func(h *Host) float64
}

// makeWeigher prepares a weigher for a request. With a request of nil it checks
// the options.
type makeWeigher func(o *Options, r *Request) (weigher, error)

// weigherTable has all weighers by upstream's class names, in the order in which
// weights are added up.
var weigherTable = []struct {
	name string
	make makeWeigher
}{
	{"RAMWeigher", ramWeigher},
	{"CPUWeigher", cpuWeigher},
	{"DiskWeigher", diskWeigher},
	{"IoOpsWeigher", ioOpsWeigher},
	{"NumInstancesWeigher", numInstancesWeigher},
	{"HypervisorVersionWeigher", hypervisorVersionWeigher},
	{"PCIWeigher", pciWeigher},
	{"MetricsWeigher", metricsWeigher},
	{"ImagePropertiesWeigher", imagePropertiesWeigher},
	{"ServerGroupSoftAffinityWeigher", softAffinityWeigher},
	{"ServerGroupSoftAntiAffinityWeigher", softAntiAffinityWeigher},
	{"BuildFailureWeigher", buildFailureWeigher},
	{"CrossCellWeigher", crossCellWeigher},
}

// chooseWeighers takes those that the options name, in the order of the table.
func (s *Scheduler) chooseWeighers() error {
	unknown := map[string]bool{}
	for _, name := range s.options.Filter.WeightClasses {
		unknown[className(name)] = true
	}
	all := unknown["all_weighers"]
	delete(unknown, "all_weighers")
	for _, w := range weigherTable {
		if all || unknown[w.name] {
			s.weighers = append(s.weighers, w.make)
		}
		delete(unknown, w.name)
		if _, err := w.make(&s.options, &Request{}); err != nil {
			return err
		}
	}
	for _, name := range s.options.Filter.WeightClasses {
		if unknown[className(name)] {
			return fault.Invalidf("[filter_scheduler] weight_classes names %q, which is no weigher.", name)
		}
	}
	return nil
}

func ramWeigher(o *Options, _ *Request) (weigher, error) {
	return weigher{name: "RAMWeigher", option: "ram_weight_multiplier", multiplier: o.Filter.RAM, fromZero: true,
		weigh: func(h *Host) float64 { return float64(h.MemoryMB.Free()) }}, nil
}

func cpuWeigher(o *Options, _ *Request) (weigher, error) {
	return weigher{name: "CPUWeigher", option: "cpu_weight_multiplier", multiplier: o.Filter.CPU, fromZero: true,
		weigh: func(h *Host) float64 { return h.VCPUs.Limit() - float64(h.VCPUs.Used) }}, nil
}

func diskWeigher(o *Options, _ *Request) (weigher, error) {
	return weigher{name: "DiskWeigher", option: "disk_weight_multiplier", multiplier: o.Filter.Disk, fromZero: true,
		weigh: func(h *Host) float64 { return float64(h.freeDiskMB()) }}, nil
}

func ioOpsWeigher(o *Options, _ *Request) (weigher, error) {
	return weigher{name: "IoOpsWeigher", option: "io_ops_weight_multiplier", multiplier: o.Filter.IOOps, fromZero: true,
		weigh: func(h *Host) float64 { return float64(h.IOOps) }}, nil
}

func numInstancesWeigher(o *Options, _ *Request) (weigher, error) {
	return weigher{name: "NumInstancesWeigher", option: "num_instances_weight_multiplier", multiplier: o.Filter.NumInstances,
		weigh: func(h *Host) float64 { return float64(h.Servers) }}, nil
}

func hypervisorVersionWeigher(o *Options, _ *Request) (weigher, error) {
	return weigher{name: "HypervisorVersionWeigher", option: "hypervisor_version_weight_multiplier", multiplier: o.Filter.HypervisorVersion,
		weigh: func(h *Host) float64 { return float64(h.HypervisorVersion) }}, nil
}

// manyDevices is a number of PCI devices beyond which they are no scarce good.
const manyDevices = 100

// pciWeigher prefers hosts with few free devices: servers without need of any
// stay away from them, those with need fill one host after the other.
func pciWeigher(o *Options, _ *Request) (weigher, error) {
	return weigher{name: "PCIWeigher", option: "pci_weight_multiplier", multiplier: o.Filter.PCI,
		weigh: func(h *Host) float64 {
			free := 0
			for i := range h.PCI {
				free += h.PCI[i].Count
			}
			return float64(manyDevices - min(free, manyDevices-1))
		}}, nil
}

func metricsWeigher(o *Options, _ *Request) (weigher, error) {
	m := &o.Metrics
	w := weigher{name: "MetricsWeigher", option: "metrics_weight_multiplier", multiplier: m.Multiplier}
	settings, err := parseSettings("[metrics] weight_setting", m.Setting)
	if err != nil || len(settings) == 0 {
		return w, err
	}
	w.weigh = func(h *Host) float64 {
		sum := 0.0
		for _, s := range settings {
			value, ok := h.Metrics[s.name]
			switch {
			case ok && finite(value):
				sum += value * s.ratio
			case s.ratio != 0 && h.multiplier(w.option, w.multiplier) != 0: // it would count
				return m.Unavailable
			}
		}
		return sum
	}
	return w, nil
}

// imagePropertiesWeigher counts the servers on a host whose images have the same
// properties.
func imagePropertiesWeigher(o *Options, r *Request) (weigher, error) {
	w := weigher{name: "ImagePropertiesWeigher", option: "image_props_weight_multiplier", multiplier: o.Filter.ImageProps}
	settings, err := parseSettings("[filter_scheduler] image_props_weight_setting", o.Filter.ImagePropsSetting)
	if err != nil || len(r.Image.Properties) == 0 {
		return w, err
	}
	type counted struct {
		ImageProperty
		ratio float64
	}
	var all []counted
	image := hardware.ReadAll(r.Image.Properties)
	if len(settings) > 0 {
		for _, s := range settings {
			if value, ok := image[s.name]; ok {
				all = append(all, counted{ImageProperty{s.name, value}, s.ratio})
			}
		}
	} else {
		for name, value := range image {
			all = append(all, counted{ImageProperty{name, value}, 1})
		}
	}
	w.weigh = func(h *Host) float64 {
		sum := 0.0
		if len(h.ImageProperties) > 0 {
			for _, p := range all {
				sum += p.ratio * float64(h.ImageProperties[p.ImageProperty])
			}
		}
		return sum
	}
	return w, nil
}

func softAffinityWeigher(o *Options, r *Request) (weigher, error) {
	return groupWeigher("ServerGroupSoftAffinityWeigher", "soft_affinity_weight_multiplier", o.Filter.SoftAffinity, SoftAffinity, 1, r), nil
}

func softAntiAffinityWeigher(o *Options, r *Request) (weigher, error) {
	return groupWeigher("ServerGroupSoftAntiAffinityWeigher", "soft_anti_affinity_weight_multiplier", o.Filter.SoftAntiAffinity, SoftAntiAffinity, -1, r), nil
}

func groupWeigher(name, option string, multiplier float64, policy string, sign float64, r *Request) weigher {
	w := weigher{name: name, option: option, multiplier: multiplier}
	if r.Group == nil || r.Group.Policy != policy {
		return w
	}
	on := r.serversOn(r.Group.Members, "")
	if len(on) > 0 {
		w.weigh = func(h *Host) float64 { return sign * float64(on[h.Name]) }
	}
	return w
}

// buildFailureWeigher keeps away from hosts whose last builds failed.
func buildFailureWeigher(o *Options, _ *Request) (weigher, error) {
	return weigher{name: "BuildFailureWeigher", option: "build_failure_weight_multiplier", multiplier: o.Filter.BuildFailure, negated: true,
		weigh: func(h *Host) float64 { return float64(h.FailedBuilds) }}, nil
}

// crossCellWeigher keeps moving servers in their cell: there is one, so that all hosts
// are alike to it, and configurations that name it are understood.
func crossCellWeigher(o *Options, _ *Request) (weigher, error) {
	return weigher{name: "CrossCellWeigher", option: "cross_cell_move_weight_multiplier", multiplier: o.Filter.CrossCell}, nil
}

// multiplierOf is the weigher's multiplier for a host: the least of its
// aggregates' or else the configured one.
func (w *weigher) multiplierOf(h *Host, overridden bool) float64 {
	m := w.multiplier
	if overridden {
		m = h.multiplier(w.option, m)
	}
	if w.negated {
		return -m
	}
	return m
}

// multiplier is like aggregateNumber, for numbers that have been read before.
func (h *Host) multiplier(option string, fallback float64) float64 {
	found := false
	least := fallback
	for _, a := range h.Aggregates {
		if a.multipliers == nil {
			continue
		}
		m, ok := a.multipliers[option]
		if !ok {
			if _, bad := a.raw[option]; bad {
				return fallback
			}
			continue
		}
		if !found || m < least {
			least, found = m, true
		}
	}
	return least
}

// overrides reports whether an aggregate of one of the hosts has any multiplier.
func overrides(hosts []*Host) bool {
	for _, h := range hosts {
		for _, a := range h.Aggregates {
			if a.multipliers != nil {
				return true
			}
		}
	}
	return false
}

// isMultiplier tells which keys of an aggregate's metadata are multipliers.
func isMultiplier(key string) bool { return strings.HasSuffix(key, "_weight_multiplier") }
