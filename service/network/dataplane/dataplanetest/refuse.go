package dataplanetest

import (
	"net/netip"
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/dataplane"
)

// testRefuse gives a driver what could break a host's configuration: each must
// be refused as the caller's mistake, and leave nothing behind.
func testRefuse(t *testing.T, h Harness, d dataplane.Driver) {
	for name, spoil := range map[string]func(*network.HostNetwork){
		"no id":                   func(n *network.HostNetwork) { n.ID = "" },
		"short id":                func(n *network.HostNetwork) { n.ID = "1234567890" },
		"path in id":              func(n *network.HostNetwork) { n.ID = "../../../../etc/passwd" },
		"long id":                 func(n *network.HostNetwork) { n.ID = string(make([]byte, 1000)) },
		"MTU":                     func(n *network.HostNetwork) { n.MTU = 12 },
		"negative MTU":            func(n *network.HostNetwork) { n.MTU = -1 },
		"no CIDR":                 func(n *network.HostNetwork) { n.Subnets[0].CIDR = netip.Prefix{} },
		"family of the gateway":   func(n *network.HostNetwork) { n.Subnets[0].Gateway = netip.MustParseAddr("fd00::1") },
		"name server":             func(n *network.HostNetwork) { n.Subnets[0].DNS = []netip.Addr{{}} },
		"route":                   func(n *network.HostNetwork) { n.Subnets[0].Routes = []network.Route{{}} },
		"MAC of DHCP":             func(n *network.HostNetwork) { n.DHCP.MAC = "fa:16:3e" },
		"multicast MAC":           func(n *network.HostNetwork) { n.DHCP.MAC = "01:00:5e:00:00:01" },
		"MAC of a reservation":    func(n *network.HostNetwork) { n.DHCP.Reservations[0].MAC = "fa:16:3e:00:00:01,ignore" },
		"line break in host name": func(n *network.HostNetwork) { n.DHCP.Reservations[0].Hostname = "a\ndhcp-script=/bin/sh" },
		"option in host name":     func(n *network.HostNetwork) { n.DHCP.Reservations[0].Hostname = "a,ignore" },
		"reserved address":        func(n *network.HostNetwork) { n.DHCP.Reservations[0].Addresses = []netip.Addr{{}} },
	} {
		n := Network(1)
		spoil(&n)
		if err := d.EnsureNetwork(t.Context(), n); !fault.Is(err, fault.Invalid) {
			t.Errorf("network, %s: %v", name, err)
		}
	}
	observe(t, d, dataplane.Observed{})
	testRefusePort(t, h, d)
	testRefuseRouter(t, h, d)
}

func testRefusePort(t *testing.T, h Harness, d dataplane.Driver) {
	n := Network(1)
	must(t, d.EnsureNetwork(t.Context(), n))
	plug(t, h, Port(1, 10))
	two, one, big := 2, 1, 70000
	for name, spoil := range map[string]func(*network.HostPort){
		"short id":           func(p *network.HostPort) { p.ID = "1" },
		"quote in id":        func(p *network.HostPort) { p.ID = `2200010a-010"; flush ruleset` },
		"no network":         func(p *network.HostPort) { p.NetworkID = "" },
		"no MAC":             func(p *network.HostPort) { p.MAC = "" },
		"no address":         func(p *network.HostPort) { p.Addresses = []netip.Addr{{}} },
		"pair without CIDR":  func(p *network.HostPort) { p.Pairs = []network.AddressPair{{}} },
		"MAC of a pair":      func(p *network.HostPort) { p.Pairs[0].MAC = "x" },
		"direction":          func(p *network.HostPort) { p.Rules[0].Direction = "up" },
		"ethertype":          func(p *network.HostPort) { p.Rules[0].EtherType = "ARP" },
		"protocol":           func(p *network.HostPort) { p.Rules[0].Protocol = 256 },
		"empty port range":   func(p *network.HostPort) { p.Rules[2].Min, p.Rules[2].Max = &two, &one },
		"port":               func(p *network.HostPort) { p.Rules[2].Max = &big },
		"ICMP type":          func(p *network.HostPort) { p.Rules[3].Min = &big },
		"ports without TCP":  func(p *network.HostPort) { p.Rules[0].Min = &one },
		"remote":             func(p *network.HostPort) { p.Rules[0].Remote = []netip.Prefix{{}} },
		"very many rules":    func(p *network.HostPort) { p.Rules = make([]network.SecurityRule, dataplane.MaxRules+1) },
		"very many prefixes": func(p *network.HostPort) { p.Addresses = make([]netip.Addr, dataplane.MaxAddresses+1) },
	} {
		p := Port(1, 10)
		spoil(&p)
		if wired, err := d.EnsurePort(t.Context(), p); wired || !fault.Is(err, fault.Invalid) {
			t.Errorf("port, %s: wired %v, %v", name, wired, err)
		}
	}
	observe(t, d, dataplane.Observed{Networks: []string{n.ID}})
}

func testRefuseRouter(t *testing.T, h Harness, d dataplane.Driver) {
	inside, other, outside := Network(1), Network(2), external(h)
	for _, n := range []network.HostNetwork{inside, other, outside} {
		must(t, d.EnsureNetwork(t.Context(), n))
	}
	for name, spoil := range map[string]func(*network.HostRouter){
		"id":                       func(r *network.HostRouter) { r.ID = "router one two" },
		"leg without a port":       func(r *network.HostRouter) { r.Interfaces[0].PortID = "" },
		"leg without a network":    func(r *network.HostRouter) { r.Interfaces[0].NetworkID = "" },
		"MAC":                      func(r *network.HostRouter) { r.Gateway.MAC = "zz" },
		"address":                  func(r *network.HostRouter) { r.Gateway.Addresses = []netip.Prefix{{}} },
		"floating without gateway": func(r *network.HostRouter) { r.Gateway = nil },
		"floating twice":           func(r *network.HostRouter) { r.Floating[1].Floating = r.Floating[0].Floating },
		"floating IPv6":            func(r *network.HostRouter) { r.Floating[0].Fixed = netip.MustParseAddr("fd00::1") },
		"route":                    func(r *network.HostRouter) { r.Routes[0].NextHop = netip.MustParseAddr("fd00::1") },
	} {
		r := Router(1, inside, other, outside)
		spoil(&r)
		if err := d.EnsureRouter(t.Context(), r); !fault.Is(err, fault.Invalid) {
			t.Errorf("router, %s: %v", name, err)
		}
	}
	observe(t, d, dataplane.Observed{Networks: []string{inside.ID, other.ID, outside.ID}})
}
