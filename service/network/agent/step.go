package agent

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"kilonova/service/network"
	"kilonova/service/network/dataplane"
)

// reality is what the agent knows of its host. Only the loop touches it.
type reality struct {
	want *network.HostState // nil: control has not answered yet

	networks map[string]network.HostNetwork // as last made
	ports    map[string]network.HostPort
	routers  map[string]network.HostRouter
	unwired  map[string]bool // ports made as far as can be: their device is not there

	failed map[string]failure // by kind and id
	told   map[string]bool    // ports that control knows to be wired
	anew   map[string]bool    // ports of which it is to be told once more
	owing  bool               // control has not been told all
}

// failure is when to try a thing again.
type failure struct {
	times int
	until time.Time
}

func newReality() *reality {
	return &reality{networks: map[string]network.HostNetwork{}, ports: map[string]network.HostPort{}, routers: map[string]network.HostRouter{},
		unwired: map[string]bool{}, failed: map[string]failure{}, told: map[string]bool{}, anew: map[string]bool{}}
}

// step asks control what is wanted, makes it so and reports. full compares with
// the host itself, not only with what the agent remembers. It returns after how
// long to try again what has failed; 0: nothing has.
func (a *Agent) step(ctx context.Context, full bool) time.Duration {
	state, err := a.fetch(ctx, full || a.now.want == nil)
	if err != nil {
		if ctx.Err() == nil {
			a.Log.Warn("network agent: no state from control, the host stays as it is", "host", a.Host, "error", err)
		}
		return a.Retry * 4
	}
	first := a.now.want == nil
	if state != nil {
		a.now.want = state
		for _, id := range state.Waiting {
			// Also when it is what it was: it may have been unbound and bound again.
			delete(a.now.ports, id)
			a.now.anew[id] = true
		}
		a.guests.set(state)
	}
	a.takeDevices()
	s := &pass{Agent: a, reality: a.now, ctx: ctx}
	if full || first {
		s.compare()
	}
	s.remove()
	s.ensure()
	a.metadata.serve(ctx, a.now.networks)
	s.report(full || first)
	return s.again
}

// takeDevices has ports looked at again whose devices came or went.
func (a *Agent) takeDevices() {
	a.mu.Lock()
	devices := a.devices
	a.devices = map[string]bool{}
	a.mu.Unlock()
	if len(devices) == 0 {
		return
	}
	for id := range a.now.ports {
		if devices[network.TapName(id)] {
			delete(a.now.ports, id)
		}
	}
	for id := range a.now.unwired {
		if devices[network.TapName(id)] {
			delete(a.now.unwired, id)
		}
	}
}

// pass is one step's work.
type pass struct {
	*Agent
	*reality
	ctx   context.Context
	again time.Duration
	extra dataplane.Observed // on the host, but nobody's
	// verify has all that is wanted ensured, also what was as it should be: a
	// driver finds it done at little cost.
	verify bool
	done   []string // routers made in this pass
}

// compare looks at the host: what is gone there is forgotten here, so that it is
// made again, and what is there without being wanted is noted for removal.
func (s *pass) compare() {
	var seen dataplane.Observed
	ok := s.try("observe", s.Host, func(ctx context.Context) (err error) {
		seen, err = s.Driver.Observe(ctx)
		return err
	})
	if !ok {
		return
	}
	s.verify = true
	clear(s.unwired)
	maps.DeleteFunc(s.networks, func(id string, _ network.HostNetwork) bool { return !slices.Contains(seen.Networks, id) })
	maps.DeleteFunc(s.ports, func(id string, _ network.HostPort) bool { return !slices.Contains(seen.Ports, deviceID(id)) })
	maps.DeleteFunc(s.routers, func(id string, _ network.HostRouter) bool { return !slices.Contains(seen.Routers, id) })
	wanted := map[string]bool{}
	for _, n := range s.want.Networks {
		wanted[n.ID] = true
	}
	for _, p := range s.want.Ports {
		wanted[deviceID(p.ID)] = true
	}
	for _, r := range s.want.Routers {
		wanted[r.ID] = true
	}
	isWanted := func(id string) bool { return wanted[id] }
	s.extra.Networks = slices.DeleteFunc(seen.Networks, isWanted)
	s.extra.Ports = slices.DeleteFunc(seen.Ports, isWanted)
	s.extra.Routers = slices.DeleteFunc(seen.Routers, isWanted)
}

// deviceID is as much of a port's id as its device's name has.
func deviceID(portID string) string { return strings.TrimPrefix(network.TapName(portID), "tap") }

// remove takes away the ports and routers that are no longer wanted. Networks go
// last, in ensure.
func (s *pass) remove() {
	ports, routers := map[string]bool{}, map[string]bool{}
	for _, p := range s.want.Ports {
		ports[p.ID] = true
	}
	for _, r := range s.want.Routers {
		routers[r.ID] = true
	}
	gone := s.extra.Ports
	for _, known := range []map[string]bool{keys(s.ports), s.unwired} {
		for id := range known {
			if !ports[id] && !slices.Contains(gone, deviceID(id)) {
				gone = append(gone, id)
			}
		}
	}
	for _, id := range gone {
		if s.try("remove port", id, func(ctx context.Context) error { return s.Driver.RemovePort(ctx, id) }) {
			maps.DeleteFunc(s.ports, func(port string, _ network.HostPort) bool { return deviceID(port) == deviceID(id) })
			delete(s.unwired, id)
		}
	}
	gone = s.extra.Routers
	for id := range s.routers {
		if !routers[id] && !slices.Contains(gone, id) {
			gone = append(gone, id)
		}
	}
	for _, id := range gone {
		if s.try("remove router", id, func(ctx context.Context) error { return s.Driver.RemoveRouter(ctx, id) }) {
			delete(s.routers, id)
		}
	}
}

