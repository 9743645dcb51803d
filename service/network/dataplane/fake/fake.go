package fake

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/dataplane"
)

// Op names a method of the driver, for faults and counts.
type Op string

// The operations, one for each method.
const (
	EnsureNetwork  Op = "EnsureNetwork"
	RemoveNetwork  Op = "RemoveNetwork"
	EnsurePort     Op = "EnsurePort"
	RemovePort     Op = "RemovePort"
	EnsureRouter   Op = "EnsureRouter"
	RemoveRouter   Op = "RemoveRouter"
	Observe        Op = "Observe"
	Devices        Op = "Devices"
	ListenMetadata Op = "ListenMetadata"
	Clean          Op = "Clean"
)

// Config says how a host behaves. The zero value does all at once and never fails.
type Config struct {
	// Withhold makes a port's device absent until Plug. Otherwise each device
	// counts as present from the first EnsurePort on.
	Withhold bool
	// Delay is how long each operation takes; it ends early with its context.
	Delay time.Duration
	// Before is asked at the start of each operation; an error is the
	// operation's result and nothing is done. It may block. id is empty where
	// the operation has none.
	Before func(ctx context.Context, op Op, id string) error
	// After is asked when the work is done: an error is the lost answer of work
	// that was done nevertheless.
	After func(ctx context.Context, op Op, id string) error
}

// Driver implements dataplane.Driver. It is safe for concurrent use.
type Driver struct {
	cfg Config

	mu        sync.Mutex
	networks  map[string]network.HostNetwork
	ports     map[string]network.HostPort // by device
	routers   map[string]network.HostRouter
	devices   map[string]bool // device: present, where told by Plug or Unplug
	listeners map[string]*listener
	watchers  map[*watcher]bool
	calls     map[Op]int
}

var _ dataplane.Driver = (*Driver)(nil)

// New returns an empty host.
func New(cfg Config) *Driver {
	return &Driver{
		cfg:       cfg,
		networks:  map[string]network.HostNetwork{},
		ports:     map[string]network.HostPort{},
		routers:   map[string]network.HostRouter{},
		devices:   map[string]bool{},
		listeners: map[string]*listener{},
		watchers:  map[*watcher]bool{},
		calls:     map[Op]int{},
	}
}

// do runs work under the lock, between the delay and the faults.
func (d *Driver) do(ctx context.Context, op Op, id string, work func() error) error {
	d.mu.Lock()
	d.calls[op]++
	d.mu.Unlock()
	if d.cfg.Delay > 0 {
		timer := time.NewTimer(d.cfg.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.cfg.Before != nil {
		if err := d.cfg.Before(ctx, op, id); err != nil {
			return err
		}
	}
	d.mu.Lock()
	err := work()
	d.mu.Unlock()
	if err == nil && d.cfg.After != nil {
		err = d.cfg.After(ctx, op, id)
	}
	return err
}

// EnsureNetwork implements dataplane.Driver.
func (d *Driver) EnsureNetwork(ctx context.Context, n network.HostNetwork) error {
	return d.do(ctx, EnsureNetwork, n.ID, func() error {
		if err := dataplane.CheckNetwork(n); err != nil {
			return err
		}
		if n.DHCP == nil {
			d.hangUp(n.ID)
		}
		d.networks[n.ID] = n
		return nil
	})
}

// RemoveNetwork implements dataplane.Driver.
func (d *Driver) RemoveNetwork(ctx context.Context, id string) error {
	return d.do(ctx, RemoveNetwork, id, func() error {
		for _, p := range d.ports {
			if p.NetworkID == id {
				return fault.Conflictf("Network %s still has port %s on this host.", id, p.ID)
			}
		}
		for _, r := range d.routers {
			if slices.Contains(legs(r), id) {
				return fault.Conflictf("Network %s still has an interface of router %s on this host.", id, r.ID)
			}
		}
		d.hangUp(id)
		delete(d.networks, id)
		return nil
	})
}

// EnsurePort implements dataplane.Driver.
func (d *Driver) EnsurePort(ctx context.Context, p network.HostPort) (wired bool, err error) {
	err = d.do(ctx, EnsurePort, p.ID, func() error {
		if err := dataplane.CheckPort(p); err != nil {
			return err
		}
		if _, ok := d.networks[p.NetworkID]; !ok {
			return fault.Conflictf("Network %s of port %s has not been made on this host.", p.NetworkID, p.ID)
		}
		device := network.TapName(p.ID)
		if wired = d.present(device); wired {
			d.ports[device] = p
		}
		return nil
	})
	return wired && err == nil, err
}

// RemovePort implements dataplane.Driver.
func (d *Driver) RemovePort(ctx context.Context, id string) error {
	return d.do(ctx, RemovePort, id, func() error {
		delete(d.ports, network.TapName(id))
		return nil
	})
}

// EnsureRouter implements dataplane.Driver.
func (d *Driver) EnsureRouter(ctx context.Context, r network.HostRouter) error {
	return d.do(ctx, EnsureRouter, r.ID, func() error {
		if err := dataplane.CheckRouter(r); err != nil {
			return err
		}
		for _, id := range legs(r) {
			if _, ok := d.networks[id]; !ok {
				return fault.Conflictf("Network %s of router %s has not been made on this host.", id, r.ID)
			}
		}
		d.routers[r.ID] = r
		return nil
	})
}

// RemoveRouter implements dataplane.Driver.
func (d *Driver) RemoveRouter(ctx context.Context, id string) error {
	return d.do(ctx, RemoveRouter, id, func() error {
		delete(d.routers, id)
		return nil
	})
}

// Observe implements dataplane.Driver.
func (d *Driver) Observe(ctx context.Context) (seen dataplane.Observed, err error) {
	err = d.do(ctx, Observe, "", func() error {
		seen.Networks = slices.Sorted(maps.Keys(d.networks))
		seen.Routers = slices.Sorted(maps.Keys(d.routers))
		for device := range d.ports {
			seen.Ports = append(seen.Ports, strings.TrimPrefix(device, "tap"))
		}
		slices.Sort(seen.Ports)
		return nil
	})
	if err != nil {
		return dataplane.Observed{}, err
	}
	return seen, nil
}

// Clean implements dataplane.Driver. Plugged devices stay: they are not the
// network's.
func (d *Driver) Clean(ctx context.Context) error {
	return d.do(ctx, Clean, "", func() error {
		for id := range d.listeners {
			d.hangUp(id)
		}
		clear(d.networks)
		clear(d.ports)
		clear(d.routers)
		return nil
	})
}

// Network returns what was last ensured under the id.
func (d *Driver) Network(id string) (network.HostNetwork, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, ok := d.networks[id]
	return n, ok
}

// Port returns the wired port of the id.
func (d *Driver) Port(id string) (network.HostPort, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.ports[network.TapName(id)]
	return p, ok
}

// Router returns what was last ensured under the id.
func (d *Driver) Router(id string) (network.HostRouter, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.routers[id]
	return r, ok
}

// Calls returns how often op was called, failed calls included.
func (d *Driver) Calls(op Op) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[op]
}

// legs returns the networks that r has a leg in.
func legs(r network.HostRouter) []string {
	var ids []string
	for _, leg := range r.Interfaces {
		ids = append(ids, leg.NetworkID)
	}
	if r.Gateway != nil {
		ids = append(ids, r.Gateway.NetworkID)
	}
	return ids
}
