package cloud

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"

	"kilonova/stack"
)

// Placement's names of the devices in these tests.
const (
	vfClass   = "CUSTOM_PCI_8086_1520"
	cardClass = "CUSTOM_FAST_CARD"
)

// carded is a cloud whose hosts have two physical functions with two virtual ones each,
// and a card, which Placement knows and is asked for.
func carded(c *stack.Config) {
	c.Fake.PCIDevices, c.Fake.PCIFunctions, c.Fake.PCICards = 4, 2, 1
	c.PCI.DeviceSpec = []string{`{"vendor_id": "8086", "product_id": "1520", "live_migratable": "yes"}`, `{"vendor_id": "10de", "resource_class": "fast card", "traits": "blue, HW_GPU_API_VULKAN"}`}
	c.PCI.Alias = []string{`{"name": "vf", "vendor_id": "8086", "product_id": "1520", "device_type": "type-VF"}`,
		`{"name": "live", "vendor_id": "8086", "product_id": "1520", "live_migratable": "yes"}`, `{"name": "card", "resource_class": "FAST_CARD", "traits": "Blue"}`}
	c.PCI.ReportInPlacement, c.FilterScheduler.PCIInPlacement = true, true
}

// deviceProviders are the providers of devices, by name.
type deviceProvider struct {
	provider
	Parent      string `json:"parent_provider_uuid"`
	inventories map[string]struct{ Total, Reserved int }
	traits      []string
	used        int
}

func (c *cloud) deviceProviders(t *testing.T) map[string]deviceProvider {
	t.Helper()
	c.admin.placement.Microversion = "1.39"
	var list struct {
		Providers []deviceProvider `json:"resource_providers"`
	}
	c.get(t, c.admin.placement, "/resource_providers?required=COMPUTE_MANAGED_PCI_DEVICE", &list)
	all := map[string]deviceProvider{}
	for _, p := range list.Providers {
		var inventories struct {
			Inventories map[string]struct{ Total, Reserved int }
		}
		var traits struct{ Traits []string }
		var usages struct{ Usages map[string]int }
		vanished := false
		for path, into := range map[string]any{"/inventories": &inventories, "/traits": &traits, "/usages": &usages} {
			err := c.send(t, c.admin.placement, "GET", "resource_providers/"+p.UUID+path, nil, into)
			if vanished = vanished || gophercloud.ResponseCodeIs(err, http.StatusNotFound); err != nil && !vanished {
				t.Fatal(err)
			}
		}
		if vanished { // since it was listed
			continue
		}
		slices.Sort(traits.Traits)
		p.inventories, p.traits = inventories.Inventories, traits.Traits
		for _, n := range usages.Usages {
			p.used += n
		}
		all[p.Name] = p
	}
	return all
}

// devicesOf says which providers the devices are of that a server's guest has:
// "dev-1_0000:40:00.0=2 ".
func (c *cloud) devicesOf(t *testing.T, id string) string {
	t.Helper()
	g := guestsHold(t, c)[id]
	count := map[string]int{}
	for _, d := range g.hold.Devices {
		count[g.host+"_"+strings.ToUpper(cmp.Or(d.Parent, d.Address))]++
	}
	return counted(count)
}

func counted(count map[string]int) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(count)) {
		text += fmt.Sprintf("%s=%d ", name, count[name])
	}
	return text
}

// devicesAgree waits until what the servers' guests have is what the servers have
// claimed, and nothing else is taken but by migrations of these servers.
func (c *cloud) devicesAgree(t *testing.T, ids ...string) {
	t.Helper()
	eventually(t, "Placement's view of devices", func() string {
		taken := map[string]int{}
		for _, id := range ids {
			claimed := map[string]int{}
			for _, a := range c.allocations(t, id) {
				for class, n := range a.resources {
					if class != vfClass && class != cardClass {
						continue
					}
					if taken[a.provider.Name] += n; a.who == "server" {
						claimed[a.provider.Name] += n
					}
				}
			}
			if has, claims := c.devicesOf(t, id), counted(claimed); has != claims {
				return fmt.Sprintf("server %s has %q and claims %q", id, has, claims)
			}
		}
		for name, p := range c.deviceProviders(t) {
			if p.used != taken[name] {
				return fmt.Sprintf("of %s %d are taken, and servers have %d", name, p.used, taken[name])
			}
		}
		return ""
	})
}

// published waits until Placement knows so many devices.
func (c *cloud) published(t *testing.T, want int) map[string]deviceProvider {
	t.Helper()
	var all map[string]deviceProvider
	eventually(t, "the providers of devices", func() string {
		if all = c.deviceProviders(t); len(all) != want {
			return fmt.Sprintf("%d, want %d", len(all), want)
		}
		for name, p := range all {
			if len(p.inventories) != 1 || len(p.traits) < 2 {
				return fmt.Sprintf("%s has %v and %v", name, p.inventories, p.traits)
			}
		}
		return ""
	})
	return all
}