func keys[V any](m map[string]V) map[string]bool {
	out := make(map[string]bool, len(m))
	for k := range m {
		out[k] = true
	}
	return out
}

// ensure makes what is wanted: networks, then what stands on them; at last
// networks that nothing stands on any more go.
func (s *pass) ensure() {
	networks := map[string]bool{}
	for _, n := range s.want.Networks {
		networks[n.ID] = true
		if have, ok := s.networks[n.ID]; ok && !s.verify && reflect.DeepEqual(have, n) {
			continue
		}
		if s.try("network", n.ID, func(ctx context.Context) error { return s.Driver.EnsureNetwork(ctx, n) }) {
			s.networks[n.ID] = n
		}
	}
	for _, p := range s.want.Ports {
		s.ensurePort(p)
	}
	for _, r := range s.want.Routers {
		if have, ok := s.routers[r.ID]; ok && !s.verify && reflect.DeepEqual(have, r) || !s.haveAll(legs(r)) {
			continue
		}
		if s.try("router", r.ID, func(ctx context.Context) error { return s.Driver.EnsureRouter(ctx, r) }) {
			s.routers[r.ID] = r
			s.done = append(s.done, r.ID)
		}
	}
	gone := s.extra.Networks
	for id := range s.networks {
		if !networks[id] && !slices.Contains(gone, id) {
			gone = append(gone, id)
		}
	}
	for _, id := range gone {
		if s.try("remove network", id, func(ctx context.Context) error { return s.Driver.RemoveNetwork(ctx, id) }) {
			delete(s.networks, id)
		}
	}
}

func (s *pass) ensurePort(p network.HostPort) {
	if have, ok := s.ports[p.ID]; ok && !s.verify && reflect.DeepEqual(have, p) || s.unwired[p.ID] || !s.haveAll([]string{p.NetworkID}) {
		return
	}
	wired := false
	ok := s.try("port", p.ID, func(ctx context.Context) (err error) {
		wired, err = s.Driver.EnsurePort(ctx, p)
		return err
	})
	switch {
	case !ok:
	case wired:
		s.ports[p.ID] = p
	default: // looked at again when its device appears
		delete(s.ports, p.ID)
		s.unwired[p.ID] = true
	}
}

// haveAll reports whether networks have been made: what stands on one that has
// failed waits for it.
func (s *pass) haveAll(networks []string) bool {
	return !slices.ContainsFunc(networks, func(id string) bool { _, ok := s.networks[id]; return !ok })
}

func legs(r network.HostRouter) []string {
	var all []string
	for _, leg := range r.Interfaces {
		all = append(all, leg.NetworkID)
	}
	if r.Gateway != nil {
		all = append(all, r.Gateway.NetworkID)
	}
	return all
}

// maxRetry bounds the pause after failures.
const maxRetry = 30 * time.Second

// try runs one call to the driver, unless it has failed a short while ago.
func (s *pass) try(kind, id string, call func(ctx context.Context) error) bool {
	key := kind + " " + id
	now := s.Now()
	f := s.failed[key]
	if wait := f.until.Sub(now); wait > 0 {
		s.retryIn(wait)
		return false
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	err := call(ctx)
	if err == nil {
		delete(s.failed, key)
		return true
	}
	if s.ctx.Err() != nil {
		return false
	}
	f.times++
	wait := min(s.Retry<<min(f.times-1, 16), maxRetry)
	f.until = now.Add(wait)
	s.failed[key] = f
	s.retryIn(wait)
	s.Log.Error("network agent: "+kind, "host", s.Host, "id", id, "error", err, "again_in", wait)
	return false
}

func (s *pass) retryIn(d time.Duration) {
	if s.again == 0 || d < s.again {
		s.again = d
	}
}

// report tells control what is wired now and what is no longer. all is the whole
// list, by which control finds what it has missed.
func (s *pass) report(all bool) {
	wired := map[string]bool{}
	for id, p := range s.ports {
		if p.AdminUp {
			wired[id] = true
		}
	}
	for _, n := range s.networks {
		if n.DHCP != nil {
			wired[n.DHCP.PortID] = true
		}
	}
	request := network.WiredRequest{Host: s.Host, All: all}
	for id, r := range s.routers {
		if !r.AdminUp {
			continue
		}
		for _, leg := range r.Interfaces {
			wired[leg.PortID] = true
		}
		if r.Gateway != nil {
			wired[r.Gateway.PortID] = true
		}
		if all || s.owing || slices.Contains(s.done, id) {
			request.Routers = append(request.Routers, id)
		}
	}
	for id := range wired {
		if all || s.owing || !s.told[id] || s.anew[id] {
			request.Ports = append(request.Ports, id)
		}
	}
	for id := range s.told {
		if !wired[id] {
			request.Gone = append(request.Gone, id)
		}
	}
	if !all && len(request.Ports) == 0 && len(request.Gone) == 0 && len(request.Routers) == 0 {
		return
	}
	slices.Sort(request.Ports)
	slices.Sort(request.Gone)
	slices.Sort(request.Routers)
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	if _, err := network.Wired.Do(ctx, s.Bus, network.ControlName, request); err != nil {
		s.owing = true
		s.retryIn(s.Retry * 4)
		s.Log.Warn("network agent: control not told of ports", "host", s.Host, "error", err)
		return
	}
	s.told, s.owing = wired, false
	clear(s.anew)
}
