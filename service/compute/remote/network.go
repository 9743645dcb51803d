package remote

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

// Networks is the network service. Questions about what a user may use are asked
// as that user; ports are made and bound as this service's own user, since only
// it may say on which host they are.
type Networks struct{ Client *peer.Client }

var _ compute.Networks = (*Networks)(nil)

type network struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	ProjectID string   `json:"project_id"`
	Shared    bool     `json:"shared"`
	External  bool     `json:"router:external"`
	MTU       int      `json:"mtu"`
	Subnets   []string `json:"subnets"`
	AdminUp   bool     `json:"admin_state_up"`
}

func (n network) network() compute.Network {
	return compute.Network{ID: n.ID, Name: n.Name, ProjectID: n.ProjectID, Shared: n.Shared, External: n.External, MTU: n.MTU, HasSubnet: len(n.Subnets) > 0}
}

type port struct {
	ID             string    `json:"id"`
	NetworkID      string    `json:"network_id"`
	ProjectID      string    `json:"project_id"`
	DeviceID       string    `json:"device_id"`
	DeviceOwner    string    `json:"device_owner"`
	MAC            string    `json:"mac_address"`
	Status         string    `json:"status"`
	SecurityGroups []string  `json:"security_groups"`
	FixedIPs       []fixedIP `json:"fixed_ips"`
	VNICType       string    `json:"binding:vnic_type"`
	QoS            string    `json:"qos_policy_id"`
	NetworkQoS     string    `json:"qos_network_policy_id"`
	portRequest
}

type fixedIP struct {
	SubnetID string     `json:"subnet_id"`
	Address  netip.Addr `json:"ip_address"`
}

func (p port) port() compute.Port {
	out := compute.Port{ID: p.ID, NetworkID: p.NetworkID, ProjectID: p.ProjectID, DeviceID: p.DeviceID, MAC: p.MAC, SecurityGroups: p.SecurityGroups, VNICType: p.VNICType,
		QoS: p.QoS+p.NetworkQoS != "", Requests: p.Request != nil}
	for _, ip := range p.FixedIPs {
		out.Addresses = append(out.Addresses, ip.Address)
	}
	return out
}

func (n *Networks) get(ctx context.Context, asCaller bool, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return n.Client.Do(ctx, peer.Call{Method: "GET", Path: "/v2.0/" + path, Out: out, AsCaller: asCaller})
}

// Available implements compute.Networks.
func (n *Networks) Available(ctx context.Context, projectID string) ([]compute.Network, error) {
	for _, query := range []url.Values{{"project_id": {projectID}, "router:external": {"False"}}, {"shared": {"True"}}} {
		var out struct{ Networks []network }
		if err := n.get(ctx, true, "networks", query, &out); err != nil {
			return nil, err
		}
		var usable []compute.Network
		for _, x := range out.Networks {
			if len(x.Subnets) > 0 && x.AdminUp {
				usable = append(usable, x.network())
			}
		}
		if len(usable) > 0 {
			return usable, nil
		}
	}
	return nil, nil
}

// LayOut implements compute.Networks.
func (n *Networks) LayOut(ctx context.Context, projectID string) (string, error) {
	var out struct {
		Topology struct {
			ID string `json:"id"`
		} `json:"auto_allocated_topology"`
	}
	err := n.get(ctx, true, "auto-allocated-topology/"+url.PathEscape(projectID), nil, &out)
	return out.Topology.ID, err
}

// Network implements compute.Networks.
func (n *Networks) Network(ctx context.Context, id string) (compute.Network, error) {
	var out struct{ Network network }
	err := n.get(ctx, true, "networks/"+url.PathEscape(id), nil, &out)
	if fault.Is(err, fault.NotFound) {
		return compute.Network{}, fault.NotFoundf("Network %s could not be found.", id)
	}
	return out.Network.network(), err
}

// Port implements compute.Networks.
func (n *Networks) Port(ctx context.Context, id string) (compute.Port, error) {
	var out struct{ Port port }
	err := n.get(ctx, true, "ports/"+url.PathEscape(id), nil, &out)
	if fault.Is(err, fault.NotFound) {
		return compute.Port{}, fault.NotFoundf("Port id %s could not be found.", id)
	}
	return out.Port.port(), err
}

type securityGroup struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	ProjectID   string `json:"project_id"`
}

