package schedule

import (
	"maps"
	"slices"
)

// SelectMany places several servers of one request, one after the other, each
// seeing what those before it will take of the hosts. There is a result for each
// server up to and including the first that no host is found for. The hosts
// themselves are not changed.
func (s *Scheduler) SelectMany(hosts []*Host, r *Request, serverIDs []string) ([]Result, error) {
	if s.chance {
		return s.drawMany(hosts, r, len(serverIDs))
	}
	hosts = slices.Clone(hosts)
	request := *r
	request.Located = make(map[string]string, len(r.Located)+len(serverIDs))
	for id, host := range r.Located {
		request.Located[id] = host
	}
	if r.Group != nil { // the new ones are members too
		group := *r.Group
		group.Members = slices.Concat(group.Members, serverIDs)
		request.Group = &group
	}
	guest, err := parseNUMA(r)
	if err != nil {
		return nil, err
	}
	results := make([]Result, 0, len(serverIDs))
	for _, id := range serverIDs {
		request.ServerID = id
		result, err := s.Select(hosts, &request)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
		if len(result.Ordered) == 0 {
			break
		}
		chosen := result.Ordered[0].Host
		request.Located[id] = chosen.Name
		hosts[slices.Index(hosts, chosen)] = chosen.with(&request, guest)
	}
	return results, nil
}

// drawMany deals hosts out like cards: none gets a second server before each has
// one.
func (s *Scheduler) drawMany(hosts []*Host, r *Request, n int) ([]Result, error) {
	request := *r
	request.Choices = 0
	result, err := s.Select(hosts, &request)
	if err != nil {
		return nil, err
	}
	deck := result.Ordered
	if len(deck) == 0 {
		return []Result{result}, nil
	}
	results := make([]Result, n)
	for i := range results {
		at, limit := i%len(deck), len(deck)
		if r.Choices > 0 {
			limit = min(limit, r.Choices)
		}
		results[i] = Result{Ordered: slices.Concat(deck[at:], deck[:at])[:limit:limit], Explanation: result.Explanation}
	}
	return results, nil
}

// With returns the host as it will be with one more server, that of r.
func (h *Host) With(r *Request) *Host {
	guest, err := parseNUMA(r)
	if err != nil { // Select has refused r already
		guest = nil
	}
	return h.with(r, guest)
}

// with is With for a guest that has been read already.
func (h *Host) with(r *Request, guest *guestNUMA) *Host {
	next := *h
	next.VCPUs.Used += r.Flavor.VCPUs
	next.MemoryMB.Used += r.Flavor.MemoryMB
	gb := (r.Flavor.DiskMB() + 1023) / 1024
	next.DiskGB.Used += gb
	if h.DiskLeastGB != nil {
		least := *h.DiskLeastGB - gb
		next.DiskLeastGB = &least
	}
	next.Servers++
	next.IOOps++
	if h.Flavors != nil {
		next.Flavors = make(map[string]int, len(h.Flavors)+1)
		for name, n := range h.Flavors {
			next.Flavors[name] = n
		}
		next.Flavors[r.Flavor.Name]++
	}
	if guest == nil && len(r.PCI) == 0 {
		return &next
	}
	if settled, _, _, ok := h.settle(guest, r); ok {
		next.takeDevices(settled.from)
		if guest != nil {
			next.NUMA = guest.claim(h.NUMA, settled.on)
		}
	}
	return &next
}

// takeDevices takes one device of each of these pools.
func (h *Host) takeDevices(from []int) {
	if len(from) == 0 {
		return
	}
	h.PCI, h.Rooms = slices.Clone(h.PCI), maps.Clone(h.Rooms)
	for _, k := range from {
		h.PCI[k].Count--
		if root := h.PCI[k].Root; h.Rooms != nil && root != "" {
			h.Rooms[root]--
		}
	}
}
