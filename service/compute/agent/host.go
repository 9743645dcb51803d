package agent

import (
	"context"

	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

func (a *Agent) switchHost(ctx context.Context, r compute.SwitchHostRequest) (struct{}, error) {
	d, err := as[hypervisor.HostSwitcher](a, "switch its host")
	if err == nil {
		err = d.SwitchHost(ctx, hypervisor.HostAction(r.Action))
	}
	return struct{}{}, err
}

func (a *Agent) maintainHost(ctx context.Context, r compute.MaintainHostRequest) (struct{}, error) {
	d, err := as[hypervisor.HostSwitcher](a, "maintain its host")
	if err == nil {
		err = d.MaintainHost(ctx, r.On)
	}
	return struct{}{}, err
}