// SecurityGroups implements compute.Networks. An id wins over a name; two groups
// of one name are fault.Conflict.
func (n *Networks) SecurityGroups(ctx context.Context, projectID string, namesOrIDs []string) ([]string, error) {
	if len(namesOrIDs) == 0 {
		return nil, nil
	}
	var out struct {
		Groups []securityGroup `json:"security_groups"`
	}
	if err := n.get(ctx, true, "security-groups", url.Values{"project_id": {projectID}, "fields": {"id", "name"}}, &out); err != nil {
		return nil, err
	}
	var ids []string
	for _, wanted := range namesOrIDs {
		var found []string
		for _, g := range out.Groups {
			if g.ID == wanted {
				found = []string{g.ID}
				break
			}
			if g.Name == wanted {
				found = append(found, g.ID)
			}
		}
		switch len(found) {
		case 0:
			return nil, fault.NotFoundf("Security group %s not found.", wanted)
		case 1:
			ids = append(ids, found[0])
		default:
			return nil, fault.Conflictf("Multiple security groups found matching '%s'. Use an ID to be more specific.", wanted)
		}
	}
	return ids, nil
}

// PortGroups implements compute.Networks.
func (n *Networks) PortGroups(ctx context.Context, serverID string) ([]compute.SecurityGroupRef, error) {
	ports, err := n.ports(ctx, serverID)
	if err != nil {
		return nil, err
	}
	groups, err := n.groups(ctx, ports)
	var refs []compute.SecurityGroupRef
	for _, g := range groups {
		refs = append(refs, compute.SecurityGroupRef(g))
	}
	return refs, err
}

func (n *Networks) groups(ctx context.Context, ports []port) ([]securityGroup, error) {
	var ids []string
	for _, p := range ports {
		ids = append(ids, p.SecurityGroups...)
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return nil, nil
	}
	var out struct {
		Groups []securityGroup `json:"security_groups"`
	}
	err := n.get(ctx, false, "security-groups", url.Values{"id": ids, "fields": {"id", "name", "description", "project_id"}}, &out)
	return out.Groups, err
}

type object = map[string]any

// Create implements compute.Networks.
func (n *Networks) Create(ctx context.Context, s compute.PortSpec) (compute.Port, error) {
	spec := object{"network_id": s.NetworkID, "project_id": s.ProjectID, "device_id": s.ServerID, "device_owner": "compute:" + s.Zone,
		"binding:host_id": s.Host, "admin_state_up": true, "dns_name": s.Hostname}
	if s.FixedIP != "" {
		spec["fixed_ips"] = []object{{"ip_address": s.FixedIP}}
	}
	if len(s.SecurityGroups) > 0 {
		spec["security_groups"] = s.SecurityGroups
	}
	var out struct{ Port port }
	err := n.Client.Do(ctx, peer.Call{Method: "POST", Path: "/v2.0/ports", In: object{"port": spec}, Out: &out})
	return out.Port.port(), err
}

func (n *Networks) update(ctx context.Context, portID string, change object) error {
	return n.Client.Do(ctx, peer.Call{Method: "PUT", Path: "/v2.0/ports/" + url.PathEscape(portID), In: object{"port": change}})
}

// Bind implements compute.Networks.
func (n *Networks) Bind(ctx context.Context, portID, serverID, host, zone string) error {
	return n.update(ctx, portID, object{"device_id": serverID, "device_owner": "compute:" + zone, "binding:host_id": host})
}

// Unbind implements compute.Networks.
func (n *Networks) Unbind(ctx context.Context, portID string) error {
	profile, err := n.unboundProfile(ctx, portID)
	if err != nil {
		return err
	}
	change := object{"device_id": "", "device_owner": "", "binding:host_id": ""}
	if profile != nil {
		change["binding:profile"] = profile
	}
	return n.update(ctx, portID, change)
}

