package remote

import (
	"context"
	"maps"
	"net/http"
	"net/url"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
)

// boundAs is how a port is bound where it is in use.
func (n *Networks) boundAs(ctx context.Context, portID string) (profile object, vnic string, err error) {
	var out struct {
		Port struct {
			Profile object `json:"binding:profile"`
			VNIC    string `json:"binding:vnic_type"`
		}
	}
	err = n.get(ctx, false, "ports/"+url.PathEscape(portID), nil, &out)
	if profile = maps.Clone(out.Port.Profile); profile == nil {
		profile = object{}
	}
	return profile, out.Port.VNIC, err
}

// Announce implements compute.Networks. What else the binding's profile says is
// kept.
func (n *Networks) Announce(ctx context.Context, portID, host string) error {
	profile, _, err := n.boundAs(ctx, portID)
	if err != nil {
		return err
	}
	if delete(profile, "migrating_to"); host != "" {
		profile["migrating_to"] = host
	}
	return n.update(ctx, portID, object{"binding:profile": profile})
}

func (n *Networks) binding(ctx context.Context, method, portID, rest string, in, out any) error {
	return n.Client.Do(ctx, peer.Call{Method: method, Path: "/v2.0/ports/" + url.PathEscape(portID) + "/bindings" + rest, In: in, Out: out})
}

// bindingStatus is "ACTIVE" where a port is in use.
func (n *Networks) bindingStatus(ctx context.Context, portID, host string) (string, error) {
	var out struct{ Binding struct{ Status string } }
	err := n.binding(ctx, http.MethodGet, portID, "/"+url.PathEscape(host), nil, &out)
	return out.Binding.Status, err
}

// BindAside implements compute.Networks.
func (n *Networks) BindAside(ctx context.Context, portID, host string) error {
	profile, vnic, err := n.boundAs(ctx, portID)
	if err != nil {
		return err
	}
	err = n.binding(ctx, http.MethodPost, portID, "", object{"binding": object{"host": host, "vnic_type": vnic, "profile": profile}}, nil)
	if fault.Is(err, fault.Conflict) {
		if _, missing := n.bindingStatus(ctx, portID, host); missing == nil {
			return nil // made before
		}
	}
	return err
}

// UseOn implements compute.Networks.
func (n *Networks) UseOn(ctx context.Context, portID, host string) error {
	err := n.binding(ctx, http.MethodPut, portID, "/"+url.PathEscape(host)+"/activate", nil, nil)
	if fault.Is(err, fault.Conflict) {
		if status, askErr := n.bindingStatus(ctx, portID, host); askErr == nil && status == "ACTIVE" {
			return nil // done before
		}
	}
	return err
}

// UnbindFrom implements compute.Networks.
func (n *Networks) UnbindFrom(ctx context.Context, portID, host string) error {
	err := n.binding(ctx, http.MethodDelete, portID, "/"+url.PathEscape(host), nil, nil)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
