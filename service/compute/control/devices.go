package control

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hardware"
	"kilonova/service/compute/schedule"
)

// maxPlaced bounds how many devices a flavor asks for of Placement: each is a group of
// its own in the question.
const maxPlaced = 64

// deviceProvider is the id of the provider that stands in Placement for the device at
// an address of a node. It is always the same, so that what is told twice is told once.
func deviceProvider(nodeID, address string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("kilonova/pci/"+nodeID+"/"+address)).String()
}

// nameDevices has a host's devices have their classes and traits as Placement does.
func nameDevices(r *compute.Resources) {
	if !r.PCIInPlacement {
		return
	}
	for i := range r.PCI {
		if d := &r.PCI[i]; d.Root() != "" {
			d.Class, d.Traits = classOf(d), hardware.DeviceTraits(d.Traits)
		}
	}
}

// classOf is what a device is in Placement.
func classOf(d *compute.PCIDevice) string { return hardware.DeviceClass(d.Class, d.Vendor, d.Product) }

// traitsOfDevice are those of the provider that stands for a device, without those
// that all such have.
func traitsOfDevice(d *compute.PCIDevice) []string {
	traits := hardware.DeviceTraits(d.Traits)
	if d.Migratable != nil && *d.Migratable {
		traits = append(traits, "HW_PCI_LIVE_MIGRATABLE")
	}
	if d.OneTime {
		traits = append(traits, "HW_PCI_ONE_TIME_USE")
	}
	slices.Sort(traits)
	return slices.Compact(traits)
}

// devicePool are like devices of which nobody has any.
type devicePool struct {
	schedule.PCIPool
	devices []compute.PCIDevice
}

// poolsOf are a host's free devices, by kind. inPlacement says whether providers stand
// for them there.
func poolsOf(devices []compute.PCIDevice, holds map[string]compute.Hold, inPlacement bool) []schedule.PCIPool {
	pools := devicePools(devices, holds, inPlacement)
	if len(pools) == 0 {
		return nil
	}
	all := make([]schedule.PCIPool, len(pools))
	for i := range pools {
		all[i] = pools[i].PCIPool
	}
	return all
}

// kind is by what devices are told apart.
type kind struct {
	vendor, product, typ, network, root, class string
	cell                                       int
	remote                                     bool
	migratable                                 string
}

func devicePools(devices []compute.PCIDevice, holds map[string]compute.Hold, inPlacement bool) []devicePool {
	var pools []devicePool
	at := map[kind]int{}
	for _, d := range freeDevices(devices, holds) {
		k := kind{vendor: d.Vendor, product: d.Product, typ: d.Type, network: d.Network, cell: d.Cell, remote: d.Remote}
		if d.Migratable != nil {
			k.migratable = fmt.Sprint(*d.Migratable)
		}
		if inPlacement {
			if k.root = d.Root(); k.root != "" {
				if k.class = d.Class; k.class == "" { // it was reported before there were classes
					k.class = classOf(&d)
				}
			}
		}
		i, known := at[k]
		if !known {
			i, at[k] = len(pools), len(pools)
			p := devicePool{PCIPool: schedule.PCIPool{Cell: d.Cell, Remote: d.Remote, Root: k.root, Class: k.class}}
			p.Tags = map[string]string{"vendor_id": d.Vendor, "product_id": d.Product, "dev_type": d.Type, "physical_network": d.Network, "numa_node": fmt.Sprint(d.Cell)}
			if k.migratable != "" {
				p.Tags["live_migratable"] = k.migratable
			}
			if k.root != "" {
				p.Traits = traitsOfDevice(&d)
			}
			pools = append(pools, p)
		}
		pools[i].Count++
		pools[i].devices = append(pools[i].devices, d)
	}
	return pools
}

// freeDevices are those that nobody holds, nor anything of: a physical function is not
// free while one of its virtual ones is somebody's, nor these while it is.
func freeDevices(devices []compute.PCIDevice, holds map[string]compute.Hold) []compute.PCIDevice {
	if len(devices) == 0 || len(holds) == 0 {
		return devices
	}
	held, parents := map[string]bool{}, map[string]bool{}
	for _, hold := range holds {
		for _, d := range hold.Devices {
			held[d.Address] = true
			parents[parentOf(devices, d)] = true
		}
	}
	delete(parents, "")
	return slices.DeleteFunc(slices.Clone(devices), func(d compute.PCIDevice) bool { return held[d.Address] || held[d.Parent] || parents[d.Address] })
}

// parentOf is a held device's physical function, also where that was not noted.
func parentOf(devices []compute.PCIDevice, h compute.HeldDevice) string {
	if h.Parent != "" {
		return h.Parent
	}
	if i := slices.IndexFunc(devices, func(d compute.PCIDevice) bool { return d.Address == h.Address }); i >= 0 {
		return devices[i].Parent
	}
	return ""
}

