package control

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
)

// vlanRange is an element of network_vlan_ranges; first and last are 0 where
// users get no ids of the physical network.
type vlanRange struct {
	physical    string
	first, last int
}

func vlanRanges(texts []string) ([]vlanRange, error) {
	var all []vlanRange
	for _, text := range texts {
		parts := strings.Split(text, ":")
		r := vlanRange{physical: strings.TrimSpace(parts[0])}
		var err1, err2 error
		if len(parts) == 3 {
			r.first, err1 = strconv.Atoi(strings.TrimSpace(parts[1]))
			r.last, err2 = strconv.Atoi(strings.TrimSpace(parts[2]))
		}
		if r.physical == "" || len(parts) != 1 && len(parts) != 3 || err1 != nil || err2 != nil ||
			len(parts) == 3 && (r.first < network.MinVLAN || r.last > network.MaxVLAN || r.first > r.last) {
			return nil, fmt.Errorf("network: network_vlan_ranges: %q is neither PHYSICAL nor PHYSICAL:FIRST:LAST with ids from %d to %d", text, network.MinVLAN, network.MaxVLAN)
		}
		all = append(all, r)
	}
	return all, nil
}

// placeNetwork decides what a network is made of.
func (c *Control) placeNetwork(ctx context.Context, tx *write, in network.NetworkInput) (*network.NetworkPlacement, error) {
	kind, physical, segmentation := in.Type.Or(""), in.Physical.Or(""), in.Segmentation.Or(0)
	if kind == "" {
		if physical != "" || segmentation != 0 {
			return nil, badInput("network_type required")
		}
		return c.tenantNetwork(ctx, tx)
	}
	if segmentation != 0 && kind != network.TypeVLAN {
		return nil, badInput("segmentation_id prohibited for %s provider network", kind)
	}
	switch kind {
	case network.TypeLocal:
		if physical != "" {
			return nil, badInput("provider:physical_network prohibited for local provider network")
		}
		return &network.NetworkPlacement{Type: kind}, nil
	case network.TypeFlat:
		return c.flatNetwork(ctx, tx, physical)
	case network.TypeVLAN:
		return c.vlanNetwork(ctx, tx, physical, segmentation)
	}
	return nil, badInput("network_type value '%.64s' not supported", kind)
}

// tenantNetwork takes the first of tenant_network_types that has room.
func (c *Control) tenantNetwork(ctx context.Context, tx *write) (*network.NetworkPlacement, error) {
	for _, kind := range c.options.TenantTypes {
		switch kind {
		case network.TypeLocal:
			return &network.NetworkPlacement{Type: kind}, nil
		case network.TypeVLAN:
			p, err := c.vlanNetwork(ctx, tx, "", 0)
			if !fault.Is(err, fault.Conflict) {
				return p, err
			}
		}
	}
	return nil, noneAvailable()
}

func noneAvailable() error {
	return fault.Conflictf("Unable to create the network. No tenant network is available for allocation.").WithCode("NoNetworkAvailable")
}

func (c *Control) flatNetwork(ctx context.Context, tx *write, physical string) (*network.NetworkPlacement, error) {
	if physical == "" {
		return nil, badInput("physical_network required for flat provider network")
	}
	if !slices.Contains(c.options.FlatNetworks, "*") && !slices.Contains(c.options.FlatNetworks, physical) {
		return nil, badInput("physical_network '%s' unknown for flat provider network", physical)
	}
	n, err := db.Get[int](ctx, tx, `SELECT COUNT(*) FROM networks WHERE segment = ?`, network.TypeFlat+":"+physical)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		return nil, fault.Conflictf("Unable to create the flat network. Physical network %s is in use.", physical).WithCode("FlatNetworkInUse")
	}
	return &network.NetworkPlacement{Type: network.TypeFlat, Physical: &physical}, nil
}

// vlanNetwork takes the id that is asked for, or a free one of the ranges for
// users: of the physical network, or with "" of any.
func (c *Control) vlanNetwork(ctx context.Context, tx *write, physical string, id int) (*network.NetworkPlacement, error) {
	known := slices.ContainsFunc(c.vlans, func(r vlanRange) bool { return r.physical == physical })
	switch {
	case physical == "" && id != 0:
		return nil, badInput("segmentation_id requires physical_network for VLAN provider network")
	case physical != "" && !known:
		return nil, badInput("physical_network '%s' unknown for VLAN provider network", physical)
	case id != 0 && (id < network.MinVLAN || id > network.MaxVLAN):
		return nil, badInput("segmentation_id out of range (%d through %d)", network.MinVLAN, network.MaxVLAN)
	}
	for _, r := range c.vlans {
		if physical != "" && r.physical != physical || id == 0 && r.first == 0 {
			continue
		}
		taken, err := db.Select[int](ctx, tx, `SELECT segmentation FROM networks WHERE type = ? AND physical = ?`, network.TypeVLAN, r.physical)
		if err != nil {
			return nil, err
		}
		if id != 0 {
			if slices.Contains(taken, id) {
				return nil, fault.Conflictf("Unable to create the network. The VLAN %d on physical network %s is in use.", id, physical).WithCode("VlanIdInUse")
			}
			return &network.NetworkPlacement{Type: network.TypeVLAN, Physical: &physical, Segmentation: &id}, nil
		}
		for free := r.first; free <= r.last; free++ {
			if !slices.Contains(taken, free) {
				return &network.NetworkPlacement{Type: network.TypeVLAN, Physical: &r.physical, Segmentation: &free}, nil
			}
		}
	}
	return nil, noneAvailable()
}
