package fake

import (
	"slices"

	"kilonova/service/compute"
)

// cells are the NUMA nodes that the host pretends to have: processors and memory
// in equal parts, two threads a core.
func (c Config) cells() []compute.NUMACell {
	if c.NUMANodes == 0 {
		return nil
	}
	cells := make([]compute.NUMACell, c.NUMANodes)
	each := c.VCPUs / c.NUMANodes
	for i := range cells {
		n := &cells[i]
		n.ID, n.MemoryMB, n.Socket = i, c.MemoryMB/c.NUMANodes, new(i/2) // two nodes a socket
		for cpu := i * each; cpu < (i+1)*each; cpu++ {
			if slices.Contains(c.Dedicated, cpu) {
				n.Dedicated = append(n.Dedicated, cpu)
			} else {
				n.Shared = append(n.Shared, cpu)
			}
			if cpu%2 == 1 {
				n.Siblings = append(n.Siblings, []int{cpu - 1, cpu})
			}
		}
		huge := c.HugePages * 2
		n.Pages = []compute.PagePool{{SizeKB: 4, Total: (n.MemoryMB - huge) << 8}}
		if c.HugePages > 0 {
			n.Pages = append(n.Pages, compute.PagePool{SizeKB: 2048, Total: c.HugePages})
		}
	}
	return cells
}
