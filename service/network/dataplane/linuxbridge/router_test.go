package linuxbridge

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"kilonova/service/network"
)

func routerLeg(networkID string, number byte, prefix string) network.RouterLeg {
	p := netip.MustParsePrefix(prefix)
	port := samplePort(networkID, number, p.Addr().String())
	return network.RouterLeg{PortID: port.ID, NetworkID: networkID, MAC: port.MAC, Addresses: []netip.Prefix{p}}
}

func gateway(r *network.HostRouter, number byte, prefix string) {
	leg := routerLeg(netP, number, prefix)
	r.Gateway, r.NextHop, r.SNAT = &leg, netip.MustParseAddr("172.24.4.1"), true
}

// outside makes a namespace beyond the host, 203.0.113.2, which knows only the
// host.
func (l *lab) outside() *namespace {
	l.t.Helper()
	ns, _, err := ensureNamespace("outside")
	l.must(err)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "up0"
	l.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(ns.fd)}))
	l.t.Cleanup(func() {
		l.unplug("up0")
		ns.close()
		if err := removeNamespace("outside"); err != nil {
			l.t.Error(err)
		}
	})
	host, err := netlink.LinkByName("up0")
	l.must(err)
	l.must(netlink.AddrAdd(host, netlinkAddr(netip.MustParsePrefix("203.0.113.1/24"))))
	l.must(netlink.LinkSetUp(host))
	link, err := ns.nl.LinkByName("eth0")
	l.must(err)
	l.must(ns.nl.AddrAdd(link, netlinkAddr(netip.MustParsePrefix("203.0.113.2/24"))))
	l.must(ns.nl.LinkSetUp(link))
	return ns
}

func TestRouter(t *testing.T) {
	l := newLab(t)
	a, b := localNetwork(netA, "10.0.0.0/24"), localNetwork(netB, "10.1.0.0/24")
	for _, n := range []network.HostNetwork{a, b, publicNetwork()} {
		l.must(l.EnsureNetwork(t.Context(), n))
	}
	beyond := l.outside()
	beyond.serve(t, "203.0.113.2:80")
	pa, pb := samplePort(netA, 1, "10.0.0.11", pings, tcp(80)), samplePort(netB, 1, "10.1.0.11", pings, tcp(80))
	ga, gb := l.guestOf(pa), l.guestOf(pb)
	ga.route("10.0.0.1")
	gb.route("10.1.0.1")
	ga.serve(t, "10.0.0.11:80")
	gb.serve(t, "10.1.0.11:80")
	l.wire(pa)
	l.wire(pb)

	r := network.HostRouter{ID: "dddddddd-0004-4000-8000-000000000004", AdminUp: true, Interfaces: []network.RouterLeg{
		routerLeg(netA, 10, "10.0.0.1/24"), routerLeg(netB, 10, "10.1.0.1/24"),
	}}
	ensure := func() {
		t.Helper()
		l.must(l.EnsureRouter(t.Context(), r))
	}
	who := func(n *namespace, address, want string) {
		t.Helper()
		conn, seen, err := n.dial(address, patience)
		if err != nil {
			t.Fatalf("%s connects to %s: %v", n.name, address, err)
		}
		conn.Close()
		if seen != want {
			t.Fatalf("%s connects to %s and is seen as %s, want %s", n.name, address, seen, want)
		}
	}

	ensure()
	who(ga.namespace, "10.1.0.11:80", "10.0.0.11")
	who(gb.namespace, "10.0.0.11:80", "10.1.0.11")
	ga.connects("203.0.113.2:80", false)

	gateway(&r, 11, "172.24.4.50/24")
	ensure()
	who(ga.namespace, "203.0.113.2:80", "203.0.113.1") // twice behind NAT
	who(ga.namespace, "10.1.0.11:80", "10.0.0.11")     // and not at all inside

	host := &namespace{name: "the host", fd: -1}
	host = l.here(host)
	r.Floating = []network.FloatingNAT{{ID: "f", Floating: netip.MustParseAddr("172.24.4.60"), Fixed: netip.MustParseAddr("10.0.0.11")}}
	ensure()
	who(host, "172.24.4.60:80", "172.24.4.1")
	who(gb.namespace, "172.24.4.60:80", "172.24.4.50") // from inside to outside and back in
	held, _, err := host.dial("172.24.4.60:80", patience)
	l.must(err)
	defer held.Close()
	ensure()
	if !speaks(held, patience) {
		t.Fatal("a connection broke though nothing changed")
	}

	r.Floating[0].Fixed = netip.MustParseAddr("10.1.0.11")
	ensure()
	if speaks(held, quiet) {
		t.Fatal("a connection outlived the move of its floating IP")
	}
	who(host, "172.24.4.60:80", "172.24.4.1")
	gb.serve(t, "10.1.0.11:8080") // only this guest has it, so it is where we are now
	pb.Rules = append(pb.Rules, tcp(8080))
	l.wire(pb)
	who(host, "172.24.4.60:8080", "172.24.4.1")

	r.Floating = nil
	ensure()
	if conn, _, err := host.dial("172.24.4.60:80", quiet); err == nil {
		conn.Close()
		t.Fatal("a floating IP that is gone still answers")
	}
	r.AdminUp = false
	ensure()
	ga.connects("10.1.0.11:80", false)
	r.AdminUp = true
	ensure()
	who(ga.namespace, "10.1.0.11:80", "10.0.0.11")
	who(ga.namespace, "203.0.113.2:80", "203.0.113.1")
	l.must(l.RemoveRouter(t.Context(), r.ID))
	ga.connects("10.1.0.11:80", false)
}

