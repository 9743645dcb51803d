package libvirt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kilonova/service/compute"
)

// maxPCIDevices bounds what a host reports.
const maxPCIDevices = 4096

// pciDevices lists the devices below a folder like /sys/bus/pci/devices that guests
// may have. inPlacement refuses those that Placement cannot know together.
func pciDevices(folder string, texts []string, inPlacement bool) ([]compute.PCIDevice, error) {
	specs, err := compute.ReadDeviceSpecs(texts, inPlacement)
	if err != nil || len(specs) == 0 {
		return nil, err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("list the PCI devices: %w", err)
	}
	serials := slices.ContainsFunc(specs, func(s compute.DeviceSpec) bool { return s.AsksSerial() })
	var all []compute.PCIDevice
	for _, e := range entries {
		all = append(all, readDevice(filepath.Join(folder, e.Name()), strings.ToLower(e.Name()), serials))
	}
	all = compute.AllowDevices(all, specs)
	if all = all[:min(len(all), maxPCIDevices)]; inPlacement {
		err = compute.CheckDevices(all)
	}
	return all, err
}

// readDevice reads what the kernel says of a device; its card's serial number only
// where somebody asks for it: some cards take seconds to say it, or do not bear it.
func readDevice(folder, address string, serial bool) compute.PCIDevice {
	text := func(name string) string {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(data))
	}
	d := compute.PCIDevice{Address: address, Vendor: strings.TrimPrefix(text("vendor"), "0x"), Product: strings.TrimPrefix(text("device"), "0x"), Type: compute.DevicePCI, Cell: -1}
	if n, err := strconv.Atoi(text("numa_node")); err == nil {
		d.Cell = n
	}
	if parent, err := os.Readlink(filepath.Join(folder, "physfn")); err == nil {
		d.Type, d.Parent = compute.DeviceVF, strings.ToLower(filepath.Base(parent))
		if on, err := filepath.Glob(filepath.Join(folder, "vdpa*")); err == nil && len(on) > 0 {
			d.Type = compute.DeviceVDPA
		}
	} else if n := text("sriov_totalvfs"); n != "" && n != "0" {
		d.Type = compute.DevicePF
	}
	if on, err := os.ReadDir(filepath.Join(folder, "net")); err == nil && len(on) > 0 {
		d.Interface = on[0].Name()
	}
	if !serial {
		return d
	}
	if d.Serial = serialOf(filepath.Join(folder, "vpd")); d.Serial == "" && d.Parent != "" {
		d.Serial = serialOf(filepath.Join(folder, "physfn", "vpd"))
	}
	return d
}

// The tags of a device's vital product data, PCI Local Bus 3.0, appendix I.
const (
	maxVPD   = 32 << 10
	vpdLarge = 0x80 // a tag with two bytes of length
	vpdRead  = 0x90 // the fields that cannot be written
	vpdEnd   = 0x78
)

// serialOf reads a card's serial number of its vital product data; "" where it has
// none, or none that can be read.
func serialOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxVPD))
	if err != nil {
		return ""
	}
	for len(data) > 0 && data[0] != vpdEnd {
		tag, n, head := data[0], int(data[0]&7), 1
		if tag&vpdLarge != 0 {
			if len(data) < 3 {
				return ""
			}
			n, head = int(binary.LittleEndian.Uint16(data[1:])), 3
		}
		if head+n > len(data) {
			return ""
		}
		if tag == vpdRead {
			return vpdField(data[head:head+n], "SN")
		}
		data = data[head+n:]
	}
	return ""
}

func vpdField(data []byte, name string) string {
	const head = 3
	for len(data) >= head && head+int(data[2]) <= len(data) {
		n := int(data[2])
		if string(data[:2]) == name {
			return string(bytes.TrimRight(data[head:head+n], " \x00"))
		}
		data = data[head+n:]
	}
	return ""
}
