package control

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
)

// Fleet is what is known of the compute hosts at one moment. It does not change.
// There may be a hundred thousand, so it keeps of each what decisions ask for and
// no more.
type Fleet struct {
	hosts    []fleetHost
	byName   map[string]*fleetHost
	byNode   map[string]*fleetHost // by provider
	disabled int
	holding  bool // some host has something to hold
	owned    bool // Placement knows of all that live that they are compute's
	// Aggregates are all there are; those of a host, ready for the scheduler, are
	// in byHost, and the zones that they make in zoneOf.
	Aggregates []compute.Aggregate
	byHost     map[string][]*schedule.Aggregate
	zoneOf     map[*schedule.Aggregate]string
	failures   map[string]int    // builds failed on hosts, since one succeeded
	reasons    map[string]string // of hosts that are disabled, by name
	// weighsImages: an aggregate gives the properties of images a weight;
	// weighsServers: the number of servers.
	weighsImages, weighsServers bool
	fallback                    string
	read                        time.Time
	down                        time.Duration // how long a host may be silent
}

// fleetHost is a compute host in the fleet. What is alike on many they share.
type fleetHost struct {
	name, node, nodeID, ip, zone string // node: the hypervisor's own name
	memoryMB                     int
	diskGB, diskFreeGB           int
	seen                         int64 // when it was heard of last, in microseconds
	vcpus                        int32 // beside what is as small: there may be many hosts
	disabled, forcedDown         bool
	machine                      *machine
	metrics                      map[string]float64
}

// machine is what is alike on hosts of one make, which share one.
type machine struct {
	hypervisor      string // its type
	version         int
	supported       [][3]string
	traits, methods []string
	cpu             compute.CPU
	numa            []compute.NUMACell
	pci             []compute.PCIDevice
	inPlacement     bool // pci are
}

// up is compute.Host.Up.
func (h *fleetHost) up(now time.Time, downAfter time.Duration) bool {
	return !h.forcedDown && now.Sub(time.UnixMicro(h.seen)) <= downAfter
}

// fleetHostOf keeps of a host what decisions ask for. known are the machines of
// the hosts before.
func fleetHostOf(h *compute.Host, known *[]*machine) fleetHost {
	r := &h.Resources
	node := r.HypervisorName
	if node == "" || node == h.Name { // one string is enough
		node = h.Name
	}
	return fleetHost{name: h.Name, node: node, nodeID: h.NodeID, ip: r.HostIP, vcpus: int32(r.VCPUs), memoryMB: r.MemoryMB,
		diskGB: r.DiskGB, diskFreeGB: r.DiskFreeGB, seen: h.LastSeen.UnixMicro(), disabled: h.Disabled, forcedDown: h.ForcedDown,
		machine: machineOf(h, known), metrics: r.Metrics}
}

// makes bounds the makes of machines among which one is looked for.
const makes = 64

func machineOf(h *compute.Host, known *[]*machine) *machine {
	r := &h.Resources
	x := machine{r.HypervisorType, r.HypervisorVersion, r.Supported, h.Traits, h.Methods, r.CPU, r.NUMA, r.PCI, r.PCIInPlacement}
	for _, other := range *known {
		if other.like(&x) {
			return other
		}
	}
	made := new(x) // x itself is on the stack for those that are known
	if len(*known) < makes {
		*known = append(*known, made)
	}
	return made
}

func (m *machine) like(x *machine) bool {
	return m.hypervisor == x.hypervisor && m.version == x.version && same(m.supported, x.supported) && same(m.traits, x.traits) && same(m.methods, x.methods) &&
		same(m.numa, x.numa) && same(m.pci, x.pci) && m.inPlacement == x.inPlacement && same(m.cpu.Features, x.cpu.Features) && m.cpu.Topology == x.cpu.Topology &&
		m.cpu.Arch == x.cpu.Arch && m.cpu.Model == x.cpu.Model && m.cpu.Vendor == x.cpu.Vendor
}

// same reports whether two lists are one and the same.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// fleetCache keeps the last fleet for a second: choosing a host must not read
// ten thousand rows. Whether there is room is Placement's to say, at the moment
// of the claim.
type fleetCache struct {
	mu      sync.Mutex // never held while the fleet is read
	last    *Fleet
	cost    time.Duration // of reading it
	stale   bool          // a host has told something new since
	turn    int           // counts what has had it forgotten
	reading *fleetReading // under way; nil: none
}

// fleetReading is the fleet being read, once for all who wait for it.
type fleetReading struct {
	done chan struct{}
	err  error // when done
}

const fleetAge = time.Second

// fleetShare bounds how much of the time goes into reading the fleet: one part in
// so many. Of ten thousand hosts one always tells something new.
const fleetShare = 20

func (f *fleetCache) forget() {
	f.mu.Lock()
	f.last = nil
	f.turn++
	f.mu.Unlock()
}

// outdate has the fleet read again when that can be afforded.
func (f *fleetCache) outdate() {
	f.mu.Lock()
	f.stale = true
	f.mu.Unlock()
}

// good reports whether the last fleet can be used by who is content with an age.
func (f *fleetCache) good(now time.Time, age time.Duration) bool {
	if f.last == nil {
		return false
	}
	since, rest := now.Sub(f.last.read), fleetShare*f.cost
	return since < rest || !f.stale && since < max(age, fleetAge)
}

// Fleet returns the compute hosts, known for a second or for
// fleetShare times what reading them costs.
func (c *Control) Fleet(ctx context.Context) (*Fleet, error) { return c.fleetWithin(ctx, fleetAge) }

// fleetWait is what reading the fleet may cost for those to wait who would be
// content with an older one.
const fleetWait = 2 * time.Millisecond

