package dataplanetest

import (
	"fmt"
	"net/netip"

	"kilonova/service/network"
)

var noAddr netip.Addr

// id makes an id in the form of a UUID, of which the first 11 characters differ
// with kind and number.
func id(kind string, number int) string {
	first := map[string]int{"net": 0x11, "port": 0x22, "router": 0x33, "subnet": 0x44, "fip": 0x55}[kind]
	return fmt.Sprintf("%02x00%04x-%04x-4000-8000-%012x", first, number, number, number)
}

func mac(number, last int) string { return fmt.Sprintf("fa:16:3e:%02x:00:%02x", number, last) }

func prefix(number, last int) netip.Prefix {
	return netip.PrefixFrom(addr(number, last), 24)
}

func addr(number, last int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 77, byte(number), byte(last)})
}

func reservation(number, last int) network.Reservation {
	return network.Reservation{
		PortID:    id("port", number<<8|last),
		MAC:       mac(number, last),
		Hostname:  fmt.Sprintf("host-%d", last),
		Addresses: []netip.Addr{addr(number, last)},
	}
}

// Network returns a local network 10.77.<number>.0/24 with DHCP from its .2 and
// a reservation for Port(number, 10).
func Network(number int) network.HostNetwork {
	return network.HostNetwork{
		ID:   id("net", number),
		MTU:  1442,
		Type: "local",
		Subnets: []network.HostSubnet{{
			ID:      id("subnet", number),
			CIDR:    prefix(number, 0),
			Gateway: addr(number, 1),
			DNS:     []netip.Addr{addr(number, 3)},
			DHCP:    true,
		}},
		DHCP: &network.HostDHCP{
			PortID:       id("port", number<<8|2),
			MAC:          mac(number, 2),
			Addresses:    []netip.Prefix{prefix(number, 2)},
			Reservations: []network.Reservation{reservation(number, 10)},
		},
	}
}

// Port returns a server's port in Network(number) with the address
// 10.77.<number>.<last>, an address pair, and rules of each kind.
func Port(number, last int) network.HostPort {
	ssh, echo := 22, 8
	return network.HostPort{
		ID:          id("port", number<<8|last),
		NetworkID:   id("net", number),
		DeviceOwner: "compute:nova",
		MAC:         mac(number, last),
		Addresses:   []netip.Addr{addr(number, last)},
		Pairs:       []network.AddressPair{{CIDR: netip.MustParsePrefix("10.99.0.0/16")}},
		AdminUp:     true,
		Secured:     true,
		Rules: []network.SecurityRule{
			{Direction: "egress", EtherType: "IPv4"},
			{Direction: "egress", EtherType: "IPv6"},
			{Direction: "ingress", EtherType: "IPv4", Protocol: 6, Min: &ssh, Max: &ssh},
			{Direction: "ingress", EtherType: "IPv4", Protocol: 1, Min: &echo},
			{Direction: "ingress", EtherType: "IPv4", RemoteGroup: true, Remote: []netip.Prefix{netip.PrefixFrom(addr(number, 11), 32)}},
			{Direction: "ingress", EtherType: "IPv6", RemoteGroup: true},
			{Direction: "ingress", EtherType: "IPv4", Protocol: 132},
		},
	}
}

// external returns a flat network 10.77.9.0/24 on the harness's physical network.
func external(h Harness) network.HostNetwork {
	n := Network(9)
	n.Type, n.Physical, n.DHCP = "flat", h.Physical, nil
	return n
}

// Router returns a router with legs in two networks and a gateway in a third,
// two floating IPs and an extra route.
func Router(number int, inside, other, outside network.HostNetwork) network.HostRouter {
	leg := func(n network.HostNetwork, last int) network.RouterLeg {
		net := int(n.Subnets[0].CIDR.Addr().As4()[2])
		return network.RouterLeg{
			PortID:    id("port", net<<8|last),
			NetworkID: n.ID,
			MAC:       mac(net, last),
			Addresses: []netip.Prefix{prefix(net, last)},
		}
	}
	gateway := leg(outside, 200)
	return network.HostRouter{
		ID:         id("router", number),
		AdminUp:    true,
		Interfaces: []network.RouterLeg{leg(inside, 1), leg(other, 1)},
		Gateway:    &gateway,
		NextHop:    addr(9, 1),
		SNAT:       true,
		Floating: []network.FloatingNAT{
			{ID: id("fip", 1), Floating: addr(9, 201), Fixed: addr(1, 10)},
			{ID: id("fip", 2), Floating: addr(9, 202), Fixed: addr(1, 11)},
		},
		Routes: []network.Route{{Destination: netip.MustParsePrefix("10.88.0.0/16"), NextHop: addr(1, 99)}},
	}
}
