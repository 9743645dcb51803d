package api

import (
	"context"
	"net/http"
	"slices"

	"kilonova/internal/rest"
	"kilonova/service/network"
)

func (a *api) topologyRoutes() []rest.Route {
	const all, one = "/v2.0/auto-allocated-topology", "/v2.0/auto-allocated-topology/{id}"
	return []rest.Route{
		{Method: http.MethodGet, Path: all, Handle: a.listTopologies, Doc: "List what was laid out for projects"},
		{Method: http.MethodGet, Path: one, Handle: a.showTopology, Doc: "Lay out a network for a project, or show the one that is there"},
		{Method: http.MethodDelete, Path: one, Handle: a.deleteTopology, Doc: "Take up what was laid out for a project"},
	}
}

func (a *api) listTopologies(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	project := ""
	for _, name := range []string{"tenant_id", "project_id"} {
		if values := r.Query[name]; len(values) > 0 {
			project = values[0]
		}
	}
	list, err := a.control.Topologies(ctx, project)
	if list == nil {
		list = []network.Topology{}
	}
	return rest.OK(map[string]any{"auto_allocated_topologies": list}), err
}

func (a *api) showTopology(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	t, err := a.control.Topology(ctx, r.Path("id"), slices.Contains(r.Query["fields"], "dry-run"))
	return rest.OK(map[string]any{"auto_allocated_topology": t}), err
}

func (a *api) deleteTopology(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.control.DeleteTopology(ctx, r.Path("id"))
}
