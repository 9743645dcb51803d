package linuxbridge

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"kilonova/service/network"
)

const (
	netA = "aaaaaaaa-0001-4000-8000-000000000001"
	netB = "bbbbbbbb-0002-4000-8000-000000000002"
	netP = "cccccccc-0003-4000-8000-000000000003"
)

func localNetwork(id, cidr string) network.HostNetwork {
	return network.HostNetwork{ID: id, MTU: 1450, Type: "local", Subnets: []network.HostSubnet{{
		ID: "5" + id[1:], CIDR: netip.MustParsePrefix(cidr), DHCP: true,
	}}}
}

func publicNetwork() network.HostNetwork {
	n := localNetwork(netP, "172.24.4.0/24")
	n.Type, n.Physical, n.MTU = "flat", "public", 1500
	n.Subnets[0].Gateway = netip.MustParseAddr("172.24.4.1")
	return n
}

// samplePort returns a secured port that may send all and receive what rules say.
func samplePort(net string, number byte, address string, rules ...network.SecurityRule) network.HostPort {
	id := []byte("00000000-0000-4000-8000-000000000000")
	id[0], id[1] = net[0], 'a'+number
	return network.HostPort{
		ID: string(id), NetworkID: net, AdminUp: true, Secured: true,
		MAC:       macOf(net, number),
		Addresses: []netip.Addr{netip.MustParseAddr(address)},
		Rules:     append([]network.SecurityRule{{Direction: "egress", EtherType: "IPv4"}, {Direction: "egress", EtherType: "IPv6"}}, rules...),
	}
}

func macOf(networkID string, number byte) string {
	return net.HardwareAddr{0xfa, 0x16, 0x3e, networkID[0], 0, number}.String()
}

func tcp(port int) network.SecurityRule {
	return network.SecurityRule{Direction: "ingress", EtherType: "IPv4", Protocol: 6, Min: &port, Max: &port}
}

var pings = network.SecurityRule{Direction: "ingress", EtherType: "IPv4", Protocol: 1}

// guestOf plugs a port's guest with the addresses that the port has.
func (l *lab) guestOf(p network.HostPort) *guest {
	l.t.Helper()
	var addresses []string
	for _, a := range p.Addresses {
		addresses = append(addresses, netip.PrefixFrom(a, map[bool]int{true: 24, false: 64}[a.Is4()]).String())
	}
	return l.plugGuest("guest-"+p.ID[:8], network.TapName(p.ID), p.MAC, addresses...)
}

func TestGuestsReachTheirOwnNetworkOnly(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netB, "10.0.0.0/24"))) // the same addresses, on purpose
	a1, a2 := samplePort(netA, 1, "10.0.0.11", pings), samplePort(netA, 2, "10.0.0.12", pings)
	b1, b3 := samplePort(netB, 1, "10.0.0.11", pings), samplePort(netB, 3, "10.0.0.13", pings)
	ga1, ga2, gb1 := l.guestOf(a1), l.guestOf(a2), l.guestOf(b1)
	l.guestOf(b3)
	for _, p := range []network.HostPort{a1, a2, b1, b3} {
		l.wire(p)
	}
	ga1.reaches("10.0.0.12", true)
	ga2.reaches("10.0.0.11", true)
	gb1.reaches("10.0.0.13", true)
	ga1.reaches("10.0.0.13", false)
	gb1.reaches("10.0.0.12", false)
}

func TestUnwiredGuestsReachNobody(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	a1, a2 := samplePort(netA, 1, "10.0.0.11", pings), samplePort(netA, 2, "10.0.0.12", pings)
	ga1 := l.guestOf(a1)
	l.guestOf(a2)
	l.wire(a1)
	ga1.reaches("10.0.0.12", false)
	l.wire(a2)
	ga1.reaches("10.0.0.12", true)
	a2.AdminUp = false
	l.wire(a2)
	ga1.reaches("10.0.0.12", false)
	a2.AdminUp = true
	l.wire(a2)
	ga1.reaches("10.0.0.12", true)
	l.must(l.RemovePort(t.Context(), a2.ID))
	ga1.reaches("10.0.0.12", false)
}

