package hypervisortest

import (
	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// switchHost: guests are off after the host was, and can be started again.
func (b *bench) switchHost() {
	s := optional[hypervisor.HostSwitcher](b)
	b.kind("an unknown action", s.SwitchHost(b.ctx, "explode"), fault.Invalid)
	for _, on := range []bool{true, true, false, false} {
		b.must(s.MaintainHost(b.ctx, on))
	}
	g := b.create(b.Guest(b.t), true)
	for _, action := range []hypervisor.HostAction{hypervisor.HostShutdown, hypervisor.HostReboot} {
		for range 2 {
			b.must(s.SwitchHost(b.ctx, action))
			b.want(g.ID, hypervisor.Shutdown)
		}
		for range 2 {
			b.must(s.SwitchHost(b.ctx, hypervisor.HostStartup))
			b.want(g.ID, hypervisor.Shutdown)
		}
		b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
		b.want(g.ID, hypervisor.Running)
	}
}
