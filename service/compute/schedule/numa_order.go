package schedule

import (
	"cmp"
	"slices"
)

// cells are the indexes of the host's NUMA nodes, as they come.
func (h *Host) cells() []int {
	all := make([]int, len(h.NUMA))
	for i := range all {
		all[i] = i
	}
	return all
}

// cellsFor are the indexes of the host's NUMA nodes in the order in which those of a
// guest are to have them, if it leaves a choice: the ones with the most room first, or
// with the least (packing_host_numa_cells_allocation_strategy), and before that those
// with many devices for guests that want some, with few for others
// (nova/virt/hardware.py: numa_fit_instance_to_host).
func (h *Host) cellsFor(guest *guestNUMA, r *Request) []int {
	order := h.cells()
	if len(order) == len(guest.Cells) {
		return order
	}
	devices := make(map[int]int, len(h.PCI))
	for i := range h.PCI {
		devices[h.PCI[i].Cell] += h.PCI[i].Count
	}
	wanted, packed := 1, 1
	if len(r.PCI) > 0 {
		wanted = -1
	}
	if r.PackCells {
		packed = -1
	}
	slices.SortStableFunc(order, func(x, y int) int {
		a, b := &h.NUMA[x], &h.NUMA[y]
		return cmp.Or(
			wanted*cmp.Compare(devices[a.ID], devices[b.ID]),
			packed*guest.compareCPUs(a, b),
			packed*cmp.Compare(b.MemoryMB-b.MemoryUsedMB, a.MemoryMB-a.MemoryUsedMB))
	})
	return order
}

// compareCPUs orders nodes by their processors' room for a guest, the most first.
func (g *guestNUMA) compareCPUs(a, b *NUMACell) int {
	if g.Pinned {
		return cmp.Compare(len(b.Dedicated)-len(b.Pinned), len(a.Dedicated)-len(a.Pinned))
	}
	return cmp.Compare(a.SharedUsed, b.SharedUsed)
}
