package control

import (
	"fmt"
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// TestDevicesNearby: which devices a guest on the first of four NUMA nodes, two of
// them a socket, gets by its policy, the nearest first.
func TestDevicesNearby(t *testing.T) {
	h := &compute.Host{Name: "h"}
	for i := range 4 {
		h.Resources.NUMA = append(h.Resources.NUMA, compute.NUMACell{ID: i, Socket: new(i / 2)})
		h.Resources.PCI = append(h.Resources.PCI, compute.PCIDevice{Address: fmt.Sprintf("0000:00:0%d.0", i), Vendor: "8086", Product: "1520", Type: "type-VF", Cell: i})
	}
	h.Resources.PCI = append(h.Resources.PCI, compute.PCIDevice{Address: "0000:00:04.0", Vendor: "8086", Product: "1520", Type: "type-VF", Cell: -1})
	here := []compute.GuestCell{{HostCell: 0}}
	for policy, most := range map[string]int{"required": 1, "socket": 2, "legacy": 2, "preferred": 5} {
		c := &Control{}
		var err error
		if c.aliases, err = aliasesOf(PCIOptions{Alias: []string{`{"name": "vf", "vendor_id": "8086"}`}}); err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= 5; n++ {
			s := &compute.Server{Flavor: compute.Flavor{ExtraSpecs: map[string]string{aliasSpec: fmt.Sprint("vf:", n), "hw:pci_numa_affinity_policy": policy}}}
			held, err := c.holdDevices(h, nil, here, s)
			switch {
			case n > most && !fault.Is(err, fault.Conflict):
				t.Errorf("%s: %d devices: %v, %v", policy, n, held, err)
			case n <= most && (err != nil || len(held) != n || held[0].Cell != 0):
				t.Errorf("%s: %d devices: %v, %v", policy, n, held, err)
			}
			if policy == "socket" && n == 2 && held[1].Cell != 1 {
				t.Errorf("the other node of the socket is %d", held[1].Cell)
			}
		}
	}
	// A host that knows no sockets has none that fit.
	for i := range h.Resources.NUMA {
		h.Resources.NUMA[i].Socket = nil
	}
	c := &Control{}
	c.aliases, _ = aliasesOf(PCIOptions{Alias: []string{`{"name": "vf", "vendor_id": "8086", "numa_policy": "socket"}`}})
	s := &compute.Server{Flavor: compute.Flavor{ExtraSpecs: map[string]string{aliasSpec: "vf:1"}}}
	if held, err := c.holdDevices(h, nil, here, s); err == nil {
		t.Errorf("without sockets: %v", held)
	}
}
