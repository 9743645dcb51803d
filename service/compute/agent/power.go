package agent

import (
	"bytes"
	"context"
	"io"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// power switches a guest on or off or restarts it softly. A guest that does not
// heed its power button within its grace is switched off; one whose definition
// is gone is made anew.
func (a *Agent) power(ctx context.Context, r compute.PowerRequest) (compute.Power, error) {
	defer a.locks.on(r.Server.ID)()
	var err error
	switch r.Action {
	case "on":
		err = a.start(ctx, &r.Server)
	case "off":
		if err = a.stop(ctx, r); err == nil {
			err = a.unmount(ctx, r.Server.ID)
		}
	case "reboot":
		err = a.reboot(ctx, r)
	default:
		err = fault.Invalidf("There is no power action %q.", r.Action)
	}
	return a.powerOf(ctx, r.Server.ID), err
}

// start makes the guest from its description, which also gives it back what may
// have been lost with the host's restart: devices, definition.
func (a *Agent) start(ctx context.Context, s *compute.Server) error {
	guest, err := a.guest(ctx, s)
	if err != nil {
		return err
	}
	if err := a.plug(ctx, guest.NICs, s.ID); err != nil {
		return err
	}
	return a.Driver.Create(ctx, guest)
}

func (a *Agent) stop(ctx context.Context, r compute.PowerRequest) error {
	id := r.Server.ID
	state, err := a.Driver.State(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return nil // what is not there is off
	}
	if err != nil {
		return err
	}
	if state == hypervisor.Running && r.Grace > 0 {
		grace, cancel := context.WithTimeout(ctx, time.Duration(r.Grace)*time.Second)
		err := a.Driver.Power(grace, id, hypervisor.PowerShutdown)
		cancel()
		if err != nil && ctx.Err() == nil {
			a.Log.Info("guest did not shut down when asked", "server", id, "error", err)
		}
	}
	return a.Driver.Power(ctx, id, hypervisor.PowerOff)
}

func (a *Agent) reboot(ctx context.Context, r compute.PowerRequest) error {
	if rb, ok := a.Driver.(hypervisor.Rebooter); ok {
		grace, cancel := context.WithTimeout(ctx, time.Duration(max(1, r.Grace))*time.Second)
		err := rb.Reboot(grace, r.Server.ID)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		a.Log.Info("guest did not reboot when asked", "server", r.Server.ID, "error", err)
	}
	if err := a.Driver.Power(ctx, r.Server.ID, hypervisor.PowerOff); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return a.start(ctx, &r.Server)
}

func (a *Agent) attachInterface(ctx context.Context, r compute.InterfaceRequest) (compute.Power, error) {
	defer a.locks.on(r.ServerID)()
	n := nic(r.Interface)
	if err := a.plug(ctx, []hypervisor.NIC{n}, r.ServerID); err != nil {
		return 0, err
	}
	err := a.Driver.AttachInterface(ctx, r.ServerID, n)
	return a.powerOf(ctx, r.ServerID), err
}

func (a *Agent) detachInterface(ctx context.Context, r compute.InterfaceRequest) (compute.Power, error) {
	defer a.locks.on(r.ServerID)()
	err := a.Driver.DetachInterface(ctx, r.ServerID, r.Interface.PortID)
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	if p, ok := a.Driver.(hypervisor.Plugger); ok && err == nil {
		err = p.Unplug(ctx, nic(r.Interface))
	}
	return a.powerOf(ctx, r.ServerID), err
}

// consoleLog returns the end of what a guest wrote.
func (a *Agent) consoleLog(ctx context.Context, r compute.ConsoleLogRequest) (compute.ConsoleLogReply, error) {
	var reply compute.ConsoleLogReply
	l, ok := a.Driver.(hypervisor.ConsoleLogger)
	if !ok {
		return reply, fault.New(fault.Unsupported, "The hypervisor of %s keeps no console log.", a.Host)
	}
	log, size, err := l.ConsoleLog(ctx, r.ServerID)
	if err != nil {
		return reply, err
	}
	defer log.Close()
	if _, err := log.Seek(max(0, size-compute.MaxConsoleLog), io.SeekStart); err != nil {
		return reply, err
	}
	text, err := io.ReadAll(io.LimitReader(log, compute.MaxConsoleLog))
	reply.Text = lastLines(text, r.Lines)
	return reply, err
}

// lastLines cuts text to its last n lines; n < 0 leaves it. As upstream, what
// follows a newline at the end counts as a line, if an empty one.
func lastLines(text []byte, n int) []byte {
	if n < 0 {
		return text
	}
	at := len(text)
	for ; n > 0; n-- {
		if at = bytes.LastIndexByte(text[:at], '\n'); at < 0 {
			return text
		}
	}
	return text[min(at+1, len(text)):]
}
