package control

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hardware"
	"kilonova/service/compute/schedule"
)

// question is what Placement is asked on behalf of a server.
type question = compute.CandidateQuery

// The bounds of what a flavor may ask by its extra specs.
const (
	maxRequestGroups  = 32
	maxRequestClasses = 64
)

// requestKey is an extra spec that asks of Placement: resources or a trait, of
// the host or of a group by its suffix.
var requestKey = regexp.MustCompile(`^(resources|trait)([a-zA-Z0-9_-]{1,64})?:(.+)$`)

// resourcesOf is what a server claims of a host, by Placement's classes, without
// what groups of its flavor ask for.
func resourcesOf(s *compute.Server) map[string]int {
	q := baseQuestion(s)
	return q.Resources
}

// baseQuestion is what flavor and image ask for (nova/scheduler/utils.py,
// ResourceRequest), to which askMore adds the rest. What cannot be read was refused
// when it was written, and is passed over.
func baseQuestion(s *compute.Server) question {
	q := question{Resources: map[string]int{}}
	groups := map[string]*compute.RequestGroup{}
	for _, key := range slices.Sorted(maps.Keys(s.Flavor.ExtraSpecs)) {
		m := requestKey.FindStringSubmatch(key)
		if m == nil {
			continue
		}
		g := groups[m[2]]
		if g == nil {
			if len(groups) >= maxRequestGroups {
				continue
			}
			g = &compute.RequestGroup{Suffix: m[2], Resources: map[string]int{}}
			groups[m[2]] = g
		}
		askGroup(g, m[1], m[3], s.Flavor.ExtraSpecs[key])
	}
	own := groups[""]
	delete(groups, "")
	merged := map[string]bool{} // classes that the flavor asks for by itself
	if own != nil {
		q.Resources, q.Required, q.Forbidden = own.Resources, own.Required, own.Forbidden
	}
	for _, suffix := range slices.Sorted(maps.Keys(groups)) {
		g := groups[suffix]
		for class := range g.Resources {
			merged[class] = true
		}
		if withoutZeros(g.Resources); len(g.Resources)+len(g.Required)+len(g.Forbidden) > 0 {
			q.Groups = append(q.Groups, *g)
		}
	}
	for class := range q.Resources {
		merged[class] = true
	}
	askFlavor(&q, s, merged)
	for key, value := range s.ImageMeta.Properties {
		if trait, ok := strings.CutPrefix(key, "trait:"); ok && value == "required" {
			q.Required = append(q.Required, trait)
		}
	}
	withoutZeros(q.Resources)
	sortTraits(&q.Required, &q.Forbidden)
	return q
}

// withoutZeros leaves out what an extra spec asks for nothing of.
func withoutZeros(resources map[string]int) {
	maps.DeleteFunc(resources, func(_ string, n int) bool { return n == 0 })
}

// askGroup adds one extra spec to a group. As upstream does, it passes over classes
// that cannot be.
func askGroup(g *compute.RequestGroup, kind, name, value string) {
	if kind == "resources" {
		if n, err := strconv.Atoi(value); err == nil && n >= 0 && len(g.Resources) < maxRequestClasses && hardware.IsResourceClass(name) {
			g.Resources[name] = n
		}
		return
	}
	switch value {
	case "required":
		g.Required = append(g.Required, name)
	case "forbidden":
		g.Forbidden = append(g.Forbidden, name)
	}
}