// here returns the host's namespace in the form of others.
func (l *lab) here(n *namespace) *namespace {
	l.t.Helper()
	fd, handle, err := currentNamespace()
	l.must(err)
	n.fd, n.nl = fd, handle
	l.t.Cleanup(n.close)
	return n
}

// A floating IP that moves to another router is announced, or neighbours would
// go on sending to the former one.
func TestFloatingIPMovesBetweenRouters(t *testing.T) {
	l := newLab(t)
	for _, n := range []network.HostNetwork{localNetwork(netA, "10.0.0.0/24"), localNetwork(netB, "10.0.0.0/24"), publicNetwork()} {
		l.must(l.EnsureNetwork(t.Context(), n))
	}
	pa, pb := samplePort(netA, 1, "10.0.0.11", tcp(80)), samplePort(netB, 1, "10.0.0.11", tcp(81))
	ga, gb := l.guestOf(pa), l.guestOf(pb)
	ga.serve(t, "10.0.0.11:80")
	gb.serve(t, "10.0.0.11:81")
	routers := [2]network.HostRouter{}
	floating := []network.FloatingNAT{{ID: "f", Floating: netip.MustParseAddr("172.24.4.60"), Fixed: netip.MustParseAddr("10.0.0.11")}}
	for i, net := range []string{netA, netB} {
		routers[i] = network.HostRouter{ID: net[:8] + "-0004-4000-8000-000000000004", AdminUp: true,
			Interfaces: []network.RouterLeg{routerLeg(net, 10, "10.0.0.1/24")}}
		gateway(&routers[i], 11+byte(i), []string{"172.24.4.50/24", "172.24.4.51/24"}[i])
	}
	ga.route("10.0.0.1")
	gb.route("10.0.0.1")
	l.wire(pa)
	l.wire(pb)
	host := l.here(&namespace{name: "the host"})
	for round := range 4 {
		to, from := round%2, (round+1)%2
		routers[from].Floating, routers[to].Floating = nil, floating
		l.must(l.EnsureRouter(t.Context(), routers[from]))
		l.must(l.EnsureRouter(t.Context(), routers[to]))
		conn, seen, err := host.dial([]string{"172.24.4.60:80", "172.24.4.60:81"}[to], 900*time.Millisecond)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		conn.Close()
		if seen != "172.24.4.1" {
			t.Fatalf("round %d: seen as %s", round, seen)
		}
	}
}

// One tenant's network is not reached by way of another's router.
func TestTenantsAreApart(t *testing.T) {
	l := newLab(t)
	for _, n := range []network.HostNetwork{localNetwork(netA, "10.0.0.0/24"), localNetwork(netB, "10.1.0.0/24"), publicNetwork()} {
		l.must(l.EnsureNetwork(t.Context(), n))
	}
	pa, pb := samplePort(netA, 1, "10.0.0.11"), samplePort(netB, 1, "10.1.0.11", pings)
	ga, gb := l.guestOf(pa), l.guestOf(pb)
	ga.route("10.0.0.1")
	gb.route("10.1.0.1")
	l.wire(pa)
	l.wire(pb)
	ra := network.HostRouter{ID: "aaaaaaaa-0004-4000-8000-000000000004", AdminUp: true, Interfaces: []network.RouterLeg{routerLeg(netA, 10, "10.0.0.1/24")}}
	rb := network.HostRouter{ID: "bbbbbbbb-0004-4000-8000-000000000004", AdminUp: true, Interfaces: []network.RouterLeg{routerLeg(netB, 10, "10.1.0.1/24")}}
	gateway(&ra, 11, "172.24.4.50/24")
	gateway(&rb, 12, "172.24.4.51/24")
	ra.Routes = []network.Route{{Destination: netip.MustParsePrefix("10.1.0.0/24"), NextHop: netip.MustParseAddr("172.24.4.51")}}
	l.must(l.EnsureRouter(t.Context(), ra))
	l.must(l.EnsureRouter(t.Context(), rb))
	ga.reaches("10.1.0.11", false)
	ga.reaches("172.24.4.51", true) // so far it does get
	rb.SNAT = false                 // now its addresses are routed, and shall be reached
	l.must(l.EnsureRouter(t.Context(), rb))
	ga.reaches("10.1.0.11", true)
}
