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

// EnableHost lets a host take new servers or not.
func (c *Control) EnableHost(ctx context.Context, name string, change ServiceChange) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-hosts:update", nil); err != nil {
		return err
	}
	_, err := c.changeService(ctx, "", name, compute.BinaryCompute, change)
	return err
}