// pickDevices takes a device of each of these pools, for the requests in their order.
// It fails with errHeld where all that is left of a pool is part of what is taken, or
// the other way round.
func pickDevices(h *compute.Host, pools []devicePool, from []int, requests []schedule.PCIRequest) ([]compute.HeldDevice, error) {
	var held []compute.HeldDevice
	next := 0
	for _, r := range requests {
		for range r.Count {
			p := &pools[from[next]]
			next++
			i := slices.IndexFunc(p.devices, func(d compute.PCIDevice) bool {
				return !slices.ContainsFunc(held, func(o compute.HeldDevice) bool { return o.Parent == d.Address || d.Parent == o.Address })
			})
			if i < 0 {
				return nil, fault.New(fault.Conflict, "Host %s has PCI device %s only together with another one that is asked for: %w", h.Name, p.devices[0].Address, errHeld)
			}
			d := p.devices[i]
			p.devices = slices.Delete(p.devices, i, i+1)
			one := compute.HeldDevice{Address: d.Address, Request: r.Alias, Cell: d.Cell, Parent: d.Parent, Unmanaged: d.Unmanaged, OneTime: d.OneTime}
			if p.Root != "" {
				one.Provider, one.Class = deviceProvider(h.NodeID, p.Root), p.Class
			}
			held = append(held, one)
		}
	}
	return held, nil
}

// roomsOf is how many devices of each root Placement has left on a host, nil where it
// was not asked.
func roomsOf(nodeID string, pools []schedule.PCIPool, free map[string]map[string]int) map[string]int {
	if free == nil {
		return nil
	}
	rooms := map[string]int{}
	for i := range pools {
		if p := &pools[i]; p.Root != "" {
			rooms[p.Root] = free[deviceProvider(nodeID, p.Root)][p.Class]
		}
	}
	return rooms
}

// freeOf is what roomsOf made rooms of.
func freeOf(h *schedule.Host) map[string]map[string]int {
	if h.Rooms == nil {
		return nil
	}
	free := map[string]map[string]int{}
	for i := range h.PCI {
		if p := &h.PCI[i]; p.Root != "" {
			free[deviceProvider(h.ProviderID, p.Root)] = map[string]int{p.Class: h.Rooms[p.Root]}
		}
	}
	return free
}

// chooseDevices says of each choice whose devices the server is to have there, and
// has the claim be on them. A host on which that cannot be done is left out.
func chooseDevices(choices []schedule.Choice, r *schedule.Request) []schedule.Choice {
	if !slices.ContainsFunc(r.PCI, func(p schedule.PCIRequest) bool { return p.Class != "" }) {
		return choices
	}
	var able []schedule.Choice
	for _, choice := range choices {
		settled, ok, err := schedule.Settle(choice.Host, r)
		if err != nil || !ok {
			continue
		}
		h := *choice.Host
		h.Allocations = maps.Clone(h.Allocations)
		for _, k := range settled.Devices {
			p := &h.PCI[k]
			id := deviceProvider(h.ProviderID, p.Root)
			amounts := maps.Clone(h.Allocations[id])
			if amounts == nil {
				amounts = map[string]int{}
			}
			amounts[p.Class]++
			h.Allocations[id] = amounts
			choice.Roots = append(choice.Roots, p.Root)
		}
		choice.Host = &h
		able = append(able, choice)
	}
	return able
}

// mostLacking bounds the hosts with devices that are looked at for an explanation, while
// other decisions wait.
const mostLacking = 1000

// lackingDevices says of hosts that Placement does not name, as far as a server asks for
// devices there, which they have too few of: Placement itself gives no reasons.
func (c *Control) lackingDevices(ctx context.Context, s *compute.Server, f *Fleet, named []*schedule.Host) []schedule.Reason {
	requests, err := c.deviceRequests(s)
	if err != nil || len(requests) == 0 || requests[0].Class == "" {
		return nil
	}
	lacks, err := schedule.Lacks(&schedule.Request{Flavor: flavorOf(s), Image: imageOf(s), PCI: requests, PCIApart: c.apart(s)})
	if err != nil {
		return nil
	}
	known := make(map[string]bool, len(named))
	for _, h := range named {
		known[h.Name] = true
	}
	holds, err := c.Store.Holds(ctx, c.Store.DB)
	if err != nil {
		c.Log.Warn("what hosts lack in devices is not said", "server", s.ID, "error", err)
		return nil
	}
	count, looked := map[string]int{}, 0
	for i := range f.hosts {
		h := &f.hosts[i]
		if known[h.name] || h.disabled || ctx.Err() != nil {
			continue
		}
		if len(h.machine.pci) > 0 {
			if looked++; looked > mostLacking {
				continue
			}
		}
		x := &schedule.Host{NUMA: cellsOf(h.machine.numa, holds[h.name]), PCI: poolsOf(h.machine.pci, holds[h.name], h.machine.inPlacement)}
		x.VCPUs.Ratio, x.MemoryMB.Ratio = c.Options.CPURatio, c.Options.RAMRatio
		if why := lacks(x); why != "" {
			count[why]++
		}
	}
	var all []schedule.Reason
	for _, why := range slices.Sorted(maps.Keys(count)) {
		all = append(all, schedule.Reason{Why: why, Hosts: count[why]})
	}
	return all
}

// askDevices adds to a question the devices that a server asks for: a group for each,
// since each may be another provider's. Who gives them is decided with the host.
func (c *Control) askDevices(q *question, s *compute.Server) error {
	requests, err := c.deviceRequests(s)
	if err != nil {
		return err
	}
	for i, r := range requests {
		if r.Class == "" {
			continue
		}
		for n := range r.Count {
			q.Groups = append(q.Groups, compute.RequestGroup{Suffix: fmt.Sprintf("_pci%d-%d", i, n), Resources: map[string]int{r.Class: 1}, Required: r.Traits, Open: true})
		}
	}
	return nil
}
