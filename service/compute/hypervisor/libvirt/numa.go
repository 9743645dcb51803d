package libvirt

import (
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// capCell is a NUMA node in libvirt's description of the host.
type capCell struct {
	ID     int       `xml:"id,attr"`
	Memory quantity  `xml:"memory"`
	Pages  []capPage `xml:"pages"`
	CPUs   []struct {
		ID       int    `xml:"id,attr"`
		Socket   *int   `xml:"socket_id,attr"`
		Siblings string `xml:"siblings,attr"`
	} `xml:"cpus>cpu"`
}

type capPage struct {
	SizeKB int `xml:"size,attr"`
	Count  int `xml:",chardata"`
}

// cpuSets are the processors that guests may use, [compute] cpu_shared_set and
// cpu_dedicated_set. Where neither is said all are shared; where only one is, there
// are none of the other.
type cpuSets struct {
	shared, dedicated []int
	all               bool
}

func readCPUSets(cfg Config) (cpuSets, error) {
	s := cpuSets{all: cfg.SharedSet == "" && cfg.DedicatedSet == ""}
	var err error
	if s.shared, err = compute.ParseCPUSet(cfg.SharedSet); err != nil {
		return s, fault.New(fault.Invalid, "[compute] cpu_shared_set: %w", err)
	}
	if s.dedicated, err = compute.ParseCPUSet(cfg.DedicatedSet); err != nil {
		return s, fault.New(fault.Invalid, "[compute] cpu_dedicated_set: %w", err)
	}
	for _, cpu := range s.shared {
		if slices.Contains(s.dedicated, cpu) {
			return s, fault.Invalidf("[compute] cpu_shared_set and cpu_dedicated_set both have processor %d.", cpu)
		}
	}
	return s, nil
}

// cells are the host's NUMA nodes.
func (c capabilities) cells(s cpuSets) ([]compute.NUMACell, error) {
	var cells []compute.NUMACell
	for _, from := range c.Cells {
		n := compute.NUMACell{ID: from.ID, MemoryMB: from.Memory.Value >> 10}
		for i, cpu := range from.CPUs {
			if i == 0 {
				n.Socket = cpu.Socket
			} else if n.Socket == nil || cpu.Socket == nil || *n.Socket != *cpu.Socket {
				n.Socket = nil // in several
			}
			switch {
			case s.all || slices.Contains(s.shared, cpu.ID):
				n.Shared = append(n.Shared, cpu.ID)
			case slices.Contains(s.dedicated, cpu.ID):
				n.Dedicated = append(n.Dedicated, cpu.ID)
			}
			core, err := compute.ParseCPUSet(cpu.Siblings)
			if err != nil {
				return nil, err
			}
			if len(core) > 1 && core[0] == cpu.ID { // once a core
				n.Siblings = append(n.Siblings, core)
			}
		}
		for _, p := range from.Pages {
			if p.SizeKB > 0 {
				n.Pages = append(n.Pages, compute.PagePool{SizeKB: p.SizeKB, Total: p.Count})
			}
		}
		cells = append(cells, n)
	}
	return cells, nil
}

type memoryBacking struct {
	Pages []hugePage `xml:"hugepages>page"`
}

type hugePage struct {
	Size    int    `xml:"size,attr"`
	Unit    string `xml:"unit,attr"`
	NodeSet string `xml:"nodeset,attr"`
}

type cpuTune struct {
	Pins     []vcpuPin `xml:"vcpupin"`
	Emulator *pinned   `xml:"emulatorpin"`
}

type vcpuPin struct {
	VCPU   int    `xml:"vcpu,attr"`
	CPUSet string `xml:"cpuset,attr"`
}

type pinned struct {
	CPUSet string `xml:"cpuset,attr"`
}

type numaTune struct {
	Memory numaMemory   `xml:"memory"`
	Nodes  []numaMemory `xml:"memnode"`
}

type numaMemory struct {
	CellID  *int   `xml:"cellid,attr"`
	Mode    string `xml:"mode,attr"`
	NodeSet string `xml:"nodeset,attr"`
}

type cpuNUMA struct {
	Cells []cpuCell `xml:"cell"`
}

type cpuCell struct {
	ID     int    `xml:"id,attr"`
	CPUs   string `xml:"cpus,attr"`
	Memory int    `xml:"memory,attr"`
	Unit   string `xml:"unit,attr"`
}

type hostdev struct {
	XMLName xml.Name   `xml:"hostdev"`
	Mode    string     `xml:"mode,attr"`
	Type    string     `xml:"type,attr"`
	Managed string     `xml:"managed,attr"`
	Source  pciAddress `xml:"source>address"`
}

type pciAddress struct {
	Domain   string `xml:"domain,attr"`
	Bus      string `xml:"bus,attr"`
	Slot     string `xml:"slot,attr"`
	Function string `xml:"function,attr"`
}

// settle puts a guest where it was given room: on NUMA nodes, on processors of its
// own, on pages, with devices.
func settle(d *domain, g hypervisor.Guest) error {
	if g.Hold.Empty() {
		return nil
	}
	for _, dev := range g.Hold.Devices {
		h, err := hostdevOf(dev)
		if err != nil {
			return err
		}
		d.Devices.Hostdevs = append(d.Devices.Hostdevs, h)
	}
	if len(g.Hold.Cells) == 0 {
		return nil
	}
	tune, numa, backing := &cpuTune{}, &numaTune{Memory: numaMemory{Mode: "strict"}}, &memoryBacking{}
	cells := &cpuNUMA{}
	var nodes, used []int
	pages := map[int][]int{} // the guest's nodes by the size of their pages
	for i, c := range g.Hold.Cells {
		cells.Cells = append(cells.Cells, cpuCell{ID: i, CPUs: compute.FormatCPUSet(c.CPUs), Memory: c.MemoryMB, Unit: "MiB"})
		numa.Nodes = append(numa.Nodes, numaMemory{CellID: &i, Mode: "strict", NodeSet: fmt.Sprint(c.HostCell)})
		nodes = append(nodes, c.HostCell)
		for _, cpu := range c.CPUs {
			on := c.Shared
			if at, own := c.Pins[cpu]; own {
				on = []int{at}
			}
			tune.Pins = append(tune.Pins, vcpuPin{cpu, compute.FormatCPUSet(on)})
			used = append(used, on...)
		}
		if c.PageKB > smallPageKB {
			pages[c.PageKB] = append(pages[c.PageKB], i)
		}
	}
	slices.SortFunc(tune.Pins, func(a, b vcpuPin) int { return a.VCPU - b.VCPU })
	if len(g.Hold.Emulator) > 0 {
		used = g.Hold.Emulator
	}
	slices.Sort(used)
	tune.Emulator = &pinned{compute.FormatCPUSet(slices.Compact(used))}
	numa.Memory.NodeSet = compute.FormatCPUSet(nodes)
	for _, size := range slices.Sorted(maps.Keys(pages)) {
		backing.Pages = append(backing.Pages, hugePage{Size: size, Unit: "KiB", NodeSet: compute.FormatCPUSet(pages[size])})
	}
	if len(backing.Pages) > 0 {
		d.MemoryBacking = backing
	}
	d.CPUTune, d.NUMATune = tune, numa
	if d.CPU == nil {
		d.CPU = &cpu{}
	}
	d.CPU.NUMA = cells
	return nil
}

// smallPageKB is the size of pages that need not be asked for.
const smallPageKB = 4

// hostdevOf reads "0000:81:00.1".
func hostdevOf(dev compute.HeldDevice) (hostdev, error) {
	var domain, bus, slot, function int
	if n, err := fmt.Sscanf(strings.ToLower(dev.Address), "%4x:%2x:%2x.%1x", &domain, &bus, &slot, &function); n != 4 || err != nil {
		return hostdev{}, fault.Invalidf("%q is no address of a PCI device.", dev.Address)
	}
	managed := "yes" // libvirt takes it from the host's driver, and gives it back
	if dev.Unmanaged {
		managed = "no"
	}
	return hostdev{Mode: "subsystem", Type: "pci", Managed: managed, Source: pciAddress{
		Domain: fmt.Sprintf("0x%04x", domain), Bus: fmt.Sprintf("0x%02x", bus), Slot: fmt.Sprintf("0x%02x", slot), Function: fmt.Sprintf("0x%x", function)}}, nil
}
