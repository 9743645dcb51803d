package control

import (
	"context"
	"slices"
	"sync"
	"time"

	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
)

// Fleet is what is known of the compute hosts at one moment. It does not change.
type Fleet struct {
	Hosts    []*compute.Host
	byName   map[string]*compute.Host
	byNode   map[string]*compute.Host // by provider
	disabled int
	zones    map[string]string // of hosts that an aggregate puts into one
	// Aggregates are all there are; those of a host, ready for the scheduler, are
	// in byHost.
	Aggregates []compute.Aggregate
	byHost     map[string][]*schedule.Aggregate
	failures   map[string]int // builds failed on hosts, since one succeeded
	// weighsImages: an aggregate gives the properties of images a weight.
	weighsImages bool
	fallback     string
	read         time.Time
	down         time.Duration // how long a host may be silent
}

// fleetCache keeps the last fleet for a second: choosing a host must not read
// ten thousand rows. Whether there is room is Placement's to say, at the moment
// of the claim.
type fleetCache struct {
	mu    sync.Mutex
	last  *Fleet
	cost  time.Duration // of reading it
	stale bool          // a host has told something new since
}

const fleetAge = time.Second

// fleetShare bounds how much of the time goes into reading the fleet: one part in
// so many. Of ten thousand hosts one always tells something new.
const fleetShare = 20

func (f *fleetCache) forget() {
	f.mu.Lock()
	f.last = nil
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

// fleetWithin is Fleet for those who are content with an older one.
func (c *Control) fleetWithin(ctx context.Context, age time.Duration) (*Fleet, error) {
	f := &c.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	began := c.Now()
	if f.good(began, age) {
		return f.last, nil
	}
	fleet, err := c.readFleet(ctx)
	if err == nil {
		f.last, f.stale, f.cost = fleet, false, c.Now().Sub(began)
	}
	return fleet, err
}

func (c *Control) readFleet(ctx context.Context) (*Fleet, error) {
	hosts, err := c.Store.Hosts(ctx, c.Store.DB, compute.BinaryCompute)
	if err != nil {
		return nil, err
	}
	aggregates, err := c.Store.Aggregates(ctx, c.Store.DB)
	if err != nil {
		return nil, err
	}
	failures, err := c.Store.BuildFailures(ctx, c.Store.DB)
	if err != nil {
		return nil, err
	}
	f := &Fleet{Hosts: hosts, failures: failures, byName: map[string]*compute.Host{}, byNode: map[string]*compute.Host{}, zones: map[string]string{}, Aggregates: aggregates, byHost: map[string][]*schedule.Aggregate{}, fallback: c.Options.DefaultZone, read: c.Now(), down: c.Options.ServiceDown.D()}
	for _, a := range aggregates {
		zone, ready := a.Metadata[zoneKey], schedule.NewAggregate(a.ID, a.Name, a.Metadata)
		if _, weighs := a.Metadata["image_props_weight_multiplier"]; weighs {
			f.weighsImages = true
		}
		for _, h := range a.Hosts {
			f.byHost[h] = append(f.byHost[h], ready)
			if zone != "" {
				f.zones[h] = zone
			}
		}
	}
	for _, h := range hosts {
		h.Zone, f.byName[h.Name], f.byNode[h.NodeID] = f.ZoneOf(h.Name), h, h
		if h.Disabled {
			f.disabled++
		}
	}
	return f, nil
}

// ZoneOf returns the availability zone of a host; "" for no host.
func (f *Fleet) ZoneOf(host string) string {
	switch {
	case host == "":
		return ""
	case f.zones[host] != "":
		return f.zones[host]
	}
	return f.fallback
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
	case h.Disabled:
		return "MAINTENANCE"
	case h.Up(f.read, f.down):
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
