package linuxbridge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"kilonova/internal/fault"
	"kilonova/service/network"
)

const ipForward = "net/ipv4/ip_forward"

// prepare makes the host ready for the first network.
func (d *Driver) prepare(ctx context.Context) error {
	if err := os.MkdirAll(d.cfg.StateDir, 0o755); err != nil {
		return fault.Wrap(err, fault.Unavailable, "The state folder %s of the network dataplane cannot be made.", d.cfg.StateDir)
	}
	if _, err := os.Stat("/proc/sys/net/bridge"); errors.Is(err, fs.ErrNotExist) {
		if _, err := d.run.Run(ctx, nil, "modprobe", "br_netfilter"); err != nil {
			return fault.Wrap(err, fault.Unavailable, "This host's kernel has no br_netfilter, without which there are no security groups.")
		}
	}
	for _, path := range []string{"net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"} {
		if err := d.changeSysctl(path, "1"); err != nil {
			return fault.Wrap(err, fault.Unavailable, "Bridged packets cannot be filtered on this host.")
		}
	}
	return nil
}

// physical returns the name of a network's bridge and what is behind it.
func (d *Driver) physical(n network.HostNetwork) (bridge string, p Physical, err error) {
	switch n.Type {
	case "local":
		return bridgeName(n.ID), Physical{}, nil
	case "flat":
		p, ok := d.cfg.Physical[n.Physical]
		if !ok {
			return "", p, fault.New(fault.Unsupported, "Network %s is on the physical network %q, for which this host has no bridge or interface configured.", n.ID, n.Physical)
		}
		if p.Bridge == "" {
			return bridgeName(n.ID), p, nil
		}
		return p.Bridge, p, nil
	case "vlan":
		below, ok := d.cfg.Physical[n.Physical]
		if !ok || below.Interface == "" {
			return "", below, fault.New(fault.Unsupported, "Network %s is a VLAN of the physical network %q, for which this host has no interface configured.", n.ID, n.Physical)
		}
		return bridgeName(n.ID), Physical{Interface: vlanName(below.Interface, n.Segmentation)}, nil
	}
	return "", Physical{}, fault.New(fault.Unsupported, "Network %s is of type %q; Linux bridges here carry local, flat and VLAN ones.", n.ID, n.Type)
}

// ensureBridge makes the network's bridge, or borrows the operator's.
func (d *Driver) ensureBridge(ctx context.Context, n network.HostNetwork) (netlink.Link, error) {
	name, p, err := d.physical(n)
	if err != nil {
		return nil, err
	}
	bridge, made, err := d.claimBridge(name, p, n.ID)
	if err != nil {
		return nil, err
	}
	if p.Masquerade {
		if err := d.ensureForwarding(ctx); err != nil {
			return nil, err
		}
	}
	hosted := len(p.Address) > 0
	if err := d.filterBridge(ctx, name, hosted, masqueraded(p)); err != nil {
		return nil, err
	}
	if !made {
		return bridge, nil
	}
	if mtu := n.MTU; mtu != 0 && bridge.Attrs().MTU != mtu {
		if err := d.nl.LinkSetMTU(bridge, mtu); err != nil {
			return nil, fmt.Errorf("set MTU %d of bridge %s: %w", mtu, name, err)
		}
		bridge.Attrs().MTU = mtu
	}
	if hosted {
		if _, err := ensureAddresses(d.nl, bridge, p.Address); err != nil {
			return nil, fmt.Errorf("set addresses of bridge %s: %w", name, err)
		}
	} else if err := quietDevice(name); err != nil {
		return nil, err
	}
	if n.Type == "vlan" {
		if err := d.ensureVLAN(d.cfg.Physical[n.Physical].Interface, p.Interface, n); err != nil {
			return nil, err
		}
	}
	if p.Interface != "" {
		if err := d.uplink(p.Interface, bridge); err != nil {
			return nil, err
		}
	}
	return bridge, setUp(d.nl, bridge, true)
}

// claimBridge finds or makes a bridge and writes on it whose it is.
func (d *Driver) claimBridge(name string, p Physical, networkID string) (bridge netlink.Link, made bool, err error) {
	bridge, err = d.link(name)
	if err != nil {
		return nil, false, err
	}
	if bridge == nil {
		attrs, snooping := netlink.NewLinkAttrs(), false
		attrs.Name = name
		if err := d.nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}); err != nil {
			return nil, false, fmt.Errorf("make bridge %s: %w", name, err)
		}
		if bridge, err = d.nl.LinkByName(name); err != nil {
			return nil, false, fmt.Errorf("find bridge %s: %w", name, err)
		}
		// Else it would change with each device that is put in.
		if p.Interface == "" {
			if err := d.nl.LinkSetHardwareAddr(bridge, bridge.Attrs().HardwareAddr); err != nil {
				return nil, false, fmt.Errorf("keep the MAC address of bridge %s: %w", name, err)
			}
		}
		return bridge, true, d.nl.LinkSetAlias(bridge, aliasNetwork+networkID)
	}
	alias := bridge.Attrs().Alias
	owner, claimed := bridgeNetwork(alias)
	switch {
	case bridge.Type() != "bridge":
		return nil, false, fault.Conflictf("The device %s, needed for network %s, is not a bridge.", name, networkID)
	case claimed && owner != networkID:
		return nil, false, fault.Conflictf("The bridge %s, needed for network %s, is network %s's.", name, networkID, owner)
	case claimed:
		return bridge, strings.HasPrefix(alias, aliasNetwork), nil
	case p.Bridge != "":
		return bridge, false, d.nl.LinkSetAlias(bridge, strings.TrimSpace(aliasBorrowed+networkID+" "+alias))
	default: // made, but not to the end
		return bridge, true, d.nl.LinkSetAlias(bridge, aliasNetwork+networkID)
	}
}