// fleetWithin is Fleet for those who are content with an older one. They do not
// wait while it is read again, unless it is older than that.
func (c *Control) fleetWithin(ctx context.Context, age time.Duration) (*Fleet, error) {
	f := &c.fleet
	for {
		last, reading := f.within(c, ctx, age)
		if last != nil {
			return last, nil
		}
		select {
		case <-reading.done:
			if reading.err != nil {
				return nil, reading.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// within returns the last fleet if it will do, or else what is to be waited for.
func (f *fleetCache) within(c *Control, ctx context.Context, age time.Duration) (*Fleet, *fleetReading) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := c.Now()
	if f.good(now, age) {
		return f.last, nil
	}
	if f.reading == nil {
		f.reading = &fleetReading{done: make(chan struct{})}
		go c.rereadFleet(context.WithoutCancel(ctx), f.reading, f.turn)
	}
	if age > fleetAge && f.last != nil && f.cost > fleetWait && now.Sub(f.last.read) < age {
		return f.last, nil
	}
	return nil, f.reading
}

// rereadFleet reads the fleet, which is thrown away if it was forgotten meanwhile.
func (c *Control) rereadFleet(ctx context.Context, r *fleetReading, turn int) {
	ctx, cancel := context.WithTimeout(ctx, rereadPatience)
	defer cancel()
	f := &c.fleet
	f.mu.Lock()
	f.stale = false // whatever is told from here on may be missed
	f.mu.Unlock()
	began := c.Now()
	var fleet *Fleet
	defer func() { // nobody waits for ever for one that panics
		if p := recover(); p != nil {
			r.err = fmt.Errorf("reading the hosts: panic: %v\n%s", p, debug.Stack())
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.reading = nil
		switch {
		case r.err != nil: // whoever comes next tries again, and says so
			f.stale = true
		case f.turn == turn:
			f.last, f.cost = fleet, c.Now().Sub(began)
		}
		close(r.done)
	}()
	fleet, r.err = c.readFleet(ctx)
}

const rereadPatience = 30 * time.Second

func (c *Control) readFleet(ctx context.Context) (*Fleet, error) {
	aggregates, err := c.Store.Aggregates(ctx, c.Store.DB)
	if err != nil {
		return nil, err
	}
	c.fleet.mu.Lock()
	like := c.fleet.last
	c.fleet.mu.Unlock()
	f := &Fleet{Aggregates: aggregates, byHost: map[string][]*schedule.Aggregate{}, zoneOf: map[*schedule.Aggregate]string{}, reasons: map[string]string{},
		fallback: c.Options.DefaultZone, read: c.Now(), down: c.Options.ServiceDown.D()}
	if f.failures, err = c.Store.BuildFailures(ctx, c.Store.DB); err != nil {
		return nil, err
	}
	if like != nil {
		f.hosts = make([]fleetHost, 0, len(like.hosts))
	}
	var known []*machine
	f.owned = true
	err = c.Store.ComputeHosts(ctx, c.Store.DB, func(h *compute.Host, owned bool) {
		f.hosts = append(f.hosts, fleetHostOf(h, &known))
		f.owned = f.owned && (owned || !h.Up(f.read, f.down))
		if h.Disabled {
			f.disabled++
			f.reasons[h.Name] = h.DisabledReason
		}
	})
	if err != nil {
		return nil, err
	}
	for _, a := range aggregates {
		ready := schedule.NewAggregate(a.ID, a.Name, a.Metadata)
		if _, weighs := a.Metadata["image_props_weight_multiplier"]; weighs {
			f.weighsImages = true
		}
		if _, weighs := a.Metadata["num_instances_weight_multiplier"]; weighs {
			f.weighsServers = true
		}
		if zone := a.Metadata[zoneKey]; zone != "" {
			f.zoneOf[ready] = zone
		}
		for _, h := range a.Hosts {
			f.byHost[h] = append(f.byHost[h], ready)
		}
	}
	f.hosts = slices.Clip(f.hosts)
	f.byName, f.byNode = make(map[string]*fleetHost, len(f.hosts)), make(map[string]*fleetHost, len(f.hosts))
	for i := range f.hosts {
		h := &f.hosts[i]
		h.zone, f.byName[h.name], f.byNode[h.nodeID] = f.ZoneOf(h.name), h, h
		f.holding = f.holding || len(h.machine.numa)+len(h.machine.pci) > 0
	}
	return f, nil
}

// ZoneOf returns the availability zone of a host; "" for no host.
func (f *Fleet) ZoneOf(host string) string {
	if host == "" {
		return ""
	}
	zone := f.fallback
	for _, a := range f.byHost[host] {
		zone = cmp.Or(f.zoneOf[a], zone)
	}
	return zone
}

// aggregatesOf lists the ids of a host's aggregates, in order.
func (f *Fleet) aggregatesOf(host string) []string {
	ids := make([]string, 0, len(f.byHost[host]))
	for _, a := range f.byHost[host] {
		ids = append(ids, a.ID)
	}
	slices.Sort(ids)
	return ids
}

// StatusOf is what operators see of a server's host in the server: UP, DOWN,
// MAINTENANCE, UNKNOWN, or "" when the server is on none.
func (f *Fleet) StatusOf(host string) string {
	h := f.byName[host]
	switch {
	case host == "":
		return ""
	case h == nil:
		return "UNKNOWN"
	case h.disabled:
		return "MAINTENANCE"
	case h.up(f.read, f.down):
		return "UP"
	}
	return "DOWN"
}

// zoneOf is Fleet.ZoneOf of now.
func (c *Control) zoneOf(ctx context.Context, host string) (string, error) {
	f, err := c.Fleet(ctx)
	if err != nil {
		return "", err
	}
	return f.ZoneOf(host), nil
}
