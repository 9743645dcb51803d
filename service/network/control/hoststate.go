package control

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"kilonova/service/network"
	"kilonova/service/network/store"
)

// hostView gathers what the parts of a host's state are made from.
type hostView struct {
	networks map[string]network.Network
	subnets  map[string]network.Subnet // by id
	children map[string][]network.Subnet
	rules    map[string][]network.SecurityRule // by group
}

// HostState computes all that a host has to carry.
func (c *Control) HostState(ctx context.Context, host string) (network.HostState, error) {
	var state network.HostState
	ports, err := c.store.PortsWhere(ctx, c.store, `t.host = ? AND t.vif_type = ?`, host, network.VIFBridge)
	if err != nil {
		return state, err
	}
	bindings, err := c.store.DHCPBindings(ctx, c.store, `t.host = ?`, host)
	if err != nil {
		return state, err
	}
	routers, err := c.store.RoutersWhere(ctx, c.store, `t.host = ?`, host)
	if err != nil {
		return state, err
	}
	needed := map[string]bool{}
	for _, p := range ports {
		needed[p.NetworkID] = true
	}
	for _, b := range bindings {
		if b.PortID != "" {
			needed[b.NetworkID] = true
		}
	}
	v, err := c.view(ctx, slices.Sorted(maps.Keys(needed)), ports)
	if err != nil {
		return state, err
	}
	servers, legs, dhcp := sortPorts(ports, bindings)
	reservations, err := c.reservations(ctx, bindings)
	if err != nil {
		return state, err
	}
	for _, id := range slices.Sorted(maps.Keys(v.networks)) {
		n := v.hostNetwork(v.networks[id])
		if p, ok := dhcp[id]; ok && v.networks[id].AdminUp {
			n.DHCP = &network.HostDHCP{PortID: p.ID, MAC: p.MAC, Addresses: v.prefixes(p.FixedIPs), Reservations: reservations[id]}
		}
		state.Networks = append(state.Networks, n)
	}
	for _, p := range servers {
		state.Ports = append(state.Ports, v.hostPort(p))
		if p.Status != network.Active {
			state.Waiting = append(state.Waiting, p.ID)
		}
	}
	state.Groups = v.rules
	for _, r := range routers {
		hr, err := c.hostRouter(ctx, v, r, legs[r.ID])
		if err != nil {
			return state, err
		}
		state.Routers = append(state.Routers, hr)
	}
	return state, nil
}

// sortPorts parts a host's ports by what they are: those of servers, legs of
// routers by router, and DHCP ports by network. Which port is for DHCP is said by
// its binding, not by its device owner.
func sortPorts(ports []network.Port, bindings []store.DHCPBinding) (servers []network.Port, legs map[string][]network.Port, dhcp map[string]network.Port) {
	legs, dhcp = map[string][]network.Port{}, map[string]network.Port{}
	serving := map[string]bool{}
	for _, b := range bindings {
		serving[b.PortID] = true
	}
	for _, p := range ports {
		switch {
		case serving[p.ID]:
			dhcp[p.NetworkID] = p
		case network.IsRouterPort(p.DeviceOwner):
			legs[p.DeviceID] = append(legs[p.DeviceID], p)
		default:
			servers = append(servers, p)
		}
	}
	return servers, legs, dhcp
}

func (c *Control) view(ctx context.Context, networkIDs []string, ports []network.Port) (*hostView, error) {
	v := &hostView{networks: map[string]network.Network{}, subnets: map[string]network.Subnet{}, children: map[string][]network.Subnet{}}
	for chunk := range slices.Chunk(networkIDs, 1024) {
		networks, err := c.store.Networks(ctx, c.store, store.Everything, network.Query{Filters: map[string][]string{"id": chunk}})
		if err != nil {
			return nil, err
		}
		for _, n := range networks {
			v.networks[n.ID] = n
		}
	}
	subnets, err := c.store.SubnetsOf(ctx, c.store, networkIDs...)
	if err != nil {
		return nil, err
	}
	for _, s := range subnets {
		v.subnets[s.ID] = s
		v.children[s.NetworkID] = append(v.children[s.NetworkID], s)
	}
	groups := map[string]bool{}
	for _, p := range ports {
		for _, g := range p.SecurityGroups {
			groups[g] = true
		}
	}
	v.rules, err = c.hostRules(ctx, slices.Sorted(maps.Keys(groups)))
	return v, err
}

