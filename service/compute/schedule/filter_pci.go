package schedule

import (
	"fmt"
	"slices"
)

// pciPassthrough wants enough free devices of each kind that is asked for, as near to
// the guest's NUMA nodes as their policies say.
func pciPassthrough(_ *Options, r *Request) (*filter, error) {
	if len(r.PCI) == 0 {
		return nil, nil
	}
	guest, err := parseNUMA(r)
	if err != nil {
		return nil, err
	}
	return &filter{
		refuse: func(h *Host) string {
			if len(h.PCI) == 0 {
				return "without free PCI devices"
			}
			_, missing, far, ok := h.settle(guest, r)
			switch {
			case ok:
				return ""
			case missing < 0:
				return "with NUMA nodes too small or full"
			case far:
				return fmt.Sprintf("with %s on other NUMA nodes only", r.PCI[missing].what())
			}
			if h.untold(&r.PCI[missing]) {
				return fmt.Sprintf("with %s that Placement is not told of", r.PCI[missing].what())
			}
			return fmt.Sprintf("with too few %s left", r.PCI[missing].what())
		},
		detail: func(h *Host) string {
			_, missing, far, _ := h.settle(guest, r)
			if missing < 0 {
				return ""
			}
			asked := &r.PCI[missing]
			if far {
				return fmt.Sprintf("too few free PCI devices for %d of %s as near as its NUMA policy %s has it", asked.Count, asked.Alias, asked.Policy)
			}
			return fmt.Sprintf("too few free PCI devices for %d of %s", asked.Count, asked.Alias)
		},
	}, nil
}

// untold reports whether a host has what a request asks for, but not in Placement.
func (h *Host) untold(r *PCIRequest) bool {
	if r.Class == "" {
		return false
	}
	legacy := PCIRequest{Alternatives: r.Alternatives}
	return slices.ContainsFunc(h.PCI, func(p PCIPool) bool { return p.Root == "" && p.Tags["physical_network"] == "" && p.serves(&legacy) })
}

// Lacks returns what says of a host which of the devices that a request asks for it has
// too few of, "" if none. A request that is wrong in itself is fault.Invalid.
func Lacks(r *Request) (func(*Host) string, error) {
	f, err := pciPassthrough(nil, r)
	if err != nil || f == nil {
		return func(*Host) string { return "" }, err
	}
	return f.refuse, nil
}

// kinds are the types of devices as one says them.
var kinds = map[string]string{"type-VF": "VFs", "type-PF": "PFs"}

// what is what a request asks for, for explanations.
func (r *PCIRequest) what() string {
	kind := "devices"
	if len(r.Alternatives) > 0 && kinds[r.Alternatives[0]["dev_type"]] != "" {
		kind = kinds[r.Alternatives[0]["dev_type"]]
	}
	return fmt.Sprintf("%s of alias %s", kind, r.Alias)
}
