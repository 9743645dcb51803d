package control

import (
	"context"
	"net/netip"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

func overlap(a, b string) bool { return netip.MustParsePrefix(a).Overlaps(netip.MustParsePrefix(b)) }

// AddInterface joins a router to a subnet, by a port of its own or a given one.
func (c *Control) AddInterface(ctx context.Context, routerID string, in network.InterfaceInput) (network.InterfaceInfo, error) {
	var info network.InterfaceInfo
	err := c.write(ctx, func(tx *write) (err error) {
		info, err = c.addInterface(ctx, tx, routerID, in)
		return err
	})
	return info, err
}

func (c *Control) addInterface(ctx context.Context, tx *write, routerID string, in network.InterfaceInput) (network.InterfaceInfo, error) {
	none := network.InterfaceInfo{}
	r, err := c.router(ctx, tx, routerID, "add_router_interface", nil)
	if err != nil {
		return none, err
	}
	subnetID, portID := in.SubnetID.Or(""), in.PortID.Or("")
	var p network.Port
	var subnets []string
	switch {
	case subnetID != "" && portID != "":
		return none, badRequest("router", "Cannot specify both subnet-id and port-id")
	case subnetID != "":
		p, err = c.interfaceBySubnet(ctx, tx, r, subnetID)
		subnets = []string{subnetID}
	case portID != "":
		p, err = c.interfaceByPort(ctx, tx, r, portID)
		for _, f := range p.FixedIPs {
			subnets = append(subnets, f.SubnetID)
		}
	default:
		return none, badRequest("router", "Either subnet_id or port_id must be specified")
	}
	if err != nil {
		return none, err
	}
	if err := c.routerChanged(ctx, tx, r, p.NetworkID); err != nil {
		return none, err
	}
	return interfaceInfo(r, p, subnets), nil
}

func interfaceInfo(r store.Router, p network.Port, subnets []string) network.InterfaceInfo {
	info := network.InterfaceInfo{ID: r.ID, Owner: r.Owner, PortID: p.ID, NetworkID: p.NetworkID, SubnetIDs: subnets, Tags: r.Tags}
	if len(subnets) > 0 {
		info.SubnetID = subnets[0]
	}
	return info
}

// routerChanged places a router that has got something to do, and has the hosts
// know.
func (c *Control) routerChanged(ctx context.Context, tx *write, r store.Router, networkID string) error {
	if err := c.placeRouter(ctx, tx, r.ID); err != nil {
		return err
	}
	tx.router(r.ID)
	tx.host(r.Host)
	tx.network(networkID) // DHCP there may have to say otherwise
	return c.store.Touch(ctx, tx.Tx, "routers", r.ID, c.now())
}

func (c *Control) interfaceBySubnet(ctx context.Context, tx *write, r store.Router, subnetID string) (network.Port, error) {
	s, err := c.store.Subnet(ctx, tx, c.scope(ctx), subnetID)
	if err != nil {
		return network.Port{}, err
	}
	if s.GatewayIP == nil {
		return network.Port{}, badRequest("router", "Subnet for router interface must have a gateway IP")
	}
	if s.RAMode == nil && s.AddressMode != nil {
		return network.Port{}, badRequest("router", "IPv6 subnet %s configured to receive RAs from an external router cannot be added to a router", s.ID)
	}
	if err := c.mayJoin(ctx, tx, r, []network.Subnet{s}, ""); err != nil {
		return network.Port{}, err
	}
	p := c.servicePort(s.NetworkID, r.ProjectID, r.ID, network.OwnerRouterInterface)
	p.Host, p.VIFType = r.Host, vifOf(r.Host)
	return c.insertPort(ctx, tx, p, "", network.Some([]network.FixedIPInput{{SubnetID: &s.ID, IP: s.GatewayIP}}))
}

func (c *Control) interfaceByPort(ctx context.Context, tx *write, r store.Router, portID string) (network.Port, error) {
	p, err := c.store.Port(ctx, tx, c.scope(ctx), portID)
	if err != nil {
		return p, err
	}
	if p.DeviceID != "" && !(p.DeviceID == r.ID && p.DeviceOwner == "") {
		return p, fault.Conflictf("Unable to complete operation on port %s for network %s. Port already has an attached device %s.",
			p.ID, p.NetworkID, p.DeviceID).WithCode("PortInUse")
	}
	all, err := c.store.SubnetsOf(ctx, tx, p.NetworkID)
	if err != nil {
		return p, err
	}
	var subnets []network.Subnet
	v4 := 0
	for _, s := range all {
		if slices.ContainsFunc(p.FixedIPs, func(f network.FixedIP) bool { return f.SubnetID == s.ID }) {
			subnets = append(subnets, s)
			if s.IPVersion == 4 {
				v4++
			}
		}
	}
	if len(subnets) == 0 {
		return p, badRequest("router", "Router port must have at least one fixed IP")
	}
	if v4 > 1 {
		return p, badRequest("router", "Cannot have multiple IPv4 subnets on router port")
	}
	if err := c.mayJoin(ctx, tx, r, subnets, p.ID); err != nil {
		return p, err
	}
	tx.members(p.SecurityGroups...)
	p.DeviceID, p.DeviceOwner, p.SecurityGroups, p.PortSecurity, p.Pairs = r.ID, network.OwnerRouterInterface, []string{}, false, []network.Pair{}
	p.Host, p.VIFType = r.Host, vifOf(r.Host)
	return p, c.store.UpdatePort(ctx, tx.Tx, p, false, true, c.now())
}

// mayJoin refuses subnets that a router is on already or that overlap with one.
func (c *Control) mayJoin(ctx context.Context, tx *write, r store.Router, subnets []network.Subnet, portID string) error {
	ports, err := c.routerPorts(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.ID == portID {
			continue
		}
		for _, s := range subnets {
			if slices.ContainsFunc(p.FixedIPs, func(f network.FixedIP) bool { return f.SubnetID == s.ID }) {
				return badRequest("router", "Router already has a port on subnet %s", s.ID)
			}
		}
		if err := c.overlapping(ctx, tx, p, subnets); err != nil {
			return err
		}
	}
	return nil
}

// RemoveInterface takes a router off a subnet; the port goes too.
func (c *Control) RemoveInterface(ctx context.Context, routerID string, in network.InterfaceInput) (network.InterfaceInfo, error) {
	var info network.InterfaceInfo
	err := c.write(ctx, func(tx *write) (err error) {
		info, err = c.removeInterface(ctx, tx, routerID, in)
		return err
	})
	return info, err
}

func (c *Control) removeInterface(ctx context.Context, tx *write, routerID string, in network.InterfaceInput) (network.InterfaceInfo, error) {
	none := network.InterfaceInfo{}
	r, err := c.router(ctx, tx, routerID, "remove_router_interface", nil)
	if err != nil {
		return none, err
	}
	p, subnets, err := c.findInterface(ctx, tx, r, in.SubnetID.Or(""), in.PortID.Or(""))
	if err != nil {
		return none, err
	}
	for _, subnetID := range subnets {
		if err := c.interfaceFree(ctx, tx, r, subnetID); err != nil {
			return none, err
		}
	}
	if err := c.store.DeletePort(ctx, tx.Tx, p.ID); err != nil {
		return none, err
	}
	return interfaceInfo(r, p, subnets), c.routerChanged(ctx, tx, r, p.NetworkID)
}

func (c *Control) findInterface(ctx context.Context, tx *write, r store.Router, subnetID, portID string) (network.Port, []string, error) {
	if subnetID == "" && portID == "" {
		return network.Port{}, nil, badRequest("router", "Either subnet_id or port_id must be specified")
	}
	ports, err := c.routerPorts(ctx, tx, r.ID)
	if err != nil {
		return network.Port{}, nil, err
	}
	for _, p := range ports {
		var subnets []string
		for _, f := range p.FixedIPs {
			subnets = append(subnets, f.SubnetID)
		}
		if p.DeviceOwner != network.OwnerRouterInterface || portID != "" && p.ID != portID {
			continue
		}
		if subnetID != "" && !slices.Contains(subnets, subnetID) {
			if portID != "" {
				return p, nil, fault.Conflictf("Subnet on port %s does not match the requested subnet %.64s.", portID, subnetID).WithCode("SubnetMismatchForPort")
			}
			continue
		}
		return p, subnets, nil
	}
	if portID != "" {
		return network.Port{}, nil, fault.NotFoundf("Router %s does not have an interface with id %.64s.", r.ID, portID).WithCode("RouterInterfaceNotFound")
	}
	if _, err := c.store.Subnet(ctx, tx, c.scope(ctx), subnetID); err != nil {
		return network.Port{}, nil, err
	}
	return network.Port{}, nil, fault.NotFoundf("Router %s has no interface on subnet %s.", r.ID, subnetID).WithCode("RouterInterfaceNotFoundForSubnet")
}

// interfaceFree refuses to take away an interface that floating IPs or routes need.
func (c *Control) interfaceFree(ctx context.Context, tx *write, r store.Router, subnetID string) error {
	floating, err := c.store.FloatingIPsWhere(ctx, tx, `t.router_id = ? AND EXISTS (SELECT 1 FROM fixed_ips AS f
		WHERE f.port_id = t.port_id AND f.ip = t.fixed_ip AND f.subnet_id = ?)`, r.ID, subnetID)
	if err != nil {
		return err
	}
	if len(floating) > 0 {
		return fault.Conflictf("Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more floating IPs.",
			subnetID, r.ID).WithCode("RouterInterfaceInUseByFloatingIP")
	}
	s, err := c.store.Subnet(ctx, tx, store.Everything, subnetID)
	if err != nil {
		return err
	}
	cidr := netip.MustParsePrefix(s.CIDR)
	for _, route := range r.Routes {
		if cidr.Contains(netip.MustParseAddr(route.NextHop)) {
			return fault.Conflictf("Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more routes.",
				subnetID, r.ID).WithCode("RouterInterfaceInUseByRoute")
		}
	}
	return nil
}
