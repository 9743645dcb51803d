package control

import (
	"cmp"
	"context"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// FloatingIPs lists the floating IPs that the caller sees.
func (c *Control) FloatingIPs(ctx context.Context, q network.Query) ([]network.FloatingIP, error) {
	if !c.reads(ctx, "get_floatingip") {
		return nil, nil
	}
	list, err := c.store.FloatingIPs(ctx, c.store, c.scope(ctx), q)
	out := make([]network.FloatingIP, len(list))
	for i := range list {
		out[i] = list[i].FloatingIP
	}
	return out, err
}

// FloatingIP returns a floating IP that the caller sees.
func (c *Control) FloatingIP(ctx context.Context, id string) (network.FloatingIP, error) {
	f, err := c.store.FloatingIP(ctx, c.store, c.scope(ctx), id)
	return f.FloatingIP, err
}

// CreateFloatingIP takes an external address for a project, and maps it if the
// request names a port.
func (c *Control) CreateFloatingIP(ctx context.Context, in network.FloatingIPInput) (network.FloatingIP, error) {
	var f store.FloatingIP
	err := c.write(ctx, func(tx *write) error {
		project := c.project(ctx, in.OwnerInput)
		if err := enforce(ctx, "create_floatingip", owned(project), in); err != nil {
			return err
		}
		n, err := c.store.Network(ctx, tx, c.scope(ctx), in.NetworkID.V)
		if err != nil {
			return err
		}
		if !n.External {
			return badRequest("floatingip", "Network %s is not a valid external network", n.ID)
		}
		if err := checkDomain("dns_name", in.DNSName.Or("")); err != nil {
			return err
		}
		if err := checkDomain("dns_domain", in.DNSDomain.Or("")); err != nil {
			return err
		}
		if err := c.takeQuota(ctx, tx, project, "floatingip", 1); err != nil {
			return err
		}
		f = store.FloatingIP{FloatingIP: network.FloatingIP{Standard: store.NewStandard(newID(), project, in.Description.Or(""), c.now()),
			NetworkID: n.ID, Status: network.Down, DNSName: in.DNSName.Or(""), DNSDomain: in.DNSDomain.Or("")}}
		if err := c.takeFloating(ctx, tx, &f, in); err != nil {
			return err
		}
		if err := c.mapFloating(ctx, tx, &f, in); err != nil {
			return err
		}
		if err := c.store.InsertFloatingIP(ctx, tx.Tx, f); err != nil {
			return err
		}
		f, err = c.store.FloatingIP(ctx, tx, store.Everything, f.ID)
		return err
	})
	return f.FloatingIP, err
}

// takeFloating makes the port that holds the external address.
func (c *Control) takeFloating(ctx context.Context, tx *write, f *store.FloatingIP, in network.FloatingIPInput) error {
	var want network.FixedIPInput
	if ip := in.Floating.Or(""); ip != "" {
		want.IP = &ip
	}
	if subnet := in.SubnetID.Or(""); subnet != "" {
		want.SubnetID = &subnet
	}
	var fixed network.Opt[[]network.FixedIPInput]
	if want.IP != nil || want.SubnetID != nil {
		fixed = network.Some([]network.FixedIPInput{want})
	}
	p := c.servicePort(f.NetworkID, "", f.ID, network.OwnerFloatingIP)
	p, err := c.insertPort(ctx, tx, p, "", fixed)
	if err != nil {
		return err
	}
	f.FloatingPort = p.ID
	for _, ip := range p.FixedIPs {
		if a, ok := parseIP(ip.IP); ok && a.Is4() {
			f.Floating = ip.IP
			return nil
		}
	}
	return badRequest("floatingip", "External network %s does not contain any IPv4 subnet", f.NetworkID)
}

// UpdateFloatingIP maps a floating IP to a port, moves it, or takes it off.
func (c *Control) UpdateFloatingIP(ctx context.Context, id string, in network.FloatingIPInput, m network.Match) (network.FloatingIP, error) {
	var f store.FloatingIP
	err := c.write(ctx, func(tx *write) error {
		var err error
		if f, err = c.store.FloatingIP(ctx, tx, c.scope(ctx), id); err != nil {
			return err
		}
		if err := enforce(ctx, "update_floatingip", owned(f.ProjectID), in); err != nil {
			return err
		}
		if err := matches(m, f.Standard); err != nil {
			return err
		}
		f.Description = in.Description.Or(f.Description)
		if in.PortID.Set || in.Fixed.Set {
			if err := c.remap(ctx, tx, &f, in); err != nil {
				return err
			}
		}
		if err := c.store.UpdateFloatingIP(ctx, tx.Tx, f, c.now()); err != nil {
			return err
		}
		f, err = c.store.FloatingIP(ctx, tx, store.Everything, id)
		return err
	})
	return f.FloatingIP, err
}

func (c *Control) remap(ctx context.Context, tx *write, f *store.FloatingIP, in network.FloatingIPInput) error {
	if !in.PortID.Set { // another address of the same port
		if f.PortID == nil {
			return badRequest("floatingip", "fixed_ip_address cannot be specified without a port_id")
		}
		in.PortID = network.Some(*f.PortID)
	}
	if f.PortID != nil && in.PortID.Or("") == *f.PortID && (!in.Fixed.Set || in.Fixed.Or("") == deref(f.Fixed)) {
		return nil // it is there already
	}
	if err := c.unmap(ctx, tx, f); err != nil {
		return err
	}
	return c.mapFloating(ctx, tx, f, in)
}

// unmap takes a floating IP off its port.
func (c *Control) unmap(ctx context.Context, tx *write, f *store.FloatingIP) error {
	if f.PortID == nil {
		return nil
	}
	tx.router(deref(f.RouterID))
	p, err := c.store.Port(ctx, tx, store.Everything, *f.PortID)
	if err == nil {
		err = c.changed(ctx, tx, p)
	} else if fault.Is(err, fault.NotFound) {
		err = nil
	}
	f.PortID, f.Fixed, f.RouterID, f.Status = nil, nil, nil, network.Down
	return err
}

// mapFloating maps a floating IP to the port that a request names, if it does.
func (c *Control) mapFloating(ctx context.Context, tx *write, f *store.FloatingIP, in network.FloatingIPInput) error {
	portID := in.PortID.Or("")
	if portID == "" {
		if in.Fixed.Or("") != "" {
			return badRequest("floatingip", "fixed_ip_address cannot be specified without a port_id")
		}
		return nil
	}
	p, err := c.store.Port(ctx, tx, c.scope(ctx), portID)
	if err != nil {
		return err
	}
	if p.ProjectID != f.ProjectID && !c.scope(ctx).All {
		return badRequest("floatingip", "Port %s is associated with a different tenant than Floating IP %s and therefore cannot be bound", p.ID, f.ID)
	}
	fixed, err := floatingTarget(p, in.Fixed.Or(""))
	if err != nil {
		return err
	}
	routerID, err := c.routerFor(ctx, tx, f.NetworkID, p, fixed)
	if err != nil {
		return err
	}
	if err := c.store.Lock(ctx, tx.Tx, "routers", routerID); err != nil {
		return err
	}
	if still, err := c.routerFor(ctx, tx, f.NetworkID, p, fixed); err != nil || still != routerID {
		return cmp.Or(err, store.ErrStale) // it lost its way there, or another has one
	}
	others, err := c.store.FloatingIPsWhere(ctx, tx, `t.port_id = ? AND t.fixed_ip = ? AND t.network_id = ? AND t.id <> ?`, p.ID, fixed.IP, f.NetworkID, f.ID)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		return fault.Conflictf("Cannot associate floating IP %s (%s) with port %s using fixed IP %s, as that fixed IP already has a floating IP on external network %s.",
			f.Floating, f.FloatingPort, p.ID, fixed.IP, f.NetworkID).WithCode("FloatingIPPortAlreadyAssociated")
	}
	f.PortID, f.Fixed, f.RouterID, f.Status = &p.ID, &fixed.IP, &routerID, network.Down
	tx.router(routerID)
	return c.changed(ctx, tx, p)
}

