package control

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
	"kilonova/service/compute/store"
)

// choose is decide for those who decide about one server alone; they hold
// c.placing until the host is noted.
func (c *Control) choose(ctx context.Context, s *compute.Server, state *buildState) ([]schedule.Choice, schedule.Explanation, error) {
	d, err := c.decide(ctx, s, state, newView(0))
	return d.choices, d.explanation, err
}

// decide asks Placement who has room and the scheduler who of these is the best.
// The explanation stands also when nobody is left.
func (c *Control) decide(ctx context.Context, s *compute.Server, state *buildState, v *view) (*decision, error) {
	d, f, err := c.decideOnce(ctx, s, state, v)
	if err == nil && len(d.choices) == 0 && !d.fresh { // what is remembered is no reason to refuse
		v.forget()
		d, f, err = c.decideOnce(ctx, s, state, v)
	}
	// Nor is what was there before it was asked for. That may have been by a clock that
	// is ahead of ours: once more is enough.
	if err == nil && len(d.choices) == 0 && f.read.Before(s.CreatedAt) {
		c.fleet.forget()
		v.forget()
		d, _, err = c.decideOnce(ctx, s, state, v)
	}
	switch {
	case err != nil || len(d.choices) > 0:
		return d, err
	case d.candidates == 0:
		return d, c.nobody(ctx, s, d)
	}
	return d, fault.New(fault.Conflict, "%s", d.explanation.Summary())
}

// decideOnce is decide by what is known; the decision has no choices when nobody is
// left.
func (c *Control) decideOnce(ctx context.Context, s *compute.Server, state *buildState, v *view) (d *decision, f *Fleet, err error) {
	d = &decision{}
	if f, err = c.fleetWithin(ctx, fleetPatience); err != nil {
		return d, f, err
	}
	if d.question, err = c.questionOf(ctx, s, f); err != nil {
		return d, f, err
	}
	if d.request, err = c.scheduleRequest(ctx, s, state); err != nil {
		return d, f, err
	}
	v.locate(d.request)
	d.apart = narrow(&d.question, f, c.scheduler.Scope(d.request))
	hosts, fresh, err := v.hosts(ctx, c, d.question, c.needsOf(f, s))
	if err != nil {
		return d, f, err
	}
	d.fresh, d.candidates = fresh, len(hosts)
	if len(hosts) > 0 {
		if hosts, err = c.withFacts(ctx, f, hosts, d.request); err != nil {
			return d, f, err
		}
		result, err := c.scheduler.Select(hosts, d.request)
		if d.choices, d.explanation = chooseDevices(result.Ordered, d.request), result.Explanation; err != nil {
			return d, f, err
		}
	}
	if now, err := c.fleetWithin(ctx, fleetPatience); err == nil {
		if len(d.choices) == 0 && fresh && d.apart == "" {
			d.lacking = c.lackingDevices(ctx, s, now, hosts)
		}
		d.withoutRoom(now)
	}
	return d, f, nil
}

// nobody says why Placement knows no host with room.
func (c *Control) nobody(ctx context.Context, s *compute.Server, d *decision) error {
	f, err := c.Fleet(ctx)
	if err != nil {
		return err
	}
	wants := fmt.Sprintf("%d VCPU, %d MB of memory and %d GB of disk%s", s.Flavor.VCPUs, s.Flavor.MemoryMB, s.Flavor.DiskGB(), furthermore(d.question))
	if d.apart != "" {
		return fault.Conflictf("No valid host was found. Of %d hosts %d are %s, and the other has no room for %s, or is disabled.", len(f.hosts), len(f.hosts)-1, d.apart, wants)
	}
	down, disabled := 0, 0
	for i := range f.hosts {
		switch h := &f.hosts[i]; {
		case h.disabled:
			disabled++
		case !h.up(c.Now(), f.down):
			down++
		}
	}
	why := fmt.Sprintf("%d disabled, %d down", disabled, down)
	for _, r := range d.lacking {
		why += fmt.Sprintf(", %d %s", r.Hosts, r.Why)
	}
	return fault.Conflictf("No valid host was found. Of %d hosts none has room for %s (%s).", len(f.hosts), wants, why)
}

