package api

import (
	"context"
	"net/http"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
	"kilonova/service/identity/control"
)

func endpointGroupView(r *rest.Request, g *identity.EndpointGroup) map[string]any {
	return object(r, "/OS-EP-FILTER/endpoint_groups/"+g.ID, nil, map[string]any{"id": g.ID, "name": g.Name, "description": g.Description, "filters": options(g.Filters)})
}

func endpointGroupID(g *identity.EndpointGroup) string { return g.ID }

type endpointGroupBody struct {
	Name        rest.Opt[string]         `json:"name" check:"len=1..255"`
	Description rest.Opt[string]         `json:"description"`
	Filters     rest.Opt[map[string]any] `json:"filters"`
}

func (a *api) listEndpointGroups(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "name")
	if err != nil {
		return nil, err
	}
	list, err := a.c.EndpointGroups(ctx, q)
	return collection(r, "endpoint_groups", list, q, endpointGroupView, endpointGroupID), err
}

func (a *api) showEndpointGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	g, err := a.c.EndpointGroup(ctx, r.Path("group_id"))
	return one(r, "endpoint_group", &g, endpointGroupView, http.StatusOK), err
}

func (a *api) createEndpointGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, _, err := create[endpointGroupBody](r, "endpoint_group")
	if err != nil {
		return nil, err
	}
	n, err := name("name", b.Name, true)
	if err != nil {
		return nil, err
	}
	if !b.Filters.Set {
		return nil, fault.Invalidf("'filters' is a required property")
	}
	g, err := a.c.CreateEndpointGroup(ctx, identity.EndpointGroup{Name: *n, Description: nullable(b.Description), Filters: b.Filters.V})
	return one(r, "endpoint_group", &g, endpointGroupView, http.StatusCreated), err
}

func (a *api) updateEndpointGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, _, err := change[endpointGroupBody](r, "endpoint_group", r.Path("group_id"))
	if err != nil {
		return nil, err
	}
	n, err := name("name", b.Name, false)
	if err != nil {
		return nil, err
	}
	g, err := a.c.UpdateEndpointGroup(ctx, r.Path("group_id"), n, nullable(b.Description), b.Filters.V)
	return one(r, "endpoint_group", &g, endpointGroupView, http.StatusOK), err
}

func (a *api) deleteEndpointGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteEndpointGroup(ctx, r.Path("group_id"))
}

func (a *api) groupEndpoints(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.GroupEndpoints(ctx, r.Path("group_id"))
	return collection(r, "endpoints", list, identity.Query{}, endpointView, endpointID), err
}

func (a *api) associatedProjects(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id, isGroup := r.Path("endpoint_id"), false
	if id == "" {
		id, isGroup = r.Path("group_id"), true
	}
	list, err := a.c.AssociatedProjects(ctx, id, isGroup)
	return collection(r, "projects", list, identity.Query{}, projectView, projectID), err
}

func (a *api) projectEndpoints(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.ProjectEndpoints(ctx, r.Path("project_id"))
	return collection(r, "endpoints", list, identity.Query{}, endpointView, endpointID), err
}

func (a *api) projectEndpointGroups(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.ProjectEndpointGroups(ctx, r.Path("project_id"))
	return collection(r, "endpoint_groups", list, identity.Query{}, endpointGroupView, endpointGroupID), err
}

// association reads which endpoint, or group, a path shows to which project.
func association(r *rest.Request) control.Association {
	as := control.Association{ProjectID: r.Path("project_id"), ID: r.Path("endpoint_id")}
	if as.ID == "" {
		as.ID, as.IsGroup = r.Path("group_id"), true
	}
	return as
}

func (a *api) associate(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.Associate(ctx, association(r))
}

func (a *api) checkAssociation(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	as := association(r)
	if err := a.c.CheckAssociation(ctx, as); err != nil || !as.IsGroup {
		return rest.NoContent(), err
	}
	g, err := a.c.EndpointGroup(ctx, as.ID)
	return one(r, "endpoint_group", &g, endpointGroupView, http.StatusOK), err
}

func (a *api) dissociate(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.Dissociate(ctx, association(r))
}
