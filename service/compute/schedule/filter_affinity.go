package schedule

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"kilonova/internal/fault"
)

// Why hosts are refused that have not the servers that a request's shall be beside.
const (
	notOfGroup  = "not the host of the server group"
	notSameHost = "without any of the same_host servers"
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
			return notSameHost
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
	near, err := network(r.Hints.BuildNearHostIP, r.Hints.CIDR)
	if err != nil {
		return nil, fault.Invalidf("The hints build_near_host_ip %.64q and cidr %.64q are no network.", r.Hints.BuildNearHostIP, r.Hints.CIDR)
	}
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

// network is the one around an address, of a size like "/24", or as a mask of the
// network or of its hosts: "/255.255.255.0", "/0.0.0.255". None is "/24".
func network(address, size string) (netip.Prefix, error) {
	size = strings.TrimPrefix(cmp.Or(size, "/24"), "/")
	near, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, err
	}
	mask, err := netip.ParseAddr(size)
	if err != nil {
		bits, err := strconv.Atoi(size)
		if err != nil {
			return netip.Prefix{}, err
		}
		return near.Prefix(bits)
	}
	of, ofHosts := mask.AsSlice(), mask.AsSlice()
	for i := range ofHosts {
		ofHosts[i] = ^ofHosts[i]
	}
	for _, m := range [][]byte{of, ofHosts} {
		for bits := range near.BitLen() + 1 {
			if bytes.Equal(m, net.CIDRMask(bits, near.BitLen())) {
				return near.Prefix(bits)
			}
		}
	}
	return netip.Prefix{}, strconv.ErrSyntax
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
			return notOfGroup
		}
		return ""
	}}, nil
}
