package schedule

import "slices"

// Dedicated counts the processors that a guest of this flavor and image has to
// itself; 0 also where what they ask for is wrong, which Select says.
func Dedicated(f Flavor, i Image) int {
	g, err := numaOf(f, i)
	if err != nil || g == nil {
		return 0
	}
	n := 0
	for _, c := range g.Cells {
		n += len(c.Pinned)
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

// Settled is where a guest's NUMA nodes and devices are on a host.
type Settled struct {
	Seats    []Seat // one for each of its NUMA nodes, if it asks for any
	Emulator []int  // the host's processors for the hypervisor's own threads
	// Devices is the index in Host.PCI of each device that is asked for, in the
	// order of the requests.
	Devices []int
}

// Settle finds places for what a request asks of a host's NUMA nodes and devices; ok is
// false when it does not fit. What is no right request is fault.Invalid.
func Settle(h *Host, r *Request) (s Settled, ok bool, err error) {
	g, err := parseNUMA(r)
	if err != nil {
		return s, false, err
	}
	if g != nil && len(h.NUMA) == 0 {
		return s, false, nil
	}
	at, _, _, ok := h.settle(g, r)
	if !ok {
		return s, false, nil
	}
	s.Devices = at.from
	for i, k := range at.on {
		c, cell := &g.Cells[i], &h.NUMA[k]
		seat := Seat{Cell: cell.ID, MemoryMB: c.MemoryMB, Floating: slices.Clone(c.Floating)}
		if g.PageKB != 0 {
			seat.PageKB = cell.Pages[g.pages(c, cell)].SizeKB
		}
		if len(c.Floating) > 0 {
			seat.Shared = slices.Clone(cell.Shared)
		}
		if g.Pinned {
			cpus, _ := cell.pin(len(c.Pinned), g.extraOf(i), g.Threads)
			seat.Pins = make(map[int]int, len(c.Pinned))
			for n, guest := range c.Pinned {
				seat.Pins[guest] = cpus[n]
			}
			s.Emulator = append(s.Emulator, cpus[len(c.Pinned):]...)
		}
		s.Seats = append(s.Seats, seat)
	}
	return s, true, nil
}

// AsksForSeats reports whether flavor and image ask for NUMA nodes at all, or for
// something that is wrong.
func AsksForSeats(f Flavor, i Image) bool {
	g, err := numaOf(f, i)
	return g != nil || err != nil
}
