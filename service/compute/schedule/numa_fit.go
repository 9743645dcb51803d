package schedule

import (
	"slices"

	"kilonova/service/compute/hardware"
)

// numaLimits are the allocation ratios of a host.
type numaLimits struct{ cpu, memory float64 }

// fit assigns each of the guest's nodes to a node of the host of its own, one of those
// that are listed, the first that will do, and returns the host's indexes; nil when that
// cannot be done. Whether one fits on the other does not depend on the rest, so this is a
// matching, found by augmenting paths: no assignment is missed, and 64 nodes on 64 are no
// burden.
func (g *guestNUMA) fit(host []NUMACell, among []int, limits numaLimits) []int {
	if len(g.Cells) > len(among) {
		return nil
	}
	guestOf := make([]int, len(among)) // 1 + the guest's node, 0: none
	seen := make([]bool, len(among))
	var place func(i int) bool
	place = func(i int) bool {
		for at, k := range among {
			if guestOf[at] == 0 && g.fits(i, &host[k], limits) {
				guestOf[at] = i + 1
				return true
			}
		}
		for at, k := range among {
			if guestOf[at] == 0 || seen[at] || !g.fits(i, &host[k], limits) {
				continue
			}
			seen[at] = true
			if place(guestOf[at] - 1) {
				guestOf[at] = i + 1
				return true
			}
		}
		return false
	}
	for i := range g.Cells {
		clear(seen)
		if !place(i) {
			return nil
		}
	}
	on := make([]int, len(g.Cells))
	for at, i := range guestOf {
		if i > 0 {
			on[i-1] = among[at]
		}
	}
	return on
}

// fits reports whether the guest's i-th node fits on one of the host's. No guest
// overcommits against itself, and one with pinned processors not at all.
func (g *guestNUMA) fits(i int, h *NUMACell, limits numaLimits) bool {
	c := &g.Cells[i]
	if !g.memoryFits(c, h) {
		return false
	}
	if len(c.Floating) > len(h.Shared) {
		return false
	}
	if g.Pinned {
		if _, ok := h.pin(len(c.Pinned), g.extraOf(i), g.Threads); !ok {
			return false
		}
	}
	if len(c.Floating) > 0 || !g.Pinned {
		if float64(h.SharedUsed+len(c.Floating)) > float64(len(h.Shared))*limits.cpu {
			return false
		}
		if float64(h.MemoryUsedMB+c.MemoryMB) > float64(h.MemoryMB)*limits.memory {
			return false
		}
	}
	return true
}

func (g *guestNUMA) memoryFits(c *hardware.Cell, h *NUMACell) bool {
	if g.PageKB != 0 {
		return g.pages(c, h) >= 0
	}
	if len(h.Pages) > 0 {
		smallest := slices.MinFunc(h.Pages, func(a, b PagePool) int { return a.SizeKB - b.SizeKB })
		return smallest.holds(c.MemoryMB, g.Pinned)
	}
	if g.Pinned {
		return c.MemoryMB <= h.MemoryMB-h.MemoryUsedMB
	}
	return c.MemoryMB <= h.MemoryMB
}

// pages returns the index of the pool of pages that the guest's node gets, the
// largest that is allowed; -1: there are not enough.
func (g *guestNUMA) pages(c *hardware.Cell, h *NUMACell) int {
	smallest := 0
	for i := range h.Pages {
		if h.Pages[i].SizeKB < h.Pages[smallest].SizeKB {
			smallest = i
		}
	}
	best := -1
	for i := range h.Pages {
		p := &h.Pages[i]
		allowed := g.PageKB == hardware.AnyPages || g.PageKB == p.SizeKB ||
			g.PageKB == hardware.SmallPages && i == smallest || g.PageKB == hardware.LargePages && i != smallest
		if allowed && p.holds(c.MemoryMB, true) && (best < 0 || p.SizeKB > h.Pages[best].SizeKB) {
			best = i
		}
	}
	return best
}

// holds reports whether memory fills whole pages and there are enough, free ones
// or any.
func (p *PagePool) holds(memoryMB int, free bool) bool {
	n := p.Total
	if free {
		n -= p.Used + p.Reserved
	}
	kB := memoryMB << 10
	return p.SizeKB > 0 && kB%p.SizeKB == 0 && kB/p.SizeKB <= n
}

// pin chooses n processors and extra further ones for a guest, by its thread
// policy: siblings together where there are, from the emptiest cores first.
func (h *NUMACell) pin(n, extra int, policy string) (chosen []int, ok bool) {
	if n+extra == 0 {
		return nil, true
	}
	cores, threads := h.freeCores()
	switch policy {
	case "isolate":
		// A core with siblings cannot be had alone: the siblings would be lost.
		if threads > 1 {
			return nil, false
		}
	case "require":
		if threads <= 1 {
			return nil, false
		}
	}
	for t := threads; t >= 1 && chosen == nil; t-- {
		if policy == "require" && t == 1 {
			break
		}
		chosen = takeThreads(cores, t, n)
	}
	if chosen == nil && policy != "require" {
		chosen = takeAny(cores, nil, n)
	}
	if n > 0 && chosen == nil {
		return nil, false
	}
	more := takeAny(cores, chosen, extra)
	if extra > 0 && more == nil {
		return nil, false
	}
	return append(chosen, more...), true
}

// freeCores lists the free dedicated processors by core, and how many threads a
// whole core has. Without siblings each processor is a core.
func (h *NUMACell) freeCores() (cores [][]int, threads int) {
	free := func(cpu int) bool { return slices.Contains(h.Dedicated, cpu) && !slices.Contains(h.Pinned, cpu) }
	threads = 1
	listed := false
	for _, siblings := range h.Siblings {
		listed = true
		threads = max(threads, len(siblings))
		var core []int
		for _, cpu := range siblings {
			if free(cpu) {
				core = append(core, cpu)
			}
		}
		if len(core) > 0 {
			cores = append(cores, core)
		}
	}
	if !listed {
		for _, cpu := range h.Dedicated {
			if free(cpu) {
				cores = append(cores, []int{cpu})
			}
		}
	}
	return cores, threads
}

// takeThreads takes n processors, t from each core that has so many.
func takeThreads(cores [][]int, t, n int) []int {
	var chosen []int
	for _, core := range cores {
		if len(core) >= t && len(chosen) < n {
			chosen = append(chosen, core[:min(t, n-len(chosen))]...)
		}
	}
	if len(chosen) < n {
		return nil
	}
	return chosen
}

func takeAny(cores [][]int, taken []int, n int) []int {
	var chosen []int
	for _, core := range cores {
		for _, cpu := range core {
			if len(chosen) < n && !slices.Contains(taken, cpu) {
				chosen = append(chosen, cpu)
			}
		}
	}
	if len(chosen) < n {
		return nil
	}
	return chosen
}

// claim returns the host's nodes with the guest on them, on those that fit chose.
func (g *guestNUMA) claim(host []NUMACell, on []int) []NUMACell {
	host = slices.Clone(host)
	for i, k := range on {
		c, h := &g.Cells[i], &host[k]
		if g.PageKB != 0 {
			h.Pages = slices.Clone(h.Pages)
			p := &h.Pages[g.pages(c, h)]
			p.Used += c.MemoryMB << 10 / p.SizeKB
		}
		if g.Pinned {
			pinned, _ := h.pin(len(c.Pinned), g.extraOf(i), g.Threads)
			h.Pinned = append(slices.Clip(h.Pinned), pinned...)
		}
		h.SharedUsed += len(c.Floating)
		h.MemoryUsedMB += c.MemoryMB
	}
	return host
}