// floatingTarget finds the IPv4 address of a port that a floating IP is for.
func floatingTarget(p network.Port, want string) (network.FixedIP, error) {
	var v4 []network.FixedIP
	for _, f := range p.FixedIPs {
		if a, ok := parseIP(f.IP); ok && a.Is4() {
			v4 = append(v4, f)
		}
	}
	if want != "" {
		if i := slices.IndexFunc(v4, func(f network.FixedIP) bool { return f.IP == want }); i >= 0 {
			return v4[i], nil
		}
		return network.FixedIP{}, badRequest("floatingip", "Port %s does not have fixed ip %.64s", p.ID, want)
	}
	switch len(v4) {
	case 0:
		return network.FixedIP{}, badRequest("floatingip", "Cannot add floating IP to port %s that has no fixed IPv4 addresses", p.ID)
	case 1:
		return v4[0], nil
	}
	return network.FixedIP{}, badRequest("floatingip", "Port %s has multiple fixed IPv4 addresses. Must provide a specific IPv4 address when assigning a floating IP", p.ID)
}

// routerFor finds the router that has a leg in the fixed IP's subnet and its way
// out on the external network. Among several the one that is the subnet's
// gateway is preferred.
func (c *Control) routerFor(ctx context.Context, tx *write, externalID string, p network.Port, fixed network.FixedIP) (string, error) {
	routers, err := c.store.RoutersWhere(ctx, tx, `t.gateway_network = ? AND t.id IN (SELECT x.device_id FROM ports AS x JOIN fixed_ips AS f ON f.port_id = x.id
		WHERE x.device_owner = ? AND f.subnet_id = ?)`, externalID, network.OwnerRouterInterface, fixed.SubnetID)
	if err != nil {
		return "", err
	}
	if len(routers) == 0 {
		return "", fault.NotFoundf("External network %s is not reachable from subnet %s. Therefore, cannot associate Port %s with a Floating IP.",
			externalID, fixed.SubnetID, p.ID).WithCode("ExternalGatewayForFloatingIPNotFound")
	}
	gateways, err := c.store.PortsWhere(ctx, tx, `t.device_owner = ? AND t.id IN (SELECT f.port_id FROM fixed_ips AS f JOIN subnets AS s ON s.id = f.subnet_id
		WHERE f.subnet_id = ? AND f.ip = s.gateway_ip)`, network.OwnerRouterInterface, fixed.SubnetID)
	if err != nil {
		return "", err
	}
	for _, r := range routers {
		if slices.ContainsFunc(gateways, func(g network.Port) bool { return g.DeviceID == r.ID }) {
			return r.ID, nil
		}
	}
	return routers[0].ID, nil
}

