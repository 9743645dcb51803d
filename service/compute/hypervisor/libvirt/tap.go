package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// Plug implements hypervisor.Plugger: a persistent tap, one queue, down. The
// network agent puts its filters in place, bridges it and sets it up; until then
// nothing of the guest reaches the host.
func (d *Driver) Plug(ctx context.Context, nic hypervisor.NIC) error {
	if err := nic.Check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return plugTap(compute.TapName(nic.PortID), nic.MAC, nic.MTU)
}

// Unplug implements hypervisor.Plugger.
func (d *Driver) Unplug(ctx context.Context, nic hypervisor.NIC) error {
	if err := nic.Check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return unplugTap(compute.TapName(nic.PortID))
}

func plugTap(name, guestMAC string, size int) error {
	link, err := netlink.LinkByName(name)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		link, err = addTap(name, guestMAC)
	}
	if err != nil {
		return fmt.Errorf("plug %s: %w", name, err)
	}
	if link.Type() != "tuntap" && link.Type() != "tun" {
		return fault.Conflictf("The device %s is in the way: it is of the kind %s and not a tap.", name, link.Type())
	}
	if size != 0 && link.Attrs().MTU != size {
		if err := netlink.LinkSetMTU(link, size); err != nil {
			return fmt.Errorf("set the MTU of %s to %d: %w", name, size, err)
		}
	}
	return nil
}

func addTap(name, guestMAC string) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	tap := &netlink.Tuntap{
		LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP,
		Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR | netlink.TUNTAP_TUN_EXCL,
	}
	// Another call may have made it meanwhile; then it is as good.
	if err := netlink.LinkAdd(tap); err != nil && !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.EEXIST) && !strings.Contains(err.Error(), "busy") {
		return nil, err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	return link, netlink.LinkSetHardwareAddr(link, hostMAC(guestMAC))
}

// hostMAC is the address of the host's end: the guest's with the first byte fe,
// the highest there is, so that a bridge never takes it for its own.
func hostMAC(guest string) net.HardwareAddr {
	mac, err := net.ParseMAC(guest)
	if err != nil || len(mac) != 6 {
		mac = make(net.HardwareAddr, 6)
	}
	mac[0] = 0xfe
	return mac
}

func unplugTap(name string) error {
	link, err := netlink.LinkByName(name)
	if _, missing := errors.AsType[netlink.LinkNotFoundError](err); missing {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("unplug %s: %w", name, err)
	}
	return nil
}