// furthermore says what a question asks for beside processors, memory and disk.
func furthermore(q question) string {
	all := grouped(q)
	text := ""
	for _, class := range slices.Sorted(maps.Keys(all)) {
		text += fmt.Sprintf(", %s:%d", class, all[class])
	}
	if text == "" {
		return ""
	}
	return ", together with" + text[1:]
}

// scheduleHosts puts what is known of the candidates' hosts together, in their
// order; candidates that are no compute hosts are left out. What would be dear for
// all of them is read only where that is asked for.
func (c *Control) scheduleHosts(ctx context.Context, f *Fleet, candidates []compute.Candidate, n needs, memory *hostMemory) ([]*schedule.Host, error) {
	busy, err := c.Store.BusyByHost(ctx, c.Store.DB)
	if err != nil {
		return nil, err
	}
	var loads map[string]store.HostLoad
	if n.servers {
		if loads, err = c.Store.HostLoads(ctx, c.Store.DB); err != nil {
			return nil, err
		}
	}
	holds, err := c.holdsOf(ctx, f, candidates, n)
	if err != nil {
		return nil, err
	}
	now, free := c.Now(), freeSeats{}
	hosts := memory.take(len(candidates)) // in one piece: there may be ten thousand
	all := make([]*schedule.Host, 0, len(candidates))
	for i := range candidates {
		h := memory.host(f, i, candidates[i].ProviderID)
		if h == nil {
			continue
		}
		hosts = append(hosts, schedule.Host{})
		x := &hosts[len(hosts)-1]
		c.describe(x, h, now)
		x.VCPUs.Used, x.DiskGB.Used = candidates[i].Capacity.Of("VCPU").Used, candidates[i].Capacity.Of("DISK_GB").Used
		x.MemoryMB.Used = candidates[i].Capacity.Of("MEMORY_MB").Used + c.Options.ReservedMemory
		x.Allocations = candidates[i].Allocations
		x.Aggregates, x.FailedBuilds = f.byHost[h.name], f.failures[h.name]
		x.DisabledReason, x.Metrics = f.reasons[h.name], h.metrics
		if held := holds[h.name]; len(held) > 0 {
			x.NUMA, x.PCI = cellsOf(h.machine.numa, held), poolsOf(h.machine.pci, held, h.machine.inPlacement)
		} else {
			seats := free.of(h.machine)
			x.NUMA, x.PCI = seats.cells, seats.pools
		}
		x.Rooms = roomsOf(h.nodeID, x.PCI, candidates[i].Free)
		x.Servers, x.IOOps = loads[h.name].Servers, busy[h.name]
		all = append(all, x)
	}
	return all, nil
}

// holdsOf returns what is held of the candidates' hosts, as far as it is of
// importance: of the nodes for servers that ask for seats, of devices for all,
// since those that want none are kept away from hosts that have many left.
func (c *Control) holdsOf(ctx context.Context, f *Fleet, candidates []compute.Candidate, n needs) (map[string]map[string]compute.Hold, error) {
	if !f.holding {
		return nil, nil
	}
	var hosts []string
	for i := range candidates {
		if h := f.byNode[candidates[i].ProviderID]; h != nil && (len(h.machine.pci) > 0 || n.seats && len(h.machine.numa) > 0) {
			hosts = append(hosts, h.name)
		}
	}
	if len(hosts) == 0 {
		return nil, nil
	}
	return c.Store.Holds(ctx, c.Store.DB, hosts...)
}

// freeSeats are nodes and devices of which nothing is held. Hosts of one make share
// them: the scheduler does not change a host.
type freeSeats map[*machine]*seatsOf

type seatsOf struct {
	cells []schedule.NUMACell
	pools []schedule.PCIPool
}

func (f freeSeats) of(m *machine) *seatsOf {
	s := f[m]
	if s == nil {
		s = &seatsOf{cellsOf(m.numa, nil), poolsOf(m.pci, nil, m.inPlacement)}
		f[m] = s
	}
	return s
}

