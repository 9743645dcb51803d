package api

import (
	"context"
	"encoding/json"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

// oldNetworks are the networks, floating IPs and fixed IPs of the network service
// under the names that they had when they were compute's.
func (a *api) oldNetworks() []rest.Route {
	const until = "2.1-2.35"
	const actions = "2.1-2.43"
	return []rest.Route{
		{Method: "GET", Path: "/os-networks", Versions: until, Handle: a.listOldNetworks, Doc: "list networks"},
		{Method: "GET", Path: "/os-networks/{id}", Versions: until, Handle: a.showOldNetwork, Doc: "show network"},
		{Method: "GET", Path: "/os-tenant-networks", Versions: until, Handle: a.listTenantNetworks, Doc: "list networks of project"},
		{Method: "GET", Path: "/os-tenant-networks/{id}", Versions: until, Handle: a.showTenantNetwork, Doc: "show network of project"},
		{Method: "GET", Path: "/os-floating-ip-pools", Versions: until, Handle: a.listPools, Doc: "list floating IP pools"},
		{Method: "GET", Path: "/os-floating-ips", Versions: until, Handle: a.listFloatingIPs, Doc: "list floating IPs"},
		{Method: "POST", Path: "/os-floating-ips", Versions: until, Handle: a.createFloatingIP, Doc: "allocate floating IP"},
		{Method: "GET", Path: "/os-floating-ips/{id}", Versions: until, Handle: a.showFloatingIP, Doc: "show floating IP"},
		{Method: "DELETE", Path: "/os-floating-ips/{id}", Versions: until, Handle: a.deleteFloatingIP, Doc: "release floating IP"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "addFloatingIp", Versions: actions, Handle: a.addFloatingIP, Doc: "associate floating IP"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "removeFloatingIp", Versions: actions, Handle: a.removeFloatingIP, Doc: "disassociate floating IP"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "addFixedIp", Versions: actions, Handle: a.addFixedIP, Doc: "add fixed IP"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "removeFixedIp", Versions: actions, Handle: a.removeFixedIP, Doc: "remove fixed IP"},
	}
}

// noValue are the members of a network that have had no value since networks are
// the network service's; the second group only administrators see.
var noValue = [2][]string{
	{"cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6"},
	{"created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address", "vpn_public_port", "vpn_private_address", "dhcp_start",
		"project_id", "host", "bridge_interface", "multi_host", "priority", "rxtx_base", "mtu", "dhcp_server", "enable_dhcp", "share_address"},
}

func viewOldNetwork(ctx context.Context, n compute.Network) map[string]any {
	view := map[string]any{"id": n.ID, "label": n.Name}
	for i, names := range noValue {
		if i == 1 && !auth.From(ctx).IsAdmin() {
			break
		}
		for _, name := range names {
			view[name] = nil
		}
	}
	return view
}

// viewTenantNetwork shows a network as old clients know it: the word None where
// there is no value.
func viewTenantNetwork(_ context.Context, n compute.Network) map[string]any {
	return map[string]any{"id": n.ID, "label": n.Name, "cidr": "None"}
}

func (a *api) networks(ctx context.Context, rule string, view func(context.Context, compute.Network) map[string]any) (*rest.Response, error) {
	if err := a.control.May(ctx, rule, auth.Own(ctx)); err != nil {
		return nil, err
	}
	all, err := a.control.OldNetworks.All(ctx)
	if err != nil {
		return nil, err
	}
	views := []map[string]any{}
	for _, n := range all {
		views = append(views, view(ctx, n))
	}
	return rest.OK(map[string]any{"networks": views}), nil
}

func (a *api) network(ctx context.Context, r *rest.Request, rule string, view func(context.Context, compute.Network) map[string]any) (*rest.Response, error) {
	if err := a.control.May(ctx, rule, auth.Own(ctx)); err != nil {
		return nil, err
	}
	n, err := a.control.Networks.Network(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"network": view(ctx, n)}), nil
}

func (a *api) listOldNetworks(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	return a.networks(ctx, "os_compute_api:os-networks:list", viewOldNetwork)
}

func (a *api) showOldNetwork(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.network(ctx, r, "os_compute_api:os-networks:show", viewOldNetwork)
}

func (a *api) listTenantNetworks(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	return a.networks(ctx, "os_compute_api:os-tenant-networks:list", viewTenantNetwork)
}

func (a *api) showTenantNetwork(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.network(ctx, r, "os_compute_api:os-tenant-networks:show", viewTenantNetwork)
}

