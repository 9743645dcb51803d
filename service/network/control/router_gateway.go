package control

import (
	"context"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// setRouterGateway gives a router the way out that a request asks for, or takes
// it away.
func (c *Control) setRouterGateway(ctx context.Context, tx *write, r *store.Router, in network.Opt[network.GatewayInput]) error {
	networkID := in.V.NetworkID.Or("")
	if in.Null || networkID == "" {
		if !in.Null && (in.V.EnableSNAT.Set || in.V.FixedIPs.Set) {
			return invalid("external_gateway_info", "'network_id' is needed with other keys")
		}
		return c.clearGateway(ctx, tx, r)
	}
	n, err := c.store.Network(ctx, tx, c.scope(ctx), networkID)
	if err != nil {
		return err
	}
	if !n.External {
		return badRequest("router", "Network %s is not an external network", networkID)
	}
	if r.Gateway != nil && r.Gateway.NetworkID != networkID {
		if err := c.clearGateway(ctx, tx, r); err != nil {
			return err
		}
	}
	if r.Gateway == nil {
		if err := c.addGateway(ctx, tx, r, n, in.V); err != nil {
			return err
		}
	} else if in.V.FixedIPs.Set {
		if err := c.moveGateway(ctx, tx, r, in.V); err != nil {
			return err
		}
	}
	r.Gateway.EnableSNAT = in.V.EnableSNAT.Or(true)
	return nil
}

func (c *Control) addGateway(ctx context.Context, tx *write, r *store.Router, n network.Network, in network.GatewayInput) error {
	subnets, err := c.store.SubnetsOf(ctx, tx, n.ID)
	if err != nil {
		return err
	}
	interfaces, err := c.routerPorts(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	for _, p := range interfaces {
		if p.NetworkID == n.ID {
			return badRequest("router", "Router already has a port on network %s", n.ID)
		}
		if err := c.overlapping(ctx, tx, p, subnets); err != nil {
			return err
		}
	}
	p := c.servicePort(n.ID, "", r.ID, network.OwnerRouterGateway)
	p.Host, p.VIFType = r.Host, vifOf(r.Host)
	if p, err = c.insertPort(ctx, tx, p, "", in.FixedIPs); err != nil {
		return err
	}
	r.GatewayPort = p.ID
	r.Gateway = &network.GatewayInfo{NetworkID: n.ID, EnableSNAT: true, FixedIPs: p.FixedIPs}
	return nil
}

// servicePort is a port of this service itself.
func (c *Control) servicePort(networkID, projectID, deviceID, owner string) network.Port {
	return network.Port{Standard: store.NewStandard(newID(), projectID, "", c.now()), NetworkID: networkID, AdminUp: true, Status: network.Down,
		DeviceID: deviceID, DeviceOwner: owner, Pairs: []network.Pair{}, DHCPOptions: []network.DHCPOption{}, SecurityGroups: []string{},
		VNICType: network.VNICNormal, Binding: &network.Binding{VIFType: network.VIFUnbound, Profile: map[string]any{}}}
}

func vifOf(host string) string {
	if host == "" {
		return network.VIFUnbound
	}
	return network.VIFBridge
}

func (c *Control) moveGateway(ctx context.Context, tx *write, r *store.Router, in network.GatewayInput) error {
	p, err := c.store.Port(ctx, tx, store.Everything, r.GatewayPort)
	if err != nil {
		return err
	}
	if err := c.readdress(ctx, tx, &p, in.FixedIPs); err != nil {
		return err
	}
	r.Gateway.FixedIPs = p.FixedIPs
	return c.store.UpdatePort(ctx, tx.Tx, p, true, false, c.now())
}

// clearGateway takes a router's way out away, unless a floating IP needs it.
func (c *Control) clearGateway(ctx context.Context, tx *write, r *store.Router) error {
	if r.Gateway == nil {
		return nil
	}
	floating, err := c.store.FloatingIPsWhere(ctx, tx, `t.router_id = ?`, r.ID)
	if err != nil {
		return err
	}
	if len(floating) > 0 {
		return fault.Conflictf("Gateway cannot be updated for router %s, since a gateway to external network %s is required by one or more floating IPs.",
			r.ID, r.Gateway.NetworkID).WithCode("RouterExternalGatewayInUseByFloatingIp")
	}
	tx.host(r.Host)
	if err := c.store.DeletePort(ctx, tx.Tx, r.GatewayPort); err != nil {
		return err
	}
	r.Gateway, r.GatewayPort = nil, ""
	return nil
}

// overlapping refuses subnets that cover addresses which a router reaches by port p.
func (c *Control) overlapping(ctx context.Context, tx *write, p network.Port, subnets []network.Subnet) error {
	theirs, err := c.store.SubnetsOf(ctx, tx, p.NetworkID)
	if err != nil {
		return err
	}
	for _, t := range theirs {
		if !slices.ContainsFunc(p.FixedIPs, func(f network.FixedIP) bool { return f.SubnetID == t.ID }) {
			continue
		}
		for _, s := range subnets {
			if s.ID != t.ID && overlap(s.CIDR, t.CIDR) {
				return badRequest("router", "Cidr %s of subnet %s overlaps with cidr %s of subnet %s", s.CIDR, s.ID, t.CIDR, t.ID)
			}
		}
	}
	return nil
}
