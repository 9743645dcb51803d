package control

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
)

// aliasSpec is the extra spec that asks for PCI devices: "gpu:2,nic:1".
const aliasSpec = "pci_passthrough:alias"

// maxDevices bounds what one flavor asks for.
const maxDevices = 256

// PCIOptions are section [pci].
type PCIOptions struct {
	// Alias gives names to kinds of devices, each a JSON object with name,
	// vendor_id, product_id, device_type and numa_policy; several of one name are
	// alternatives.
	Alias []string `toml:"alias"`
}

// alias is one of them.
type alias struct {
	Name       string `json:"name"`
	Vendor     string `json:"vendor_id"`
	Product    string `json:"product_id"`
	Type       string `json:"device_type"`
	NUMAPolicy string `json:"numa_policy"`
	Capability string `json:"capability_type"`
}

// aliasesOf reads the configured aliases, by name.
func aliasesOf(o PCIOptions) (map[string][]alias, error) {
	all := map[string][]alias{}
	for _, text := range o.Alias {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		var a alias
		if err := decoder.Decode(&a); err != nil {
			return nil, fault.New(fault.Invalid, "[pci] alias %q cannot be read: %w", text, err)
		}
		switch {
		case a.Name == "":
			return nil, fault.Invalidf("[pci] alias %q has no name.", text)
		case a.Type != "" && !slices.Contains([]string{"type-PCI", "type-PF", "type-VF"}, a.Type):
			return nil, fault.Invalidf("[pci] alias %s: the device_type %q is not type-PCI, type-PF or type-VF.", a.Name, a.Type)
		case a.NUMAPolicy != "" && !slices.Contains([]string{"required", "preferred", "legacy", "socket"}, a.NUMAPolicy):
			return nil, fault.Invalidf("[pci] alias %s: the numa_policy %q is not required, preferred, legacy or socket.", a.Name, a.NUMAPolicy)
		}
		all[a.Name] = append(all[a.Name], a)
	}
	return all, nil
}

// tags are what a device must be for an alias.
func (a alias) tags() map[string]string {
	tags := map[string]string{}
	for name, value := range map[string]string{"vendor_id": a.Vendor, "product_id": a.Product, "dev_type": a.Type} {
		if value != "" {
			tags[name] = value
		}
	}
	return tags
}

func tagsOf(d compute.PCIDevice) map[string]string {
	return map[string]string{"vendor_id": d.Vendor, "product_id": d.Product, "dev_type": d.Type, "physical_network": d.Network, "numa_node": strconv.Itoa(d.Cell)}
}

// deviceRequests reads what PCI devices a flavor asks for; an alias that is not
// defined is fault.Invalid.
func (c *Control) deviceRequests(f compute.Flavor) ([]schedule.PCIRequest, error) {
	text := f.ExtraSpecs[aliasSpec]
	if text == "" {
		return nil, nil
	}
	var all []schedule.PCIRequest
	total := 0
	for part := range strings.SplitSeq(text, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(part), ":")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if total += n; err != nil || n < 1 || total > maxDevices {
			return nil, fault.Invalidf("%s %.64q is no list of name:count with 1 to %d devices.", aliasSpec, text, maxDevices)
		}
		r := schedule.PCIRequest{Alias: name, Count: n}
		for _, a := range c.aliases[name] {
			r.Alternatives = append(r.Alternatives, a.tags())
		}
		if len(r.Alternatives) == 0 {
			return nil, fault.Invalidf("PCI alias %s is not defined", name)
		}
		all = append(all, r)
	}
	return all, nil
}

// poolsOf are a host's free devices, by kind.
func poolsOf(devices []compute.PCIDevice, holds map[string]compute.Hold) []schedule.PCIPool {
	var pools []schedule.PCIPool
	at := map[string]int{}
	for _, d := range freeDevices(devices, holds) {
		key := fmt.Sprint(d.Vendor, " ", d.Product, " ", d.Type, " ", d.Cell, " ", d.Network)
		i, known := at[key]
		if !known {
			i = len(pools)
			pools, at[key] = append(pools, schedule.PCIPool{Tags: tagsOf(d)}), i
		}
		pools[i].Count++
	}
	return pools
}

func freeDevices(devices []compute.PCIDevice, holds map[string]compute.Hold) []compute.PCIDevice {
	if len(devices) == 0 {
		return nil
	}
	taken := map[string]bool{}
	for _, hold := range holds {
		for _, d := range hold.Devices {
			taken[d.Address] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(devices), func(d compute.PCIDevice) bool { return taken[d.Address] })
}

// holdDevices chooses devices for a server, those near its NUMA nodes first; for
// an alias, a flavor or an image that requires it only such.
func (c *Control) holdDevices(h *compute.Host, others map[string]compute.Hold, cells []compute.GuestCell, s *compute.Server) ([]compute.HeldDevice, error) {
	requests, err := c.deviceRequests(s.Flavor)
	if err != nil || len(requests) == 0 {
		return nil, err
	}
	near := func(d compute.PCIDevice) bool {
		return slices.ContainsFunc(cells, func(g compute.GuestCell) bool { return g.HostCell == d.Cell })
	}
	free := freeDevices(h.Resources.PCI, others)
	slices.SortStableFunc(free, func(a, b compute.PCIDevice) int {
		switch x, y := near(a), near(b); {
		case x == y:
			return strings.Compare(a.Address, b.Address)
		case x:
			return -1
		}
		return 1
	})
	policy := either(s, "pci_numa_affinity_policy")
	sockets := socketsOf(h.Resources, cells)
	var held []compute.HeldDevice
	for _, r := range requests {
		strict := policy
		if strict == "" {
			strict = c.aliases[r.Alias][0].NUMAPolicy
		}
		for range r.Count {
			i := slices.IndexFunc(free, func(d compute.PCIDevice) bool {
				if strict == "socket" && len(cells) > 0 && !sockets[d.Cell] {
					return false
				}
				if len(cells) > 0 && !near(d) && (strict == "required" || (strict == "" || strict == "legacy") && d.Cell >= 0) {
					return false
				}
				return matches(tagsOf(d), r.Alternatives)
			})
			if i < 0 {
				return nil, fault.New(fault.Conflict, "Host %s has too few free PCI devices for %d of %s: %w", h.Name, r.Count, r.Alias, errHeld)
			}
			held = append(held, compute.HeldDevice{Address: free[i].Address, Request: r.Alias, Cell: free[i].Cell})
			free = slices.Delete(free, i, i+1)
		}
	}
	return held, nil
}

// socketsOf are the NUMA nodes of a host that share a socket with one of a guest's.
func socketsOf(r compute.Resources, cells []compute.GuestCell) map[int]bool {
	sockets, nodes := map[int]bool{}, map[int]bool{}
	for _, n := range r.NUMA {
		if n.Socket != nil && slices.ContainsFunc(cells, func(g compute.GuestCell) bool { return g.HostCell == n.ID }) {
			sockets[*n.Socket] = true
		}
	}
	for _, n := range r.NUMA {
		nodes[n.ID] = n.Socket != nil && sockets[*n.Socket]
	}
	return nodes
}

func matches(tags map[string]string, alternatives []map[string]string) bool {
	return slices.ContainsFunc(alternatives, func(want map[string]string) bool {
		for name, value := range want {
			if tags[name] != value {
				return false
			}
		}
		return true
	})
}
