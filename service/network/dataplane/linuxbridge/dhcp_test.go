package linuxbridge

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kilonova/service/network"
)

// dhcpNetwork is localNetwork with DHCP from .2 for the ports.
func dhcpNetwork(id, cidr string, ports ...network.HostPort) network.HostNetwork {
	n := localNetwork(id, cidr)
	base := n.Subnets[0].CIDR.Addr()
	server := base.Next().Next()
	port := samplePort(id, 20, server.String())
	n.DHCP = &network.HostDHCP{
		PortID:    port.ID,
		MAC:       port.MAC,
		Addresses: []netip.Prefix{netip.PrefixFrom(server, n.Subnets[0].CIDR.Bits())},
	}
	for _, p := range ports {
		n.DHCP.Reservations = append(n.DHCP.Reservations, network.Reservation{
			PortID: p.ID, MAC: p.MAC, Hostname: "guest-" + p.ID[:2], Addresses: p.Addresses,
		})
	}
	return n
}

func TestDHCP(t *testing.T) {
	l := newLab(t)
	p := samplePort(netA, 1, "10.0.0.11")
	n := dhcpNetwork(netA, "10.0.0.0/24", p)
	s := &n.Subnets[0]
	s.Gateway = netip.MustParseAddr("10.0.0.1")
	s.DNS = []netip.Addr{netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("8.8.4.4")}
	s.Routes = []network.Route{{Destination: netip.MustParsePrefix("10.5.0.0/16"), NextHop: netip.MustParseAddr("10.0.0.7")}}
	l.must(l.EnsureNetwork(t.Context(), n))
	g := l.plugGuest("guest-dhcp", network.TapName(p.ID), p.MAC)
	l.wire(p)

	lease := g.lease(t, patience)
	lease.expect(t, map[byte]string{
		0:   "10.0.0.11",
		1:   "255.255.255.0",
		3:   "10.0.0.1",
		6:   "9.9.9.9 8.8.4.4",
		26:  "1450",
		12:  "guest-" + p.ID[:2],
		15:  "openstacklocal",
		51:  "86400",
		54:  "10.0.0.2",
		121: "169.254.169.254/32 by 10.0.0.2, 10.5.0.0/16 by 10.0.0.7, 0.0.0.0/0 by 10.0.0.1",
	})

	s.Gateway, s.DNS, s.Routes = netip.Addr{}, nil, nil // by reload
	l.must(l.EnsureNetwork(t.Context(), n))
	eventually(t, func() bool { return g.lease(t, patience).text(3) == "" })
	lease = g.lease(t, patience)
	lease.expect(t, map[byte]string{
		3:   "",
		6:   "10.0.0.2",
		121: "169.254.169.254/32 by 10.0.0.2",
	})

	n.DHCP.Reservations = nil
	l.must(l.EnsureNetwork(t.Context(), n))
	if got := g.lease(t, quiet); got != nil {
		t.Fatalf("a guest without a reservation got %s", got.text(0))
	}

	// Its address goes to another guest at once, although its lease had not ended.
	p2 := samplePort(netA, 2, "10.0.0.11")
	l.must(l.RemovePort(t.Context(), p.ID))
	n.DHCP.Reservations = dhcpNetwork(netA, "10.0.0.0/24", p2).DHCP.Reservations
	l.must(l.EnsureNetwork(t.Context(), n))
	g2 := l.plugGuest("guest-dhcp2", network.TapName(p2.ID), p2.MAC)
	l.wire(p2)
	g2.lease(t, patience).expect(t, map[byte]string{0: "10.0.0.11"})
}

func TestDNSMasqIsAdoptedAndRestarted(t *testing.T) {
	l := newLab(t)
	p := samplePort(netA, 1, "10.0.0.11")
	n := dhcpNetwork(netA, "10.0.0.0/24", p)
	l.must(l.EnsureNetwork(t.Context(), n))
	first := l.dnsmasq(netA)
	if first == 0 {
		t.Fatal("no dnsmasq runs")
	}
	again := l.open()
	l.must(again.EnsureNetwork(t.Context(), n))
	if got := l.dnsmasq(netA); got != first {
		t.Fatalf("after a restart dnsmasq is %d, was %d", got, first)
	}
	n.DHCP.Reservations[0].Hostname = "renamed"
	l.must(again.EnsureNetwork(t.Context(), n))
	if got := l.dnsmasq(netA); got != first {
		t.Fatalf("another host name made dnsmasq %d of %d", got, first)
	}

	l.must(end(t.Context(), first))
	l.must(l.EnsureNetwork(t.Context(), n))
	second := l.dnsmasq(netA)
	if second == 0 || second == first {
		t.Fatalf("a dead dnsmasq was not replaced: %d", second)
	}
	// A number in the pid file that is now another's must not be believed or hurt.
	l.must(os.WriteFile(filepath.Join(l.dhcpDir(netA), pidFile), []byte("1\n"), 0o644))
	l.must(l.EnsureNetwork(t.Context(), n))
	third := l.dnsmasq(netA)
	if third == 0 || third == second || servesFrom(second, l.dhcpDir(netA)) {
		t.Fatalf("a lost dnsmasq %d was not replaced: %d", second, third)
	}
	n.DHCP = nil
	l.must(l.EnsureNetwork(t.Context(), n))
	if servesFrom(third, l.dhcpDir(netA)) {
		t.Fatal("dnsmasq still runs")
	}
}

