package linuxbridge

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"kilonova/internal/fault"
	"kilonova/service/network"
)

func currentNamespace() (netns.NsHandle, *netlink.Handle, error) {
	fd, err := netns.Get()
	if err != nil {
		return -1, nil, err
	}
	handle, err := netlink.NewHandle()
	return fd, handle, err
}

// A guest of a private network, or one that is in no bridge, must not speak to
// the host, whatever address of the host's it tries.
func TestGuestsDoNotReachTheHost(t *testing.T) {
	l := newLab(t)
	l.outside() // the host has 203.0.113.1
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	p := samplePort(netA, 1, "10.0.0.11", pings)
	bridge, err := netlink.LinkByName(bridgeName(netA))
	l.must(err)
	host := l.here(&namespace{name: "the host"})
	inHost := (&guest{namespace: host, t: t}).udp("0.0.0.0:7000")
	g := l.guestOf(p)
	from := g.udp("10.0.0.11:7001")
	knock := func(mac string) bool {
		t.Helper()
		l.must(g.nl.NeighSet(&netlink.Neigh{LinkIndex: g.link.Attrs().Index, IP: []byte{10, 0, 0, 1}, HardwareAddr: hardwareAddr(mac), State: netlink.NUD_PERMANENT}))
		g.route("10.0.0.1")
		return receives(from, inHost, "203.0.113.1:7000")
	}

	if wired, err := l.EnsurePort(t.Context(), p); !wired || err != nil {
		t.Fatal(wired, err)
	}
	for _, device := range []string{bridgeName(netA), network.TapName(p.ID)} {
		if off, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + device + "/disable_ipv6"); err != nil || string(off) != "1\n" {
			t.Errorf("the host is an IPv6 neighbour on %s: %q, %v", device, off, err)
		}
	}
	if knock(bridge.Attrs().HardwareAddr.String()) {
		t.Error("the host took a packet through the bridge of a private network")
	}
	// Reserved group addresses pass a bridge by, to the host itself.
	frame := ethernet(hardwareAddr(p.MAC), hardwareAddr(p.MAC), 0x0800, udpPacket("10.0.0.11", "203.0.113.1", 9, 7000))
	copy(frame, []byte{0x01, 0x80, 0xc2, 0, 0, 0x0e})
	l.must(g.do(func() error { return send(g.link.Attrs().Index, frame) }))
	if heard(inHost, frame[len(frame)-18:]) {
		t.Error("the host took a packet that passed the bridge by")
	}
	handle, err := netlink.LinkByName(network.TapName(p.ID))
	l.must(err)
	l.must(netlink.LinkSetNoMaster(handle))
	if knock(handle.Attrs().HardwareAddr.String()) {
		t.Error("the host took a packet from a guest that is in no bridge")
	}
	// The same packet arrives where nothing forbids it, so the test can fail.
	l.must(l.RemovePort(t.Context(), p.ID))
	l.must(netlink.LinkSetUp(handle))
	eventually(t, func() bool { return knock(handle.Attrs().HardwareAddr.String()) })
}

// What the host sends or routes to a guest on its own bridge is filtered, too.
func TestHostReachesGuestsByTheirRules(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), publicNetwork()))
	beyond := l.outside()
	out, err := beyond.nl.LinkByName("eth0")
	l.must(err)
	l.must(ensureRoutes(beyond.nl, []route{{to: anywhere4, via: netip.MustParseAddr("203.0.113.1"), device: out.Attrs().Index}}))
	beyond.serve(t, "203.0.113.2:80")
	host := &guest{namespace: l.here(&namespace{name: "the host"}), t: t}
	host.serve(t, "172.24.4.1:80")
	p := samplePort(netP, 1, "172.24.4.20")
	g := l.guestOf(p)
	g.route("172.24.4.1")
	g.serve(t, "172.24.4.20:80")
	far := &guest{namespace: beyond, t: t}
	l.wire(p)
	g.connects("172.24.4.1:80", true)
	g.connects("203.0.113.2:80", true)
	host.connects("172.24.4.20:80", false)
	far.connects("172.24.4.20:80", false)
	p.Rules = append(p.Rules, tcp(80))
	l.wire(p)
	host.connects("172.24.4.20:80", true)
	far.connects("172.24.4.20:80", true)
	p.Rules = nil
	l.wire(p)
	g.connects("172.24.4.1:80", false)
	g.connects("203.0.113.2:80", false)
	host.connects("172.24.4.20:80", false)
}

// A firewall service that flushes all rules must not leave ports open.
func TestFlushedRulesComeBack(t *testing.T) {
	l := newLab(t)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	a, b := samplePort(netA, 1, "10.0.0.11"), samplePort(netA, 2, "10.0.0.12")
	ga, gb := l.guestOf(a), l.guestOf(b)
	gb.serve(t, "10.0.0.12:80")
	l.wire(a)
	l.wire(b)
	ga.connects("10.0.0.12:80", false)
	l.must(exec.Command("nft", "flush", "ruleset").Run())
	ga.connects("10.0.0.12:80", true)
	l.must(l.EnsureNetwork(t.Context(), localNetwork(netA, "10.0.0.0/24")))
	l.wire(a)
	l.wire(b)
	ga.connects("10.0.0.12:80", false)
}

