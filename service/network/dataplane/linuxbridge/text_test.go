package linuxbridge

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/network"
)

func TestNewRefusesBadConfiguration(t *testing.T) {
	address := []netip.Prefix{netip.MustParsePrefix("172.24.4.1/24")}
	for name, cfg := range map[string]Config{
		"no state folder":       {},
		"relative state folder": {StateDir: "state"},
		"nothing behind":        {StateDir: "/s", Physical: map[string]Physical{"p": {}}},
		"quote in a name":       {StateDir: "/s", Physical: map[string]Physical{"p": {Bridge: `br"; flush`}}},
		"long name":             {StateDir: "/s", Physical: map[string]Physical{"p": {Bridge: "a-bridge-of-16-c"}}},
		"one bridge for two":    {StateDir: "/s", Physical: map[string]Physical{"p": {Bridge: "br0"}, "q": {Bridge: "br0"}}},
		"no address":            {StateDir: "/s", Physical: map[string]Physical{"p": {Bridge: "br0", Masquerade: true}}},
		"address on no bridge":  {StateDir: "/s", Physical: map[string]Physical{"p": {Interface: "eth1", Address: address}}},
		"bad address":           {StateDir: "/s", Physical: map[string]Physical{"p": {Bridge: "br0", Address: []netip.Prefix{{}}}}},
		"bad domain":            {StateDir: "/s", Domain: "a\nb"},
		"short lease":           {StateDir: "/s", Lease: 1},
	} {
		if _, err := New(cfg, host.Local{}, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Config{StateDir: "/s", Physical: public}, host.Local{}, nil); err != nil {
		t.Error(err)
	}
}

func TestRuleMatch(t *testing.T) {
	n := func(i int) *int { return &i }
	remote := []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		rule network.SecurityRule
		want string
	}{
		{network.SecurityRule{Direction: "ingress", EtherType: "IPv4"}, "meta nfproto ipv4"},
		{network.SecurityRule{Direction: "egress", EtherType: "IPv6"}, "meta nfproto ipv6"},
		{network.SecurityRule{Direction: "ingress", EtherType: "IPv4", Remote: remote}, "meta nfproto ipv4 ip saddr { 10.0.0.0/8 }"},
		{network.SecurityRule{Direction: "egress", EtherType: "IPv6", Remote: remote, Protocol: 6}, "meta nfproto ipv6 ip6 daddr { fd00::/8 } meta l4proto 6"},
		{network.SecurityRule{Direction: "ingress", EtherType: "IPv4", Remote: remote[2:]}, ""},
		{network.SecurityRule{Direction: "ingress", EtherType: "IPv4", RemoteGroup: true}, ""},
		{network.SecurityRule{Direction: "ingress", EtherType: "IPv4", Protocol: 17, Min: n(5), Max: n(9)}, "meta nfproto ipv4 meta l4proto 17 th dport 5-9"},
		{network.SecurityRule{Direction: "ingress", EtherType: "IPv4", Protocol: 132, Min: n(5)}, "meta nfproto ipv4 meta l4proto 132 th dport 5-65535"},
		{network.SecurityRule{Direction: "ingress", EtherType: "IPv4", Protocol: 1, Min: n(8), Max: n(0)}, "meta nfproto ipv4 meta l4proto 1 icmp type 8 icmp code 0"},
		{network.SecurityRule{Direction: "ingress", EtherType: "IPv6", Protocol: 1, Min: n(128)}, "meta nfproto ipv6 meta l4proto 58 icmpv6 type 128"},
	} {
		match, possible := ruleMatch(tt.rule)
		if match != tt.want || possible != (tt.want != "") {
			t.Errorf("%+v: %q, %v; want %q", tt.rule, match, possible, tt.want)
		}
	}
}

