package fake

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

var _ hypervisor.HostSwitcher = (*Driver)(nil)

// SwitchHost implements hypervisor.HostSwitcher. The driver answers while its host
// is off, as one does whose hypervisor is elsewhere.
func (d *Driver) SwitchHost(ctx context.Context, action hypervisor.HostAction) error {
	return d.do(ctx, SwitchHost, "", func() error {
		switch action {
		case hypervisor.HostStartup:
		case hypervisor.HostShutdown, hypervisor.HostReboot:
			for id, g := range d.state.Guests {
				g.stop(hypervisor.Shutdown, poweredDown)
				d.touched(id)
			}
		default:
			return fault.Invalidf("Host %s cannot %.64q; startup, shutdown and reboot are possible.", d.cfg.Host, string(action))
		}
		d.state.Off, d.dirty = action == hypervisor.HostShutdown, true
		return nil
	})
}

// MaintainHost implements hypervisor.HostSwitcher.
func (d *Driver) MaintainHost(ctx context.Context, on bool) error {
	return d.do(ctx, MaintainHost, "", func() error {
		d.state.Maintained, d.dirty = on, true
		return nil
	})
}
