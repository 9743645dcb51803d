package cloud

import (
	"fmt"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"kilonova/service/compute"
	"kilonova/stack"
)

// TestHardwareOfOnesOwn boots servers that have processors, pages and devices to
// themselves until there are no more, and looks at what the hypervisors were told.
func TestHardwareOfOnesOwn(t *testing.T) {
	c := oneWith(t, func(c *stack.Config) {
		c.Fake.NUMANodes, c.Fake.HugePages, c.Fake.PCIDevices = 2, 512, 3
		c.Compute.DedicatedSet = "0-3,32-35" // four of each node
		c.PCI.Alias = []string{`{"name": "vf", "vendor_id": "8086", "product_id": "1520", "device_type": "type-VF", "numa_policy": "preferred"}`}
	})
	hostsUp(t, c)
	for name, x := range map[string]struct {
		specs flavors.ExtraSpecsOpts
		ram   int
		fit   int // on two hosts
	}{
		"processors": {flavors.ExtraSpecsOpts{"hw:cpu_policy": "dedicated", "hw:cpu_thread_policy": "require"}, 64, 8},
		"pages":      {flavors.ExtraSpecsOpts{"hw:mem_page_size": "2MB"}, 512, 8},
		"devices":    {flavors.ExtraSpecsOpts{"pci_passthrough:alias": "vf:1"}, 64, 6},
	} {
		f, err := flavors.Create(t.Context(), c.admin.compute, flavors.CreateOpts{Name: name, RAM: x.ram, VCPUs: 2, Disk: ptr(1)}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := flavors.CreateExtraSpecs(t.Context(), c.admin.compute, f.ID, x.specs).Extract(); err != nil {
			t.Fatal(err)
		}
		for range x.fit + 1 {
			bootOf(t, c, f.ID)
		}
		settled(t, c.admin)
		status := map[string]int{}
		for _, s := range allServers(t, c.admin) {
			status[s.Status]++
		}
		if status["ACTIVE"] != x.fit || status["ERROR"] != 1 {
			t.Errorf("%s: %v, want %d ACTIVE and one ERROR", name, status, x.fit)
		}
		held := guestsHold(t, c)
		if len(held) != x.fit {
			t.Errorf("%s: %d guests were told what they have", name, len(held))
		}
		cpus, devices := map[string]bool{}, map[string]bool{}
		for id, g := range held {
			for _, cell := range g.hold.Cells {
				if name == "pages" && cell.PageKB != 2048 {
					t.Errorf("%s has pages of %d KiB", id, cell.PageKB)
				}
				for _, cpu := range cell.Pins {
					at := fmt.Sprint(g.host, " ", cpu)
					if cpus[at] {
						t.Errorf("processor %s is given twice", at)
					}
					cpus[at] = true
				}
			}
			for _, d := range g.hold.Devices {
				at := g.host + " " + d.Address
				if devices[at] {
					t.Errorf("device %s is given twice", at)
				}
				devices[at] = true
			}
		}
		if name == "processors" && len(cpus) != 16 || name == "devices" && len(devices) != 6 {
			t.Errorf("%s: %v %v", name, cpus, devices)
		}
		keepsHold(t, c)
		deleteAll(t, c, c.admin)
	}
}

// keepsHold reboots a server hard, which defines its guest anew.
func keepsHold(t *testing.T, c *cloud) {
	t.Helper()
	before := guestsHold(t, c)
	for id, g := range before {
		if err := servers.Reboot(t.Context(), c.admin.compute, id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		settled(t, c.admin)
		if now := guestsHold(t, c)[id]; fmt.Sprint(now.hold) != fmt.Sprint(g.hold) {
			t.Errorf("after a hard reboot it has %v, and had %v", now.hold, g.hold)
		}
		return
	}
}

type guestHold struct {
	host string
	hold compute.Hold
}

// guestsHold reads what the fake hypervisors were told of their guests.
func guestsHold(t *testing.T, c *cloud) map[string]guestHold {
	t.Helper()
	all := map[string]guestHold{}
	for host, state := range c.fakeHosts(t) {
		for id, g := range state.Guests {
			if g.Spec.Hold != nil {
				all[id] = guestHold{host, *g.Spec.Hold}
			}
		}
	}
	return all
}