func TestRulesOpenAndCloseAPort(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	client, server := samplePort(netA, 1, "10.0.0.11"), samplePort(netA, 2, "10.0.0.12")
	gc, gs := l.guestOf(client), l.guestOf(server)
	gs.serve(t, "10.0.0.12:80")
	gs.serve(t, "10.0.0.12:81")
	l.wire(client)
	l.wire(server)
	gc.connects("10.0.0.12:80", false)

	closed := server
	open := samplePort(netA, 2, "10.0.0.12", tcp(80))
	l.wire(open)
	gc.connects("10.0.0.12:80", true)
	gc.connects("10.0.0.12:81", false)
	held, seen, err := gc.dial("10.0.0.12:80", patience)
	l.must(err)
	defer held.Close()
	if seen != "10.0.0.11" {
		t.Fatalf("the server saw %s", seen)
	}

	both := samplePort(netA, 2, "10.0.0.12", tcp(80), tcp(81))
	l.wire(both) // a change that has nothing to do with it must not hurt
	if !speaks(held, patience) {
		t.Fatal("an allowed connection broke when a rule was added")
	}
	l.wire(open)
	if !speaks(held, patience) {
		t.Fatal("an allowed connection broke when another rule went")
	}
	l.wire(closed)
	gc.connects("10.0.0.12:80", false)
	if speaks(held, quiet) {
		t.Fatal("a connection outlived the rule that allowed it")
	}
	l.wire(open)
	if !speaks(held, patience) {
		t.Fatal("the connection does not go on when the rule is back")
	}
}

func TestRemotesAndEgress(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	friend, stranger := samplePort(netA, 1, "10.0.0.11"), samplePort(netA, 2, "10.0.0.12")
	server := samplePort(netA, 3, "10.0.0.13")
	gf, gs, g := l.guestOf(friend), l.guestOf(stranger), l.guestOf(server)
	g.serve(t, "10.0.0.13:80")
	gf.serve(t, "10.0.0.11:80")
	l.wire(friend)
	l.wire(stranger)

	group := tcp(80)
	group.RemoteGroup, group.Remote = true, []netip.Prefix{netip.MustParsePrefix("10.0.0.11/32"), netip.MustParsePrefix("10.0.0.11/32")}
	server.Rules = append(server.Rules, group)
	l.wire(server)
	gf.connects("10.0.0.13:80", true)
	gs.connects("10.0.0.13:80", false)

	group.Remote = nil // an empty group is nobody, not everybody
	server.Rules[len(server.Rules)-1] = group
	l.wire(server)
	gf.connects("10.0.0.13:80", false)

	friend.Rules = append(friend.Rules, tcp(80))
	l.wire(friend)
	g.connects("10.0.0.11:80", true)
	server.Rules = nil
	l.wire(server)
	g.connects("10.0.0.11:80", false)
	server.Secured = false
	l.wire(server)
	g.connects("10.0.0.11:80", true)
	gs.connects("10.0.0.13:80", true)
}

// A refused packet must not leave a connection that its answer could use.
func TestRefusedPacketsOpenNoWayBack(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	a, b := samplePort(netA, 1, "10.0.0.11"), samplePort(netA, 2, "10.0.0.12")
	b.Rules = nil // neither in nor out
	a.Secured = false
	ga, gb := l.guestOf(a), l.guestOf(b)
	l.wire(a)
	l.wire(b)
	inA, inB := ga.udp("10.0.0.11:5000"), gb.udp("10.0.0.12:5000")
	for range 3 {
		if receives(inA, inB, "10.0.0.12:5000") {
			t.Fatal("a closed port received")
		}
		if receives(inB, inA, "10.0.0.11:5000") {
			t.Fatal("a guest that may send nothing answered what it never got")
		}
	}
}

