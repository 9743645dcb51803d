package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// capability is one extra spec that asks for a fact of the host.
type capability struct {
	spec     string // as the flavor has it, for the explanation
	path     []string
	match    func(string) bool
	optional bool // hosts without the fact pass
}

// computeCapabilities wants the host's facts to match the flavor's extra specs:
// those with the scope "capabilities", and those without any that happen to name
// a fact.
func computeCapabilities(_ *Options, r *Request) (*filter, error) {
	var all []capability
	for _, key := range slices.Sorted(maps.Keys(r.Flavor.ExtraSpecs)) {
		value := r.Flavor.ExtraSpecs[key]
		path := strings.Split(key, ":")
		switch {
		case key == "hw:maxphysaddr_bits":
			all = append(all, capability{key, []string{"cpu_info", "maxphysaddr", "bits"}, compileSpec(">= " + value), false})
		case len(path) == 1:
			all = append(all, capability{key, path, compileSpec(value), true})
		case path[0] == "capabilities":
			all = append(all, capability{key, path[1:], compileSpec(value), false})
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	lacking := func(h *Host) (*capability, any) {
		for i := range all {
			c := &all[i]
			value := h.attribute(c.path)
			if value == nil && c.optional {
				continue
			}
			if value == nil || !c.match(plain(value)) {
				return c, value
			}
		}
		return nil, nil
	}
	return &filter{
		refuse: func(h *Host) string {
			if c, _ := lacking(h); c != nil {
				return "without the flavor's capabilities"
			}
			return ""
		},
		detail: func(h *Host) string {
			c, value := lacking(h)
			return fmt.Sprintf("extra spec %s wants %s, the host has %.64s", c.spec, r.Flavor.ExtraSpecs[c.spec], plain(value))
		},
	}, nil
}
