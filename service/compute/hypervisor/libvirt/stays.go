package libvirt

import (
	"context"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

var (
	_ hypervisor.Pauser         = (*Driver)(nil)
	_ hypervisor.Suspender      = (*Driver)(nil)
	_ hypervisor.Rescuer        = (*Driver)(nil)
	_ hypervisor.Snapshotter    = (*Driver)(nil)
	_ hypervisor.CrashDumper    = (*Driver)(nil)
	_ hypervisor.PasswordSetter = (*Driver)(nil)
	_ hypervisor.Diagnoser      = (*Driver)(nil)
	_ hypervisor.Consoler       = (*Driver)(nil)
)

// with runs do in the guest's turn, with its domain and its state.
func (d *Driver) with(ctx context.Context, id string, do func(t *turn, dom lv.Domain, state lv.DomainState) error) error {
	t, end, err := d.begin(ctx, id)
	if err != nil {
		return err
	}
	defer end()
	dom, err := d.find(ctx, t, id)
	if err != nil {
		return err
	}
	state, err := d.rawState(ctx, t, dom)
	if err != nil {
		return err
	}
	return do(t, dom, state)
}

// runs: also a guest that waits for something is running.
func runs(s lv.DomainState) bool { return s == lv.DomainRunning || s == lv.DomainBlocked }

func notRunning(id string) error { return fault.Conflictf("Guest %s does not run.", id) }

// Pause implements hypervisor.Pauser.
func (d *Driver) Pause(ctx context.Context, id string) error {
	return d.with(ctx, id, func(t *turn, dom lv.Domain, state lv.DomainState) error {
		switch {
		case state == lv.DomainPaused:
			return nil
		case !runs(state):
			return notRunning(id)
		}
		return tell(ctx, d.conn, t, "pause guest "+id, func(l *lv.Libvirt) error { return l.DomainSuspend(dom) })
	})
}

// Unpause implements hypervisor.Pauser.
func (d *Driver) Unpause(ctx context.Context, id string) error {
	return d.with(ctx, id, func(t *turn, dom lv.Domain, state lv.DomainState) error {
		switch {
		case runs(state):
			return nil
		case state != lv.DomainPaused:
			return fault.Conflictf("Guest %s is not paused.", id)
		}
		return tell(ctx, d.conn, t, "resume guest "+id, func(l *lv.Libvirt) error { return l.DomainResume(dom) })
	})
}

// Suspend implements hypervisor.Suspender by libvirt's managed save: the next
// start goes on from it. Writing the memory takes its time, so that it has a
// connection of its own, on which no call counts as hung so soon.
func (d *Driver) Suspend(ctx context.Context, id string) error {
	return d.with(ctx, id, func(t *turn, dom lv.Domain, state lv.DomainState) error {
		if !runs(state) && state != lv.DomainPaused {
			saved, err := d.hasMemory(ctx, t, dom)
			if err == nil && !saved {
				err = notRunning(id)
			}
			return err
		}
		return tell(ctx, d.slow, t, "save the memory of guest "+id, func(l *lv.Libvirt) error { return l.DomainManagedSave(dom, uint32(lv.DomainSaveRunning)) })
	})
}

// Resume implements hypervisor.Suspender.
func (d *Driver) Resume(ctx context.Context, id string) error {
	return d.with(ctx, id, func(t *turn, dom lv.Domain, state lv.DomainState) error {
		if runs(state) {
			return nil
		}
		if err := d.replug(ctx, t, dom); err != nil {
			return err
		}
		return d.start(ctx, t, dom)
	})
}

func (d *Driver) hasMemory(ctx context.Context, t *turn, dom lv.Domain) (bool, error) {
	n, err := ask(ctx, d.conn, t, "look for the memory of guest "+formatUUID(dom.UUID), func(l *lv.Libvirt) (int32, error) { return l.DomainHasManagedSaveImage(dom, 0) })
	return n == 1, err
}

// dropMemory forgets the saved memory of a guest that is off.
func (d *Driver) dropMemory(ctx context.Context, t *turn, dom lv.Domain) error {
	saved, err := d.hasMemory(ctx, t, dom)
	if err != nil || !saved {
		return err
	}
	return tell(ctx, d.conn, t, "drop the memory of guest "+formatUUID(dom.UUID), func(l *lv.Libvirt) error { return l.DomainManagedSaveRemove(dom, 0) })
}

// CrashDump implements hypervisor.CrashDumper.
func (d *Driver) CrashDump(ctx context.Context, id string) error {
	return d.with(ctx, id, func(t *turn, dom lv.Domain, state lv.DomainState) error {
		if !runs(state) && state != lv.DomainPaused {
			return notRunning(id)
		}
		return tell(ctx, d.conn, t, "send an NMI to guest "+id, func(l *lv.Libvirt) error { return l.DomainInjectNmi(dom, 0) })
	})
}

// SetPassword implements hypervisor.PasswordSetter, through the agent in the
// guest if its image has one.
func (d *Driver) SetPassword(ctx context.Context, id, password string) error {
	return d.withAgent(ctx, id, "change a password", func(l *lv.Libvirt, dom lv.Domain) error {
		return l.DomainSetUserPassword(dom, lv.OptString{"root"}, lv.OptString{password}, 0)
	})
}

// Quiesce implements hypervisor.Quiescer, through the agent in the guest.
func (d *Driver) Quiesce(ctx context.Context, id string) error {
	return d.withAgent(ctx, id, "hold file systems still", func(l *lv.Libvirt, dom lv.Domain) error {
		_, err := l.DomainFsfreeze(dom, nil, 0)
		return err
	})
}

// Thaw implements hypervisor.Quiescer.
func (d *Driver) Thaw(ctx context.Context, id string) error {
	return d.withAgent(ctx, id, "let go of file systems", func(l *lv.Libvirt, dom lv.Domain) error {
		_, err := l.DomainFsthaw(dom, nil, 0)
		return err
	})
}

// withAgent has the agent in a guest do something, if there is one.
func (d *Driver) withAgent(ctx context.Context, id, what string, do func(*lv.Libvirt, lv.Domain) error) error {
	return d.with(ctx, id, func(t *turn, dom lv.Domain, state lv.DomainState) error {
		if !runs(state) {
			return notRunning(id)
		}
		s, err := d.see(ctx, t, dom, 0)
		if err != nil {
			return err
		}
		if !s.hasAgent() {
			return fault.New(fault.Unsupported, "Guest %s has no agent that could %s: its image does not say hw_qemu_guest_agent.", id, what)
		}
		return tell(ctx, d.conn, t, what+" in guest "+id, func(l *lv.Libvirt) error { return do(l, dom) })
	})
}

// Console implements hypervisor.Consoler: VNC.
func (d *Driver) Console(ctx context.Context, id string, kind compute.ConsoleKind) (at compute.ConsoleAddress, err error) {
	err = d.with(ctx, id, func(t *turn, dom lv.Domain, state lv.DomainState) error {
		if !runs(state) && state != lv.DomainPaused {
			return notRunning(id)
		}
		s, err := d.see(ctx, t, dom, 0)
		if err != nil {
			return err
		}
		for _, g := range s.Devices.Graphics {
			if g.Type == string(kind) && g.Port > 0 {
				at = compute.ConsoleAddress{Host: d.cfg.ServerListen, Port: g.Port}
				if at.Host == "0.0.0.0" || at.Host == "::" {
					at.Host = d.cfg.HostIP
				}
				return nil
			}
		}
		return fault.New(fault.Unsupported, "Guest %s has no console of the kind %.16q.", id, kind)
	})
	return at, err
}
