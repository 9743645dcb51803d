package linuxbridge

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/dataplane"
)

// metadataAddress is where guests look for metadata.
var metadataAddress = netip.MustParseAddr("169.254.169.254")

// EnsureNetwork implements dataplane.Driver.
func (d *Driver) EnsureNetwork(ctx context.Context, n network.HostNetwork) error {
	if err := dataplane.CheckNetwork(n); err != nil {
		return err
	}
	done, err := d.beginMaking(ctx)
	if err != nil {
		return err
	}
	defer done()
	bridge, err := d.ensureBridge(ctx, n)
	if err != nil {
		return fmt.Errorf("make the bridge of network %s: %w", n.ID, err)
	}
	if n.DHCP == nil {
		err = d.removeDHCP(ctx, n.ID)
	} else {
		err = d.ensureDHCP(ctx, n, bridge)
	}
	if err != nil {
		return fmt.Errorf("serve DHCP in network %s: %w", n.ID, err)
	}
	return nil
}

// RemoveNetwork implements dataplane.Driver.
func (d *Driver) RemoveNetwork(ctx context.Context, id string) error {
	done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	bridge, err := d.networkBridge(id)
	if err != nil {
		return err
	}
	if bridge != nil {
		if err := d.checkEmpty(id, bridge); err != nil {
			return err
		}
	}
	if err := d.removeDHCP(ctx, id); err != nil {
		return fmt.Errorf("end DHCP in network %s: %w", id, err)
	}
	if bridge == nil {
		return nil
	}
	return d.releaseBridge(ctx, bridge)
}

// checkEmpty refuses a bridge in which ports or routers are.
func (d *Driver) checkEmpty(id string, bridge netlink.Link) error {
	all, err := links(d.nl)
	if err != nil {
		return err
	}
	for _, link := range all {
		attrs := link.Attrs()
		if attrs.MasterIndex != bridge.Attrs().Index {
			continue
		}
		if router, ok := strings.CutPrefix(attrs.Alias, aliasRouter); ok {
			return fault.Conflictf("Network %s still has an interface of router %s on this host.", id, router)
		}
		if guestDevice(attrs.Name) && !ours(attrs.Alias) {
			return fault.Conflictf("Network %s still has a port on this host: its device is %s.", id, attrs.Name)
		}
	}
	return nil
}

// ensureDHCP makes the namespace in which DHCP and metadata are answered.
func (d *Driver) ensureDHCP(ctx context.Context, n network.HostNetwork, bridge netlink.Link) error {
	ns, made, err := ensureNamespace(dhcpNamespace(n.ID))
	if err != nil {
		return err
	}
	defer ns.close()
	if made {
		d.hangUp(n.ID) // that one listens in a former namespace
	}
	if err := ns.do(func() error { return endSysctls("0") }); err != nil {
		return err
	}
	l := leg{
		device:    dhcpLegName(n.DHCP.PortID),
		peer:      network.TapName(n.DHCP.PortID),
		alias:     aliasDHCP + n.ID,
		mac:       n.DHCP.MAC,
		addresses: append([]netip.Prefix{netip.PrefixFrom(metadataAddress, 32)}, n.DHCP.Addresses...),
		mtu:       bridge.Attrs().MTU,
		up:        true,
	}
	if err := d.removeLegs(ns, aliasDHCP+n.ID, l.device); err != nil {
		return err
	}
	inside, _, err := d.ensureLeg(ns, bridge, l)
	if err != nil {
		return err
	}
	if err := ensureRoutes(ns.nl, defaultRoute(inside, n)); err != nil {
		return err
	}
	return d.ensureDNSMasq(ctx, ns, n)
}

// removeDHCP ends what ensureDHCP made. id may be the part of one that is in a
// bridge's name: then there is no namespace.
func (d *Driver) removeDHCP(ctx context.Context, networkID string) error {
	if _, err := os.Stat(d.dhcpDir(networkID)); missing(err) {
		if _, err := os.Stat(filepath.Join(namespaceDir, dhcpNamespace(networkID))); missing(err) {
			return nil
		}
	}
	d.hangUp(networkID)
	if err := d.removeDNSMasq(ctx, networkID); err != nil {
		return err
	}
	return d.removeLegsAndNamespace(dhcpNamespace(networkID), aliasDHCP+networkID)
}

// removeLegsAndNamespace deletes a namespace with all legs to it, at once: the
// kernel would take its time.
func (d *Driver) removeLegsAndNamespace(name, alias string) error {
	ns, err := openNamespace(name)
	if err != nil {
		return err
	}
	if ns != nil {
		defer ns.close()
		if err := d.removeLegs(ns, alias); err != nil {
			return err
		}
	} else if err := d.removeOuterEnds(alias); err != nil {
		return err
	}
	return removeNamespace(name)
}

// removeLegs deletes the legs of a namespace except those to keep, named by
// their inner ends.
func (d *Driver) removeLegs(ns *namespace, alias string, keep ...string) error {
	inner, err := links(ns.nl)
	if err != nil {
		return err
	}
	kept := map[int]bool{}
	for _, link := range inner {
		if link.Type() != "veth" {
			continue
		}
		if contains(keep, link.Attrs().Name) {
			kept[link.Attrs().Index] = true
			continue
		}
		if err := deleteLink(ns.nl, link); err != nil {
			return err
		}
	}
	return d.removeOuterEnds(alias, keep...)
}

// removeOuterEnds deletes outer ends of legs whose inner one is not to be kept.
func (d *Driver) removeOuterEnds(alias string, keep ...string) error {
	outer, err := links(d.nl)
	if err != nil {
		return err
	}
	for _, link := range outer {
		id := strings.TrimPrefix(link.Attrs().Name, "tap")
		if link.Attrs().Alias != alias || contains(keep, dhcpLegName(id), routerLegName(id), gatewayLegName(id)) {
			continue
		}
		if err := deleteLink(d.nl, link); err != nil {
			return err
		}
	}
	return nil
}

func contains(all []string, any ...string) bool {
	for _, a := range all {
		for _, b := range any {
			if a == b {
				return true
			}
		}
	}
	return false
}

// endSysctls makes the calling thread's namespace an end system, or with
// forward "1" a router, that believes no router advertisement.
func endSysctls(forward string) error {
	if err := writeSysctl(ipForward, forward); err != nil {
		return err
	}
	for _, s := range [][2]string{
		{"net/ipv6/conf/all/forwarding", "0"},
		{"net/ipv6/conf/all/accept_ra", "0"},
		{"net/ipv6/conf/default/accept_ra", "0"},
		// A leg answers ARP for its own addresses only.
		{"net/ipv4/conf/all/arp_ignore", "1"},
		{"net/ipv4/conf/all/arp_announce", "2"},
	} {
		if err := writeSysctl(s[0], s[1]); err != nil && !missing(err) {
			return err
		}
	}
	return nil
}

// defaultRoute leads a DHCP server's own questions, for names, out by the first
// gateway.
func defaultRoute(inside netlink.Link, n network.HostNetwork) []route {
	for _, s := range n.Subnets {
		if !s.Gateway.Is4() || !s.CIDR.Contains(s.Gateway) {
			continue
		}
		for _, a := range n.DHCP.Addresses {
			if s.CIDR.Contains(a.Addr()) && a.Addr() != s.Gateway {
				return []route{{to: anywhere4, via: s.Gateway, device: inside.Attrs().Index}}
			}
		}
	}
	return nil
}
