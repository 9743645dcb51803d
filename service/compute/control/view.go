package control

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
)

// view is what decisions have in common that see each other: what Placement said,
// less what they have given away since. It belongs to one goroutine at a time. A
// batch has one of its own; with the caching scheduler it outlives the batches.
type view struct {
	lists map[listKey]*hostList
	// given is what this batch has given away and Placement may not know yet;
	// located says where.
	given   []gift
	located map[string]string // server -> host
	age     time.Duration     // how long what Placement said is used; 0: for one batch
	memory  *hostMemory       // of the lists, where they go with the batch; may be nil
}

// listKey is by what lists are told apart.
type listKey struct {
	question string // as JSON
	needs    needs
}

// hostList is the answer to one question.
type hostList struct {
	question
	read       time.Time
	fleet      *Fleet
	needs      needs
	candidates []compute.Candidate
	hosts      []*schedule.Host
	room       []compute.Capacity // beside hosts
	at         map[string]int     // provider -> index of hosts; nil until something is taken twice
	taken      bool               // something
	memory     *hostMemory        // of the hosts; may be nil
}

// hostMemory is what the hosts of one batch after the other are made of, and what
// Placement says of them: those of one decision take hundreds of kilobytes. nil
// remembers nothing.
type hostMemory struct {
	all  []schedule.Host
	used int

	candidates []compute.Candidate
	lent       bool // they are this batch's already

	fleet *Fleet
	hosts []*fleetHost // of fleet, at the places where candidates were last
}

// mostHosts is how many hosts memory is kept for.
const mostHosts = 2000

// take returns an empty list with room for n hosts. It stays until again.
func (m *hostMemory) take(n int) []schedule.Host {
	if m == nil || n > mostHosts || m.used > 0 && m.used+n > len(m.all) {
		return make([]schedule.Host, 0, n)
	}
	if n > len(m.all) {
		m.all = make([]schedule.Host, n)
	}
	m.used += n
	return m.all[m.used-n : m.used-n : m.used]
}

// lend returns memory for the candidates of one question of a batch.
func (m *hostMemory) lend() []compute.Candidate {
	if m == nil || m.lent {
		return nil
	}
	m.lent = true
	return m.candidates
}

// keep keeps the memory of an answer, if there is none yet or it has more.
func (m *hostMemory) keep(answer []compute.Candidate) {
	if m != nil && cap(answer) > cap(m.candidates) && cap(answer) <= mostHosts {
		m.candidates = answer
	}
}

// host is the host of fleet that a provider is. Placement lists providers in one
// order, so that it is most often the one that was at this place before, and a map
// of all hosts, which lies in no cache, need not be asked.
func (m *hostMemory) host(f *Fleet, at int, provider string) *fleetHost {
	if m == nil || at >= mostHosts {
		return f.byNode[provider]
	}
	if m.fleet != f {
		m.fleet, m.hosts = f, m.hosts[:0]
	}
	for len(m.hosts) <= at {
		m.hosts = append(m.hosts, nil)
	}
	if h := m.hosts[at]; h == nil || h.nodeID != provider {
		m.hosts[at] = f.byNode[provider]
	}
	return m.hosts[at]
}

// again lets the memory be used anew: nobody looks at the hosts of the last batch.
func (m *hostMemory) again() { m.used, m.lent = 0, false }

// gift is what a decision took of a host.
type gift struct {
	provider  string
	resources map[string]int
	request   *schedule.Request
}

// maxLists bounds the questions whose answers are remembered.
const maxLists = 32

// fleetPatience is how old the hosts' state may be for a decision, where reading it
// takes a while. Whether a host still has room, and is not disabled, Placement says.
const fleetPatience = 10 * time.Second

func newView(age time.Duration) *view {
	return &view{lists: map[listKey]*hostList{}, located: map[string]string{}, age: age}
}

// begin makes the view ready for the next batch.
func (v *view) begin() { v.given, v.located = nil, map[string]string{} }

// forget has Placement asked again.
func (v *view) forget() { clear(v.lists) }