func TestSpoofing(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	thief, victim := samplePort(netA, 1, "10.0.0.11", pings), samplePort(netA, 2, "10.0.0.12", pings)
	victim.Secured = false // so that it hears all
	gt, gv := l.guestOf(thief), l.guestOf(victim)
	l.wire(thief)
	l.wire(victim)
	gt.reaches("10.0.0.12", true)

	t.Run("address", func(t *testing.T) {
		gt.address("10.0.0.66/24")
		gt.reaches("10.0.0.12", false)
		pair := thief
		pair.Pairs = []network.AddressPair{{CIDR: netip.MustParsePrefix("10.0.0.64/29")}}
		l.wire(pair)
		gt.reaches("10.0.0.12", true)
		l.wire(thief)
		gt.reaches("10.0.0.12", false)
		gt.address("10.0.0.11/24")
		gt.reaches("10.0.0.12", true)
	})
	t.Run("MAC", func(t *testing.T) {
		l.must(gt.nl.LinkSetHardwareAddr(gt.link, hardwareAddr("fa:16:3e:00:00:99")))
		gt.reaches("10.0.0.12", false)
		l.must(gt.nl.LinkSetHardwareAddr(gt.link, hardwareAddr(thief.MAC)))
		gt.reaches("10.0.0.12", true)
	})
	own, broadcast := hardwareAddr(thief.MAC), net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	udpTo := func(source string, from, to uint16) []byte {
		return ethernet(broadcast, own, unix.ETH_P_IP, udpPacket(source, "255.255.255.255", from, to))
	}
	for _, frame := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"true ARP", arpFrame(2, own, netip.MustParseAddr("10.0.0.11")), true},
		{"forged ARP", arpFrame(2, own, netip.MustParseAddr("10.0.0.1")), false},
		{"forged ARP sender", ethernet(broadcast, own, unix.ETH_P_ARP, arpFrame(2, hardwareAddr(victim.MAC), netip.MustParseAddr("10.0.0.11"))[14:]), false},
		{"true broadcast", udpTo("10.0.0.11", 9, 9), true},
		{"forged broadcast", udpTo("10.0.0.66", 9, 9), false},
		{"DHCP request", udpTo("0.0.0.0", 68, 67), true},
		{"DHCP request of another", ethernet(broadcast, hardwareAddr("fa:16:3e:00:00:99"), unix.ETH_P_IP, udpPacket("0.0.0.0", "255.255.255.255", 68, 67)), false},
		{"DHCP server", udpTo("10.0.0.11", 67, 68), false},
		{"VLAN tag", ethernet(broadcast, own, unix.ETH_P_8021Q, append([]byte{0, 5, 8, 0}, udpPacket("10.0.0.11", "255.255.255.255", 9, 9)...)), false},
		{"VLAN tag 0", ethernet(broadcast, own, unix.ETH_P_8021Q, append([]byte{0, 0, 8, 0}, udpPacket("10.0.0.11", "255.255.255.255", 9, 9)...)), false},
		{"unknown ethertype", ethernet(broadcast, own, 0x88b5, make([]byte, 46)), false},
		{"announcement of a move", ethernet(broadcast, own, 0x8035, make([]byte, 46)), true},
		{"announcement of another's move", ethernet(broadcast, hardwareAddr(victim.MAC), 0x8035, make([]byte, 46)), false},
		{"router advertisement", icmp6(own, linkLocal(thief.MAC).Addr(), 134, make([]byte, 12)), false},
		{"redirect", icmp6(own, linkLocal(thief.MAC).Addr(), 137, make([]byte, 36)), false},
		{"true neighbour", advertisement(own, linkLocal(thief.MAC).Addr(), linkLocal(thief.MAC).Addr()), true},
		{"forged neighbour", advertisement(own, linkLocal(thief.MAC).Addr(), netip.MustParseAddr("fe80::1")), false},
		{"forged IPv6", icmp6(own, netip.MustParseAddr("fe80::66"), 128, make([]byte, 4)), false},
	} {
		t.Run(frame.name, func(t *testing.T) {
			if got := passes(t, gt, gv, frame.frame); got != frame.want {
				t.Errorf("it passed: %v, want %v", got, frame.want)
			}
		})
	}
}

func (g *guest) udp(address string) *net.UDPConn {
	g.t.Helper()
	var conn *net.UDPConn
	err := g.do(func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	return conn
}

// receives sends a datagram and tells whether it arrives: itself, not one from
// before that had to wait for its neighbour.
func receives(from, to *net.UDPConn, address string) bool {
	text := []byte(rand.Text())
	if _, err := from.WriteToUDPAddrPort(text, netip.MustParseAddrPort(address)); err != nil {
		return false
	}
	return heard(to, text)
}

// comesThrough sends datagrams until one arrives: it may take a second until a
// bridge forwards by a port that is new.
func comesThrough(from, to *net.UDPConn, address string) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if receives(from, to, address) {
			return true
		}
	}
	return false
}

// passes sends a frame from one guest and tells whether the other gets it, with
// whatever VLAN tag.
func passes(t *testing.T, from, to *guest, frame []byte) bool {
	t.Helper()
	var fd int
	err := to.do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(binary.BigEndian.Uint16([]byte{unix.ETH_P_ALL, 0})))
		if err != nil {
			return err
		}
		return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: int64(quiet / time.Microsecond / 10)})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := from.do(func() error { return send(from.link.Attrs().Index, frame) }); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 2048)
	for deadline := time.Now().Add(quiet); time.Now().Before(deadline); {
		n, err := unix.Read(fd, buffer)
		if err != nil || n < 14 {
			continue
		}
		// The kernel may have taken a tag out: compare what follows, and who sent it.
		tail := frame[14:]
		if binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_8021Q {
			tail = frame[18:]
		}
		if slices.Equal(buffer[6:12], frame[6:12]) && n >= len(tail) && slices.Equal(buffer[n-len(tail):n], tail) {
			return true
		}
	}
	return false
}