func TestBorrowedBridgeIsGivenBack(t *testing.T) {
	l := newLab(t)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br-public"
	l.must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}))
	t.Cleanup(func() { l.unplug("br-public") })
	bridge, err := netlink.LinkByName("br-public")
	l.must(err)
	l.must(netlink.LinkSetAlias(bridge, "the operator's own"))
	l.must(l.EnsureNetwork(t.Context(), publicNetwork()))
	seen, err := l.open().Observe(t.Context())
	l.must(err)
	if !slices.Equal(seen.Networks, []string{netP}) {
		t.Errorf("observed %q", seen.Networks)
	}
	l.must(l.RemoveNetwork(t.Context(), netP))
	bridge, err = netlink.LinkByName("br-public")
	l.must(err)
	if got := bridge.Attrs().Alias; got != "the operator's own" {
		t.Errorf("the alias is %q", got)
	}
}

func TestCleanLeavesNothing(t *testing.T) {
	l := newLab(t)
	a, p := dhcpNetwork(netA, "10.0.0.0/24"), samplePort(netA, 1, "10.0.0.11", tcp(80))
	open := samplePort(netA, 2, "10.0.0.12")
	open.Secured = false
	l.guestOf(p)
	before := snapshot(t)
	for _, n := range []network.HostNetwork{a, dhcpNetwork(netB, "10.1.0.0/24"), publicNetwork()} {
		l.must(l.EnsureNetwork(t.Context(), n))
	}
	l.wire(p)
	if wired, err := l.EnsurePort(t.Context(), open); wired || err != nil {
		t.Fatal(wired, err)
	}
	r := network.HostRouter{ID: "dddddddd-0004-4000-8000-000000000004", AdminUp: true,
		Interfaces: []network.RouterLeg{routerLeg(netA, 10, "10.0.0.1/24")}}
	gateway(&r, 11, "172.24.4.50/24")
	l.must(l.EnsureRouter(t.Context(), r))
	if maps.Equal(before, snapshot(t)) {
		t.Fatal("the snapshot sees nothing")
	}
	// Half-made things, as a crash leaves them.
	l.must(os.WriteFile(filepath.Join(namespaceDir, "qdhcp-eeeeeeee-half"), nil, 0o444))
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "brqeeeeeeee-ee"
	l.must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}))

	l.must(l.open().Clean(t.Context())) // by one that has made nothing of it
	after := snapshot(t)
	for what := range after {
		if !before[what] {
			t.Errorf("left over: %s", what)
		}
	}
	for what := range before {
		if !after[what] {
			t.Errorf("missing: %s", what)
		}
	}
}

// snapshot lists what is on the host: devices, namespaces, rules, processes,
// sysctls.
func snapshot(t *testing.T) map[string]bool {
	t.Helper()
	seen := map[string]bool{}
	list, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range list {
		a := link.Attrs()
		seen[fmt.Sprintf("device %s in %d alias %q", a.Name, a.MasterIndex, a.Alias)] = true
	}
	entries, err := os.ReadDir(namespaceDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		seen["namespace "+e.Name()] = true
	}
	rules, err := exec.Command("nft", "list", "tables").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(rules)) {
		seen["rules "+strings.TrimSpace(line)] = true
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if line, err := os.ReadFile(p); err == nil && strings.Contains(string(line), os.TempDir()+"/linuxbridge") && strings.Contains(string(line), "dnsmasq") {
			seen["process "+strings.ReplaceAll(string(line), "\x00", " ")] = true
		}
	}
	for _, path := range []string{ipForward, "net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"} {
		value, err := os.ReadFile("/proc/sys/" + path)
		if err != nil {
			t.Fatal(err)
		}
		seen["sysctl "+path+" = "+strings.TrimSpace(string(value))] = true
	}
	return seen
}

func TestFlatNetworkByInterface(t *testing.T) {
	l := newLab(t)
	l.cfg.Physical = map[string]Physical{"wire": {Interface: "up0"}}
	beyond := l.outside()
	n := localNetwork(netA, "203.0.113.0/24")
	n.Type, n.Physical = "flat", "wire"
	if err := l.EnsureNetwork(t.Context(), n); !fault.Is(err, fault.Conflict) {
		t.Fatalf("an interface with an address was taken: %v", err)
	}
	up, err := netlink.LinkByName("up0")
	l.must(err)
	l.must(netlink.AddrDel(up, netlinkAddr(netip.MustParsePrefix("203.0.113.1/24"))))
	l.must(l.EnsureNetwork(t.Context(), n))
	p := samplePort(netA, 1, "203.0.113.11", pings)
	g := l.guestOf(p)
	l.wire(p)
	g.reaches("203.0.113.2", true)
	if !beyond.ping("203.0.113.11", patience) {
		t.Error("the guest is not reached from the wire")
	}
	l.must(l.RemovePort(t.Context(), p.ID))
	l.must(l.RemoveNetwork(t.Context(), netA))
	if up, err = netlink.LinkByName("up0"); err != nil || up.Attrs().MasterIndex != 0 {
		t.Errorf("the interface is not free again: %v", err)
	}

	n.Physical = "unknown"
	if err := l.EnsureNetwork(t.Context(), n); !fault.Is(err, fault.Unsupported) {
		t.Errorf("an unknown physical network: %v", err)
	}
	n.Type = "vxlan"
	if err := l.EnsureNetwork(t.Context(), n); !fault.Is(err, fault.Unsupported) {
		t.Errorf("a type that bridges do not carry: %v", err)
	}
}
