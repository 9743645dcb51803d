package linuxbridge

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"kilonova/internal/fault"
)

// leg is a veth pair between a bridge and a namespace: how DHCP servers and
// routers stand in a network.
type leg struct {
	device    string // the end in the namespace
	peer      string // the end in the bridge
	alias     string // of the end in the bridge
	mac       string
	addresses []netip.Prefix
	mtu       int
	up        bool
}

// ensureLeg makes a leg and returns its inner end and the addresses that are
// new on it.
func (d *Driver) ensureLeg(ns *namespace, bridge netlink.Link, l leg) (netlink.Link, []netip.Prefix, error) {
	inside, err := d.pair(ns, l)
	if err != nil {
		return nil, nil, err
	}
	if err := d.attach(l.peer, l.alias, bridge, l.mtu); err != nil {
		return nil, nil, err
	}
	if hw := hardwareAddr(l.mac); inside.Attrs().HardwareAddr.String() != hw.String() {
		if err := ns.nl.LinkSetHardwareAddr(inside, hw); err != nil {
			return nil, nil, fmt.Errorf("set MAC address %s of %s in %s: %w", l.mac, l.device, ns.name, err)
		}
	}
	if inside.Attrs().MTU != l.mtu {
		if err := ns.nl.LinkSetMTU(inside, l.mtu); err != nil {
			return nil, nil, fmt.Errorf("set MTU %d of %s in %s: %w", l.mtu, l.device, ns.name, err)
		}
	}
	fresh, err := ensureAddresses(ns.nl, inside, l.addresses)
	if err != nil {
		return nil, nil, fmt.Errorf("set addresses of %s in %s: %w", l.device, ns.name, err)
	}
	if err := setUp(ns.nl, inside, l.up); err != nil {
		return nil, nil, err
	}
	return inside, fresh, nil
}

// pair returns the inner end of a leg's veth pair, which it makes unless both
// ends are there and each other's.
func (d *Driver) pair(ns *namespace, l leg) (netlink.Link, error) {
	inside, err := findLink(ns.nl, l.device)
	if err != nil {
		return nil, err
	}
	outside, err := d.link(l.peer)
	if err != nil {
		return nil, err
	}
	if inside != nil && outside != nil && outside.Type() == "veth" &&
		inside.Attrs().ParentIndex == outside.Attrs().Index && outside.Attrs().ParentIndex == inside.Attrs().Index {
		return inside, nil
	}
	if outside != nil {
		if outside.Type() != "veth" {
			return nil, fault.Conflictf("The device %s, needed in %s, exists and is not ours.", l.peer, ns.name)
		}
		if err := deleteLink(d.nl, outside); err != nil {
			return nil, err
		}
		if inside, err = findLink(ns.nl, l.device); err != nil {
			return nil, err
		}
	}
	if inside != nil {
		if err := deleteLink(ns.nl, inside); err != nil {
			return nil, err
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = l.peer, l.mtu
	veth := &netlink.Veth{
		LinkAttrs:        attrs,
		PeerName:         l.device,
		PeerHardwareAddr: hardwareAddr(l.mac),
		PeerNamespace:    netlink.NsFd(ns.fd),
	}
	if err := d.nl.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("make %s with %s in %s: %w", l.peer, l.device, ns.name, err)
	}
	if inside, err = ns.nl.LinkByName(l.device); err != nil {
		return nil, fmt.Errorf("find %s in %s: %w", l.device, ns.name, err)
	}
	return inside, nil
}

// attach names the outer end of a leg and puts it into its bridge.
func (d *Driver) attach(device, alias string, bridge netlink.Link, mtu int) error {
	link, err := d.nl.LinkByName(device)
	if err != nil {
		return fmt.Errorf("find %s: %w", device, err)
	}
	if link.Attrs().Alias != alias {
		if err := d.nl.LinkSetAlias(link, alias); err != nil {
			return fmt.Errorf("set the alias of %s: %w", device, err)
		}
	}
	return d.enslave(link, bridge, mtu, true)
}

// enslave puts a device into a bridge, silent as a part of the host.
func (d *Driver) enslave(link, bridge netlink.Link, mtu int, up bool) error {
	attrs := link.Attrs()
	if attrs.MTU != mtu && mtu > 0 {
		if err := d.nl.LinkSetMTU(link, mtu); err != nil {
			return fmt.Errorf("set MTU %d of %s: %w", mtu, attrs.Name, err)
		}
	}
	if attrs.MasterIndex != bridge.Attrs().Index {
		if err := quietDevice(attrs.Name); err != nil {
			return err
		}
		if err := d.nl.LinkSetMaster(link, bridge); err != nil {
			return fmt.Errorf("put %s into bridge %s: %w", attrs.Name, bridge.Attrs().Name, err)
		}
	}
	return setUp(d.nl, link, up)
}

func setUp(nl *netlink.Handle, link netlink.Link, up bool) (err error) {
	if (link.Attrs().Flags&net.FlagUp != 0) == up {
		return nil
	}
	if up {
		err = nl.LinkSetUp(link)
	} else {
		err = nl.LinkSetDown(link)
	}
	if err != nil {
		return fmt.Errorf("switch %s: %w", link.Attrs().Name, err)
	}
	return nil
}

// deleteLink deletes a device; one that is gone is deleted.
func deleteLink(nl *netlink.Handle, link netlink.Link) error {
	err := nl.LinkDel(link)
	if err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s: %w", link.Attrs().Name, err)
	}
	return nil
}

// ensureAddresses gives a device exactly these addresses, besides link-local
// ones of IPv6, and returns those that it did not have.
func ensureAddresses(nl *netlink.Handle, link netlink.Link, want []netip.Prefix) (fresh []netip.Prefix, err error) {
	have, err := addresses(nl, link)
	if err != nil {
		return nil, err
	}
	gone := false
	for _, a := range have {
		if slices.Contains(want, a) || a.Addr().Is6() && a.Addr().IsLinkLocalUnicast() {
			continue
		}
		if err := nl.AddrDel(link, netlinkAddr(a)); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return nil, fmt.Errorf("remove address %s: %w", a, err)
		}
		gone = true
	}
	if gone { // with an address the kernel removes those secondary to it
		if have, err = addresses(nl, link); err != nil {
			return nil, err
		}
	}
	for _, a := range want {
		if slices.Contains(have, a) {
			continue
		}
		if err := nl.AddrAdd(link, netlinkAddr(a)); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("add address %s: %w", a, err)
		}
		fresh = append(fresh, a)
	}
	return fresh, nil
}

func addresses(nl *netlink.Handle, link netlink.Link) ([]netip.Prefix, error) {
	list, err := nl.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
	}
	all := make([]netip.Prefix, 0, len(list))
	for _, a := range list {
		ip, _ := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		all = append(all, netip.PrefixFrom(ip.Unmap(), bits))
	}
	return all, nil
}

func netlinkAddr(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD // control has given it to nobody else
	}
	return a
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
