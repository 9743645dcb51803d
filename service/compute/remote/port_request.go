package remote

import (
	"context"
	"maps"
	"net/url"
	"slices"

	"kilonova/service/compute"
)

var _ compute.PortRequests = (*Networks)(nil)

// portRequest is what of a port speaks of Placement. Services without the extension
// port-resource-request-groups have one group, without a name.
type portRequest struct {
	Request *struct {
		Groups []struct {
			ID        string         `json:"id"`
			Required  []string       `json:"required"`
			Resources map[string]int `json:"resources"`
		} `json:"request_groups"`
		SameSubtree []string       `json:"same_subtree"`
		Required    []string       `json:"required"`
		Resources   map[string]int `json:"resources"`
	} `json:"resource_request"`
	Profile object `json:"binding:profile"`
}

func (p *port) request() compute.PortRequest {
	out := compute.PortRequest{PortID: p.ID, SameSubtree: p.Request.SameSubtree, Assigned: map[string]string{}}
	for _, g := range p.Request.Groups {
		out.Groups = append(out.Groups, compute.RequestGroup{Suffix: g.ID, Required: g.Required, Resources: g.Resources})
	}
	if len(p.Request.Resources) > 0 {
		out.Groups = append(out.Groups, compute.RequestGroup{Suffix: p.ID, Required: p.Request.Required, Resources: p.Request.Resources})
	}
	switch assigned := p.Profile["allocation"].(type) {
	case string:
		out.Assigned[p.ID] = assigned
	case object:
		for group, provider := range assigned {
			if id, ok := provider.(string); ok {
				out.Assigned[group] = id
			}
		}
	}
	return out
}

// Requests implements compute.PortRequests.
func (n *Networks) Requests(ctx context.Context, portIDs []string) ([]compute.PortRequest, error) {
	if len(portIDs) == 0 {
		return nil, nil
	}
	return n.requests(ctx, url.Values{"id": portIDs})
}

// RequestsOf implements compute.PortRequests.
func (n *Networks) RequestsOf(ctx context.Context, serverID string) ([]compute.PortRequest, error) {
	return n.requests(ctx, url.Values{"device_id": {serverID}})
}

func (n *Networks) requests(ctx context.Context, query url.Values) ([]compute.PortRequest, error) {
	query["fields"] = []string{"id", "resource_request", "binding:profile"}
	var out struct{ Ports []port }
	if err := n.get(ctx, false, "ports", query, &out); err != nil {
		return nil, err
	}
	var all []compute.PortRequest
	for _, p := range out.Ports {
		if p.Request != nil {
			if r := p.request(); len(r.Groups) > 0 {
				all = append(all, r)
			}
		}
	}
	return all, nil
}

// Assign implements compute.PortRequests.
func (n *Networks) Assign(ctx context.Context, portID string, providers map[string]string) error {
	var out struct{ Port port }
	if err := n.get(ctx, false, "ports/"+url.PathEscape(portID), nil, &out); err != nil {
		return err
	}
	profile := object{}
	maps.Copy(profile, out.Port.Profile)
	delete(profile, "allocation")
	if provider, single := providers[portID]; single {
		profile["allocation"] = provider
	} else if len(providers) > 0 {
		profile["allocation"] = providers
	}
	return n.update(ctx, portID, object{"binding:profile": profile})
}

// bindingKeys are what compute notes in a port's binding; a port that is given back
// has none of them.
var bindingKeys = []string{"allocation", "migrating_to", "pci_slot", "pci_vendor_info", "physical_network", "arq_uuid"}

// unboundProfile is what is left of a port's binding when it is given back; nil: as
// it is.
func (n *Networks) unboundProfile(ctx context.Context, portID string) (object, error) {
	var out struct{ Port port }
	if err := n.get(ctx, false, "ports/"+url.PathEscape(portID), url.Values{"fields": {"binding:profile"}}, &out); err != nil {
		return nil, err
	}
	had := len(out.Port.Profile)
	maps.DeleteFunc(out.Port.Profile, func(key string, _ any) bool { return slices.Contains(bindingKeys, key) })
	if len(out.Port.Profile) == had {
		return nil, nil
	}
	return out.Port.Profile, nil
}
