package linuxbridge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/network"
)

// Files of one dnsmasq.
const (
	confFile    = "conf"
	hostsFile   = "hosts"   // reservations
	optionsFile = "options" // what goes with a lease
	namesFile   = "names"   // DNS
	leasesFile  = "leases"  // dnsmasq's own
	pidFile     = "pid"
	runningFile = "running" // digests of what the running one has read
)

// ensureDNSMasq has a dnsmasq run in the namespace that serves the network's
// reservations and nothing else.
func (d *Driver) ensureDNSMasq(ctx context.Context, ns *namespace, n network.HostNetwork) error {
	served := servedSubnets(n)
	dir := d.dhcpDir(n.ID)
	if len(served) == 0 {
		if _, err := os.Stat(dir); missing(err) {
			return nil
		}
		return d.removeDNSMasq(ctx, n.ID)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	texts := map[string]string{
		confFile:    d.dnsmasqConf(dir, n, served),
		hostsFile:   dnsmasqHosts(n, served),
		optionsFile: dnsmasqOptions(n, served),
		namesFile:   d.dnsmasqNames(n),
	}
	for name, text := range texts {
		if _, err := replaceFile(filepath.Join(dir, name), []byte(text)); err != nil {
			return err
		}
	}
	start := digest(texts[confFile])
	reload := digest(texts[hostsFile], texts[optionsFile], texts[namesFile])
	running, _ := os.ReadFile(filepath.Join(dir, runningFile))
	hasStart, hasReload, _ := strings.Cut(string(running), "\n")

	leases, stale := keptLeases(dir, n)
	process := findDNSMasq(dir, ns.inode)
	switch {
	case process == 0 || hasStart != start || stale:
		if err := d.stopDNSMasq(ctx, dir); err != nil {
			return err
		}
		if stale { // else it would not give the addresses to others
			if _, err := replaceFile(filepath.Join(dir, leasesFile), []byte(leases)); err != nil {
				return err
			}
		}
		if err := d.startDNSMasq(ctx, ns, dir); err != nil {
			return err
		}
	case hasReload != reload:
		if err := unix.Kill(process, unix.SIGHUP); err != nil {
			return fmt.Errorf("reload dnsmasq: %w", err)
		}
	default:
		return nil
	}
	_, err := replaceFile(filepath.Join(dir, runningFile), []byte(start+"\n"+reload))
	return err
}

func (d *Driver) startDNSMasq(ctx context.Context, ns *namespace, dir string) error {
	program, err := host.Find("dnsmasq")
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "This host has no dnsmasq (Debian: dnsmasq-base), without which there is no DHCP.")
	}
	_, err = d.run.Run(ctx, nil, "nsenter", "--net="+ns.path(), program, "--conf-file="+filepath.Join(dir, confFile))
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "dnsmasq does not start on this host.")
	}
	return nil
}

