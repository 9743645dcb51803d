package simulate

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kilonova/service/compute/schedule"
)

// Config is what a run stands on.
type Config struct {
	Options schedule.Options
	Pick    func(n int) int  // the scheduler's lots
	Now     func() time.Time // to measure decisions with
}

// samples is how many points of time a report has.
const samples = 400

// simulation is a run under way.
type simulation struct {
	config    Config
	scheduler *schedule.Scheduler
	fleet     []*schedule.Host
	groups    map[string]*group
	ends      ends
	next      int // number of the next server
	report    *Report
	took      []float64 // microseconds
	order     int

	pool []*schedule.Host // of candidates, used again
}

// group is a server group with where its servers are.
type group struct {
	schedule.Group
	located map[string]string
	hosts   map[string]int
}

// end is a server that leaves.
type end struct {
	at      float64
	server  string
	host    *schedule.Host
	arrival *Arrival
	devices []int // of which of the host's pools it has each
	order   int
}

type ends []end

func (e ends) Len() int { return len(e) }
func (e ends) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(e[i].at, e[j].at), cmp.Compare(e[i].order, e[j].order)) < 0
}
func (e ends) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(x any)   { *e = append(*e, x.(end)) }
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// Run plays a trace, whose arrivals are in order, on a fleet, which it fills. It
// stops early with ctx's error.
func Run(ctx context.Context, c Config, fleet []*schedule.Host, trace []Arrival) (*Report, error) {
	scheduler, err := schedule.New(c.Options, c.Pick)
	if err != nil {
		return nil, err
	}
	s := &simulation{config: c, scheduler: scheduler, fleet: fleet, groups: map[string]*group{}, report: &Report{Hosts: len(fleet), Driver: scheduler.Driver(), Refused: map[string]int{}}}
	s.report.capacity(fleet)
	last := 0.0
	if len(trace) > 0 {
		last = trace[len(trace)-1].At
	}
	every, due := last/samples, 0.0
	for i := range trace {
		a := &trace[i]
		for len(s.ends) > 0 && s.ends[0].at <= a.At {
			s.leave(heap.Pop(&s.ends).(end))
		}
		for ; every > 0 && due <= a.At; due += every {
			s.sample(due)
		}
		for range max(1, a.Count) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err := s.arrive(a); err != nil {
				return nil, err
			}
		}
	}
	s.sample(last)
	s.report.finish(s.fleet, s.took)
	for _, g := range s.groups {
		s.report.Violations += g.violations()
	}
	return s.report, nil
}

// arrive decides where one server goes.
func (s *simulation) arrive(a *Arrival) error {
	s.next++
	id := fmt.Sprint("s", s.next)
	r := &schedule.Request{ServerID: id, ProjectID: a.Project, Zone: a.Zone, Choices: 16,
		Flavor: schedule.Flavor{Name: fmt.Sprintf("%dx%d", a.VCPUs, a.MemoryMB), VCPUs: a.VCPUs, MemoryMB: a.MemoryMB, RootGB: a.DiskGB, ExtraSpecs: a.Specs}}
	var err error
	if r.PCI, err = schedule.AskedDevices(r.Flavor); err != nil {
		return err
	}
	for i := range r.PCI {
		r.PCI[i].Alternatives = []map[string]string{{aliasTag: r.PCI[i].Alias}}
	}
	g := s.groupOf(a)
	if g != nil {
		g.Members = append(g.Members, id)
		r.Group, r.Located = &g.Group, g.located
	}
	began := s.config.Now()
	hosts := s.withRoom(a, r)
	result, err := s.scheduler.Select(hosts, r)
	s.took = append(s.took, float64(s.config.Now().Sub(began).Nanoseconds())/1000)
	if err != nil {
		return err
	}
	s.report.Asked++
	if len(result.Ordered) == 0 {
		s.report.refuse(a, &result.Explanation)
		return nil
	}
	h := result.Ordered[0].Host
	var settled schedule.Settled
	if len(r.PCI) > 0 {
		able := false
		if settled, able, err = schedule.Settle(h, &schedule.Request{PCI: r.PCI}); err != nil {
			return err
		}
		if !able { // it was drawn, and nobody has asked it about devices
			s.report.Refused["the host that was drawn has too few devices"]++
			return nil
		}
	}
	s.take(h, a, settled.Devices, 1)
	s.report.Placed++
	if g != nil {
		g.located[id] = h.Name
		g.hosts[h.Name]++
	}
	if a.Lifetime > 0 {
		s.order++
		heap.Push(&s.ends, end{a.At + a.Lifetime, id, h, a, settled.Devices, s.order})
	}
	return nil
}

