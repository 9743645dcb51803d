package fake

import (
	"maps"
	"slices"

	"kilonova/service/compute/hypervisor"
)

// Halt is a guest that powers itself off from inside: no call of the cloud.
func (d *Driver) Halt(id string) error {
	return d.happens(id, func(g *guest) { g.stop(hypervisor.Shutdown, poweredDown) })
}

// Crash is a guest that dies.
func (d *Driver) Crash(id string) error {
	return d.happens(id, func(g *guest) { g.stop(hypervisor.Crashed, panicked) })
}

// Blackout is the host losing power: every guest is off, all are still defined.
func (d *Driver) Blackout() error {
	return d.change(func() error {
		for id, g := range d.state.Guests {
			g.stop(hypervisor.Shutdown, "")
			d.touched(id)
		}
		return nil
	})
}

// Guest returns what the host knows of a guest, with the volumes and interfaces
// that it has now, and without the config drive and the volumes' secrets.
func (d *Driver) Guest(id string) (spec hypervisor.Guest, err error) {
	err = d.change(func() error {
		g, err := d.find(id)
		if err == nil {
			spec = keep(g.Spec)
		}
		return err
	})
	return spec, err
}

// HostState says whether the host has been shut down, and whether it is in
// maintenance.
func (d *Driver) HostState() (off, maintained bool, err error) {
	err = d.change(func() error {
		off, maintained = d.state.Off, d.state.Maintained
		return nil
	})
	return off, maintained, err
}

// Plugged returns the interfaces that are plugged now, by port.
func (d *Driver) Plugged() (map[string]hypervisor.NIC, error) {
	var nics map[string]hypervisor.NIC
	err := d.change(func() error {
		nics = maps.Clone(d.state.Taps)
		return nil
	})
	return nics, err
}

// Fulfilled reports whether every injected fault with a limit has been met.
func (d *Driver) Fulfilled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !slices.ContainsFunc(d.faults, func(f *Fault) bool { return f.Times > 0 })
}

func (d *Driver) happens(id string, event func(*guest)) error {
	return d.change(func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		event(g)
		d.touched(id)
		return nil
	})
}
