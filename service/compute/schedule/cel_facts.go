package schedule

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
)

// celFact is something that an expression may speak of.
type celFact struct {
	kind *cel.Type
	get  func(h *Host, r *Request) any
}

func celInt(get func(h *Host, r *Request) int) celFact {
	return celFact{cel.IntType, func(h *Host, r *Request) any { return types.Int(get(h, r)) }}
}

func celDouble(get func(h *Host, r *Request) float64) celFact {
	return celFact{cel.DoubleType, func(h *Host, r *Request) any { return types.Double(get(h, r)) }}
}

func celText(get func(h *Host, r *Request) string) celFact {
	return celFact{cel.StringType, func(h *Host, r *Request) any { return types.String(get(h, r)) }}
}

func celTruth(get func(h *Host, r *Request) bool) celFact {
	return celFact{cel.BoolType, func(h *Host, r *Request) any { return types.Bool(get(h, r)) }}
}

func celTexts(get func(h *Host, r *Request) map[string]string) celFact {
	return celFact{cel.MapType(cel.StringType, cel.StringType), func(h *Host, r *Request) any {
		if m := get(h, r); m != nil {
			return m
		}
		return map[string]string{}
	}}
}

func celList(get func(h *Host, r *Request) []string) celFact {
	return celFact{cel.ListType(cel.StringType), func(h *Host, r *Request) any { return get(h, r) }}
}

// celFacts are all names of the language. Those of a host are the ones that
// upstream's HostState has where it has one; docs/operate/scheduler.md lists them
// for operators.
var celFacts = map[string]celFact{
	"host.name":                 celText(func(h *Host, _ *Request) string { return h.Name }),
	"host.node":                 celText(func(h *Host, _ *Request) string { return h.Node }),
	"host.ip":                   celText(func(h *Host, _ *Request) string { return h.IP }),
	"host.zone":                 celText(func(h *Host, _ *Request) string { return h.Zone }),
	"host.up":                   celTruth(func(h *Host, _ *Request) bool { return h.Up }),
	"host.disabled":             celTruth(func(h *Host, _ *Request) bool { return h.Disabled }),
	"host.vcpus_total":          celInt(func(h *Host, _ *Request) int { return h.VCPUs.Total }),
	"host.vcpus_used":           celInt(func(h *Host, _ *Request) int { return h.VCPUs.Used }),
	"host.free_vcpus":           celInt(func(h *Host, _ *Request) int { return int(h.VCPUs.Limit()) - h.VCPUs.Used }),
	"host.total_ram_mb":         celInt(func(h *Host, _ *Request) int { return h.MemoryMB.Total }),
	"host.free_ram_mb":          celInt(func(h *Host, _ *Request) int { return h.MemoryMB.Free() }),
	"host.total_disk_gb":        celInt(func(h *Host, _ *Request) int { return h.DiskGB.Total }),
	"host.free_disk_mb":         celInt(func(h *Host, _ *Request) int { return h.freeDiskMB() }),
	"host.cpu_allocation_ratio": celDouble(func(h *Host, _ *Request) float64 { return h.VCPUs.ratio() }),
	"host.ram_allocation_ratio": celDouble(func(h *Host, _ *Request) float64 { return h.MemoryMB.ratio() }),
	"host.num_instances":        celInt(func(h *Host, _ *Request) int { return h.Servers }),
	"host.num_io_ops":           celInt(func(h *Host, _ *Request) int { return h.IOOps }),
	"host.failed_builds":        celInt(func(h *Host, _ *Request) int { return h.FailedBuilds }),
	"host.hypervisor_type":      celText(func(h *Host, _ *Request) string { return h.HypervisorType }),
	"host.hypervisor_version":   celInt(func(h *Host, _ *Request) int { return h.HypervisorVersion }),
	"host.traits":               celList(func(h *Host, _ *Request) []string { return h.Traits }),
	"host.aggregates": celList(func(h *Host, _ *Request) []string {
		names := make([]string, len(h.Aggregates))
		for i, a := range h.Aggregates {
			names[i] = a.Name
		}
		return names
	}),
	// with several aggregates that have a key the last one counts
	"host.metadata": celTexts(func(h *Host, _ *Request) map[string]string {
		if len(h.Aggregates) == 1 {
			return h.Aggregates[0].raw
		}
		all := map[string]string{}
		for _, a := range h.Aggregates {
			for k, v := range a.raw {
				all[k] = v
			}
		}
		return all
	}),
	"host.stats": celTexts(func(h *Host, _ *Request) map[string]string { return h.Stats }),
	"host.metrics": {cel.MapType(cel.StringType, cel.DoubleType), func(h *Host, _ *Request) any {
		if h.Metrics == nil {
			return map[string]float64{}
		}
		return h.Metrics
	}},

	"flavor.name":         celText(func(_ *Host, r *Request) string { return r.Flavor.Name }),
	"flavor.vcpus":        celInt(func(_ *Host, r *Request) int { return r.Flavor.VCPUs }),
	"flavor.ram":          celInt(func(_ *Host, r *Request) int { return r.Flavor.MemoryMB }),
	"flavor.root_gb":      celInt(func(_ *Host, r *Request) int { return r.Flavor.RootGB }),
	"flavor.ephemeral_gb": celInt(func(_ *Host, r *Request) int { return r.Flavor.EphemeralGB }),
	"flavor.swap":         celInt(func(_ *Host, r *Request) int { return r.Flavor.SwapMB }),
	"flavor.extra_specs":  celTexts(func(_ *Host, r *Request) map[string]string { return r.Flavor.ExtraSpecs }),

	"image.id":         celText(func(_ *Host, r *Request) string { return r.Image.ID }),
	"image.properties": celTexts(func(_ *Host, r *Request) map[string]string { return r.Image.Properties }),

	"request.server_id":  celText(func(_ *Host, r *Request) string { return r.ServerID }),
	"request.project_id": celText(func(_ *Host, r *Request) string { return r.ProjectID }),
	"request.zone":       celText(func(_ *Host, r *Request) string { return r.Zone }),
}

// celActivation answers what an expression asks for. It is used again for host
// after host, by one goroutine.
type celActivation struct {
	host    *Host
	request *Request
}

// ResolveName implements interpreter.Activation.
func (a *celActivation) ResolveName(name string) (any, bool) {
	f, ok := celFacts[name]
	if !ok {
		return nil, false
	}
	return f.get(a.host, a.request), true
}

// Parent implements interpreter.Activation.
func (a *celActivation) Parent() interpreter.Activation { return nil }
