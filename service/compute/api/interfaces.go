package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

type interfaceView struct {
	PortID    string          `json:"port_id"`
	NetworkID string          `json:"net_id"`
	MAC       string          `json:"mac_addr"`
	State     string          `json:"port_state"`
	FixedIPs  []interfaceAddr `json:"fixed_ips"`
	Tag       *string         `json:"tag" mv:"2.70-"`
}

type interfaceAddr struct {
	SubnetID string `json:"subnet_id"`
	Address  string `json:"ip_address"`
}

func viewInterface(n compute.Interface) *interfaceView {
	v := &interfaceView{PortID: n.PortID, NetworkID: n.NetworkID, MAC: n.MAC, State: "DOWN", FixedIPs: []interfaceAddr{}, Tag: orNull(n.Tag)}
	if n.Active {
		v.State = "ACTIVE"
	}
	for _, ip := range n.FixedIPs {
		v.FixedIPs = append(v.FixedIPs, interfaceAddr{ip.SubnetID, ip.Address.String()})
	}
	return v
}

type interfaceBody struct {
	Interface *interfaceView `json:"interfaceAttachment"`
}

func (a *api) listInterfaces(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	nics, err := a.control.Interfaces(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return &rest.Response{Items: &rest.Items{Key: "interfaceAttachments", Each: func(yield func(any) error) error {
		for _, n := range nics {
			if err := yield(viewInterface(n)); err != nil {
				return err
			}
		}
		return nil
	}}}, nil
}

func (a *api) showInterface(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	nics, err := a.control.Interfaces(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	for _, n := range nics {
		if n.PortID == r.Path("port") {
			return rest.OK(&interfaceBody{viewInterface(n)}), nil
		}
	}
	return nil, fault.NotFoundf("Instance %s does not have a port with id %s", r.Path("id"), r.Path("port"))
}

func (a *api) attachInterface(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Interface struct { // may be missing: a port on the one network that there is
			NetworkID string `json:"net_id" check:"uuid"`
			PortID    string `json:"port_id" check:"uuid"`
			FixedIPs  []struct {
				Address string `json:"ip_address" check:"required ip"`
			} `json:"fixed_ips" check:"len=1..1"`
			Tag *string `json:"tag" mv:"2.49-" check:"match=devicetag len=1..60"`
		} `json:"interfaceAttachment"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Interface
	want := compute.NetworkRequest{NetworkID: b.NetworkID, PortID: b.PortID, Tag: given(b.Tag)}
	switch {
	case b.NetworkID != "" && b.PortID != "":
		return nil, fault.Invalidf("Must not input both network_id and port_id")
	case len(b.FixedIPs) > 0 && b.NetworkID == "":
		return nil, fault.Invalidf("Must input network_id when request IP address")
	case len(b.FixedIPs) > 0:
		want.FixedIP = b.FixedIPs[0].Address
	}
	port, err := a.control.AttachInterface(ctx, r.Path("id"), want)
	if err != nil {
		return nil, err
	}
	return rest.OK(&interfaceBody{viewInterface(port)}), nil
}

func (a *api) detachInterface(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.Accepted(nil), a.control.DetachInterface(ctx, r.Path("id"), r.Path("port"))
}

func (a *api) listAddresses(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	s, err := a.control.ServerForRule(ctx, "os_compute_api:ips:index", r.Path("id"))
	if err != nil {
		return nil, err
	}
	views := map[string][]map[string]any{}
	for name, list := range addresses(s.Networks) {
		views[name] = briefAddresses(list)
	}
	return rest.OK(map[string]any{"addresses": views}), nil
}

func (a *api) showAddresses(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	s, err := a.control.ServerForRule(ctx, "os_compute_api:ips:show", r.Path("id"))
	if err != nil {
		return nil, err
	}
	list, ok := addresses(s.Networks)[r.Path("network")]
	if !ok {
		return nil, fault.NotFoundf("Instance is not a member of specified network")
	}
	return rest.OK(map[string]any{r.Path("network"): briefAddresses(list)}), nil
}

func briefAddresses(list []address) []map[string]any {
	views := []map[string]any{}
	for _, x := range list {
		views = append(views, map[string]any{"version": x.Version, "addr": x.Addr})
	}
	return views
}

// eventNames are the events that other services may tell of, and since when.
var eventNames = map[string]string{"network-changed": "2.1", "network-vif-plugged": "2.1", "network-vif-unplugged": "2.1", "network-vif-deleted": "2.1",
	"volume-extended": "2.51", "power-update": "2.76", "accelerator-request-bound": "2.82", "volume-reimaged": "2.93"}

func (a *api) externalEvents(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	type event struct {
		Name     string `json:"name" check:"required"`
		Status   string `json:"status" check:"enum=failed|completed|in-progress"`
		Tag      string `json:"tag" check:"len=0..255"`
		ServerID string `json:"server_uuid" check:"required uuid"`
		Code     int    `json:"-"`
	}
	var body struct {
		Events []event `json:"events" check:"required len=1.."`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	var events []control.ExternalEvent
	for i, e := range body.Events {
		if since, known := eventNames[e.Name]; !known || !r.Version.AtLeast(since) {
			return nil, fault.Invalidf("Invalid input for field/attribute events/%d/name. Value: %.64s. It is no event of version %s.", i, e.Name, r.Version)
		}
		events = append(events, control.ExternalEvent{Name: e.Name, ServerID: e.ServerID, Tag: e.Tag, Status: firstOf(e.Status, "completed")})
	}
	results, err := a.control.ExternalEvents(ctx, events)
	if err != nil {
		return nil, err
	}
	views, worst := []map[string]any{}, 200
	for _, e := range results {
		status := e.Status
		if e.Code != 200 {
			worst, status = 207, "failed"
		}
		view := map[string]any{"name": e.Name, "server_uuid": e.ServerID, "status": status, "code": e.Code}
		if e.Tag != "" {
			view["tag"] = e.Tag
		}
		views = append(views, view)
	}
	return &rest.Response{Status: worst, Body: map[string]any{"events": views}}, nil
}
