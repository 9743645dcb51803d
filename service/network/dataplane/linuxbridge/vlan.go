package linuxbridge

import (
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/vishvananda/netlink"

	"kilonova/internal/fault"
	"kilonova/service/network"
)

// vlanName is the device of a VLAN on a physical interface: "eth1.100", as
// upstream's agent has it, or shortened where that is too long for a device.
func vlanName(parent string, id int) string {
	name := parent + "." + strconv.Itoa(id)
	if len(name) > 15 { // IFNAMSIZ less the end
		name = fmt.Sprintf("v%08x.%d", crc32.ChecksumIEEE([]byte(parent)), id)
	}
	return name
}

// ensureVLAN makes the device through which a network's frames leave the physical
// interface with its tag.
func (d *Driver) ensureVLAN(parent, name string, n network.HostNetwork) error {
	below, err := d.link(parent)
	if err != nil {
		return err
	}
	if below == nil {
		return fault.New(fault.Unavailable, "The interface %s, which is to carry VLAN %d, does not exist.", parent, n.Segmentation)
	}
	link, err := d.link(name)
	if err != nil {
		return err
	}
	if link == nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex = name, below.Attrs().Index
		if n.MTU != 0 && n.MTU <= below.Attrs().MTU {
			attrs.MTU = n.MTU
		}
		if err := d.nl.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: n.Segmentation}); err != nil {
			return fmt.Errorf("make VLAN device %s (the kernel's 8021q): %w", name, err)
		}
		if link, err = d.nl.LinkByName(name); err != nil {
			return fmt.Errorf("find VLAN device %s: %w", name, err)
		}
	} else if vlan, ok := link.(*netlink.Vlan); !ok || vlan.VlanId != n.Segmentation || link.Attrs().ParentIndex != below.Attrs().Index {
		return fault.Conflictf("The device %s, needed for network %s, is not VLAN %d of %s.", name, n.ID, n.Segmentation, parent)
	}
	if link.Attrs().Alias == "" { // one with another alias is the operator's
		if err := d.nl.LinkSetAlias(link, aliasVLAN+n.ID); err != nil {
			return fmt.Errorf("set the alias of %s: %w", name, err)
		}
	}
	return setUp(d.nl, below, true)
}

// removeVLAN deletes the VLAN device that was made for a network.
func (d *Driver) removeVLAN(networkID string) error {
	all, err := links(d.nl)
	if err != nil {
		return err
	}
	for _, link := range all {
		if link.Attrs().Alias == aliasVLAN+networkID {
			if err := deleteLink(d.nl, link); err != nil {
				return err
			}
		}
	}
	return nil
}