// dnsmasq returns the network's process, 0 if there is none.
func (l *lab) dnsmasq(networkID string) int {
	l.t.Helper()
	ns, err := openNamespace(dhcpNamespace(networkID))
	l.must(err)
	if ns == nil {
		return 0
	}
	defer ns.close()
	return findDNSMasq(l.dhcpDir(networkID), ns.inode)
}

func eventually(t *testing.T, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !true(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not become so")
		}
	}
}

// lease is a DHCP answer: options by number, 0 the address itself.
type lease map[byte][]byte

func (l lease) expect(t *testing.T, want map[byte]string) {
	t.Helper()
	if l == nil {
		t.Fatal("no answer")
	}
	for option, text := range want {
		if got := l.text(option); got != text {
			t.Errorf("option %d is %q, want %q", option, got, text)
		}
	}
}

func (l lease) text(option byte) string {
	b := l[option]
	switch option {
	case 12, 15:
		return string(b)
	case 26:
		return strconv.Itoa(int(binary.BigEndian.Uint16(append(b, 0, 0))))
	case 51:
		return strconv.Itoa(int(binary.BigEndian.Uint32(append(b, 0, 0, 0, 0))))
	case 121:
		return classless(b)
	}
	var words []string
	for ; len(b) >= 4; b = b[4:] {
		words = append(words, net.IP(b[:4]).String())
	}
	return strings.Join(words, " ")
}

func classless(b []byte) string {
	var routes []string
	for len(b) > 0 {
		bits := int(b[0])
		size := (bits + 7) / 8
		var to [4]byte
		copy(to[:], b[1:1+size])
		routes = append(routes, netip.PrefixFrom(netip.AddrFrom4(to), bits).String()+" by "+net.IP(b[1+size:5+size]).String())
		b = b[5+size:]
	}
	return strings.Join(routes, ", ")
}

// lease asks for an address as a guest does that has none yet; nil is no answer.
func (g *guest) lease(t *testing.T, wait time.Duration) lease {
	t.Helper()
	var conn net.PacketConn
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		controlErr := raw.Control(func(fd uintptr) {
			if err = unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "eth0"); err == nil {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
			}
		})
		if err == nil {
			err = controlErr
		}
		return err
	}}
	err := g.do(func() (err error) {
		conn, err = config.ListenPacket(t.Context(), "udp4", "0.0.0.0:68")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	offer := g.ask(t, conn, wait, 1, nil)
	if offer == nil {
		return nil
	}
	return g.ask(t, conn, wait, 3, append([]byte{50, 4}, append(append([]byte(nil), offer[0]...), append([]byte{54, 4}, offer[54]...)...)...))
}

// ask sends a DHCP message until there is an answer.
func (g *guest) ask(t *testing.T, conn net.PacketConn, wait time.Duration, kind byte, options []byte) lease {
	t.Helper()
	message := make([]byte, 240)
	copy(message, []byte{1, 1, 6, 0, 'k', 'n', 'o', kind, 0, 0, 0x80})
	copy(message[28:], g.link.Attrs().HardwareAddr)
	copy(message[236:], []byte{99, 130, 83, 99})
	message = append(message, 53, 1, kind, 55, 8, 1, 3, 6, 12, 15, 26, 51, 121)
	message = append(append(message, options...), 255)
	buffer := make([]byte, 1500)
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); {
		if _, err := conn.WriteTo(message, &net.UDPAddr{IP: net.IPv4bcast, Port: 67}); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(minTime(deadline, time.Now().Add(2*time.Second))); err != nil {
			t.Fatal(err)
		}
		n, _, err := conn.ReadFrom(buffer)
		if err == nil && n > 240 && bytes.Equal(buffer[4:8], message[4:8]) {
			return parseLease(buffer[:n])
		}
	}
	return nil
}

func parseLease(message []byte) lease {
	l := lease{0: append([]byte(nil), message[16:20]...)}
	for b := message[240:]; len(b) > 2 && b[0] != 255; {
		if b[0] == 0 {
			b = b[1:]
			continue
		}
		l[b[0]] = append([]byte(nil), b[2:2+b[1]]...)
		b = b[2+b[1]:]
	}
	if bytes.Equal(l[53], []byte{6}) {
		return nil // refused
	}
	return l
}