// hostRules turns the rules of groups into what a host can filter by.
func (c *Control) hostRules(ctx context.Context, groups []string) (map[string][]network.SecurityRule, error) {
	rules, err := c.store.RulesOf(ctx, c.store, groups)
	if err != nil {
		return nil, err
	}
	remotes := map[string]bool{}
	for _, r := range rules {
		if r.RemoteGroup != nil {
			remotes[*r.RemoteGroup] = true
		}
	}
	members, err := c.store.GroupAddresses(ctx, c.store, slices.Sorted(maps.Keys(remotes)))
	if err != nil {
		return nil, err
	}
	out := map[string][]network.SecurityRule{}
	for _, r := range rules {
		out[r.GroupID] = append(out[r.GroupID], hostRule(r, members))
	}
	return out, nil
}

func hostRule(r network.Rule, members map[string][]string) network.SecurityRule {
	out := network.SecurityRule{Direction: r.Direction, EtherType: r.EtherType, Min: r.PortMin, Max: r.PortMax}
	out.Protocol, _ = protocolNumber(deref(r.Protocol))
	if out.Protocol == 1 && r.EtherType == "IPv6" { // "icmp" is ICMPv6 there
		out.Protocol = 58
	}
	if r.RemotePrefix != nil {
		if p, err := netip.ParsePrefix(*r.RemotePrefix); err == nil && p.Bits() > 0 {
			out.Remote = []netip.Prefix{p}
		}
	}
	if r.RemoteGroup != nil {
		out.RemoteGroup = true
		for _, ip := range members[*r.RemoteGroup] {
			if a, err := netip.ParseAddr(ip); err == nil && a.Is4() == (r.EtherType == "IPv4") {
				out.Remote = append(out.Remote, netip.PrefixFrom(a, a.BitLen()))
			}
		}
	}
	return out
}

func (v *hostView) hostNetwork(n network.Network) network.HostNetwork {
	out := network.HostNetwork{ID: n.ID, MTU: n.MTU, Type: n.Type, Physical: deref(n.Physical)}
	if n.Segmentation != nil {
		out.Segmentation = *n.Segmentation
	}
	for _, s := range v.children[n.ID] {
		hs := network.HostSubnet{ID: s.ID, CIDR: netip.MustParsePrefix(s.CIDR), DHCP: s.EnableDHCP}
		if s.GatewayIP != nil {
			hs.Gateway = netip.MustParseAddr(*s.GatewayIP)
		}
		for _, d := range s.DNS {
			if a, err := netip.ParseAddr(d); err == nil {
				hs.DNS = append(hs.DNS, a)
			}
		}
		hs.Routes = hostRoutes(s.HostRoutes)
		out.Subnets = append(out.Subnets, hs)
	}
	return out
}

func hostRoutes(routes []network.RouteEntry) []network.Route {
	var out []network.Route
	for _, r := range routes {
		dst, err := netip.ParsePrefix(r.Destination)
		hop, hopErr := netip.ParseAddr(r.NextHop)
		if err == nil && hopErr == nil {
			out = append(out, network.Route{Destination: dst, NextHop: hop})
		}
	}
	return out
}

// prefixes gives addresses the lengths of their subnets.
func (v *hostView) prefixes(ips []network.FixedIP) []netip.Prefix {
	var out []netip.Prefix
	for _, f := range ips {
		a, err := netip.ParseAddr(f.IP)
		s, ok := v.subnets[f.SubnetID]
		if err == nil && ok {
			out = append(out, netip.PrefixFrom(a, netip.MustParsePrefix(s.CIDR).Bits()))
		}
	}
	return out
}

