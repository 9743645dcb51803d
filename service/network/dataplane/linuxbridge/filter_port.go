package linuxbridge

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/dataplane"
)

// maxPorts bounds the numbers of marks.
const maxPorts = 1<<24 - 1

// filterPort puts a port's filters in place, in one transaction. changed is
// false if they were already so.
func (d *Driver) filterPort(ctx context.Context, p network.HostPort, bridge string) (changed bool, err error) {
	if err := d.sync(ctx); err != nil {
		return false, err
	}
	f := &d.filters
	device := network.TapName(p.ID)
	if !p.Secured {
		return d.openPort(ctx, device)
	}
	number := f.marks[device]
	if number == 0 {
		if number = f.freeNumber(); number > maxPorts {
			return false, fault.New(fault.OverLimit, "This host has %d filtered ports, and with that no mark for port %s.", maxPorts, p.ID)
		}
	}
	r := portRules{port: p, device: device, chain: short(p.ID), number: number}
	if _, zoned := f.zones[bridge]; !zoned {
		r.hostBridge = bridge
	}
	rules := r.text()
	if f.applied[device] == rules {
		return false, nil
	}
	text, elements := rules, r.hosted()
	for _, element := range f.hosted["to-"+r.chain] {
		if !slices.Contains(elements, element) {
			text += fmt.Sprintf("delete element inet %s hosted { %s : jump to-%s }\n", table, element, r.chain)
		}
	}
	if err := d.commit(ctx, text); err != nil {
		return false, err
	}
	f.taps[device], f.marks[device], f.hosted["to-"+r.chain] = true, number, elements
	f.applied[device] = rules
	return true, nil
}

// openPort takes a port's filters away, but for the one between a guest that is
// in no bridge and the host.
func (d *Driver) openPort(ctx context.Context, device string) (changed bool, err error) {
	f := &d.filters
	const open = "open"
	if f.applied[device] == open && f.marks[device] == 0 {
		return false, nil
	}
	text := f.withoutPort(device) + fmt.Sprintf("add element inet %s taps { %q }\n", table, device)
	if err := d.commit(ctx, text); err != nil {
		return false, err
	}
	f.forgetPort(device)
	f.taps[device], f.applied[device] = true, open
	return true, nil
}

// unfilterPort removes all that the ruleset has of a port.
func (d *Driver) unfilterPort(ctx context.Context, device string) error {
	if err := d.look(ctx); err != nil || !d.filters.taps[device] {
		return err
	}
	text := d.filters.withoutPort(device) +
		fmt.Sprintf("delete element inet %[1]s taps { %[2]q }\n", table, device)
	if err := d.commit(ctx, text); err != nil {
		return err
	}
	d.filters.forgetPort(device)
	return nil
}

// withoutPort returns the commands that remove a port's filters, none if it has
// none.
func (f *filters) withoutPort(device string) string {
	number := f.marks[device]
	if number == 0 {
		return ""
	}
	chain := strings.TrimPrefix(device, "tap")
	var b strings.Builder
	fmt.Fprintf(&b, "delete element bridge %s guards { %q : jump guard-%s }\n", table, device, chain)
	fmt.Fprintf(&b, "delete element bridge %s ports { %q : %#x }\n", table, device, markTo|number)
	fmt.Fprintf(&b, "delete element inet %s from { %#x : jump from-%s }\n", table, markFrom|number, chain)
	fmt.Fprintf(&b, "delete element inet %s to { %#x : jump to-%s }\n", table, markTo|number, chain)
	for _, element := range f.hosted["to-"+chain] {
		fmt.Fprintf(&b, "delete element inet %s hosted { %s : jump to-%s }\n", table, element, chain)
	}
	for _, c := range []string{"bridge " + table + " guard-", "inet " + table + " from-", "inet " + table + " to-"} {
		fmt.Fprintf(&b, "flush chain %[1]s%[2]s\ndelete chain %[1]s%[2]s\n", c, chain)
	}
	return b.String()
}

func (f *filters) forgetPort(device string) {
	delete(f.taps, device)
	delete(f.marks, device)
	delete(f.applied, device)
	delete(f.hosted, "to-"+strings.TrimPrefix(device, "tap"))
}

func (f *filters) freeNumber() uint32 {
	taken := map[uint32]bool{}
	for _, number := range f.marks {
		taken[number] = true
	}
	number := uint32(1)
	for taken[number] {
		number++
	}
	return number
}

