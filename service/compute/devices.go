package compute

import (
	"slices"
	"strings"

	"kilonova/internal/fault"
)

// The types of PCI devices, as the API and aliases have them.
const (
	DevicePCI  = "type-PCI"  // without functions of any kind
	DevicePF   = "type-PF"   // a physical function, which may have virtual ones
	DeviceVF   = "type-VF"   // a virtual function
	DeviceVDPA = "type-VDPA" // a virtual function with a vDPA device on it
)

// PCIDevice is a device that guests may have to themselves.
type PCIDevice struct {
	Address string `json:"address"` // "0000:81:00.1"
	Vendor  string `json:"vendor"`  // "8086"
	Product string `json:"product"`
	Type    string `json:"type"`              // one of the constants above
	Cell    int    `json:"cell"`              // NUMA node; -1: not known
	Network string `json:"network,omitempty"` // physical network behind it
	// Parent is the address of a virtual function's physical one.
	Parent string `json:"parent,omitempty"`

	// Class and Traits are what the operator calls it in Placement; "": by vendor
	// and product.
	Class  string   `json:"class,omitempty"`
	Traits []string `json:"traits,omitempty"`
	// Migratable: it can be exchanged for its like on another host while the guest
	// runs; nil: nobody has said.
	Migratable *bool `json:"migratable,omitempty"`
	Unmanaged  bool  `json:"unmanaged,omitempty"` // the operator takes it off the host's drivers
	Trusted    bool  `json:"trusted,omitempty"`
	Remote     bool  `json:"remote,omitempty"` // programmed from elsewhere, for ports of that kind only
	OneTime    bool  `json:"one_time,omitempty"`
	// Serial is its card's number; only Remote ones are asked for it.
	Serial string `json:"serial,omitempty"`

	// Interface is the network interface on it, by which a specification may name it.
	Interface string `json:"-"`
}

// Root is the address of the device that stands for this one in Placement: a
// virtual function's physical one, or itself. "": none does, since it is for ports.
func (d *PCIDevice) Root() string {
	switch {
	case d.Network != "":
		return ""
	case d.Parent != "":
		return d.Parent
	}
	return d.Address
}

// CheckDevices refuses devices of a host that cannot stand in Placement together:
// a physical function beside its virtual ones, and virtual functions of one that are
// said to be unlike (nova/compute/pci_placement_translator.py).
func CheckDevices(all []PCIDevice) error {
	first := map[string]*PCIDevice{}
	for i := range all {
		d := &all[i]
		root := d.Root()
		if root == "" {
			continue
		}
		if d.Parent == "" && d.Type != DevicePCI && d.Type != DevicePF {
			return fault.Invalidf("PCI device %s is a %s, and nothing says of which physical function: it cannot be reported in Placement.", d.Address, d.Type)
		}
		if d.OneTime && d.Parent != "" {
			return fault.Invalidf("Only devices of %s and %s may be one_time_use, and %s is a %s.", DevicePCI, DevicePF, d.Address, d.Type)
		}
		other := first[root]
		if other == nil {
			first[root] = d
			continue
		}
		switch {
		case other.Parent == "" || d.Parent == "":
			return fault.Invalidf("Both %s and %s are configured by [pci] device_spec, and one is the physical function of the other: only either of them can be given away.", other.Address, d.Address)
		case other.Vendor+other.Product != d.Vendor+d.Product && other.Class+d.Class == "" || !strings.EqualFold(other.Class, d.Class):
			return fault.Invalidf("The virtual functions %s and %s of %s have different resource classes; Placement can have one of each physical function.", other.Address, d.Address, root)
		case !slices.Equal(other.Traits, d.Traits) || isTrue(other.Migratable) != isTrue(d.Migratable):
			return fault.Invalidf("The virtual functions %s and %s of %s have different traits (%s; %s); Placement can have one set of each physical function.",
				other.Address, d.Address, root, strings.Join(other.Traits, ","), strings.Join(d.Traits, ","))
		}
	}
	return nil
}

func isTrue(b *bool) bool { return b != nil && *b }
