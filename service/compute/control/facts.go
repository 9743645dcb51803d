package control

import (
	"context"
	"slices"
	"strings"

	"kilonova/service/compute"
	"kilonova/service/compute/hardware"
	"kilonova/service/compute/schedule"
)

// withFacts adds to hosts what only some requests and some configurations ask for,
// and what would be too much to keep for each host: what its processor is, how
// far it is trusted, which flavors and images its servers have. The hosts themselves are not changed.
func (c *Control) withFacts(ctx context.Context, f *Fleet, hosts []*schedule.Host, r *schedule.Request) ([]*schedule.Host, error) {
	o := &c.Options.Scheduler.Filter
	flavors := slices.ContainsFunc(o.EnabledFilters, func(name string) bool { return strings.HasSuffix(name, "TypeAffinityFilter") })
	images := len(r.Image.Properties) > 0 && (o.ImageProps != 0 || f.weighsImages)
	processors, trust := asksForProcessor(r), schedule.AsksForTrust(r.Flavor) && c.scheduler.Enabled("TrustedFilter")
	if !flavors && !images && !processors && !trust {
		return hosts, nil
	}
	var on map[string]map[string]int
	var properties map[string]map[schedule.ImageProperty]int
	if flavors {
		var err error
		if on, err = c.Store.FlavorsByHost(ctx, c.Store.DB); err != nil {
			return nil, err
		}
	}
	if images {
		all, err := c.Store.ImagePropertiesByHost(ctx, c.Store.DB)
		if err != nil {
			return nil, err
		}
		properties = make(map[string]map[schedule.ImageProperty]int, len(all))
		for host, counts := range all {
			properties[host] = make(map[schedule.ImageProperty]int, len(counts))
			for p, n := range counts {
				name, value := hardware.Read(p[0], p[1])
				properties[host][schedule.ImageProperty{Name: name, Value: value}] += n
			}
		}
	}
	var levels map[string]string
	if trust {
		levels = c.trustOf(ctx, hosts)
	}
	more := make([]*schedule.Host, len(hosts))
	for i, h := range hosts {
		x := *h
		x.Trust = levels[h.Node]
		x.Flavors, x.ImageProperties = on[h.Name], properties[h.Name]
		if host := f.byName[h.Name]; processors && host != nil {
			cpu := &host.machine.cpu
			features := make([]any, len(cpu.Features))
			for n, feature := range cpu.Features {
				features[n] = feature
			}
			x.CPUInfo = map[string]any{"arch": cpu.Arch, "model": cpu.Model, "vendor": cpu.Vendor, "features": features,
				"topology": map[string]any{"sockets": cpu.Topology.Sockets, "cores": cpu.Topology.Cores, "threads": cpu.Topology.Threads}}
		}
		more[i] = &x
	}
	return more, nil
}

// trustOf asks the attestation service about hosts. When it gives no answer, those
// of which nothing is known are not trusted.
func (c *Control) trustOf(ctx context.Context, hosts []*schedule.Host) map[string]string {
	nodes := make([]string, len(hosts))
	for i, h := range hosts {
		nodes[i] = h.Node
	}
	levels, err := c.Attestation.Trust(ctx, nodes)
	if err != nil {
		c.Log.Warn("hosts are decided on that are not attested", "hosts", len(nodes)-len(levels), "error", err)
	}
	return levels
}

// asksForProcessor reports whether a request speaks of cpu_info.
func asksForProcessor(r *schedule.Request) bool {
	if strings.Contains(r.Hints.Query, "cpu_info") {
		return true
	}
	for key := range r.Flavor.ExtraSpecs {
		if strings.Contains(key, "cpu_info") {
			return true
		}
	}
	return false
}

// needs is what a decision has to know of hosts that would be dear to read for
// each.
type needs struct {
	servers bool // how many they have
	seats   bool // what of their nodes is held
}

func (c *Control) needsOf(f *Fleet, s *compute.Server) needs {
	return needs{servers: c.countsServers(f, s), seats: c.asksForHardware(s)}
}

// countsServers reports whether a decision has to know how many servers each host
// has. By default none has. Counted they are already, but in a row of every host
// with servers, and a decision that needs none of these reads none.
func (c *Control) countsServers(f *Fleet, s *compute.Server) bool {
	o := &c.Options.Scheduler.Filter
	if o.NumInstances != 0 || f.weighsServers || len(o.CELFilters)+len(o.CELWeighers) > 0 ||
		slices.ContainsFunc(o.EnabledFilters, func(name string) bool { return strings.HasSuffix(name, "NumInstancesFilter") }) {
		return true
	}
	const fact = "num_instances"
	for key := range s.Flavor.ExtraSpecs {
		if strings.Contains(key, fact) {
			return true
		}
	}
	return strings.Contains(hintsOf(s.Hints).Query, fact)
}