// portRules writes the ruleset of one filtered port.
type portRules struct {
	port   network.HostPort
	device string
	chain  string // what follows guard-, from- and to-
	number uint32
	// hostBridge is the port's bridge if the host has addresses there.
	hostBridge string
}

// text returns the transaction that makes the port's filters, whatever was
// there before.
func (r portRules) text() string {
	var b strings.Builder
	for _, c := range []struct {
		name  string
		rules []string
	}{
		{"bridge " + table + " guard-" + r.chain, r.guard()},
		{"inet " + table + " from-" + r.chain, r.egress()},
		{"inet " + table + " to-" + r.chain, r.ingress()},
	} {
		fmt.Fprintf(&b, "add chain %[1]s\nflush chain %[1]s\n", c.name)
		for _, rule := range c.rules {
			fmt.Fprintf(&b, "add rule %s %s\n", c.name, rule)
		}
	}
	fmt.Fprintf(&b, "add element inet %s taps { %q }\n", table, r.device)
	fmt.Fprintf(&b, "add element inet %s from { %#x : jump from-%s }\n", table, markFrom|r.number, r.chain)
	fmt.Fprintf(&b, "add element inet %s to { %#x : jump to-%s }\n", table, markTo|r.number, r.chain)
	fmt.Fprintf(&b, "add element bridge %s ports { %q : %#x }\n", table, r.device, markTo|r.number)
	fmt.Fprintf(&b, "add element bridge %s guards { %q : jump guard-%s }\n", table, r.device, r.chain)
	for _, element := range r.hosted() {
		fmt.Fprintf(&b, "add element inet %s hosted { %s : jump to-%s }\n", table, element, r.chain)
	}
	return b.String()
}

// hosted returns by which addresses packets that the host routes or sends reach
// the port, if the host has addresses on its bridge. Address pairs are not among
// them: several ports may have the same one. The host cannot reach those.
func (r portRules) hosted() []string {
	if r.hostBridge == "" {
		return nil
	}
	var elements []string
	for _, a := range r.port.Addresses {
		if a.Is4() {
			elements = append(elements, fmt.Sprintf("%q . %s", r.hostBridge, a))
		}
	}
	return elements
}

// sources returns what the port may send from, by MAC address.
func (r portRules) sources() map[string][]netip.Prefix {
	own := hardwareAddr(r.port.MAC).String()
	allowed := map[string][]netip.Prefix{own: nil}
	for _, a := range r.port.Addresses {
		allowed[own] = append(allowed[own], netip.PrefixFrom(a, a.BitLen()))
	}
	for _, pair := range r.port.Pairs {
		mac := own
		if pair.MAC != "" {
			mac = hardwareAddr(pair.MAC).String()
		}
		allowed[mac] = append(allowed[mac], pair.CIDR)
	}
	for mac := range allowed {
		allowed[mac] = append(allowed[mac], linkLocal(mac))
	}
	return allowed
}

// guard returns the anti-spoofing rules: what may enter the bridge at all.
func (r portRules) guard() []string {
	sources := r.sources()
	macs := make([]string, 0, len(sources))
	for mac := range sources {
		macs = append(macs, mac)
	}
	slices.Sort(macs)
	rules := []string{
		fmt.Sprintf("meta mark set %#x", markFrom|r.number),
		// Anything else, and what carries a VLAN tag, would pass the inet hooks by.
		"ether type != { 0x0800, 0x0806, 0x86dd, 0x8035 } drop",
		fmt.Sprintf("ether saddr != { %s } drop", strings.Join(macs, ", ")),
		"ether type 0x8035 accept comment \"RARP: hypervisors announce a guest that has moved\"",
		"ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept",
		"ip6 saddr :: icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld-listener-report, mld2-listener-report } accept",
	}
	for _, mac := range macs {
		if v4 := family(sources[mac], true); len(v4) > 0 {
			probes := prefixes(append(v4, netip.PrefixFrom(netip.IPv4Unspecified(), 32)))
			rules = append(rules,
				fmt.Sprintf("ether saddr %[1]s arp saddr ether %[1]s arp saddr ip %[2]s accept", mac, probes),
				fmt.Sprintf("ether saddr %s ip saddr %s accept", mac, prefixes(v4)))
		}
		v6 := family(sources[mac], false)
		for _, p := range v6 {
			rules = append(rules, fmt.Sprintf("ether saddr %s ip6 saddr %s icmpv6 type nd-neighbor-advert %s accept",
				mac, prefixes(v6), advertises(p)))
		}
		rules = append(rules, fmt.Sprintf("ether saddr %s ip6 saddr %s icmpv6 type != nd-neighbor-advert accept", mac, prefixes(v6)),
			fmt.Sprintf("ether saddr %s ip6 saddr %s meta l4proto != ipv6-icmp accept", mac, prefixes(v6)))
	}
	return append(rules, "drop")
}