func (s *simulation) groupOf(a *Arrival) *group {
	if a.Group == "" {
		return nil
	}
	g := s.groups[a.Group]
	if g == nil {
		g = &group{located: map[string]string{}, hosts: map[string]int{}, Group: schedule.Group{ID: a.Group, Policy: cmp.Or(a.Policy, schedule.AntiAffinity)}}
		s.groups[a.Group] = g
	}
	return g
}

// withRoom is Placement's part: hosts with room and the traits that are asked for, of
// the zone and those that can have the server at all, at most as many as the options say.
func (s *simulation) withRoom(a *Arrival, r *schedule.Request) []*schedule.Host {
	limit, scope := s.config.Options.Scheduler.MaxPlacementResults, schedule.Scope{}
	if limit > 0 && limit < len(s.fleet) {
		scope = s.scheduler.Scope(r)
		limit = scope.Limit(limit, len(s.fleet))
	}
	elsewhere := func(h *schedule.Host) bool {
		return a.Zone != "" && h.Zone != a.Zone ||
			len(scope.Only) > 0 && !slices.ContainsFunc(scope.Only, func(p schedule.Place) bool { return p.Host == h.Name })
	}
	found := s.pool[:0]
	for _, h := range s.fleet {
		if fits(h.VCPUs, a.VCPUs) && fits(h.MemoryMB, a.MemoryMB) && fits(h.DiskGB, a.DiskGB) && suits(h.Traits, a.Specs) && !elsewhere(h) {
			if found = append(found, h); limit > 0 && len(found) == limit {
				break
			}
		}
	}
	s.pool = found
	return found
}

func fits(r schedule.Resource, asked int) bool {
	return asked <= r.Total && float64(r.Used+asked) <= r.Limit()
}

// suits looks at the extra specs trait:NAME=required and =forbidden.
func suits(traits []string, specs map[string]string) bool {
	for key, value := range specs {
		if name, ok := strings.CutPrefix(key, "trait:"); ok && slices.Contains(traits, name) != (value == "required") {
			return false
		}
	}
	return true
}

// take gives a host's resources away, or back with a sign of -1.
func (s *simulation) take(h *schedule.Host, a *Arrival, devices []int, sign int) {
	for _, pool := range devices {
		h.PCI[pool].Count -= sign
	}
	h.VCPUs.Used += sign * a.VCPUs
	h.MemoryMB.Used += sign * a.MemoryMB
	h.DiskGB.Used += sign * a.DiskGB
	h.Servers += sign
	s.report.count(a, sign)
}

func (s *simulation) leave(e end) {
	s.take(e.host, e.arrival, e.devices, -1)
	if g := s.groups[e.arrival.Group]; g != nil {
		delete(g.located, e.server)
		g.Members = slices.DeleteFunc(g.Members, func(id string) bool { return id == e.server })
		if g.hosts[e.host.Name]--; g.hosts[e.host.Name] == 0 {
			delete(g.hosts, e.host.Name)
		}
	}
}

// violations counts the servers of a group that are where its policy forbids.
func (g *group) violations() int {
	n := 0
	switch g.Policy {
	case schedule.AntiAffinity:
		for _, servers := range g.hosts {
			n += servers - 1
		}
	case schedule.Affinity:
		n = max(0, len(g.hosts)-1)
	}
	return n
}

func (s *simulation) sample(at float64) {
	r := s.report
	r.Samples = append(r.Samples, Sample{At: at, Servers: r.servers, VCPUs: share(r.vcpus, r.VCPUCapacity), Memory: share(r.memory, r.MemoryCapacity),
		Disk: share(r.disk, r.DiskCapacity), Refused: r.Asked - r.Placed})
}

func share(used, of float64) float64 {
	if of == 0 {
		return 0
	}
	return used / of
}
