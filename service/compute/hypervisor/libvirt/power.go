package libvirt

import (
	"context"
	"errors"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

const (
	// pollInterval is how often a guest that was asked to end is looked at.
	pollInterval = 100 * time.Millisecond
	// pressInterval is how often the power button is pressed again: a guest that
	// is still booting does not notice the first time.
	pressInterval = 5 * time.Second
)

// Power implements hypervisor.Driver.
func (d *Driver) Power(ctx context.Context, id string, action hypervisor.PowerAction) error {
	t, end, err := d.begin(ctx, id)
	if err != nil {
		return err
	}
	defer end()
	dom, err := d.find(ctx, t, id)
	if err != nil {
		return err
	}
	switch action {
	case hypervisor.PowerOn:
		if err := d.replug(ctx, t, dom); err != nil {
			return err
		}
		return d.start(ctx, t, dom)
	case hypervisor.PowerOff:
		return d.stop(ctx, t, dom)
	case hypervisor.PowerShutdown:
		err := d.shutdown(ctx, t, dom)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
			return nil // the guest had its time; the caller looks at State
		}
		return err
	}
	return fault.Invalidf("The power action %q is unknown; on, off and shutdown are possible.", action)
}

// replug makes the taps of a guest that is to start again: those that the host
// has lost by a restart of its own.
func (d *Driver) replug(ctx context.Context, t *turn, dom lv.Domain) error {
	s, err := d.see(ctx, t, dom, lv.DomainXMLInactive)
	if err != nil {
		return err
	}
	for _, i := range s.Devices.Interfaces {
		if i.Target == nil || i.MAC == nil {
			continue
		}
		size := 0
		if i.MTU != nil {
			size = i.MTU.Size
		}
		if err := plugTap(i.Target.Dev, i.MAC.Address, size); err != nil {
			return err
		}
	}
	return nil
}

// start starts a domain; one that runs is success, one that is paused resumes.
func (d *Driver) start(ctx context.Context, t *turn, dom lv.Domain) error {
	id := formatUUID(dom.UUID)
	state, err := d.rawState(ctx, t, dom)
	switch {
	case err != nil:
		return err
	case runs(state):
		return nil
	case state == lv.DomainPaused:
		return tell(ctx, d.conn, t, "resume guest "+id, func(l *lv.Libvirt) error { return l.DomainResume(dom) })
	}
	err = tell(ctx, d.conn, t, "start guest "+id, func(l *lv.Libvirt) error { return l.DomainCreate(dom) })
	if fault.Is(err, fault.Conflict) {
		// A call whose answer was lost has started it already.
		if state, stateErr := d.rawState(ctx, t, dom); stateErr == nil && state == lv.DomainRunning {
			return nil
		}
	}
	return err
}

// stop pulls the plug; a domain that does not run is success.
func (d *Driver) stop(ctx context.Context, t *turn, dom lv.Domain) error {
	state, err := d.rawState(ctx, t, dom)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err == nil && state == lv.DomainShutoff {
		return d.dropMemory(ctx, t, dom)
	}
	if err != nil {
		return err
	}
	err = tell(ctx, d.conn, t, "power off guest "+formatUUID(dom.UUID), func(l *lv.Libvirt) error { return l.DomainDestroyFlags(dom, 0) })
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
		return nil // it has ended by itself meanwhile
	}
	return err
}

// shutdown presses the power button until the domain is off or ctx ends.
func (d *Driver) shutdown(ctx context.Context, t *turn, dom lv.Domain) error {
	poll, press := time.NewTicker(pollInterval), time.NewTicker(pressInterval)
	defer poll.Stop()
	defer press.Stop()
	for due := true; ; due = false {
		state, err := d.rawState(ctx, t, dom)
		if err != nil || state == lv.DomainShutoff {
			return err
		}
		select {
		case <-press.C:
			due = true
		default:
		}
		if due && state != lv.DomainShutdown {
			err := tell(ctx, d.conn, t, "press the power button of guest "+formatUUID(dom.UUID), func(l *lv.Libvirt) error {
				return l.DomainShutdownFlags(dom, lv.DomainShutdownAcpiPowerBtn)
			})
			if err != nil && !fault.Is(err, fault.Conflict) { // conflict: it is off already
				return err
			}
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Reboot implements hypervisor.Rebooter as upstream does: the guest shuts itself
// down and is started again, so that a changed definition takes effect.
func (d *Driver) Reboot(ctx context.Context, id string) error {
	return d.with(ctx, id, func(t *turn, dom lv.Domain, state lv.DomainState) error {
		if !runs(state) {
			return notRunning(id)
		}
		if err := d.shutdown(ctx, t, dom); err != nil {
			return err
		}
		return d.start(ctx, t, dom)
	})
}

// State implements hypervisor.Driver.
func (d *Driver) State(ctx context.Context, id string) (hypervisor.State, error) {
	dom, err := d.find(ctx, nil, id)
	if err != nil {
		return hypervisor.NoState, err
	}
	state, err := d.rawState(ctx, nil, dom)
	if fault.Is(err, fault.NotFound) {
		return hypervisor.NoState, d.unknown(id)
	}
	return states[state], err
}

func (d *Driver) rawState(ctx context.Context, t *turn, dom lv.Domain) (lv.DomainState, error) {
	return ask(ctx, d.conn, t, "read the state of guest "+formatUUID(dom.UUID), func(l *lv.Libvirt) (lv.DomainState, error) {
		state, _, err := l.DomainGetState(dom, 0)
		return lv.DomainState(state), err
	})
}

// states maps libvirt's states to upstream's, as upstream does.
var states = map[lv.DomainState]hypervisor.State{
	lv.DomainNostate:     hypervisor.NoState,
	lv.DomainRunning:     hypervisor.Running,
	lv.DomainBlocked:     hypervisor.Running,
	lv.DomainPaused:      hypervisor.Paused,
	lv.DomainShutdown:    hypervisor.Shutdown,
	lv.DomainShutoff:     hypervisor.Shutdown,
	lv.DomainCrashed:     hypervisor.Crashed,
	lv.DomainPmsuspended: hypervisor.Suspended,
}
