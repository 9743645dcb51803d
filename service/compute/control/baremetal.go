package control

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// BareNodes lists the machines of the bare metal service.
func (c *Control) BareNodes(ctx context.Context) ([]compute.BareNode, error) {
	if err := c.bareMetalHere(ctx, "list"); err != nil {
		return nil, err
	}
	return c.BareMetal.Nodes(ctx)
}

// BareNode returns one of them.
func (c *Control) BareNode(ctx context.Context, id string) (compute.BareNode, error) {
	if err := c.bareMetalHere(ctx, "show"); err != nil {
		return compute.BareNode{}, err
	}
	return c.BareMetal.Node(ctx, id)
}

// bareMetalHere asks the policy, and then whether there is such a service.
func (c *Control) bareMetalHere(ctx context.Context, rule string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-baremetal-nodes:"+rule, nil); err != nil {
		return err
	}
	if c.BareMetal == nil {
		return fault.New(fault.Unsupported, "The requested functionality is not supported: there is no bare metal service in this cloud.")
	}
	return nil
}
