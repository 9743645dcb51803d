package control

import (
	"context"
	"fmt"
	"net/netip"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// Subnets lists the subnets that the caller sees.
func (c *Control) Subnets(ctx context.Context, q network.Query) ([]network.Subnet, error) {
	if !c.reads(ctx, "get_subnet") {
		return nil, nil
	}
	return c.store.Subnets(ctx, c.store, c.scope(ctx), q)
}

// Subnet returns a subnet that the caller sees.
func (c *Control) Subnet(ctx context.Context, id string) (network.Subnet, error) {
	return c.store.Subnet(ctx, c.store, c.scope(ctx), id)
}

// CreateSubnets makes subnets, all or none.
func (c *Control) CreateSubnets(ctx context.Context, inputs []network.SubnetInput) ([]network.Subnet, error) {
	var made []network.Subnet
	err := c.write(ctx, func(tx *write) error {
		made = nil
		for _, in := range inputs {
			s, err := c.createSubnet(ctx, tx, in)
			if err != nil {
				return err
			}
			made = append(made, s)
		}
		return nil
	})
	return made, err
}

func (c *Control) createSubnet(ctx context.Context, tx *write, in network.SubnetInput) (network.Subnet, error) {
	none := network.Subnet{}
	n, err := c.store.Network(ctx, tx, c.scope(ctx), in.NetworkID.V)
	if err != nil {
		return none, err
	}
	project := c.project(ctx, in.OwnerInput)
	if err := enforce(ctx, "create_subnet", onNetwork(project, n), in); err != nil {
		return none, err
	}
	if err := c.takeQuota(ctx, tx, project, "subnet", 1); err != nil {
		return none, err
	}
	if err := c.store.Lock(ctx, tx.Tx, "networks", n.ID); err != nil { // its subnets must not overlap
		return none, err
	}
	others, err := c.store.SubnetsOf(ctx, tx, n.ID)
	if err != nil {
		return none, err
	}
	if err := c.cutFromPool(ctx, tx, &in, project); err != nil {
		return none, err
	}
	s, err := c.newSubnet(in, n, others)
	if err != nil {
		return none, err
	}
	s.Standard = store.NewStandard(newID(), project, in.Description.Or(""), c.now())
	if err := c.store.InsertSubnet(ctx, tx.Tx, s); err != nil {
		return none, err
	}
	tx.network(n.ID)
	if s.Automatic() && s.RAMode != nil {
		if err := c.addAutomatic(ctx, tx, s); err != nil {
			return none, err
		}
	}
	if s.EnableDHCP {
		if err := c.serveDHCP(ctx, tx, n.ID); err != nil {
			return none, err
		}
	}
	return s, c.store.Touch(ctx, tx.Tx, "networks", n.ID, c.now())
}

// newSubnet decides how a subnet looks.
func (c *Control) newSubnet(in network.SubnetInput, n network.Network, others []network.Subnet) (network.Subnet, error) {
	s := network.Subnet{Name: in.Name.Or(""), NetworkID: n.ID, IPVersion: in.IPVersion.V, EnableDHCP: in.EnableDHCP.Or(true),
		DNS: []string{}, HostRoutes: []network.RouteEntry{}, ServiceTypes: orNone(in.ServiceTypes.Or(nil))}
	if s.IPVersion != 4 && s.IPVersion != 6 {
		return s, invalid("ip_version", "'%d' is not in [4, 6]", s.IPVersion)
	}
	if in.CIDR.Or("") == "" {
		return s, badRequest("subnets", "a subnetpool must be specified in the absence of a cidr")
	}
	cidr, err := parseCIDR("cidr", in.CIDR.V)
	if err != nil {
		return s, err
	}
	if (s.IPVersion == 4) != cidr.Addr().Is4() {
		return s, badInput("cidr '%s' does not match the ip_version '%d'", cidr, s.IPVersion)
	}
	if s.IPVersion == 4 && cidr.Bits() == 0 {
		return s, badInput("0 is not allowed as CIDR prefix length")
	}
	if cidr.Addr().IsMulticast() {
		return s, badInput("IP address %s is a multicast address", cidr)
	}
	if s.EnableDHCP && s.IPVersion == 4 && cidr.Bits() > 30 {
		return s, badInput("Subnet has a prefix length that is incompatible with DHCP service enabled")
	}
	if s.IPVersion == 6 && n.MTU < network.MinMTUIPv6 {
		return s, badInput("network MTU %d is less than the %d that IPv6 needs", n.MTU, network.MinMTUIPv6)
	}
	s.CIDR = cidr.String()
	if in.SubnetPoolID.Or("") != "" {
		s.SubnetPoolID = &in.SubnetPoolID.V
	}
	for _, o := range others {
		if other := netip.MustParsePrefix(o.CIDR); other.Overlaps(cidr) {
			return s, badInput("Requested subnet with cidr: %s for network: %s overlaps with another subnet", cidr, n.ID)
		}
	}
	if err := setModes(&s, in, cidr); err != nil {
		return s, err
	}
	if err := setGateway(&s, in.GatewayIP, cidr); err != nil {
		return s, err
	}
	if err := setPools(&s, in.AllocationPools, cidr); err != nil {
		return s, err
	}
	return s, c.setServices(&s, in)
}

// setModes decides who tells guests their IPv6 addresses.
func setModes(s *network.Subnet, in network.SubnetInput, cidr netip.Prefix) error {
	ra, address := in.RAMode.Or(""), in.AddressMode.Or("")
	for name, mode := range map[string]string{"ipv6_ra_mode": ra, "ipv6_address_mode": address} {
		switch mode {
		case "", network.SLAAC, network.DHCPv6Stateful, network.DHCPv6Stateless:
		default:
			return invalid(name, "'%.64s' is not in ['dhcpv6-stateful', 'dhcpv6-stateless', 'slaac']", mode)
		}
	}
	if ra == "" && address == "" {
		return nil
	}
	switch {
	case s.IPVersion == 4:
		return badInput("ipv6_ra_mode or ipv6_address_mode cannot be set when ip_version is 4")
	case !s.EnableDHCP:
		return badInput("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
	case ra != "" && address != "" && ra != address:
		return badInput("ipv6_ra_mode set to '%s' with ipv6_address_mode set to '%s' is not valid. If both attributes are set, they must be the same value", ra, address)
	}
	if automatic := (address == network.SLAAC || address == network.DHCPv6Stateless || ra == network.SLAAC || ra == network.DHCPv6Stateless); automatic && cidr.Bits() != 64 {
		return badInput("Invalid CIDR %s for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64", cidr)
	}
	if ra != "" {
		s.RAMode = &ra
	}
	if address != "" {
		s.AddressMode = &address
	}
	return nil
}

// setGateway takes the gateway of a request, or the subnet's first address.
func setGateway(s *network.Subnet, in network.Opt[string], cidr netip.Prefix) error {
	s.GatewayIP = nil
	if in.IsNull() {
		return nil
	}
	if !in.Set {
		gateway := cidr.Addr().Next()
		if !gateway.IsValid() || !cidr.Contains(gateway) {
			gateway = cidr.Addr()
		}
		text := gateway.String()
		s.GatewayIP = &text
		return nil
	}
	gateway, err := netip.ParseAddr(in.V)
	if err != nil || gateway.Zone() != "" {
		return invalid("gateway_ip", "'%.64s' is not a valid IP address", in.V)
	}
	if gateway.Is4() != cidr.Addr().Is4() {
		return badInput("gateway_ip '%s' does not match the ip_version '%d'", gateway, s.IPVersion)
	}
	if cidr.Contains(gateway) && cidr.Bits() < cidr.Addr().BitLen()-1 && !isHost(gateway, cidr) {
		return badInput("Gateway IP %s is not valid on subnet %s", gateway, cidr)
	}
	text := gateway.String()
	s.GatewayIP = &text
	return nil
}

// setPools takes the allocation pools of a request, or all but the gateway.
func setPools(s *network.Subnet, in network.Opt[[]network.Pool], cidr netip.Prefix) error {
	if !in.Set || in.Null {
		s.AllocationPools = defaultPools(*s, cidr)
		return nil
	}
	pools, err := checkPools(in.V, cidr)
	if err != nil {
		return err
	}
	s.AllocationPools = pools
	return gatewayOutside(*s)
}

// gatewayOutside refuses a gateway that lies in a pool.
func gatewayOutside(s network.Subnet) error {
	if s.GatewayIP == nil {
		return nil
	}
	gateway := netip.MustParseAddr(*s.GatewayIP)
	for _, p := range s.AllocationPools {
		if within(gateway, p) {
			return fault.Conflictf("Gateway ip %s conflicts with allocation pool %s-%s.", gateway, p.Start, p.End).
				WithCode("GatewayConflictWithAllocationPools")
		}
	}
	return nil
}

// setServices takes name servers and routes.
func (c *Control) setServices(s *network.Subnet, in network.SubnetInput) error {
	if in.DNS.Set {
		if len(in.DNS.V) > c.options.MaxNameservers {
			return badInput("The number of DNS nameservers exceeds the limit %d", c.options.MaxNameservers)
		}
		seen := map[string]bool{}
		for _, d := range in.DNS.V {
			a, err := netip.ParseAddr(d)
			if err != nil || a.Zone() != "" {
				return invalid("dns_nameservers", "'%.64s' is not a valid nameserver. '%.64s' is not a valid IP address", d, d)
			}
			if seen[a.String()] {
				return invalid("dns_nameservers", "Duplicate nameserver '%s'", d)
			}
			seen[a.String()] = true
		}
		s.DNS = orNone(in.DNS.V)
	}
	if in.HostRoutes.Set {
		if len(in.HostRoutes.V) > c.options.MaxHostRoutes {
			return badInput("The number of host routes exceeds the limit %d", c.options.MaxHostRoutes)
		}
		if err := checkRoutes("host_routes", in.HostRoutes.V); err != nil {
			return err
		}
		s.HostRoutes = orNone(in.HostRoutes.V)
	}
	return nil
}

// UpdateSubnet changes a subnet.
func (c *Control) UpdateSubnet(ctx context.Context, id string, in network.SubnetInput, m network.Match) (network.Subnet, error) {
	var s network.Subnet
	err := c.write(ctx, func(tx *write) error {
		var err error
		if s, err = c.store.Subnet(ctx, tx, c.scope(ctx), id); err != nil {
			return err
		}
		n, err := c.store.Network(ctx, tx, store.Everything, s.NetworkID)
		if err != nil {
			return err
		}
		if err := enforce(ctx, "update_subnet", onNetwork(s.ProjectID, n), in); err != nil {
			return err
		}
		if err := matches(m, s.Standard); err != nil {
			return err
		}
		if err := c.changeSubnet(ctx, tx, &s, in); err != nil {
			return err
		}
		if err := c.store.UpdateSubnet(ctx, tx.Tx, s, c.now()); err != nil {
			return err
		}
		tx.network(s.NetworkID)
		if err := c.serveDHCP(ctx, tx, s.NetworkID); err != nil {
			return err
		}
		s, err = c.store.Subnet(ctx, tx, store.Everything, id)
		return err
	})
	return s, err
}

func (c *Control) changeSubnet(ctx context.Context, tx *write, s *network.Subnet, in network.SubnetInput) error {
	cidr := netip.MustParsePrefix(s.CIDR)
	was := *s
	s.Name, s.Description, s.EnableDHCP = in.Name.Or(s.Name), in.Description.Or(s.Description), in.EnableDHCP.Or(s.EnableDHCP)
	if in.ServiceTypes.Set {
		s.ServiceTypes = orNone(in.ServiceTypes.V)
	}
	if s.EnableDHCP && s.IPVersion == 4 && cidr.Bits() > 30 {
		return badInput("Subnet has a prefix length that is incompatible with DHCP service enabled")
	}
	if !s.EnableDHCP && (s.RAMode != nil || s.AddressMode != nil) {
		return badInput("Cannot disable enable_dhcp with ipv6 attributes set")
	}
	if in.RAMode.Or("") != "" && in.RAMode.V != deref(s.RAMode) || in.AddressMode.Or("") != "" && in.AddressMode.V != deref(s.AddressMode) {
		return badInput("ipv6_ra_mode and ipv6_address_mode cannot be changed")
	}
	if in.AllocationPools.Set && !in.AllocationPools.Null {
		pools, err := checkPools(in.AllocationPools.V, cidr)
		if err != nil {
			return err
		}
		s.AllocationPools = pools
	}
	if in.GatewayIP.Set {
		if err := setGateway(s, in.GatewayIP, cidr); err != nil {
			return err
		}
		if was.GatewayIP != nil && deref(s.GatewayIP) != *was.GatewayIP {
			if err := c.gatewayFree(ctx, tx, was); err != nil {
				return err
			}
		}
	}
	if in.AllocationPools.Set || in.GatewayIP.Set {
		if err := gatewayOutside(*s); err != nil {
			return err
		}
	}
	return c.setServices(s, in)
}

func deref(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// gatewayFree refuses to change a gateway that a router has.
func (c *Control) gatewayFree(ctx context.Context, tx *write, s network.Subnet) error {
	ports, err := c.store.PortsWhere(ctx, tx, `t.device_owner = ? AND t.id IN (SELECT f.port_id FROM fixed_ips AS f WHERE f.subnet_id = ? AND f.ip = ?)`,
		network.OwnerRouterInterface, s.ID, *s.GatewayIP)
	if err == nil && len(ports) > 0 {
		err = fault.Conflictf("Current gateway ip %s already in use by port %s. Unable to update.", *s.GatewayIP, ports[0].ID).WithCode("GatewayIpInUse")
	}
	return err
}

// DeleteSubnet removes a subnet of which nobody but DHCP and automatic addresses
// has an address.
func (c *Control) DeleteSubnet(ctx context.Context, id string, m network.Match) error {
	return c.write(ctx, func(tx *write) error {
		s, err := c.store.Subnet(ctx, tx, c.scope(ctx), id)
		if err != nil {
			return err
		}
		n, err := c.store.Network(ctx, tx, store.Everything, s.NetworkID)
		if err != nil {
			return err
		}
		if err := enforce(ctx, "delete_subnet", onNetwork(s.ProjectID, n), nil); err != nil {
			return err
		}
		if err := matches(m, s.Standard); err != nil {
			return err
		}
		ports, err := c.store.PortsWhere(ctx, tx, `t.id IN (SELECT f.port_id FROM fixed_ips AS f WHERE f.subnet_id = ?)`, id)
		if err != nil {
			return err
		}
		for _, p := range ports {
			router := network.IsRouterPort(p.DeviceOwner)
			if p.DeviceOwner != network.OwnerDHCP && (router || !s.Automatic()) {
				return fault.Conflictf("Unable to complete operation on subnet %s: %s.", id,
					fmt.Sprintf("One or more ports have an IP allocation from this subnet, %s among them", p.ID)).WithCode("SubnetInUse")
			}
		}
		tx.network(s.NetworkID)
		for _, p := range ports { // of those only: who has got an address meanwhile holds the subnet
			if _, err := tx.Exec(ctx, `DELETE FROM fixed_ips WHERE subnet_id = ? AND port_id = ?`, id, p.ID); err != nil {
				return err
			}
		}
		if err := c.store.DeleteSubnet(ctx, tx.Tx, id); err != nil {
			return err
		}
		if err := c.serveDHCP(ctx, tx, s.NetworkID); err != nil {
			return err
		}
		return c.store.Touch(ctx, tx.Tx, "networks", s.NetworkID, c.now())
	})
}

// Availability says how many addresses of networks there are and are used.
func (c *Control) Availability(ctx context.Context, networkID string, q network.Query, version int) ([]network.Availability, error) {
	if err := enforce(ctx, "get_network_ip_availability", nil, nil); err != nil {
		return nil, err
	}
	if networkID != "" {
		if _, err := c.store.Network(ctx, c.store, c.scope(ctx), networkID); err != nil {
			return nil, err
		}
		q.Filters = map[string][]string{"id": {networkID}}
	}
	networks, err := c.store.Networks(ctx, c.store, c.scope(ctx), q)
	if err != nil {
		return nil, err
	}
	use, err := c.store.SubnetUse(ctx, c.store)
	if err != nil {
		return nil, err
	}
	all := make([]string, len(networks))
	for i, n := range networks {
		all[i] = n.ID
	}
	subnets, err := c.store.SubnetsOf(ctx, c.store, all...)
	if err != nil {
		return nil, err
	}
	return availability(networks, subnets, use, version), nil
}