func ethernet(to, from net.HardwareAddr, kind uint16, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16(append(append([]byte(nil), to...), from...), kind), payload...)
}

// udpPacket builds an IPv4 packet with a UDP datagram, without UDP checksum.
func udpPacket(from, to string, source, destination uint16) []byte {
	packet := []byte{0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0}
	packet = append(packet, netip.MustParseAddr(from).AsSlice()...)
	packet = append(packet, netip.MustParseAddr(to).AsSlice()...)
	binary.BigEndian.PutUint16(packet[10:], checksum(packet))
	packet = binary.BigEndian.AppendUint16(packet, source)
	packet = binary.BigEndian.AppendUint16(packet, destination)
	packet = append(packet, 0, 26, 0, 0)
	return append(packet, make([]byte, 18)...)
}

// icmp6 builds a frame with an ICMPv6 message to all nodes.
func icmp6(mac net.HardwareAddr, from netip.Addr, kind byte, body []byte) []byte {
	to := netip.IPv6LinkLocalAllNodes()
	message := append([]byte{kind, 0, 0, 0}, body...)
	pseudo := append(append(from.AsSlice(), to.AsSlice()...), 0, 0, 0, byte(len(message)), 0, 0, 0, 58)
	binary.BigEndian.PutUint16(message[2:], checksum(append(pseudo, message...)))
	packet := append([]byte{0x60, 0, 0, 0, 0, byte(len(message)), 58, 255}, from.AsSlice()...)
	packet = append(append(packet, to.AsSlice()...), message...)
	return ethernet(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, mac, unix.ETH_P_IPV6, packet)
}

// advertisement builds a neighbour advertisement.
func advertisement(mac net.HardwareAddr, from, target netip.Addr) []byte {
	return icmp6(mac, from, 136, append([]byte{0x20, 0, 0, 0}, target.AsSlice()...))
}

// heard tells whether a datagram comes in.
func heard(conn *net.UDPConn, text []byte) bool {
	if err := conn.SetReadDeadline(time.Now().Add(quiet)); err != nil {
		return false
	}
	buffer := make([]byte, 8192)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return false
		}
		if bytes.Equal(buffer[:n], text) {
			return true
		}
	}
}

// Two networks may have the same addresses: what is established in one is not so
// in the other.
func TestConnectionsOfEqualAddressesAreApart(t *testing.T) {
	l := newLab(t)
	sockets := map[string]*net.UDPConn{}
	for _, id := range []string{netA, netB} {
		l.must(l.EnsureNetwork(t.Context(), localNetwork(id, "10.0.0.0/24")))
		open := network.SecurityRule{Direction: "ingress", EtherType: "IPv4", Protocol: 17}
		client, server := samplePort(id, 1, "10.0.0.11"), samplePort(id, 2, "10.0.0.12")
		if id == netA {
			server.Rules = append(server.Rules, open)
		}
		gc, gs := l.guestOf(client), l.guestOf(server)
		l.wire(client)
		l.wire(server)
		sockets[id+"client"], sockets[id+"server"] = gc.udp("10.0.0.11:5000"), gs.udp("10.0.0.12:5000")
	}
	if !comesThrough(sockets[netA+"client"], sockets[netA+"server"], "10.0.0.12:5000") || !comesThrough(sockets[netA+"server"], sockets[netA+"client"], "10.0.0.11:5000") {
		t.Fatal("no connection in the open network")
	}
	for range 4 { // by then the other bridge forwards, too
		if receives(sockets[netB+"client"], sockets[netB+"server"], "10.0.0.12:5000") {
			t.Fatal("a connection of one network opened the other")
		}
	}
}

