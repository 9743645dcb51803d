package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute/control"
)

func (a *api) shelving() []rest.Route {
	return []rest.Route{
		{Method: "POST", Path: "/servers/{id}/action", Action: "shelve", Handle: a.bare(a.control.ShelveServer), Doc: "shelve server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "shelveOffload", Handle: a.bare(a.control.OffloadServer), Doc: "take shelved server from its host"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "unshelve", Handle: a.unshelveServer, Doc: "unshelve server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "restore", Handle: a.bare(a.control.RestoreServer), Doc: "restore soft-deleted server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "forceDelete", Handle: a.bare(a.control.ForceDeleteServer), Doc: "force-delete server"},
	}
}

// bare handles an action whose argument says nothing.
func (a *api) bare(do func(ctx context.Context, id string) error) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		return rest.Accepted(nil), do(ctx, r.Path("id"))
	}
}

func (a *api) unshelveServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var u control.Unshelving
	if r.Version.AtLeast("2.77") { // before, anything was taken
		var body struct {
			Unshelve *struct {
				Zone rest.Opt[string] `json:"availability_zone" check:"null=2.91-"`
				Host string           `json:"host" mv:"2.91-"`
			} `json:"unshelve" check:"null"`
		}
		if err := r.Decode(&body); err != nil {
			return nil, err
		}
		if b := body.Unshelve; b != nil {
			unpinned := r.Version.AtLeast("2.91")
			if !unpinned && (!b.Zone.Set || b.Zone.Null || b.Zone.V == "") {
				return nil, fault.Invalidf("Invalid input for field/attribute unshelve. 'availability_zone' is a required property")
			}
			if !unpinned && !isName(b.Zone.V) {
				return nil, fault.Invalidf("Invalid input for field/attribute availability_zone. Value: %.64s. It is no name of a zone.", b.Zone.V)
			}
			if u.Host = b.Host; b.Zone.Set {
				u.Zone = &b.Zone.V // null is nothing, and unpins
			}
		}
	}
	return rest.Accepted(nil), a.control.UnshelveServer(ctx, r.Path("id"), u)
}
