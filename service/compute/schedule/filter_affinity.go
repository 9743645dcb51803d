package schedule

import (
	"fmt"
	"net/netip"
	"strings"

	"kilonova/internal/fault"
)

// serversOn counts the servers on each host by its name, without except.
func (r *Request) serversOn(servers []string, except string) map[string]int {
	on := make(map[string]int, len(servers))
	for _, id := range servers {
		if host := r.Located[id]; host != "" && id != except {
			on[host]++
		}
	}
	return on
}

func sameHost(_ *Options, r *Request) (*filter, error) {
	if len(r.Hints.SameHost) == 0 {
		return nil, nil
	}
	on := r.serversOn(r.Hints.SameHost, "")
	return &filter{refuse: func(h *Host) string {
		if on[h.Name] == 0 {
			return "without any of the same_host servers"
		}
		return ""
	}}, nil
}

func differentHost(_ *Options, r *Request) (*filter, error) {
	on := r.serversOn(r.Hints.DifferentHost, "")
	if len(on) == 0 {
		return nil, nil
	}
	return &filter{refuse: func(h *Host) string {
		if on[h.Name] > 0 {
			return "with one of the different_host servers"
		}
		return ""
	}}, nil
}

func simpleCIDRAffinity(_ *Options, r *Request) (*filter, error) {
	if r.Hints.BuildNearHostIP == "" {
		return nil, nil
	}
	length := r.Hints.CIDR
	if length == "" {
		length = "/24"
	}
	near, err := netip.ParsePrefix(r.Hints.BuildNearHostIP + "/" + strings.TrimPrefix(length, "/"))
	if err != nil {
		return nil, fault.Invalidf("The hints build_near_host_ip %.64q and cidr %.64q are no network.", r.Hints.BuildNearHostIP, length)
	}
	near = near.Masked()
	return &filter{
		refuse: func(h *Host) string {
			if ip, err := netip.ParseAddr(h.IP); err != nil || !near.Contains(ip) {
				return "outside the requested network"
			}
			return ""
		},
		detail: func(h *Host) string { return fmt.Sprintf("address %s is outside %s", h.IP, near) },
	}, nil
}

func groupAntiAffinity(_ *Options, r *Request) (*filter, error) {
	if r.Group == nil || r.Group.Policy != AntiAffinity {
		return nil, nil
	}
	on := r.serversOn(r.Group.Members, r.ServerID)
	most := max(1, r.Group.MaxServerPerHost)
	home := r.Located[r.ServerID] // may stay where it is, however crowded
	if len(on) == 0 {
		return nil, nil
	}
	return &filter{
		refuse: func(h *Host) string {
			if on[h.Name] >= most && (home == "" || h.Name != home) {
				return "full of the server group"
			}
			return ""
		},
		detail: func(h *Host) string {
			return fmt.Sprintf("has %s of server group %s, which allows %d on a host", count(on[h.Name], "server"), r.Group.ID, most)
		},
	}, nil
}

func groupAffinity(_ *Options, r *Request) (*filter, error) {
	if r.Group == nil || r.Group.Policy != Affinity {
		return nil, nil
	}
	on := r.serversOn(r.Group.Members, r.ServerID)
	if len(on) == 0 { // the first of its group may go anywhere
		return nil, nil
	}
	return &filter{refuse: func(h *Host) string {
		if on[h.Name] == 0 {
			return "not the host of the server group"
		}
		return ""
	}}, nil
}