// askFlavor adds processors, memory and disk, as far as the flavor does not ask
// for other amounts by itself, and what its settings mean in Placement's words.
func askFlavor(q *question, s *compute.Server, merged map[string]bool) {
	set := func(class string, n int) {
		if !merged[class] {
			q.Resources[class] = n
		}
	}
	dedicated := dedicatedCPUs(s)
	if !merged["VCPU"] && !merged["PCPU"] {
		q.Resources["VCPU"], q.Resources["PCPU"] = s.Flavor.VCPUs-dedicated, dedicated
		if dedicated > 0 && s.Flavor.ExtraSpecs["hw:emulator_threads_policy"] == "isolate" {
			q.Resources["PCPU"]++
		}
	}
	if dedicated > 0 {
		switch either(s, "cpu_thread_policy") {
		case "require":
			q.Required = append(q.Required, "HW_CPU_HYPERTHREADING")
		case "isolate":
			q.Forbidden = append(q.Forbidden, "HW_CPU_HYPERTHREADING")
		}
	}
	set("MEMORY_MB", s.Flavor.MemoryMB)
	set("DISK_GB", s.Claims().DiskGB())
	askGuest(q, s)
}

// either is hw:name of the flavor or else hw_name of the image.
func either(s *compute.Server, name string) string {
	if v := s.Flavor.ExtraSpecs["hw:"+name]; v != "" {
		return v
	}
	return s.ImageMeta.Properties["hw_"+name]
}

func sortTraits(lists ...*[]string) {
	for _, l := range lists {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
}

// questionOf is what Placement is asked for a server: what flavor and image want,
// and what the request filters add. A request that no host can satisfy by them is
// fault.Conflict.
func (c *Control) questionOf(ctx context.Context, s *compute.Server, f *Fleet) (question, error) {
	q := baseQuestion(s)
	q.Limit = c.Options.Scheduler.Scheduler.MaxPlacementResults
	if err := c.askMore(ctx, &q, s); err != nil {
		return q, err
	}
	for _, filter := range requestFilters {
		if err := filter(ctx, c, &q, s, f); err != nil {
			return q, fault.New(fault.Conflict, "No valid host was found. %w", err)
		}
	}
	sortTraits(&q.Required, &q.Forbidden)
	return q, nil
}

// narrow has Placement asked about the one host that a request can have, or about more
// than usual: it names hosts in an order of its own, of which those that count may come
// after the limit. Where all are named nothing is narrowed, so that each filter says whom
// it refuses. It returns what the hosts are that are not asked about, "" for none.
func narrow(q *question, f *Fleet, scope schedule.Scope) (apart string) {
	if q.Limit >= len(f.hosts) {
		return ""
	}
	if len(scope.Only) == 1 {
		only := scope.Only[0]
		for i := range f.hosts {
			if h := &f.hosts[i]; (only.Host == "" || only.Host == h.name) && (only.Node == "" || only.Node == h.node) {
				q.InTree = h.nodeID
				return scope.Why
			}
		}
	}
	q.Limit = scope.Limit(q.Limit, len(f.hosts))
	return ""
}

// askMore adds to a question what a server's ports and devices take of its host, and
// how its groups are to be apart.
func (c *Control) askMore(ctx context.Context, q *question, s *compute.Server) error {
	if err := c.askPorts(ctx, q, s); err != nil {
		return err
	}
	if err := c.askDevices(q, s); err != nil {
		return err
	}
	setGroupPolicy(q, s.Flavor.ExtraSpecs["group_policy"])
	return nil
}

// setGroupPolicy says how a question's groups are to be apart, where there are any: what
// is not "isolate" is "none", which Placement wants to be told.
func setGroupPolicy(q *question, policy string) {
	if q.GroupPolicy = ""; len(q.Groups) > 1 {
		q.GroupPolicy = "none"
		if policy == "isolate" {
			q.GroupPolicy = policy
		}
	}
}

// dedicatedCPUs counts the processors that a server has to itself.
func dedicatedCPUs(s *compute.Server) int {
	return schedule.Dedicated(flavorOf(s), imageOf(s))
}

// flavorOf is a server's flavor in the scheduler's words.
func flavorOf(s *compute.Server) schedule.Flavor {
	f := s.Flavor
	return schedule.Flavor{Name: f.Name, VCPUs: f.VCPUs, MemoryMB: f.MemoryMB, RootGB: f.RootGB, EphemeralGB: f.EphemeralGB, SwapMB: f.SwapMB, ExtraSpecs: f.ExtraSpecs}
}
