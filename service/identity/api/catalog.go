package api

import (
	"context"
	"net/http"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

type regionBody struct {
	ID          rest.Opt[string] `json:"id" check:"len=0..255"`
	ParentID    rest.Opt[string] `json:"parent_region_id" check:"len=0..255"`
	Description rest.Opt[string] `json:"description"`
}

func (b regionBody) change(extra identity.Attributes) identity.RegionChange {
	return identity.RegionChange{ID: text(b.ID), ParentID: text(b.ParentID), Description: text(b.Description), Extra: extra}
}

func (a *api) listRegions(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "parent_region_id")
	if err != nil {
		return nil, err
	}
	list, err := a.c.Regions(ctx, q)
	return collection(r, "regions", list, q, regionView, func(o *identity.Region) string { return o.ID }), err
}

func (a *api) showRegion(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	o, err := a.c.Region(ctx, r.Path("region_id"))
	return one(r, "region", &o, regionView, http.StatusOK), err
}

// createRegion serves POST /regions, and PUT /regions/ID, which names the id.
func (a *api) createRegion(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := decode[regionBody](r, "region")
	if err != nil {
		return nil, err
	}
	change := b.change(extra)
	if id := r.Path("region_id"); id != "" {
		if change.ID != nil && *change.ID != id {
			return nil, fault.Conflictf("Conflict occurred attempting to store region - the id in the body is not that of the path.")
		}
		change.ID = &id
	}
	o, err := a.c.CreateRegion(ctx, change)
	return one(r, "region", &o, regionView, http.StatusCreated), err
}

func (a *api) updateRegion(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[regionBody](r, "region", r.Path("region_id"))
	if err != nil {
		return nil, err
	}
	if b.ID.Set && b.ID.V != r.Path("region_id") {
		return nil, fault.Invalidf("Cannot change region ID")
	}
	o, err := a.c.UpdateRegion(ctx, r.Path("region_id"), b.change(extra))
	return one(r, "region", &o, regionView, http.StatusOK), err
}

func (a *api) deleteRegion(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteRegion(ctx, r.Path("region_id"))
}

type serviceBody struct {
	Type    rest.Opt[string] `json:"type" check:"len=1..255"`
	Name    rest.Opt[string] `json:"name" check:"len=0..255"`
	Enabled rest.Opt[bool]   `json:"enabled"`
}

func (b serviceBody) change(extra identity.Attributes, required bool) (identity.ServiceChange, error) {
	kind, err := name("type", b.Type, required)
	c := identity.ServiceChange{Type: kind, Name: text(b.Name), Extra: extra}
	if b.Enabled.Set && !b.Enabled.Null {
		c.Enabled = &b.Enabled.V
	}
	return c, err
}

func (a *api) listServices(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "type", "name")
	if err != nil {
		return nil, err
	}
	list, err := a.c.Services(ctx, q)
	return collection(r, "services", list, q, serviceView, func(o *identity.Service) string { return o.ID }), err
}

func (a *api) showService(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	o, err := a.c.Service(ctx, r.Path("service_id"))
	return one(r, "service", &o, serviceView, http.StatusOK), err
}

func (a *api) createService(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[serviceBody](r, "service")
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra, true)
	if err != nil {
		return nil, err
	}
	o, err := a.c.CreateService(ctx, change)
	return one(r, "service", &o, serviceView, http.StatusCreated), err
}

func (a *api) updateService(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[serviceBody](r, "service", r.Path("service_id"))
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra, false)
	if err != nil {
		return nil, err
	}
	o, err := a.c.UpdateService(ctx, r.Path("service_id"), change)
	return one(r, "service", &o, serviceView, http.StatusOK), err
}

func (a *api) deleteService(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteService(ctx, r.Path("service_id"))
}

type endpointBody struct {
	ServiceID rest.Opt[string] `json:"service_id" check:"len=1..64"`
	RegionID  rest.Opt[string] `json:"region_id" check:"len=0..255"`
	Region    rest.Opt[string] `json:"region" check:"len=0..255"` // the older name
	Interface rest.Opt[string] `json:"interface" check:"enum=admin|internal|public"`
	URL       rest.Opt[string] `json:"url"`
	Enabled   rest.Opt[bool]   `json:"enabled"`
}

func (b endpointBody) change(extra identity.Attributes) (identity.EndpointChange, error) {
	region := text(b.RegionID)
	if region == nil {
		region = text(b.Region)
	}
	c := identity.EndpointChange{ServiceID: text(b.ServiceID), RegionID: region, Interface: text(b.Interface), URL: text(b.URL), Extra: extra}
	if b.Enabled.Null || b.Interface.Null || b.URL.Null || b.ServiceID.Null || b.Interface.Set && b.Interface.V == "" {
		return c, fault.Invalidf("Invalid input for field 'endpoint': service_id, interface, url and enabled cannot be null or empty.")
	}
	if b.Enabled.Set {
		c.Enabled = &b.Enabled.V
	}
	return c, nil
}

func endpointID(e *identity.Endpoint) string { return e.ID }

func (a *api) listEndpoints(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "interface", "service_id", "region_id")
	if err != nil {
		return nil, err
	}
	list, err := a.c.Endpoints(ctx, q)
	return collection(r, "endpoints", list, q, endpointView, endpointID), err
}

func (a *api) showEndpoint(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	o, err := a.c.Endpoint(ctx, r.Path("endpoint_id"))
	return one(r, "endpoint", &o, endpointView, http.StatusOK), err
}

func (a *api) createEndpoint(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[endpointBody](r, "endpoint")
	if err != nil {
		return nil, err
	}
	if err := need("interface", b.Interface.V, "service_id", b.ServiceID.V, "url", b.URL.V); err != nil {
		return nil, err
	}
	change, err := b.change(extra)
	if err != nil {
		return nil, err
	}
	o, err := a.c.CreateEndpoint(ctx, change)
	return one(r, "endpoint", &o, endpointView, http.StatusCreated), err
}

func (a *api) updateEndpoint(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[endpointBody](r, "endpoint", r.Path("endpoint_id"))
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra)
	if err != nil {
		return nil, err
	}
	o, err := a.c.UpdateEndpoint(ctx, r.Path("endpoint_id"), change)
	return one(r, "endpoint", &o, endpointView, http.StatusOK), err
}

func (a *api) deleteEndpoint(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteEndpoint(ctx, r.Path("endpoint_id"))
}
