package schedule

import "fmt"

// numaTopology wants the NUMA nodes of the guest, if it is to have any, to fit on
// nodes of the host. Where PCI devices sit is PciPassthroughFilter's business.
func numaTopology(_ *Options, r *Request) (*filter, error) {
	guest, err := parseNUMA(r)
	if err != nil || guest == nil {
		return nil, err
	}
	return &filter{
		refuse: func(h *Host) string {
			switch {
			case len(h.NUMA) == 0:
				return "without a NUMA topology"
			case len(h.NUMA) < len(guest.Cells):
				return "with too few NUMA nodes"
			case guest.fit(h.NUMA, h.cells(), h.numaLimits()) == nil:
				return "with NUMA nodes too small or full"
			}
			return ""
		},
		detail: func(h *Host) string {
			if n := len(h.NUMA); n > 0 && n < len(guest.Cells) {
				return fmt.Sprintf("has %s, %d are wanted", count(len(h.NUMA), "NUMA node"), len(guest.Cells))
			}
			return ""
		},
	}, nil
}

func (h *Host) numaLimits() numaLimits {
	return numaLimits{cpu: h.VCPUs.ratio(), memory: h.MemoryMB.ratio()}
}