// hosts returns the hosts that Placement has room on, and whether that is what it
// says now: not so when it was asked before this batch.
func (v *view) hosts(ctx context.Context, c *Control, q question, n needs) (hosts []*schedule.Host, fresh bool, err error) {
	text, err := json.Marshal(q)
	if err != nil {
		return nil, false, err
	}
	key := listKey{string(text), n}
	l := v.lists[key]
	if l == nil || v.age > 0 && c.Now().Sub(l.read) > v.age {
		l = &hostList{question: q, read: c.Now(), needs: n, memory: v.memory}
		if l.candidates, err = c.Placement.Candidates(ctx, q, v.memory.lend()); err != nil {
			return nil, false, err
		}
		v.memory.keep(l.candidates)
		v.makeRoom()
		if err := l.fill(ctx, c, fleetPatience); err != nil {
			return nil, true, err
		}
		for _, g := range v.given {
			l.take(g)
		}
		v.lists[key] = l
		return l.hosts, true, nil
	}
	if v.age == 0 {
		return l.hosts, true, l.fill(ctx, c, fleetPatience)
	}
	return l.hosts, false, l.fill(ctx, c, min(v.age, fleetPatience))
}

// makeRoom forgets a list if there are too many: one of a single host, which is hardly
// asked for again, or any. Questions that are asked often come back.
func (v *view) makeRoom() {
	if len(v.lists) < maxLists {
		return
	}
	var goes listKey
	for key, l := range v.lists {
		if goes = key; l.InTree != "" {
			break
		}
	}
	delete(v.lists, goes)
}

// fill makes the hosts of the candidates, if the fleet has changed since.
func (l *hostList) fill(ctx context.Context, c *Control, age time.Duration) error {
	f, err := c.fleetWithin(ctx, age)
	if err != nil || l.fleet == f {
		return err
	}
	candidates := l.candidates
	if l.hosts != nil { // what was given since Placement was asked is in room
		candidates = make([]compute.Candidate, len(l.hosts))
		for i, h := range l.hosts {
			candidates[i] = compute.Candidate{ProviderID: h.ProviderID, Capacity: l.room[i], Allocations: h.Allocations, Free: freeOf(h)}
		}
	}
	all, err := c.scheduleHosts(ctx, f, candidates, l.needs, l.memory)
	if err != nil {
		return err
	}
	room := make([]compute.Capacity, 0, len(all))
	for i := range candidates { // all are in their order
		if next := len(room); next < len(all) && all[next].ProviderID == candidates[i].ProviderID {
			room = append(room, candidates[i].Capacity)
		}
	}
	l.fleet, l.candidates, l.hosts, l.room, l.at = f, nil, all, room, nil
	return nil
}

// index returns where a provider's host is.
func (l *hostList) index(provider string) (int, bool) {
	if l.at == nil && !l.taken { // of most lists one host is taken, and no more
		l.taken = true
		i := slices.IndexFunc(l.hosts, func(h *schedule.Host) bool { return h.ProviderID == provider })
		return i, i >= 0
	}
	if l.at == nil {
		l.at = make(map[string]int, len(l.hosts))
		for i, h := range l.hosts {
			l.at[h.ProviderID] = i
		}
	}
	i, ok := l.at[provider]
	return i, ok
}

// take notes that a server was given a host.
func (v *view) take(g gift, server, host string) {
	v.given, v.located[server] = append(v.given, g), host
	for _, l := range v.lists {
		l.take(g)
	}
}

// drop takes back what was given last: the server did not get on the host.
func (v *view) drop(server string) {
	v.given = v.given[:len(v.given)-1]
	delete(v.located, server)
	v.forget()
}

func (l *hostList) take(g gift) {
	i, ok := l.index(g.provider)
	if !ok {
		return
	}
	room := true
	have := l.room[i]
	for i := range have {
		have[i].Used += g.resources[have[i].Class]
	}
	for class, amount := range l.Resources {
		u := have.Of(class)
		room = room && u.Used+amount <= u.Capacity
	}
	if room {
		l.hosts[i] = l.hosts[i].With(g.request)
		return
	}
	last := len(l.hosts) - 1 // the order of hosts makes no difference
	if l.at != nil {
		l.at[l.hosts[last].ProviderID] = i
	}
	l.room[i], l.hosts[i] = l.room[last], l.hosts[last]
	l.room, l.hosts = l.room[:last], l.hosts[:last]
	delete(l.at, g.provider)
}

// locate adds where this batch has put servers that a request asks about.
func (v *view) locate(r *schedule.Request) {
	asked := slices.Concat(r.Hints.SameHost, r.Hints.DifferentHost)
	if r.Group != nil {
		asked = append(asked, r.Group.Members...)
	}
	for _, id := range asked {
		if host := v.located[id]; host != "" {
			if r.Located == nil {
				r.Located = map[string]string{}
			}
			r.Located[id] = host
		}
	}
}
