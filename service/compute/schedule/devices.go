package schedule

import "slices"

// maxSettlings bounds how many sets of a host's NUMA nodes are tried for a guest with
// devices. Guests of up to four nodes on hosts of up to sixteen have fewer.
const maxSettlings = 4096

// settling is where a guest's nodes and devices are on a host.
type settling struct {
	on []int // the host's node of each of the guest's
	// from is the pool of each device, in the order of the requests: as many of
	// each as are asked for.
	from []int
}

// settle finds nodes of the host for those of the guest, nil for none, and devices for
// what r asks for, together: which devices are near enough depends on the nodes. It
// takes all devices from the guest's nodes where that can be done. If nothing fits,
// missing is the first request that there is nothing for, and far whether that is
// because of the nodes.
func (h *Host) settle(guest *guestNUMA, r *Request) (s settling, missing int, far, ok bool) {
	d := &devices{host: h, r: r}
	if s.from, missing = d.take(nil, false); missing >= 0 {
		return s, missing, false, false
	}
	if guest == nil {
		return s, -1, false, true
	}
	missing = -1
	order := h.cellsFor(guest, r)
	for _, near := range []bool{true, false} {
		if s.on = guest.fit(h.NUMA, order, h.numaLimits()); s.on == nil {
			return s, -1, false, false
		}
		if s.from, missing = d.take(s.on, near); missing < 0 {
			return s, -1, false, true
		}
		some := make([]int, len(guest.Cells))
		for set := range sets(len(order), len(some), maxSettlings) {
			for i, at := range set {
				some[i] = order[at]
			}
			if on := guest.fit(h.NUMA, some, h.numaLimits()); on != nil {
				if from, missing := d.take(on, near); missing < 0 {
					return settling{on, from}, -1, false, true
				}
			}
		}
	}
	return s, missing, true, false
}

// sets yields the sets of k of the numbers below n, most of them at most.
func sets(n, k, most int) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		set := make([]int, k)
		for i := range set {
			set[i] = i
		}
		for ; k <= n && most > 0; most-- {
			if !yield(set) {
				return
			}
			i := k - 1
			for i >= 0 && set[i] == n-k+i {
				i--
			}
			if i < 0 {
				return
			}
			set[i]++
			for i++; i < k; i++ {
				set[i] = set[i-1] + 1
			}
		}
	}
}

// devices gives a host's devices to requests. This is a matching, found by augmenting
// paths, since one alias may be content with what another one needs.
type devices struct {
	host *Host
	r    *Request

	given [][]int // by pool, the devices that are asked for and get one of it
	seen  []bool
}

// take returns the pool of each device that is asked for. on are the host's nodes
// that the guest is on, nil for none; near takes devices of these only, and
// otherwise the policies say. missing is the first request that there are too few
// for, -1 if there is none.
func (d *devices) take(on []int, near bool) (from []int, missing int) {
	pools := d.host.PCI
	d.given = make([][]int, len(pools))
	d.seen = make([]bool, len(pools))
	here := make(map[int]bool, len(on))
	for _, k := range on {
		here[d.host.NUMA[k].ID] = true
	}
	var of []int // the request of each device
	var may [][]int
	for i := range d.r.PCI {
		usable := d.usable(&d.r.PCI[i], on, here, near)
		for range d.r.PCI[i].Count {
			of, may = append(of, i), append(may, usable)
			clear(d.seen)
			if !d.place(len(of)-1, may) {
				return nil, i
			}
		}
	}
	from = make([]int, len(of))
	for pool, units := range d.given {
		for _, unit := range units {
			from[unit] = pool
		}
	}
	return from, -1
}

// usable lists the pools that a request may have devices of, the near ones first.
func (d *devices) usable(r *PCIRequest, on []int, here map[int]bool, near bool) []int {
	var all []int
	sockets := d.sockets(on)
	for k := range d.host.PCI {
		p := &d.host.PCI[k]
		if p.Count <= 0 || !p.serves(r) {
			continue
		}
		switch {
		case len(on) == 0 || here[p.Cell]:
		case near || r.Policy == NearRequired:
			continue
		case r.Policy == NearSocket && !sockets[p.Cell]:
			continue
		case (r.Policy == NearLegacy || r.Policy == "") && p.Cell >= 0:
			continue
		}
		all = append(all, k)
	}
	slices.SortStableFunc(all, func(a, b int) int {
		switch x, y := here[d.host.PCI[a].Cell], here[d.host.PCI[b].Cell]; {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	})
	return all
}

// sockets are the nodes that share a socket with one of those at on; none where the
// socket of any node is not known, since then nothing is.
func (d *devices) sockets(on []int) map[int]bool {
	cells := d.host.NUMA
	if slices.ContainsFunc(cells, func(c NUMACell) bool { return c.Socket == nil }) {
		return nil
	}
	nodes := map[int]bool{}
	for _, c := range cells {
		nodes[c.ID] = slices.ContainsFunc(on, func(k int) bool { return *cells[k].Socket == *c.Socket })
	}
	return nodes
}

// place gives one more device, and has others take another one for it if need be.
func (d *devices) place(unit int, may [][]int) bool {
	for _, k := range may[unit] {
		if len(d.given[k]) < d.room(k) {
			d.given[k] = append(d.given[k], unit)
			return true
		}
	}
	for _, k := range may[unit] {
		if d.seen[k] {
			continue
		}
		d.seen[k] = true
		for i, other := range d.given[k] {
			if d.place(other, may) {
				d.given[k][i] = unit
				return true
			}
		}
	}
	return false
}

// room is how many devices of a pool the server may have. That pools with one root
// share its room need not be seen here: they are one, but in strange hardware, and
// then Placement refuses the claim.
func (d *devices) room(k int) int {
	p := &d.host.PCI[k]
	n := p.Count
	if d.host.Rooms != nil && p.Root != "" {
		n = min(n, d.host.Rooms[p.Root])
	}
	if d.r.PCIApart && p.Root != "" {
		n = min(n, 1)
	}
	return n
}

// serves reports whether a pool's devices are what a request wants.
func (p *PCIPool) serves(r *PCIRequest) bool {
	if p.Remote || r.Class != "" && (p.Root == "" || p.Class != r.Class) {
		return false
	}
	for _, trait := range r.Traits {
		if !slices.Contains(p.Traits, trait) {
			return false
		}
	}
	return slices.ContainsFunc(r.Alternatives, p.has)
}

// onlyAsked are types of devices that nobody gets who does not ask for them: a
// physical function goes with all its virtual ones, vDPA devices are for ports.
var onlyAsked = map[string]bool{"type-PF": true, "type-VDPA": true}

func (p *PCIPool) has(tags map[string]string) bool {
	if kind := p.Tags["dev_type"]; onlyAsked[kind] && tags["dev_type"] != kind {
		return false
	}
	for name, value := range tags {
		if p.Tags[name] != value {
			return false
		}
	}
	return true
}
