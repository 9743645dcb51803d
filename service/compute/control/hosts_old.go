package control

import (
	"context"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// Hosts lists the processes that are not disabled, of a zone if one is given: what
// clients until 2.42 call hosts. The APIs' own are none.
func (c *Control) Hosts(ctx context.Context, zone string) ([]*compute.Host, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-hosts:list", nil); err != nil {
		return nil, err
	}
	all, err := c.allHosts(ctx)
	return slices.DeleteFunc(all, func(h *compute.Host) bool {
		return h.Disabled || zone != "" && h.Zone != zone || h.Binary == "nova-osapi_compute" || h.Binary == "nova-metadata"
	}), err
}

// HostShares returns a compute host with the servers on it.
func (c *Control) HostShares(ctx context.Context, name string) (Hypervisor, []*compute.Server, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-hosts:show", nil); err != nil {
		return Hypervisor{}, nil, err
	}
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, name)
	if fault.Is(err, fault.NotFound) {
		return Hypervisor{}, nil, fault.NotFoundf("Compute host %.255s could not be found.", name)
	}
	if err != nil {
		return Hypervisor{}, nil, err
	}
	load, err := c.Store.HostLoad(ctx, c.Store.DB, name)
	if err != nil {
		return Hypervisor{}, nil, err
	}
	servers, err := c.Store.ServersOn(ctx, c.Store.DB, name)
	return Hypervisor{h, load, c.HostUp(h)}, servers, err
}

// SwitchHost starts, shuts down or reboots a host ("startup", "shutdown",
// "reboot"), if its hypervisor can.
func (c *Control) SwitchHost(ctx context.Context, name, action string) error {
	rule := action
	if action == "startup" {
		rule = "start"
	}
	if err := c.hostAble(ctx, rule, name, compute.SwitchHostCall.Name); err != nil {
		return err
	}
	_, err := compute.SwitchHostCall.Do(ctx, c.Bus, name, compute.SwitchHostRequest{Action: action})
	return silent(name, err)
}

// MaintainHost begins or ends a host's maintenance, if its hypervisor knows such
// a thing.
func (c *Control) MaintainHost(ctx context.Context, name string, on bool) error {
	if err := c.hostAble(ctx, "update", name, compute.MaintainHostCall.Name); err != nil {
		return err
	}
	_, err := compute.MaintainHostCall.Do(ctx, c.Bus, name, compute.MaintainHostRequest{On: on})
	return silent(name, err)
}

// hostAble asks the policy, and then whether a compute host is there, up and able
// to answer a call.
func (c *Control) hostAble(ctx context.Context, rule, name, call string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-hosts:"+rule, nil); err != nil {
		return err
	}
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, name)
	switch {
	case err != nil:
		return err
	case !c.HostUp(h):
		return silent(name, fault.New(fault.Unavailable, "It has not been heard of."))
	case !slices.Contains(h.Methods, call):
		return fault.New(fault.Unsupported, "The requested functionality is not supported.")
	}
	return nil
}

// silent words that a host does not answer as clients from before 2.43 know it.
func silent(name string, err error) error {
	if fault.Is(err, fault.Unavailable) {
		return fault.Invalidf("Compute service of %s is unavailable at this time.", name)
	}
	return err
}

// EnableHost lets a host take new servers or not.
func (c *Control) EnableHost(ctx context.Context, name string, change ServiceChange) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-hosts:update", nil); err != nil {
		return err
	}
	_, err := c.changeService(ctx, "", name, compute.BinaryCompute, change)
	return err
}
