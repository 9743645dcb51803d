package schedule

import (
	"fmt"
	"slices"
	"strings"
)

// notDestination is why hosts are refused where another was asked for.
const notDestination = "not the requested destination"

// requestedDestination keeps the one place that was asked for.
func requestedDestination(_ *Options, r *Request) (*filter, error) {
	d := r.Destination
	return &filter{refuse: func(h *Host) string {
		if d.Host != "" && h.Name != d.Host || d.Node != "" && h.Node != d.Node {
			return notDestination
		}
		return ""
	}}, nil
}

func ignoredHosts(_ *Options, r *Request) (*filter, error) {
	return &filter{refuse: func(h *Host) string {
		if containsFold(r.IgnoreHosts, h.Name) {
			return "to be ignored"
		}
		return ""
	}}, nil
}

func forcedHosts(_ *Options, r *Request) (*filter, error) {
	return &filter{refuse: func(h *Host) string {
		if !containsFold(r.ForceHosts, h.Name) {
			return "not the forced host"
		}
		return ""
	}}, nil
}

func forcedNodes(_ *Options, r *Request) (*filter, error) {
	return &filter{refuse: func(h *Host) string {
		if !slices.Contains(r.ForceNodes, h.Node) {
			return "not the forced node"
		}
		return ""
	}}, nil
}

// retryFilter refuses places where building the server has failed.
func retryFilter(_ *Options, r *Request) (*filter, error) {
	if len(r.Tried) == 0 {
		return nil, nil
	}
	return &filter{refuse: func(h *Host) string {
		for _, t := range r.Tried {
			if t.Host == h.Name && (t.Node == "" || t.Node == h.Node) {
				return "tried before"
			}
		}
		return ""
	}}, nil
}

func computeFilter(*Options, *Request) (*filter, error) {
	return &filter{
		refuse: func(h *Host) string {
			switch {
			case h.Disabled:
				return "disabled"
			case h.ForcedDown:
				return "forced down"
			case !h.Up:
				return "down"
			}
			return ""
		},
		detail: func(h *Host) string {
			if h.Disabled && h.DisabledReason != "" {
				return "disabled: " + h.DisabledReason
			}
			return ""
		},
	}, nil
}

func availabilityZone(_ *Options, r *Request) (*filter, error) {
	if r.Zone == "" {
		return nil, nil
	}
	return &filter{
		refuse: func(h *Host) string {
			if h.Zone != r.Zone {
				return "outside the availability zone"
			}
			return ""
		},
		detail: func(h *Host) string { return fmt.Sprintf("in availability zone %s, not %s", h.Zone, r.Zone) },
	}, nil
}

// isolatedHosts keeps chosen images on chosen hosts and, where restricted, all
// others off them.
func isolatedHosts(o *Options, r *Request) (*filter, error) {
	f := &o.Filter
	hosts := make(map[string]bool, len(f.IsolatedHosts))
	for _, name := range f.IsolatedHosts {
		hosts[name] = true
	}
	image := slices.Contains(f.IsolatedImages, r.Image.ID) && r.Image.ID != ""
	switch {
	case image:
		return &filter{refuse: func(h *Host) string {
			if !hosts[h.Name] {
				return "not among the hosts of isolated images"
			}
			return ""
		}}, nil
	case f.RestrictIsolated && len(hosts) > 0:
		return &filter{refuse: func(h *Host) string {
			if hosts[h.Name] {
				return "reserved for isolated images"
			}
			return ""
		}}, nil
	}
	return nil, nil
}

// typeAffinity keeps hosts to one flavor each.
func typeAffinity(_ *Options, r *Request) (*filter, error) {
	return &filter{refuse: func(h *Host) string {
		for name, n := range h.Flavors {
			if n > 0 && name != r.Flavor.Name {
				return "has servers of another flavor"
			}
		}
		return ""
	}}, nil
}

func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