func (d *Driver) removeDNSMasq(ctx context.Context, networkID string) error {
	dir := d.dhcpDir(networkID)
	if err := d.stopDNSMasq(ctx, dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// dhcpSubnet is a subnet that DHCP serves, with the address it answers from.
type dhcpSubnet struct {
	network.HostSubnet
	server netip.Addr
}

func (s dhcpSubnet) tag() string { return "subnet-" + s.ID }

// servedSubnets returns the IPv4 subnets with DHCP in which the server has an
// address.
func servedSubnets(n network.HostNetwork) []dhcpSubnet {
	var served []dhcpSubnet
	for _, s := range n.Subnets {
		if !s.DHCP || !s.CIDR.Addr().Is4() {
			continue
		}
		for _, a := range n.DHCP.Addresses {
			if s.CIDR.Contains(a.Addr()) {
				served = append(served, dhcpSubnet{s, a.Addr()})
				break
			}
		}
	}
	return served
}

func (d *Driver) dnsmasqConf(dir string, n network.HostNetwork, served []dhcpSubnet) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	file := func(name string) string { return filepath.Join(dir, name) }
	line("interface=%s", dhcpLegName(n.DHCP.PortID))
	line("except-interface=lo\nbind-interfaces")
	line("pid-file=%s", file(pidFile))
	line("no-hosts\nno-resolv\ndomain=%[1]s\nlocal=/%[1]s/\nexpand-hosts", d.cfg.Domain)
	for _, server := range d.cfg.DNS {
		line("server=%s", server)
	}
	line("addn-hosts=%s", file(namesFile))
	line("dhcp-authoritative\nquiet-dhcp\nquiet-dhcp6")
	line("dhcp-hostsfile=%s\ndhcp-optsfile=%s\ndhcp-leasefile=%s", file(hostsFile), file(optionsFile), file(leasesFile))
	line("dhcp-lease-max=%d", 1<<17)
	for _, s := range served {
		line("dhcp-range=set:%s,%s,static,%s,%ds", s.tag(), s.CIDR.Masked().Addr(), netmask(s.CIDR), int(d.cfg.Lease/time.Second))
	}
	return b.String()
}

// dnsmasqHosts writes the reservations, the first address in each subnet.
func dnsmasqHosts(n network.HostNetwork, served []dhcpSubnet) string {
	var b strings.Builder
	for _, r := range n.DHCP.Reservations {
		for _, s := range served {
			i := slices.IndexFunc(r.Addresses, s.CIDR.Contains)
			if i < 0 {
				continue
			}
			name := ""
			if r.Hostname != "" {
				name = firstLabel(r.Hostname) + ","
			}
			// id:* because a guest's loader and its system name themselves differently.
			fmt.Fprintf(&b, "%s,id:*,%s%s\n", hardwareAddr(r.MAC), name, r.Addresses[i])
		}
	}
	return b.String()
}

func dnsmasqOptions(n network.HostNetwork, served []dhcpSubnet) string {
	var b strings.Builder
	if n.MTU != 0 {
		fmt.Fprintf(&b, "option:mtu,%d\n", n.MTU)
	}
	for _, s := range served {
		var gateway string
		if s.Gateway.IsValid() {
			gateway = "," + s.Gateway.String()
		}
		// Without a value dnsmasq does not name itself as router.
		fmt.Fprintf(&b, "tag:%s,option:router%s\n", s.tag(), gateway)
		// 249 is what Windows asked for before there was 121.
		routes := classlessRoutes(s, n.Subnets)
		for _, option := range []string{"option:classless-static-route", "249"} {
			fmt.Fprintf(&b, "tag:%s,%s,%s\n", s.tag(), option, strings.Join(routes, ","))
		}
		var servers []string
		for _, a := range s.DNS {
			if a.Is4() {
				servers = append(servers, a.String())
			}
		}
		if len(servers) == 0 {
			servers = []string{s.server.String()}
		}
		fmt.Fprintf(&b, "tag:%s,option:dns-server,%s\n", s.tag(), strings.Join(servers, ","))
	}
	return b.String()
}

// classlessRoutes returns option 121. A guest that knows it ignores the router
// option, so the default route is in it too.
func classlessRoutes(s dhcpSubnet, all []network.HostSubnet) []string {
	routes := []string{metadataAddress.String() + "/32", s.server.String()}
	for _, other := range all {
		if other.ID != s.ID && other.CIDR.Addr().Is4() {
			routes = append(routes, other.CIDR.Masked().String(), "0.0.0.0") // on the same wire
		}
	}
	for _, r := range s.Routes {
		if r.NextHop.Is4() {
			routes = append(routes, r.Destination.Masked().String(), r.NextHop.String())
		}
	}
	if s.Gateway.IsValid() {
		routes = append(routes, anywhere4.String(), s.Gateway.String())
	}
	return routes
}

// dnsmasqNames writes the names that DNS knows: those of the reservations.
func (d *Driver) dnsmasqNames(n network.HostNetwork) string {
	var b strings.Builder
	for _, r := range n.DHCP.Reservations {
		if r.Hostname == "" {
			continue
		}
		name := firstLabel(r.Hostname)
		for _, a := range r.Addresses {
			fmt.Fprintf(&b, "%s %s.%s %s\n", a, name, d.cfg.Domain, name)
		}
	}
	return b.String()
}

// keptLeases returns the leases that are still reserved, and whether there are
// others.
func keptLeases(dir string, n network.HostNetwork) (kept string, stale bool) {
	text, err := os.ReadFile(filepath.Join(dir, leasesFile))
	if err != nil {
		return "", false
	}
	reserved := map[string]bool{}
	for _, r := range n.DHCP.Reservations {
		for _, a := range r.Addresses {
			reserved[hardwareAddr(r.MAC).String()+" "+a.String()] = true
		}
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line) // expiry, MAC, address, name, client id
		if len(words) >= 3 && hardwareAddr(words[1]) != nil && !reserved[words[1]+" "+words[2]] {
			stale = true
			continue
		}
		b.WriteString(line)
	}
	return b.String(), stale
}

func netmask(p netip.Prefix) netip.Addr {
	mask, _ := netip.AddrFromSlice(ipNet(p).Mask)
	return mask
}

func firstLabel(name string) string {
	label, _, _ := strings.Cut(name, ".")
	return label
}

func digest(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		fmt.Fprintf(h, "%d\n%s", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))
}
