package schedule

import "slices"

// Dedicated counts the processors that a guest of this flavor and image has to
// itself; 0 also where what they ask for is wrong, which Select says.
func Dedicated(f Flavor, i Image) int {
	if f.ExtraSpecs["hw:cpu_policy"] == "" && i.Properties["hw_cpu_policy"] == "" && f.ExtraSpecs["resources:PCPU"] == "" {
		return 0
	}
	g, err := parseNUMA(&Request{Flavor: f, Image: i})
	if err != nil || g == nil {
		return 0
	}
	n := 0
	for _, c := range g.cells {
		n += c.dedicated
	}
	return n
}

// Seat is where one NUMA node of a guest sits on a host.
type Seat struct {
	Cell     int // the host's NUMA node, by its ID
	MemoryMB int
	PageKB   int         // size of its pages; 0: as it comes
	Floating []int       // the guest's processors that share the host's of the node
	Shared   []int       // those of the host
	Pins     map[int]int // the guest's other processors, each with one of the host to itself
}

// Seats finds the places of a guest's NUMA nodes on a host, and the host's
// processors for the hypervisor's own threads. A guest that asks for no nodes has
// no seats; ok is false when it does not fit.
func Seats(h *Host, f Flavor, i Image) (seats []Seat, emulator []int, ok bool, err error) {
	g, err := parseNUMA(&Request{Flavor: f, Image: i})
	if err != nil || g == nil {
		return nil, nil, err == nil, err
	}
	on := g.fit(h.NUMA, h.numaLimits())
	if len(h.NUMA) == 0 || on == nil {
		return nil, nil, false, nil
	}
	for i, k := range on {
		c, cell := &g.cells[i], &h.NUMA[k]
		seat := Seat{Cell: cell.ID, MemoryMB: c.memoryMB, Floating: slices.Clone(c.floating)}
		if g.pageKB != 0 {
			seat.PageKB = cell.Pages[g.pages(c, cell)].SizeKB
		}
		if c.shared > 0 {
			seat.Shared = slices.Clone(cell.Shared)
		}
		if g.pinned {
			cpus, _ := cell.pin(c.dedicated, g.extraOf(i), g.threads)
			seat.Pins = make(map[int]int, c.dedicated)
			for n, guest := range c.pinned {
				seat.Pins[guest] = cpus[n]
			}
			emulator = append(emulator, cpus[c.dedicated:]...)
		}
		seats = append(seats, seat)
	}
	return seats, emulator, true, nil
}

// AsksForSeats reports whether flavor and image ask for NUMA nodes at all, or for
// something that is wrong.
func AsksForSeats(f Flavor, i Image) bool {
	if len(f.ExtraSpecs) == 0 && len(i.Properties) == 0 {
		return false
	}
	g, err := parseNUMA(&Request{Flavor: f, Image: i})
	return g != nil || err != nil
}