func (a *api) listPools(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	if err := a.control.May(ctx, "os_compute_api:os-floating-ip-pools", auth.Own(ctx)); err != nil {
		return nil, err
	}
	pools, err := a.control.OldNetworks.Pools(ctx)
	if err != nil {
		return nil, err
	}
	views := []map[string]string{}
	for _, p := range pools {
		views = append(views, map[string]string{"name": firstOf(p.Name, p.ID)})
	}
	return rest.OK(map[string]any{"floating_ip_pools": views}), nil
}

type floatingIPView struct {
	ID       string  `json:"id"`
	IP       string  `json:"ip"`
	Pool     string  `json:"pool"`
	FixedIP  *string `json:"fixed_ip"`
	ServerID *string `json:"instance_id"`
}

func viewFloatingIP(f compute.FloatingIP) *floatingIPView {
	view := &floatingIPView{ID: f.ID, IP: f.Address.String(), Pool: f.Pool, ServerID: orNull(f.ServerID)}
	if f.Fixed.IsValid() {
		view.FixedIP = orNull(f.Fixed.String())
	}
	return view
}

func (a *api) listFloatingIPs(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	if err := a.control.May(ctx, "os_compute_api:os-floating-ips:list", auth.Own(ctx)); err != nil {
		return nil, err
	}
	all, err := a.control.OldNetworks.FloatingIPs(ctx, auth.From(ctx).ProjectID)
	if err != nil {
		return nil, err
	}
	views := []*floatingIPView{}
	for _, f := range all {
		views = append(views, viewFloatingIP(f))
	}
	return rest.OK(map[string]any{"floating_ips": views}), nil
}

func (a *api) showFloatingIP(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.May(ctx, "os_compute_api:os-floating-ips:show", auth.Own(ctx)); err != nil {
		return nil, err
	}
	if !rest.IsUUID(r.Path("id")) {
		return nil, fault.Invalidf("The ID %.64s is not that of a floating IP: it is no UUID.", r.Path("id"))
	}
	f, err := a.control.OldNetworks.FloatingIP(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"floating_ip": viewFloatingIP(f)}), nil
}

func (a *api) createFloatingIP(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.May(ctx, "os_compute_api:os-floating-ips:create", auth.Own(ctx)); err != nil {
		return nil, err
	}
	data, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	var body *struct {
		Pool *string `json:"pool"`
	}
	if len(data) > 0 { // a body may be absent, and have more in it
		if err := json.Unmarshal(data, &body); err != nil {
			return nil, fault.Invalidf("Malformed request body: pool is to be a string.")
		}
	}
	pool := ""
	if body != nil && body.Pool != nil {
		pool = *body.Pool
	}
	f, err := a.control.OldNetworks.AllocateFloatingIP(ctx, pool)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"floating_ip": viewFloatingIP(f)}), nil
}

func (a *api) deleteFloatingIP(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if !rest.IsUUID(r.Path("id")) {
		return nil, fault.Invalidf("The ID %.64s is not that of a floating IP: it is no UUID.", r.Path("id"))
	}
	return rest.Accepted(nil), a.control.ReleaseFloatingIP(ctx, r.Path("id"))
}

func (a *api) addFloatingIP(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Add struct {
			Address string `json:"address" check:"required ip"`
			Fixed   string `json:"fixed_address" check:"ip"`
		} `json:"addFloatingIp" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.AssociateFloatingIP(ctx, r.Path("id"), body.Add.Address, body.Add.Fixed)
}

func (a *api) removeFloatingIP(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Remove struct {
			Address string `json:"address" check:"required ip"`
		} `json:"removeFloatingIp" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.DisassociateFloatingIP(ctx, r.Path("id"), body.Remove.Address)
}

func (a *api) addFixedIP(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Add struct {
			NetworkID oldNetworkID `json:"networkId" check:"required len=1..36"`
		} `json:"addFixedIp" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.AddFixedIP(ctx, r.Path("id"), string(body.Add.NetworkID))
}

// oldNetworkID is an id of the time when ids could be numbers.
type oldNetworkID string

// UnmarshalJSON implements json.Unmarshaler.
func (t *oldNetworkID) UnmarshalJSON(data []byte) error {
	var n json.Number
	var s string
	switch {
	case json.Unmarshal(data, &s) == nil:
		*t = oldNetworkID(s)
	case json.Unmarshal(data, &n) == nil:
		*t = oldNetworkID(n)
	default:
		return fault.Invalidf("Invalid input for a field/attribute. Value: %.64s. It is not of type 'string', 'number'", data)
	}
	return nil
}

func (a *api) removeFixedIP(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Remove struct {
			Address string `json:"address" check:"required ip"`
		} `json:"removeFixedIp" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.RemoveFixedIP(ctx, r.Path("id"), body.Remove.Address)
}