func TestRuleAllows(t *testing.T) {
	low, high := 80, 90
	web := network.SecurityRule{EtherType: "IPv4", Protocol: 6, Min: &low, Max: &high, Remote: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	nobody := network.SecurityRule{EtherType: "IPv4", RemoteGroup: true}
	all := network.SecurityRule{EtherType: "IPv6"}
	for _, tt := range []struct {
		rule           network.SecurityRule
		protocol, port int
		remote         string
		want           bool
	}{
		{web, 6, 80, "10.1.1.1", true},
		{web, 6, 90, "10.1.1.1", true},
		{web, 6, 91, "10.1.1.1", false},
		{web, 17, 80, "10.1.1.1", false},
		{web, 6, 80, "11.1.1.1", false},
		{nobody, 6, 80, "10.1.1.1", false},
		{all, 6, 80, "10.1.1.1", false},
		{all, 6, 80, "fd00::1", true},
	} {
		if got := ruleAllows(tt.rule, tt.protocol, tt.port, netip.MustParseAddr(tt.remote)); got != tt.want {
			t.Errorf("%+v allows protocol %d port %d of %s: %v", tt.rule, tt.protocol, tt.port, tt.remote, got)
		}
	}
}

func TestFamilyLeavesNoOverlap(t *testing.T) {
	var all []netip.Prefix
	for _, s := range []string{"10.0.0.5/32", "10.0.0.0/24", "10.0.0.0/24", "9.0.0.0/8", "fd00::1/128", "10.0.1.0/24", "fd00::/64"} {
		all = append(all, netip.MustParsePrefix(s))
	}
	if got := prefixes(family(all, true)); got != "{ 9.0.0.0/8, 10.0.0.0/24, 10.0.1.0/24 }" {
		t.Error(got)
	}
	if got := prefixes(family(all, false)); got != "{ fd00::/64 }" {
		t.Error(got)
	}
}

// What the packet filter says of elements must be what deletes them again.
func TestElementsAreReadBack(t *testing.T) {
	answer := `{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"map": {"name": "hosted", "elem": [[{"concat": ["br-public", "172.24.4.20"]}, {"jump": {"target": "to-ca000000-00"}}]]}}]}`
	d := &Driver{filters: newFilters(), run: &host.Recorder{Answer: func(string) ([]byte, error) { return []byte(answer), nil }}}
	found, err := d.readElements(t.Context(), "map", "inet", "hosted", d.filters.takeHosted)
	if err != nil || !found || !slices.Equal(d.filters.hosted["to-ca000000-00"], []string{`"br-public" . 172.24.4.20`}) {
		t.Fatalf("%v, %v, %v", found, err, d.filters.hosted)
	}
	gone := &Driver{filters: newFilters(), run: &host.Recorder{Answer: func(string) ([]byte, error) {
		return nil, &host.ExitError{Code: 1, Stderr: "Error: No such file or directory"}
	}}}
	if found, err := gone.readElements(t.Context(), "set", "inet", "taps", gone.filters.takeTap); found || err != nil {
		t.Fatalf("without a table: %v, %v", found, err)
	}
}

func TestDNSMasqOfTwoSubnets(t *testing.T) {
	n := dhcpNetwork(netA, "10.0.0.0/24", samplePort(netA, 1, "10.0.0.11"))
	n.Subnets = append(n.Subnets, network.HostSubnet{ID: "second", CIDR: netip.MustParsePrefix("10.9.0.0/16"), DHCP: true},
		network.HostSubnet{ID: "silent", CIDR: netip.MustParsePrefix("10.8.0.0/16")})
	n.DHCP.Addresses = append(n.DHCP.Addresses, netip.MustParsePrefix("10.9.0.2/16"), netip.MustParsePrefix("10.8.0.2/16"))
	n.DHCP.Reservations[0].Addresses = append(n.DHCP.Reservations[0].Addresses, netip.MustParseAddr("10.9.0.11"), netip.MustParseAddr("10.8.0.11"))
	served := servedSubnets(n)
	want := macOf(netA, 1) + ",id:*,guest-ab,10.0.0.11\n" + macOf(netA, 1) + ",id:*,guest-ab,10.9.0.11\n"
	if got := dnsmasqHosts(n, served); got != want {
		t.Errorf("reservations are\n%swant\n%s", got, want)
	}
	options := dnsmasqOptions(n, served)
	if line := "tag:subnet-second,option:classless-static-route,169.254.169.254/32,10.9.0.2,10.0.0.0/24,0.0.0.0,10.8.0.0/16,0.0.0.0\n"; !strings.Contains(options, line) {
		t.Errorf("options are\n%swithout\n%s", options, line)
	}
}