// uplink puts a physical interface into the bridge of its network.
func (d *Driver) uplink(name string, bridge netlink.Link) error {
	link, err := d.link(name)
	if err != nil {
		return err
	}
	if link == nil {
		return fault.New(fault.Unavailable, "The interface %s, which is to be in bridge %s, does not exist.", name, bridge.Attrs().Name)
	}
	if link.Attrs().MasterIndex != bridge.Attrs().Index {
		if link.Attrs().MasterIndex != 0 {
			return fault.Conflictf("The interface %s, which is to be in bridge %s, is in another one.", name, bridge.Attrs().Name)
		}
		have, err := addresses(d.nl, link)
		if err != nil {
			return err
		}
		for _, a := range have {
			if !a.Addr().IsLinkLocalUnicast() {
				return fault.Conflictf("The interface %s has the address %s, which would be lost in bridge %s.", name, a, bridge.Attrs().Name)
			}
		}
	}
	return d.enslave(link, bridge, 0, true)
}

// ensureForwarding turns on the host's IP forwarding. If it was off, the host
// has been no router and does not become one but for our bridges: that rule
// stands before.
func (d *Driver) ensureForwarding(ctx context.Context) error {
	remembered, err := d.rememberSysctl(ipForward, "1")
	if err != nil {
		return err
	}
	if remembered {
		d.filters.based = false
	}
	if err := d.sync(ctx); err != nil {
		return err
	}
	return writeSysctl(ipForward, "1")
}

// releaseForwarding restores the host's IP forwarding when no bridge needs it.
func (d *Driver) releaseForwarding(ctx context.Context) error {
	if !d.forwarding() {
		return nil
	}
	for _, p := range d.cfg.Physical {
		if !p.Masquerade {
			continue
		}
		bridge, err := d.link(p.Bridge)
		if err != nil {
			return err
		}
		if bridge != nil && ours(bridge.Attrs().Alias) {
			return nil
		}
	}
	if err := d.restoreSysctl(ipForward); err != nil {
		return err
	}
	d.filters.based = false
	if err := d.look(ctx); err != nil || !d.filters.present {
		return err
	}
	return d.sync(ctx)
}

// networkBridge returns the bridge of a network that has been made, nil if it
// has not. id may be the part of one that is in a bridge's name.
func (d *Driver) networkBridge(id string) (netlink.Link, error) {
	bridge, err := d.link(bridgeName(id))
	if err != nil {
		return nil, err
	}
	if bridge != nil {
		owner, claimed := bridgeNetwork(bridge.Attrs().Alias)
		if owner == id || !claimed && id == short(id) {
			return bridge, nil
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.cfg.Physical)) {
		p := d.cfg.Physical[name]
		if p.Bridge == "" {
			continue
		}
		bridge, err := d.link(p.Bridge)
		if err != nil {
			return nil, err
		}
		if bridge != nil {
			if owner, claimed := bridgeNetwork(bridge.Attrs().Alias); claimed && owner == id {
				return bridge, nil
			}
		}
	}
	return nil, nil
}

// releaseBridge deletes a network's bridge, or gives the operator's back.
func (d *Driver) releaseBridge(ctx context.Context, bridge netlink.Link) error {
	name, alias := bridge.Attrs().Name, bridge.Attrs().Alias
	var hidden []string
	for _, p := range d.cfg.Physical {
		if p.Bridge == name {
			hidden = masqueraded(p)
		}
	}
	if id, known := bridgeNetwork(alias); known {
		if err := d.removeVLAN(id); err != nil {
			return err
		}
	}
	if former, borrowed := strings.CutPrefix(alias, aliasBorrowed); borrowed {
		_, former, _ = strings.Cut(former, " ")
		if err := d.nl.LinkSetAlias(bridge, former); err != nil {
			return fmt.Errorf("restore the alias of bridge %s: %w", name, err)
		}
	} else {
		if err := setUp(d.nl, bridge, false); err != nil { // from here on nothing passes
			return err
		}
		if err := deleteLink(d.nl, bridge); err != nil {
			return err
		}
	}
	if err := d.unfilterBridge(ctx, name, hidden); err != nil {
		return err
	}
	return d.releaseForwarding(ctx)
}

// masqueraded returns the prefixes that are hidden behind the host's address.
func masqueraded(p Physical) []string {
	if !p.Masquerade {
		return nil
	}
	var all []string
	for _, prefix := range family(append([]netip.Prefix(nil), p.Address...), true) {
		all = append(all, prefixText(prefix))
	}
	return all
}
