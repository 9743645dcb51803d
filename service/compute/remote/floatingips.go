package remote

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

var _ compute.OldNetworks = (*Networks)(nil)

// ask sends a change as the caller.
func (n *Networks) ask(ctx context.Context, method, path string, in, out any) error {
	return n.Client.Do(ctx, peer.Call{Method: method, Path: "/v2.0/" + path, In: in, Out: out, AsCaller: true})
}

// All implements compute.OldNetworks.
func (n *Networks) All(ctx context.Context) ([]compute.Network, error) {
	return n.some(ctx, url.Values{})
}

// Pools implements compute.OldNetworks.
func (n *Networks) Pools(ctx context.Context) ([]compute.Network, error) {
	return n.some(ctx, url.Values{"router:external": {"True"}})
}

func (n *Networks) some(ctx context.Context, query url.Values) ([]compute.Network, error) {
	var out struct{ Networks []network }
	err := n.get(ctx, true, "networks", query, &out)
	var all []compute.Network
	for _, x := range out.Networks {
		all = append(all, x.network())
	}
	return all, err
}

type ownFloatingIP struct {
	ID        string      `json:"id"`
	NetworkID string      `json:"floating_network_id"`
	Address   netip.Addr  `json:"floating_ip_address"`
	PortID    *string     `json:"port_id"`
	Fixed     *netip.Addr `json:"fixed_ip_address"`
}

// FloatingIPs implements compute.OldNetworks.
func (n *Networks) FloatingIPs(ctx context.Context, projectID string) ([]compute.FloatingIP, error) {
	var out struct{ FloatingIPs []ownFloatingIP }
	if err := n.get(ctx, true, "floatingips", url.Values{"project_id": {projectID}}, &out); err != nil {
		return nil, err
	}
	return n.floatingIPs(ctx, out.FloatingIPs)
}

// FloatingIP implements compute.OldNetworks.
func (n *Networks) FloatingIP(ctx context.Context, id string) (compute.FloatingIP, error) {
	var out struct{ FloatingIP ownFloatingIP }
	err := n.get(ctx, true, "floatingips/"+url.PathEscape(id), nil, &out)
	if fault.Is(err, fault.NotFound) {
		return compute.FloatingIP{}, fault.NotFoundf("Floating IP not found for ID %s", id)
	}
	if err != nil {
		return compute.FloatingIP{}, err
	}
	return one(n.floatingIPs(ctx, []ownFloatingIP{out.FloatingIP}))
}

func one[T any](all []T, err error) (T, error) {
	if err != nil || len(all) == 0 {
		var none T
		return none, err
	}
	return all[0], nil
}

// floatingIPs completes addresses with the names of their networks and the
// servers that they lead to.
func (n *Networks) floatingIPs(ctx context.Context, all []ownFloatingIP) ([]compute.FloatingIP, error) {
	var networkIDs, portIDs []string
	for _, f := range all {
		networkIDs = append(networkIDs, f.NetworkID)
		if f.PortID != nil {
			portIDs = append(portIDs, *f.PortID)
		}
	}
	var networks struct{ Networks []network }
	if len(networkIDs) > 0 {
		slices.Sort(networkIDs)
		if err := n.get(ctx, true, "networks", url.Values{"id": slices.Compact(networkIDs)}, &networks); err != nil {
			return nil, err
		}
	}
	var ports struct{ Ports []port }
	if len(portIDs) > 0 {
		if err := n.get(ctx, true, "ports", url.Values{"id": portIDs}, &ports); err != nil {
			return nil, err
		}
	}
	views := make([]compute.FloatingIP, len(all))
	for i, f := range all {
		views[i] = compute.FloatingIP{ID: f.ID, Address: f.Address, Pool: f.NetworkID}
		for _, x := range networks.Networks {
			if x.ID == f.NetworkID && x.Name != "" {
				views[i].Pool = x.Name
			}
		}
		if f.PortID == nil {
			continue
		}
		views[i].PortID = *f.PortID
		if f.Fixed != nil {
			views[i].Fixed = *f.Fixed
		}
		for _, p := range ports.Ports {
			if p.ID == *f.PortID {
				views[i].ServerID = p.DeviceID
			}
		}
	}
	return views, nil
}

