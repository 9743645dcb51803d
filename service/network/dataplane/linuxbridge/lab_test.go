package linuxbridge

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"kilonova/internal/host"
	"kilonova/service/network"
)

// Packets on one machine take less than a millisecond: what has not come after
// quiet does not come; what is to come may take up to patience.
const (
	quiet    = 300 * time.Millisecond
	patience = 10 * time.Second
)

// lab is a host with a driver.
type lab struct {
	*Driver
	t   testing.TB
	dir string
}

var public = map[string]Physical{"public": {
	Bridge:     "br-public",
	Address:    []netip.Prefix{netip.MustParsePrefix("172.24.4.1/24")},
	Masquerade: true,
}}

func newLab(t testing.TB) *lab {
	needHost(t)
	dir, err := os.MkdirTemp("", "linuxbridge")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &lab{t: t, dir: dir}
	l.Driver = l.open()
	t.Cleanup(func() {
		if err := l.Clean(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// open returns a driver over the same host, as after a restart.
func (l *lab) open() *Driver {
	l.t.Helper()
	d, err := New(Config{StateDir: l.dir, Physical: public}, host.Local{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		l.t.Fatal(err)
	}
	return d
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) wire(p network.HostPort) {
	l.t.Helper()
	if wired, err := l.EnsurePort(l.t.Context(), p); err != nil || !wired {
		l.t.Fatalf("EnsurePort: wired %v, %v", wired, err)
	}
}

// guest is a namespace behind a tap, as a virtual machine is.
type guest struct {
	*namespace
	t    testing.TB
	link netlink.Link
}

// plugGuest makes a guest and the device of its port.
func (l *lab) plugGuest(name, device, mac string, addresses ...string) *guest {
	l.t.Helper()
	ns, _, err := ensureNamespace(name)
	l.must(err)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = device
	handle, err := netlink.NewHandle()
	l.must(err)
	defer handle.Close()
	l.must(handle.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerHardwareAddr: hardwareAddr(mac), PeerNamespace: netlink.NsFd(ns.fd)}))
	link, err := ns.nl.LinkByName("eth0")
	l.must(err)
	g := &guest{namespace: ns, t: l.t, link: link}
	l.t.Cleanup(func() {
		l.unplug(device)
		ns.close()
		if err := removeNamespace(name); err != nil {
			l.t.Error(err)
		}
	})
	for _, a := range addresses {
		l.must(ns.nl.AddrAdd(link, netlinkAddr(netip.MustParsePrefix(a))))
	}
	l.must(ns.nl.LinkSetUp(link))
	return g
}

// tap makes a device as QEMU has it.
func (l *lab) tap(device string) {
	l.t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = device
	l.must(netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP}))
	l.t.Cleanup(func() { l.unplug(device) })
}

func (l *lab) unplug(device string) {
	l.t.Helper()
	handle, err := netlink.NewHandle()
	l.must(err)
	defer handle.Close()
	link, err := findLink(handle, device)
	l.must(err)
	if link != nil {
		l.must(deleteLink(handle, link))
	}
}

// route gives the guest a default route.
func (g *guest) route(via string) {
	g.t.Helper()
	err := ensureRoutes(g.nl, []route{{to: anywhere4, via: netip.MustParseAddr(via), device: g.link.Attrs().Index}})
	if err != nil {
		g.t.Fatal(err)
	}
}

// address replaces the guest's addresses.
func (g *guest) address(addresses ...string) {
	g.t.Helper()
	var all []netip.Prefix
	for _, a := range addresses {
		all = append(all, netip.MustParsePrefix(a))
	}
	if _, err := ensureAddresses(g.nl, g.link, all); err != nil {
		g.t.Fatal(err)
	}
}

// ping tells whether an echo request is answered within the time.
func (n *namespace) ping(to string, wait time.Duration) bool {
	var answered bool
	err := n.do(func() error {
		conn, err := net.ListenPacket("ip4:icmp", "0.0.0.0")
		if err != nil {
			return err
		}
		defer conn.Close()
		target := &net.IPAddr{IP: net.ParseIP(to)}
		deadline := time.Now().Add(wait)
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
		for sequence := uint16(0); time.Now().Before(deadline); sequence++ {
			if _, err := conn.WriteTo(echo(sequence), target); err != nil && !isErrno(err, syscall.EHOSTUNREACH, syscall.ENETUNREACH) {
				return err
			}
			if err := conn.SetReadDeadline(minTime(deadline, time.Now().Add(quiet))); err != nil {
				return err
			}
			buffer := make([]byte, 1500)
			for !answered {
				read, from, err := conn.ReadFrom(buffer)
				if err != nil {
					break
				}
				answered = read > 0 && buffer[0] == 0 && from.String() == to // an echo reply
			}
			if answered {
				return nil
			}
		}
		return nil
	})
	return err == nil && answered
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// echo builds an ICMP echo request.
func echo(sequence uint16) []byte {
	packet := []byte{8, 0, 0, 0, 0x12, 0x34, byte(sequence >> 8), byte(sequence)}
	binary.BigEndian.PutUint16(packet[2:], checksum(packet))
	return packet
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// serve answers TCP connections by the address of who connects, and echoes.
func (n *namespace) serve(t testing.TB, address string) {
	t.Helper()
	var listener net.Listener
	err := n.do(func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintln(conn, conn.RemoteAddr().(*net.TCPAddr).IP)
				io.Copy(conn, conn)
			}()
		}
	}()
}

// dial connects, and returns what the server says of who connects.
func (n *namespace) dial(address string, wait time.Duration) (conn net.Conn, seen string, err error) {
	err = n.do(func() error {
		conn, err = net.DialTimeout("tcp", address, wait)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, "", err
	}
	if _, err := fmt.Fscanln(conn, &seen); err != nil {
		conn.Close()
		return nil, "", err
	}
	return conn, seen, nil
}

// speaks tells whether a connection still carries data both ways.
func speaks(conn net.Conn, wait time.Duration) bool {
	if _, err := conn.Write([]byte("x")); err != nil {
		return false
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return false
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err == nil
}

// reaches fails the test unless the guest's pings are, or are not, answered.
func (g *guest) reaches(to string, want bool) {
	g.t.Helper()
	wait := quiet
	if want {
		wait = patience
	}
	if got := g.ping(to, wait); got != want {
		g.t.Fatalf("%s pings %s: answered %v, want %v", g.name, to, got, want)
	}
}

// connects fails the test unless a TCP connection is, or is not, made.
func (g *guest) connects(to string, want bool) {
	g.t.Helper()
	wait := quiet
	if want {
		wait = patience
	}
	conn, _, err := g.dial(to, wait)
	if err == nil {
		conn.Close()
	}
	if err != nil && want {
		g.t.Fatalf("%s connects to %s: %v", g.name, to, err)
	}
	if err == nil && !want {
		g.t.Fatalf("%s connects to %s and should not", g.name, to)
	}
}
