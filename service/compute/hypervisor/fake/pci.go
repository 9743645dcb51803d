package fake

import (
	"fmt"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// Cards are the PCI devices that a host pretends to have.
type Cards struct {
	// Virtual are virtual functions 8086:1520, so many of each physical one
	// 8086:1521. PerCard 0: 8.
	Virtual, PerCard int
	// Plain are cards 10de:1db4 without functions.
	Plain int
	// Nodes spreads the cards over NUMA nodes; 0: nobody knows where they are.
	Nodes int
}

// Devices lists them: the physical functions, too.
func (c Cards) Devices() []compute.PCIDevice {
	per := c.PerCard
	if per == 0 {
		per = 8
	}
	cell := func(card int) int {
		if c.Nodes == 0 {
			return -1
		}
		return card % c.Nodes
	}
	var all []compute.PCIDevice
	for i := range c.Virtual {
		card := i / per
		parent := fmt.Sprintf("0000:%02x:%02x.0", 0x40+card/32, card%32)
		if i%per == 0 {
			all = append(all, compute.PCIDevice{Address: parent, Vendor: "8086", Product: "1521", Type: compute.DevicePF, Cell: cell(card), Interface: fmt.Sprintf("ens%df0", card)})
		}
		all = append(all, compute.PCIDevice{Address: fmt.Sprintf("0000:%02x:%02x.%d", 0x80+i/256, i/8%32, i%8), Parent: parent, Vendor: "8086", Product: "1520", Type: compute.DeviceVF, Cell: cell(card)})
	}
	for i := range c.Plain {
		all = append(all, compute.PCIDevice{Address: fmt.Sprintf("0000:%02x:%02x.0", 0x20+i/32, i%32), Vendor: "10de", Product: "1db4", Type: compute.DevicePCI, Cell: cell(i)})
	}
	return all
}

// unclaimed refuses a guest that is to have a device of another one.
func (d *Driver) unclaimed(spec hypervisor.Guest) error {
	if spec.Hold == nil {
		return nil
	}
	for id, other := range d.state.Guests {
		if id == spec.ID || other.Spec.Hold == nil {
			continue
		}
		for _, mine := range spec.Hold.Devices {
			for _, theirs := range other.Spec.Hold.Devices {
				if mine.Address == theirs.Address {
					return fault.Conflictf("PCI device %s belongs to guest %s already.", mine.Address, id)
				}
			}
		}
	}
	return nil
}