// AllocateFloatingIP implements compute.OldNetworks.
func (n *Networks) AllocateFloatingIP(ctx context.Context, pool string) (compute.FloatingIP, error) {
	pools, err := n.Pools(ctx)
	if err != nil {
		return compute.FloatingIP{}, err
	}
	i := slices.IndexFunc(pools, func(p compute.Network) bool { return pool == "" || p.ID == pool || p.Name == pool })
	if i < 0 {
		return compute.FloatingIP{}, fault.NotFoundf("Floating IP pool not found.")
	}
	var out struct{ FloatingIP ownFloatingIP }
	err = n.ask(ctx, http.MethodPost, "floatingips", object{"floatingip": object{"floating_network_id": pools[i].ID}}, &out)
	if fault.Is(err, fault.Conflict) { // a quota, or no more addresses
		if codeOf(err) == "OverQuota" {
			return compute.FloatingIP{}, fault.Forbiddenf("IP allocation over quota in pool %s.", pools[i].Name)
		}
		return compute.FloatingIP{}, fault.NotFoundf("No more floating IPs in pool %s.", pools[i].Name)
	}
	if err != nil {
		return compute.FloatingIP{}, err
	}
	return one(n.floatingIPs(ctx, []ownFloatingIP{out.FloatingIP}))
}

// ReleaseFloatingIP implements compute.OldNetworks.
func (n *Networks) ReleaseFloatingIP(ctx context.Context, id string) error {
	return n.ask(ctx, http.MethodDelete, "floatingips/"+url.PathEscape(id), nil, nil)
}

// Associate implements compute.OldNetworks.
func (n *Networks) Associate(ctx context.Context, id, portID string, fixed netip.Addr) error {
	change := object{"port_id": nil}
	if portID != "" {
		change = object{"port_id": portID, "fixed_ip_address": fixed.String()}
	}
	return n.ask(ctx, http.MethodPut, "floatingips/"+url.PathEscape(id), object{"floatingip": change}, nil)
}

func (n *Networks) fixedIPs(ctx context.Context, portID string) (port, []object, error) {
	var out struct{ Port port }
	if err := n.get(ctx, false, "ports/"+url.PathEscape(portID), nil, &out); err != nil {
		return port{}, nil, err
	}
	fixed := []object{}
	for _, ip := range out.Port.FixedIPs {
		fixed = append(fixed, object{"subnet_id": ip.SubnetID, "ip_address": ip.Address.String()})
	}
	return out.Port, fixed, nil
}

// AddFixedIP implements compute.OldNetworks.
func (n *Networks) AddFixedIP(ctx context.Context, portID string) error {
	p, fixed, err := n.fixedIPs(ctx, portID)
	if err != nil {
		return err
	}
	var of struct{ Network network }
	if err := n.get(ctx, false, "networks/"+url.PathEscape(p.NetworkID), nil, &of); err != nil {
		return err
	}
	for _, subnet := range of.Network.Subnets {
		err = n.update(ctx, portID, object{"fixed_ips": append(slices.Clone(fixed), object{"subnet_id": subnet})})
		if err == nil {
			return nil
		}
		if !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Invalid) {
			return err
		}
	}
	return fault.Invalidf("Zero fixed IPs available on network %s.", p.NetworkID)
}

// RemoveFixedIP implements compute.OldNetworks.
func (n *Networks) RemoveFixedIP(ctx context.Context, portID string, address netip.Addr) error {
	_, fixed, err := n.fixedIPs(ctx, portID)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(fixed, func(ip object) bool { return ip["ip_address"] == address.String() })
	return n.update(ctx, portID, object{"fixed_ips": left})
}