// takeOffFloating takes the floating IPs that a condition names off their ports.
func (c *Control) takeOffFloating(ctx context.Context, tx *write, cond string, args ...any) error {
	list, err := c.store.FloatingIPsWhere(ctx, tx, cond, args...)
	if err != nil {
		return err
	}
	for i := range list {
		f := &list[i]
		tx.router(deref(f.RouterID))
		f.PortID, f.Fixed, f.RouterID, f.Status = nil, nil, nil, network.Down
		if err := c.store.UpdateFloatingIP(ctx, tx.Tx, *f, c.now()); err != nil {
			return err
		}
	}
	return nil
}

// DeleteFloatingIP gives an external address back.
func (c *Control) DeleteFloatingIP(ctx context.Context, id string, m network.Match) error {
	return c.write(ctx, func(tx *write) error {
		f, err := c.store.FloatingIP(ctx, tx, c.scope(ctx), id)
		if err != nil {
			return err
		}
		if err := enforce(ctx, "delete_floatingip", owned(f.ProjectID), nil); err != nil {
			return err
		}
		if err := matches(m, f.Standard); err != nil {
			return err
		}
		if err := c.unmap(ctx, tx, &f); err != nil {
			return err
		}
		if err := c.store.DeleteFloatingIP(ctx, tx.Tx, id); err != nil {
			return err
		}
		return c.store.DeletePort(ctx, tx.Tx, f.FloatingPort)
	})
}