// describe fills in what a host has by itself.
func (c *Control) describe(x *schedule.Host, h *fleetHost, now time.Time) {
	m := h.machine
	x.Name, x.Node, x.ProviderID, x.IP, x.Zone = h.name, h.node, h.nodeID, h.ip, h.zone
	x.Up, x.ForcedDown, x.Disabled = h.up(now, c.Options.ServiceDown.D()), h.forcedDown, h.disabled
	x.HypervisorType, x.HypervisorVersion, x.Supported, x.Traits = m.hypervisor, m.version, m.supported, m.traits
	x.DiskLeastGB = &h.diskFreeGB // shared: a fleet does not change
	x.VCPUs = schedule.Resource{Total: int(h.vcpus), Ratio: c.Options.CPURatio}
	x.MemoryMB = schedule.Resource{Total: h.memoryMB, Ratio: c.Options.RAMRatio}
	x.DiskGB = schedule.Resource{Total: h.diskGB, Ratio: c.Options.DiskRatio}
}

func (c *Control) scheduleRequest(ctx context.Context, s *compute.Server, state *buildState) (*schedule.Request, error) {
	r := &schedule.Request{ServerID: s.ID, ProjectID: s.ProjectID, Zone: s.AvailabilityZone,
		Flavor: flavorOf(s),
		Image:  imageOf(s), Hints: hintsOf(s.Hints), Destination: state.Requested, Choices: 16}
	r.IgnoreHosts = state.Ignored
	for _, host := range state.Tried {
		r.Tried = append(r.Tried, schedule.Place{Host: host})
	}
	var err error
	if r.PCI, err = c.deviceRequests(s); err != nil {
		return nil, err
	}
	r.PCIApart, r.PackCells = c.apart(s), c.Options.PackNUMACells
	r.Located, err = c.Store.HostsOf(ctx, c.Store.DB, slices.Concat(r.Hints.SameHost, r.Hints.DifferentHost))
	if err != nil {
		return nil, err
	}
	return r, c.addGroup(ctx, r, s)
}

// addGroup tells the scheduler of the server's group and where its members are.
func (c *Control) addGroup(ctx context.Context, r *schedule.Request, s *compute.Server) error {
	if _, hinted := s.Hints["group"]; !hinted {
		return nil
	}
	g, err := c.Store.GroupOf(ctx, c.Store.DB, s.ID)
	if err != nil || g == nil {
		return err
	}
	places, err := c.Store.PlacesOf(ctx, c.Store.DB, g.ID)
	if err != nil {
		return err
	}
	r.Group = &schedule.Group{ID: g.ID, Policy: g.Policy, MaxServerPerHost: g.MaxPerHost, Members: g.Members}
	if r.Located == nil {
		r.Located = make(map[string]string, len(places))
	}
	for id, hosts := range places {
		for i, host := range hosts {
			if i == 1 && id == s.ID {
				break // where it goes is not held against itself
			}
			if i > 0 { // one that moves counts in both places
				id = fmt.Sprintf("%s/%d", id, i)
				r.Group.Members = append(r.Group.Members, id)
			}
			r.Located[id] = host
		}
	}
	return nil
}

// apart is whether a server's devices are to be behind different roots.
func (c *Control) apart(s *compute.Server) bool {
	return c.Options.Scheduler.Filter.PCIInPlacement && s.Flavor.ExtraSpecs["group_policy"] == "isolate"
}

// hintsOf reads the hints that are known; others are the user's own.
func hintsOf(h map[string]any) schedule.Hints {
	var out schedule.Hints
	out.SameHost, out.DifferentHost = texts(h["same_host"]), texts(h["different_host"])
	out.BuildNearHostIP, _ = h["build_near_host_ip"].(string)
	out.CIDR, _ = h["cidr"].(string)
	switch q := h["query"].(type) {
	case string:
		out.Query = q
	case nil:
	default:
		if data, err := json.Marshal(q); err == nil {
			out.Query = string(data)
		}
	}
	return out
}

// texts reads a text or a list of texts.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, x := range v {
			if s, ok := x.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}
