package libvirt

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// deviceSpec is one element of [pci] device_spec: which devices of the host guests
// may have. Empty members and "*" match anything.
type deviceSpec struct {
	Address string `json:"address"` // "*:81:00.*", or in full
	Vendor  string `json:"vendor_id"`
	Product string `json:"product_id"`
	Network string `json:"physical_network"`
}

func readDeviceSpecs(texts []string) ([]deviceSpec, error) {
	var all []deviceSpec
	for _, text := range texts {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		var s deviceSpec
		if err := decoder.Decode(&s); err != nil {
			return nil, fault.New(fault.Invalid, "[pci] device_spec %q cannot be read: %w", text, err)
		}
		if s.Address == "" && s.Vendor == "" && s.Product == "" {
			return nil, fault.Invalidf("[pci] device_spec %q names no address, vendor or product.", text)
		}
		if _, err := path.Match(s.Address, ""); err != nil {
			return nil, fault.Invalidf("[pci] device_spec: the address %q cannot be read.", s.Address)
		}
		all = append(all, s)
	}
	return all, nil
}

func (s deviceSpec) matches(d compute.PCIDevice) bool {
	for _, m := range [][2]string{{s.Vendor, d.Vendor}, {s.Product, d.Product}} {
		if m[0] != "" && m[0] != "*" && !strings.EqualFold(m[0], m[1]) {
			return false
		}
	}
	if s.Address == "" {
		return true
	}
	for _, address := range []string{d.Address, strings.TrimPrefix(d.Address, "0000:")} {
		if ok, err := path.Match(strings.ToLower(s.Address), address); err == nil && ok {
			return true
		}
	}
	return false
}

// maxPCIDevices bounds what a host reports.
const maxPCIDevices = 4096

// readDevices lists the devices below a folder like /sys/bus/pci/devices that a
// specification names.
func readDevices(folder string, specs []deviceSpec) ([]compute.PCIDevice, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("list the PCI devices: %w", err)
	}
	var all []compute.PCIDevice
	for _, e := range entries {
		d := readDevice(filepath.Join(folder, e.Name()), strings.ToLower(e.Name()))
		for _, s := range specs {
			if s.matches(d) && len(all) < maxPCIDevices {
				d.Network = s.Network
				all = append(all, d)
				break
			}
		}
	}
	return all, nil
}

func readDevice(folder, address string) compute.PCIDevice {
	text := func(name string) string {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(data))
	}
	d := compute.PCIDevice{Address: address, Vendor: strings.TrimPrefix(text("vendor"), "0x"), Product: strings.TrimPrefix(text("device"), "0x"), Type: "type-PCI", Cell: -1}
	if n, err := strconv.Atoi(text("numa_node")); err == nil {
		d.Cell = n
	}
	if _, err := os.Lstat(filepath.Join(folder, "physfn")); err == nil {
		d.Type = "type-VF"
	} else if n := text("sriov_totalvfs"); n != "" && n != "0" {
		d.Type = "type-PF"
	}
	return d
}