// Delete implements compute.Networks.
func (n *Networks) Delete(ctx context.Context, portID string) error {
	err := n.Client.Do(ctx, peer.Call{Method: "DELETE", Path: "/v2.0/ports/" + url.PathEscape(portID)})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// SetGroups implements compute.Networks.
func (n *Networks) SetGroups(ctx context.Context, portID string, groupIDs []string) error {
	if groupIDs == nil {
		groupIDs = []string{}
	}
	return n.update(ctx, portID, object{"security_groups": groupIDs})
}

func (n *Networks) ports(ctx context.Context, serverID string) ([]port, error) {
	var out struct{ Ports []port }
	err := n.get(ctx, false, "ports", url.Values{"device_id": {serverID}}, &out)
	return out.Ports, err
}

// ServerAt finds the server whose port has an address: fault.NotFound when there is
// none, fault.Conflict when networks that know nothing of each other have several.
func (n *Networks) ServerAt(ctx context.Context, address netip.Addr) (string, error) {
	var out struct{ Ports []port }
	if err := n.get(ctx, false, "ports", url.Values{"fixed_ips": {"ip_address=" + address.String()}}, &out); err != nil {
		return "", err
	}
	id := ""
	for _, p := range out.Ports {
		if !strings.HasPrefix(p.DeviceOwner, "compute:") {
			continue
		}
		if id != "" && id != p.DeviceID {
			return "", fault.Conflictf("Several servers have the address %s.", address)
		}
		id = p.DeviceID
	}
	if id == "" {
		return "", fault.NotFoundf("No server has the address %s.", address)
	}
	return id, nil
}

// Ports implements compute.Networks: ports, their networks and subnets and the
// floating IPs that lead to them, in one view.
func (n *Networks) Ports(ctx context.Context, serverID string) ([]compute.Interface, error) {
	ports, err := n.ports(ctx, serverID)
	if err != nil || len(ports) == 0 {
		return nil, err
	}
	var ids, networkIDs, subnetIDs []string
	for _, p := range ports {
		ids, networkIDs = append(ids, p.ID), append(networkIDs, p.NetworkID)
		for _, ip := range p.FixedIPs {
			subnetIDs = append(subnetIDs, ip.SubnetID)
		}
	}
	var networks struct{ Networks []network }
	if err := n.get(ctx, false, "networks", url.Values{"id": networkIDs}, &networks); err != nil {
		return nil, err
	}
	subnets, err := n.subnets(ctx, subnetIDs)
	if err != nil {
		return nil, err
	}
	var floating struct{ FloatingIPs []floatingIP }
	if err := n.get(ctx, false, "floatingips", url.Values{"port_id": ids}, &floating); err != nil {
		return nil, err
	}
	groups, err := n.groups(ctx, ports)
	if err != nil {
		return nil, err
	}
	all := make([]compute.Interface, len(ports))
	for i, p := range ports {
		all[i] = view(p, networks.Networks, subnets, floating.FloatingIPs, groups)
	}
	return all, nil
}

type floatingIP struct {
	PortID  string     `json:"port_id"`
	Fixed   netip.Addr `json:"fixed_ip_address"`
	Address netip.Addr `json:"floating_ip_address"`
}

type subnet struct {
	ID      string       `json:"id"`
	CIDR    netip.Prefix `json:"cidr"`
	Gateway *netip.Addr  `json:"gateway_ip"`
	DNS     []netip.Addr `json:"dns_nameservers"`
	DHCP    bool         `json:"enable_dhcp"`
	Mode    *string      `json:"ipv6_address_mode"`
	Routes  []struct {
		Destination netip.Prefix `json:"destination"`
		NextHop     netip.Addr   `json:"nexthop"`
	} `json:"host_routes"`
}

func (n *Networks) subnets(ctx context.Context, ids []string) ([]subnet, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var out struct{ Subnets []subnet }
	err := n.get(ctx, false, "subnets", url.Values{"id": ids}, &out)
	return out.Subnets, err
}

func view(p port, networks []network, subnets []subnet, floating []floatingIP, groups []securityGroup) compute.Interface {
	out := compute.Interface{PortID: p.ID, MAC: p.MAC, NetworkID: p.NetworkID, Active: p.Status == "ACTIVE"}
	for _, x := range networks {
		if x.ID == p.NetworkID {
			out.NetworkName, out.MTU = x.Name, x.MTU
		}
	}
	for _, g := range groups {
		if slices.Contains(p.SecurityGroups, g.ID) {
			out.Groups = append(out.Groups, g.Name)
		}
	}
	for _, ip := range p.FixedIPs {
		f := compute.FixedIP{Address: ip.Address, SubnetID: ip.SubnetID}
		for _, s := range subnets {
			if s.ID == ip.SubnetID {
				f.Prefix, f.DNS, f.DHCP = s.CIDR.Bits(), s.DNS, s.DHCP
				if s.Gateway != nil {
					f.Gateway = *s.Gateway
				}
				if s.Mode != nil {
					f.IPv6Mode = *s.Mode
				}
				for _, r := range s.Routes {
					f.Routes = append(f.Routes, compute.HostRoute(r))
				}
			}
		}
		for _, x := range floating {
			if x.PortID == p.ID && x.Fixed == ip.Address {
				f.Floating = append(f.Floating, x.Address)
			}
		}
		out.FixedIPs = append(out.FixedIPs, f)
	}
	return out
}