// advertises matches the target of a neighbour advertisement.
func advertises(p netip.Prefix) string {
	mask := make([]byte, 16)
	for bit := range p.Bits() {
		mask[bit/8] |= 0x80 >> (bit % 8)
	}
	address := p.Masked().Addr().As16()
	if p.Bits() == 128 {
		return "@th,64,128 == 0x" + hex.EncodeToString(address[:])
	}
	return fmt.Sprintf("@th,64,128 & 0x%s == 0x%s", hex.EncodeToString(mask), hex.EncodeToString(address[:]))
}

// egress returns the rules for what the guest sends.
func (r portRules) egress() []string {
	return r.directed("egress",
		"udp sport 68 udp dport 67 accept",
		"udp sport 546 udp dport 547 accept",
		"icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report, nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept",
	)
}

// ingress returns the rules for what the guest receives.
func (r portRules) ingress() []string {
	replies := []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 32)}
	for _, a := range r.port.Addresses {
		replies = append(replies, netip.PrefixFrom(a, a.BitLen()))
	}
	return r.directed("ingress",
		// What the host itself sends is known thereby as vetted.
		fmt.Sprintf("meta mark set %#x", markTo|r.number),
		fmt.Sprintf("udp sport 67 udp dport 68 ip daddr %s accept", prefixes(family(replies, true))),
		"udp sport 547 udp dport 546 ip6 daddr fe80::/10 accept",
		"icmpv6 type { mld-listener-query, mld-listener-report, mld2-listener-report, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept",
	)
}

func (r portRules) directed(direction string, always ...string) []string {
	rules := append(always, "ct state invalid drop")
	for _, rule := range r.port.Rules {
		if rule.Direction != direction {
			continue
		}
		if match, possible := ruleMatch(rule); possible {
			rules = append(rules, match+" accept")
		}
	}
	return append(rules, "drop")
}

// ruleMatch writes a security group's rule. Not possible is one that allows
// nobody: a remote group without members of its family.
func ruleMatch(rule network.SecurityRule) (match string, possible bool) {
	v4 := rule.EtherType == "IPv4"
	words := []string{"meta nfproto ipv4"}
	address := "ip saddr"
	if !v4 {
		words[0], address = "meta nfproto ipv6", "ip6 saddr"
	}
	if rule.Direction == "egress" {
		address = strings.Replace(address, "saddr", "daddr", 1)
	}
	if rule.RemoteGroup || len(rule.Remote) > 0 {
		remote := family(rule.Remote, v4)
		if len(remote) == 0 {
			return "", false
		}
		words = append(words, address+" "+prefixes(remote))
	}
	protocol := ruleProtocol(rule)
	if protocol != 0 {
		words = append(words, fmt.Sprintf("meta l4proto %d", protocol))
	}
	switch {
	case rule.Min == nil && rule.Max == nil:
	case dataplane.IsICMP(protocol):
		name := "icmp"
		if !v4 {
			name = "icmpv6"
		}
		words = append(words, fmt.Sprintf("%s type %d", name, *rule.Min))
		if rule.Max != nil {
			words = append(words, fmt.Sprintf("%s code %d", name, *rule.Max))
		}
	default:
		low, high := dataplane.PortRange(rule)
		words = append(words, fmt.Sprintf("th dport %d-%d", low, high))
	}
	return strings.Join(words, " "), true
}

// ruleProtocol returns a rule's protocol; "icmp" of IPv6 is ICMPv6, as upstream
// has it.
func ruleProtocol(rule network.SecurityRule) int {
	if rule.EtherType == "IPv6" && rule.Protocol == 1 {
		return 58
	}
	return rule.Protocol
}