func (v *hostView) hostPort(p network.Port) network.HostPort {
	out := network.HostPort{ID: p.ID, NetworkID: p.NetworkID, DeviceID: p.DeviceID, DeviceOwner: p.DeviceOwner, MAC: p.MAC,
		AdminUp: p.AdminUp && v.networks[p.NetworkID].AdminUp, Secured: p.PortSecurity}
	for _, f := range p.FixedIPs {
		if a, err := netip.ParseAddr(f.IP); err == nil {
			out.Addresses = append(out.Addresses, a)
		}
	}
	for _, pair := range p.Pairs {
		cidr, err := netip.ParsePrefix(pair.IP)
		if err != nil {
			a, ok := parseIP(pair.IP)
			if !ok {
				continue
			}
			cidr = netip.PrefixFrom(a, a.BitLen())
		}
		out.Pairs = append(out.Pairs, network.AddressPair{MAC: pair.MAC, CIDR: cidr.Masked()})
	}
	out.Groups = p.SecurityGroups
	return out
}

// reservations are the addresses that DHCP gives out, by network.
func (c *Control) reservations(ctx context.Context, bindings []store.DHCPBinding) (map[string][]network.Reservation, error) {
	out := map[string][]network.Reservation{}
	for _, b := range bindings {
		ports, err := c.store.PortsWhere(ctx, c.store, `t.network_id = ? AND t.device_owner NOT LIKE 'network:%'`, b.NetworkID)
		if err != nil {
			return nil, err
		}
		for _, p := range ports {
			r := network.Reservation{PortID: p.ID, DeviceID: p.DeviceID, ProjectID: p.ProjectID, MAC: p.MAC}
			for _, f := range p.FixedIPs {
				if a, err := netip.ParseAddr(f.IP); err == nil {
					r.Addresses = append(r.Addresses, a)
				}
			}
			if len(r.Addresses) > 0 {
				r.Hostname = c.hostname(p, p.FixedIPs[0].IP)
				out[b.NetworkID] = append(out[b.NetworkID], r)
			}
		}
	}
	return out, nil
}

func (c *Control) hostRouter(ctx context.Context, v *hostView, r store.Router, legs []network.Port) (network.HostRouter, error) {
	out := network.HostRouter{ID: r.ID, AdminUp: r.AdminUp, Routes: hostRoutes(r.Routes)}
	for _, p := range legs {
		leg := network.RouterLeg{PortID: p.ID, NetworkID: p.NetworkID, MAC: p.MAC, Addresses: v.prefixes(p.FixedIPs)}
		if p.DeviceOwner == network.OwnerRouterInterface {
			out.Interfaces = append(out.Interfaces, leg)
			continue
		}
		out.Gateway = &leg
		for _, f := range p.FixedIPs {
			if s := v.subnets[f.SubnetID]; s.GatewayIP != nil && (!out.NextHop.IsValid() || s.IPVersion == 4) {
				out.NextHop = netip.MustParseAddr(*s.GatewayIP)
			}
		}
	}
	if out.Gateway == nil {
		return out, nil
	}
	out.SNAT = r.Gateway != nil && r.Gateway.EnableSNAT
	floating, err := c.store.FloatingIPsWhere(ctx, c.store, `t.router_id = ? AND t.port_id IS NOT NULL`, r.ID)
	for _, f := range floating {
		from, errFrom := netip.ParseAddr(f.Floating)
		to, errTo := netip.ParseAddr(deref(f.Fixed))
		if errFrom == nil && errTo == nil {
			out.Floating = append(out.Floating, network.FloatingNAT{ID: f.ID, Floating: from, Fixed: to})
		}
	}
	return out, err
}
