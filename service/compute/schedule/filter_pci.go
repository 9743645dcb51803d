package schedule

import "fmt"

// pciPassthrough wants enough free devices of each kind that is asked for.
func pciPassthrough(_ *Options, r *Request) (*filter, error) {
	if len(r.PCI) == 0 {
		return nil, nil
	}
	var scratch []int
	return &filter{
		refuse: func(h *Host) string {
			if len(h.PCI) == 0 {
				return "without PCI devices"
			}
			scratch = scratch[:0]
			for i := range h.PCI {
				scratch = append(scratch, h.PCI[i].Count)
			}
			if takeDevices(h.PCI, scratch, r.PCI) >= 0 {
				return "with too few PCI devices"
			}
			return ""
		},
		detail: func(h *Host) string {
			free := make([]int, len(h.PCI))
			for i := range h.PCI {
				free[i] = h.PCI[i].Count
			}
			missing := r.PCI[max(0, takeDevices(h.PCI, free, r.PCI))]
			return fmt.Sprintf("too few free PCI devices for %d of %s", missing.Count, missing.Alias)
		},
	}, nil
}

// takeDevices takes what is asked for from the pools' free counts, in order. It
// returns the index of the first request that there are too few devices for, -1
// when there are enough for all.
func takeDevices(pools []PCIPool, free []int, requests []PCIRequest) int {
	for i := range requests {
		need := requests[i].Count
		for k := range pools {
			if need == 0 {
				break
			}
			if pools[k].matches(requests[i].Alternatives) {
				n := min(need, free[k])
				free[k] -= n
				need -= n
			}
		}
		if need > 0 {
			return i
		}
	}
	return -1
}

func (p *PCIPool) matches(alternatives []map[string]string) bool {
	for _, tags := range alternatives {
		ok := true
		for name, value := range tags {
			ok = ok && p.Tags[name] == value
		}
		if ok {
			return true
		}
	}
	return false
}
