package control

import (
	"context"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
)

// asksForHardware reports whether a server asks for processors, memory or devices
// of a host to itself.
func (c *Control) asksForHardware(s *compute.Server) bool {
	return schedule.AsksForSeats(flavorOf(s), imageOf(s)) || s.Flavor.ExtraSpecs[aliasSpec] != ""
}

func imageOf(s *compute.Server) schedule.Image {
	return schedule.Image{ID: s.ImageID, Properties: s.ImageMeta.Properties}
}

// holdHardware chooses in tx what of a host a server gets to itself: processors,
// memory pages, devices. All who decide that for one host come here one after the
// other, so that nothing is given away twice. before is what the server keeps of the
// host besides; nil: nothing.
func (c *Control) holdHardware(ctx context.Context, tx *db.Tx, s *compute.Server, host string, before *compute.Hold) (compute.Hold, error) {
	var hold compute.Hold
	if !c.asksForHardware(s) {
		return hold, nil
	}
	h, err := c.Store.Host(ctx, tx, compute.BinaryCompute, host)
	if err != nil {
		return hold, err
	}
	if err := c.Store.NodeTurn(ctx, tx, h.NodeID); err != nil {
		return hold, err
	}
	holds, err := c.Store.Holds(ctx, tx, host)
	if err != nil {
		return hold, err
	}
	others := holds[host]
	delete(others, s.ID)
	if !before.Empty() {
		if others == nil {
			others = map[string]compute.Hold{}
		}
		others[s.ID+"/before"] = *before
	}
	r := &schedule.Request{Flavor: flavorOf(s), Image: imageOf(s), PCIApart: c.apart(s), PackCells: c.Options.PackNUMACells}
	if r.PCI, err = c.deviceRequests(s); err != nil {
		return hold, err
	}
	pools := devicePools(h.Resources.PCI, others, h.Resources.PCIInPlacement)
	settled, ok, err := schedule.Settle(c.bare(h, others, pools, s.Roots), r)
	if err != nil {
		return hold, err
	}
	if !ok {
		return hold, fault.New(fault.Conflict, "The NUMA nodes and devices of host %s have no room for what server %s asks for: %w", host, s.ID, errHeld)
	}
	hold.Emulator = settled.Emulator
	for _, seat := range settled.Seats {
		cell := compute.GuestCell{HostCell: seat.Cell, MemoryMB: seat.MemoryMB, PageKB: seat.PageKB, CPUs: slices.Clone(seat.Floating), Pins: seat.Pins, Shared: seat.Shared}
		for guest := range seat.Pins {
			cell.CPUs = append(cell.CPUs, guest)
		}
		slices.Sort(cell.CPUs)
		hold.Cells = append(hold.Cells, cell)
	}
	hold.Devices, err = pickDevices(h, pools, settled.Devices, r.PCI)
	return hold, err
}

// bare is a host as far as it matters for what is held of it. roots are where the
// devices are that have been claimed; nil: Placement was not asked for any.
func (c *Control) bare(h *compute.Host, others map[string]compute.Hold, pools []devicePool, roots []string) *schedule.Host {
	x := &schedule.Host{VCPUs: schedule.Resource{Ratio: c.Options.CPURatio}, MemoryMB: schedule.Resource{Ratio: c.Options.RAMRatio}, NUMA: cellsOf(h.Resources.NUMA, others)}
	for i := range pools {
		x.PCI = append(x.PCI, pools[i].PCIPool)
	}
	if roots != nil {
		x.Rooms = map[string]int{}
		for _, root := range roots {
			x.Rooms[root]++
		}
	}
	return x
}

// cellsOf are a host's NUMA nodes with what is held of them.
func cellsOf(nodes []compute.NUMACell, holds map[string]compute.Hold) []schedule.NUMACell {
	if len(nodes) == 0 {
		return nil
	}
	cells := make([]schedule.NUMACell, len(nodes))
	at := make(map[int]*schedule.NUMACell, len(cells))
	for i, n := range nodes {
		cells[i] = schedule.NUMACell{ID: n.ID, Socket: n.Socket, Shared: n.Shared, Dedicated: n.Dedicated, Siblings: n.Siblings, MemoryMB: n.MemoryMB}
		for _, p := range n.Pages {
			cells[i].Pages = append(cells[i].Pages, schedule.PagePool{SizeKB: p.SizeKB, Total: p.Total, Reserved: p.Reserved})
		}
		at[n.ID] = &cells[i]
	}
	for _, hold := range holds {
		for _, g := range hold.Cells {
			cell := at[g.HostCell]
			if cell == nil {
				continue // the host has changed since
			}
			cell.MemoryUsedMB += g.MemoryMB
			cell.SharedUsed += len(g.CPUs) - len(g.Pins)
			for _, cpu := range g.Pins {
				cell.Pinned = append(cell.Pinned, cpu)
			}
			for i := range cell.Pages {
				if cell.Pages[i].SizeKB == g.PageKB && g.PageKB > 0 {
					cell.Pages[i].Used += g.MemoryMB << 10 / g.PageKB
				}
			}
		}
		for _, cpu := range hold.Emulator {
			for i := range cells {
				if slices.Contains(cells[i].Dedicated, cpu) {
					cells[i].Pinned = append(cells[i].Pinned, cpu)
				}
			}
		}
	}
	return cells
}