// The sides of a connection are cut off each for itself.
func TestRevokedConnectionsAreDeadBothWays(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	client, server := samplePort(netA, 1, "10.0.0.11"), samplePort(netA, 2, "10.0.0.12")
	client.Secured = false
	closed := slices.Clone(server.Rules)
	server.Rules = append(server.Rules, network.SecurityRule{Direction: "ingress", EtherType: "IPv4", Protocol: 17})
	gc, gs := l.guestOf(client), l.guestOf(server)
	l.wire(client)
	l.wire(server)
	c, s := gc.udp("10.0.0.11:5000"), gs.udp("10.0.0.12:5000")
	if !comesThrough(c, s, "10.0.0.12:5000") || !comesThrough(s, c, "10.0.0.11:5000") {
		t.Fatal("no connection")
	}
	server.Rules = closed
	l.wire(server)
	if receives(c, s, "10.0.0.12:5000") {
		t.Error("the server still receives")
	}
	if receives(s, c, "10.0.0.11:5000") {
		t.Error("the server still answers")
	}
}

// Who gets the address of a port that is gone must not inherit its connections.
func TestConnectionsAreNotInherited(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	client, former, heir := samplePort(netA, 1, "10.0.0.11"), samplePort(netA, 2, "10.0.0.12"), samplePort(netA, 3, "10.0.0.12")
	client.Rules = append(client.Rules, network.SecurityRule{Direction: "ingress", EtherType: "IPv4", Protocol: 17})
	gc, gf := l.guestOf(client), l.guestOf(former)
	l.wire(client)
	l.wire(former)
	c, s := gc.udp("10.0.0.11:5000"), gf.udp("10.0.0.12:5000")
	if !comesThrough(s, c, "10.0.0.11:5000") || !comesThrough(c, s, "10.0.0.12:5000") {
		t.Fatal("no connection")
	}
	l.must(l.RemovePort(t.Context(), former.ID))
	gh := l.guestOf(heir)
	l.wire(heir)
	h := gh.udp("10.0.0.12:5000")
	l.must(gc.nl.NeighSet(&netlink.Neigh{LinkIndex: gc.link.Attrs().Index, IP: []byte{10, 0, 0, 12}, HardwareAddr: hardwareAddr(heir.MAC), State: netlink.NUD_PERMANENT}))
	for range 4 { // by then the bridge forwards to the heir
		if !receives(c, h, "10.0.0.12:5000") {
			continue
		}
		t.Fatal("the heir of an address received on a former connection")
	}
}

// Fragments carry no ports; the whole is what the rules are for.
func TestFragments(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	port := 5000
	client, server := samplePort(netA, 1, "10.0.0.11"), samplePort(netA, 2, "10.0.0.12")
	server.Rules = append(server.Rules, network.SecurityRule{Direction: "ingress", EtherType: "IPv4", Protocol: 17, Min: &port, Max: &port})
	gc, gs := l.guestOf(client), l.guestOf(server)
	l.wire(client)
	l.wire(server)
	c, open, closed := gc.udp("10.0.0.11:4000"), gs.udp("10.0.0.12:5000"), gs.udp("10.0.0.12:5001")
	l.must(gc.nl.LinkSetMTU(gc.link, 1450)) // as DHCP tells a guest
	if !comesThrough(c, open, "10.0.0.12:5000") {
		t.Fatal("no connection")
	}
	large := make([]byte, 4000)
	for to, conn := range map[string]*net.UDPConn{"10.0.0.12:5000": open, "10.0.0.12:5001": closed} {
		if _, err := c.WriteToUDPAddrPort(large, netip.MustParseAddrPort(to)); err != nil {
			t.Fatal(err)
		}
		if got := heard(conn, large); got != (conn == open) {
			t.Errorf("%s received fragments: %v", to, got)
		}
	}
}

func TestIPv6(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "fd00::/64")))
	client, server := samplePort(netA, 1, "fd00::11"), samplePort(netA, 2, "fd00::12")
	gc, gs := l.guestOf(client), l.guestOf(server)
	gs.serve(t, "[fd00::12]:80")
	l.wire(client)
	l.wire(server)
	gc.connects("[fd00::12]:80", false)
	web := tcp(80)
	server.Rules = append(server.Rules, web)
	l.wire(server) // a rule for IPv4 is none for IPv6
	gc.connects("[fd00::12]:80", false)
	web.EtherType, web.Remote = "IPv6", []netip.Prefix{netip.MustParsePrefix("fd00::11/128")}
	server.Rules[len(server.Rules)-1] = web
	l.wire(server)
	gc.connects("[fd00::12]:80", true)
	gc.address("fd00::66/64")
	gc.connects("[fd00::12]:80", false)
	gc.address("fd00::11/64")
	server.Rules = nil
	l.wire(server)
	gc.connects("[fd00::12]:80", false)
}
