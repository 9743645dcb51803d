package linuxbridge

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/network"
)

// appliedNAT is the ruleset last given to a router's namespace.
type appliedNAT struct {
	inode uint64
	text  string
}

// ensureNAT puts the router's address translation in place in one transaction,
// and ends connections that it would have sent elsewhere.
func (d *Driver) ensureNAT(ctx context.Context, ns *namespace, r network.HostRouter) error {
	want := appliedNAT{ns.inode, natRules(r)}
	if d.routers[r.ID] == want {
		return nil
	}
	delete(d.routers, r.ID)
	program, err := host.Find("nft")
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "This host has no nft (Debian: nftables), without which there is no address translation.")
	}
	if _, err := d.run.Run(ctx, strings.NewReader(want.text), "nsenter", "--net="+ns.path(), program, "-f", "-"); err != nil {
		return fault.Wrap(err, fault.Unavailable, "The address translation of router %s cannot be changed.", r.ID)
	}
	if err := deleteFlows(ns.nl, unix.AF_INET, newMisled(r)); err != nil {
		return err
	}
	d.routers[r.ID] = want
	return nil
}

// natRules writes a router's ruleset, whatever was there before.
func natRules(r network.HostRouter) string {
	var b strings.Builder
	fmt.Fprintf(&b, "add table ip %[1]s\ndelete table ip %[1]s\n", table)
	own := gatewayAddress(r)
	if r.Gateway == nil || !own.IsValid() {
		return b.String()
	}
	var floating, fixed []string
	for _, f := range r.Floating {
		floating = append(floating, fmt.Sprintf("%s : %s", f.Floating, f.Fixed))
	}
	for from, to := range sourceNAT(r) {
		fixed = append(fixed, fmt.Sprintf("%s : %s", from, to))
	}
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("table ip %s {", table)
	line("map floating { type ipv4_addr : ipv4_addr; %s }", elements(floating))
	line("map fixed { type ipv4_addr : ipv4_addr; %s }", elements(fixed))
	line("chain prerouting { type nat hook prerouting priority -100; dnat to ip daddr map @floating; }")
	line("chain output { type nat hook output priority -100; dnat to ip daddr map @floating; }")
	gateway := gatewayLegName(r.Gateway.PortID)
	line("chain forward { type filter hook forward priority 0;")
	if r.SNAT {
		// Another tenant's router could be told to route here.
		line("iifname %q ct state new ct status & dnat == 0 drop comment \"addresses behind NAT are not reached from outside\";", gateway)
	}
	line("}\nchain postrouting { type nat hook postrouting priority 100;")
	line("iifname %[1]q oifname != %[1]q accept;", gateway)
	line("oifname != %q ct status & dnat == 0 accept;", gateway)
	line("snat to ip saddr map @fixed;")
	if r.SNAT {
		line("oifname %q snat to %s;", gateway, own)
	}
	line("oifname != %q snat to %s comment \"from inside to a floating IP: the answer has to come back here\";", gateway, own)
	line("}\n}")
	return b.String()
}

func elements(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return "elements = { " + strings.Join(all, ", ") + " };"
}

// gatewayAddress returns the IPv4 address that a router masquerades with, the
// zero Addr if it has none.
func gatewayAddress(r network.HostRouter) netip.Addr {
	if r.Gateway != nil {
		for _, p := range r.Gateway.Addresses {
			if p.Addr().Is4() {
				return p.Addr()
			}
		}
	}
	return netip.Addr{}
}

// sourceNAT returns which floating IP a fixed one shows outside: the first.
func sourceNAT(r network.HostRouter) map[netip.Addr]netip.Addr {
	shows := map[netip.Addr]netip.Addr{}
	for _, f := range r.Floating {
		if _, ok := shows[f.Fixed]; !ok {
			shows[f.Fixed] = f.Floating
		}
	}
	return shows
}

// misled matches connections that are translated by what is no longer so.
type misled struct {
	floating, fixed map[netip.Addr]netip.Addr
	own             netip.Addr
}

func newMisled(r network.HostRouter) misled {
	m := misled{floating: map[netip.Addr]netip.Addr{}, fixed: sourceNAT(r), own: gatewayAddress(r)}
	for _, f := range r.Floating {
		m.floating[f.Floating] = f.Fixed
	}
	return m
}

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (m misled) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	source, destination := address(flow.Forward.SrcIP), address(flow.Forward.DstIP)
	shown, reached := address(flow.Reverse.DstIP), address(flow.Reverse.SrcIP)
	if destination != reached && m.floating[destination] != reached {
		return true
	}
	return source != shown && shown != m.own && m.fixed[source] != shown
}
