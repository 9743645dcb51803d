package api

import (
	"context"
	"encoding/json"
	"net/http"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

func registeredLimitView(r *rest.Request, l *identity.RegisteredLimit) map[string]any {
	return object(r, "/registered_limits/"+l.ID, nil, map[string]any{"id": l.ID, "service_id": l.ServiceID, "region_id": orNull(l.RegionID),
		"resource_name": l.Resource, "default_limit": l.Default, "description": l.Description})
}

func limitView(r *rest.Request, l *identity.Limit) map[string]any {
	return object(r, "/limits/"+l.ID, nil, map[string]any{"id": l.ID, "service_id": l.ServiceID, "region_id": orNull(l.RegionID), "resource_name": l.Resource,
		"project_id": orNull(l.ProjectID), "domain_id": orNull(l.DomainID), "resource_limit": l.Limit, "description": l.Description})
}

// maxLimits bounds how many limits one request makes.
const maxLimits = 1000

// several reads a body {"KEY": [{…}, …]}; attributes that do not exist are
// refused.
func several[T any](r *rest.Request, key string) ([]T, error) {
	raw, err := member(r, key)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 || len(list) > maxLimits {
		return nil, fault.Invalidf("Invalid input for field '%s': it is a list of 1 to %d objects.", key, maxLimits)
	}
	all := make([]T, len(list))
	for i, item := range list {
		if err := rest.Decode(item, rest.Version{}, true, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

type limitBody struct {
	ServiceID   rest.Opt[string] `json:"service_id" check:"len=1..64"`
	RegionID    rest.Opt[string] `json:"region_id" check:"len=0..255"`
	Resource    rest.Opt[string] `json:"resource_name" check:"len=1..255"`
	Default     rest.Opt[int64]  `json:"default_limit"`
	Limit       rest.Opt[int64]  `json:"resource_limit"`
	ProjectID   rest.Opt[string] `json:"project_id" check:"len=1..64 match=id"`
	DomainID    rest.Opt[string] `json:"domain_id" check:"len=1..64 match=id"`
	Description rest.Opt[string] `json:"description" check:"len=0..255"`
}

// number checks a limit: -1, which is none, up to a signed 32-bit number.
func number(field string, o rest.Opt[int64], required bool) (*int64, error) {
	if !o.Set && !required {
		return nil, nil
	}
	if !o.Set || o.Null {
		return nil, fault.Invalidf("'%s' is a required property", field)
	}
	if o.V < identity.Unlimited || o.V > 1<<31-1 {
		return nil, fault.Invalidf("Invalid input for field '%s': %d does not lie between -1 and %d.", field, o.V, 1<<31-1)
	}
	return &o.V, nil
}

func (a *api) limitModel(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	m, err := a.c.LimitModel(ctx)
	return rest.OK(map[string]any{"model": map[string]any{"name": m.Name, "description": m.Description}}), err
}

func (a *api) listRegisteredLimits(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "service_id", "region_id", "resource_name")
	if err != nil {
		return nil, err
	}
	list, err := a.c.RegisteredLimits(ctx, q)
	return collection(r, "registered_limits", list, q, registeredLimitView, func(l *identity.RegisteredLimit) string { return l.ID }), err
}

func (a *api) showRegisteredLimit(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	l, err := a.c.RegisteredLimit(ctx, r.Path("id"))
	return one(r, "registered_limit", &l, registeredLimitView, http.StatusOK), err
}

func (a *api) createRegisteredLimits(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	bodies, err := several[limitBody](r, "registered_limits")
	if err != nil {
		return nil, err
	}
	list := make([]identity.RegisteredLimit, len(bodies))
	for i, b := range bodies {
		if err := need("service_id", b.ServiceID.V, "resource_name", b.Resource.V); err != nil {
			return nil, err
		}
		n, err := number("default_limit", b.Default, true)
		if err != nil {
			return nil, err
		}
		list[i] = identity.RegisteredLimit{ServiceID: b.ServiceID.V, RegionID: b.RegionID.V, Resource: b.Resource.V, Default: *n, Description: nullable(b.Description)}
	}
	if list, err = a.c.CreateRegisteredLimits(ctx, list); err != nil {
		return nil, err
	}
	views := make([]any, len(list))
	for i := range list {
		views[i] = registeredLimitView(r, &list[i])
	}
	return rest.Created(map[string]any{"registered_limits": views}), nil
}

func (a *api) updateRegisteredLimit(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[limitBody](r, "registered_limit", r.Path("id"))
	if err := only(extra, err); err != nil {
		return nil, err
	}
	n, err := number("default_limit", b.Default, false)
	if err != nil {
		return nil, err
	}
	l, err := a.c.UpdateRegisteredLimit(ctx, r.Path("id"), identity.RegisteredLimitChange{ServiceID: nullable(b.ServiceID), RegionID: text(b.RegionID),
		Resource: nullable(b.Resource), Default: n, Description: nullable(b.Description)})
	return one(r, "registered_limit", &l, registeredLimitView, http.StatusOK), err
}

func (a *api) deleteRegisteredLimit(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteRegisteredLimit(ctx, r.Path("id"))
}

func (a *api) listLimits(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "service_id", "region_id", "resource_name", "project_id", "domain_id")
	if err != nil {
		return nil, err
	}
	list, err := a.c.Limits(ctx, q)
	return collection(r, "limits", list, q, limitView, func(l *identity.Limit) string { return l.ID }), err
}

func (a *api) showLimit(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	l, err := a.c.Limit(ctx, r.Path("id"))
	return one(r, "limit", &l, limitView, http.StatusOK), err
}

func (a *api) createLimits(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	bodies, err := several[limitBody](r, "limits")
	if err != nil {
		return nil, err
	}
	list := make([]identity.Limit, len(bodies))
	for i, b := range bodies {
		if err := need("service_id", b.ServiceID.V, "resource_name", b.Resource.V); err != nil {
			return nil, err
		}
		n, err := number("resource_limit", b.Limit, true)
		if err != nil {
			return nil, err
		}
		if (b.ProjectID.V == "") == (b.DomainID.V == "") {
			return nil, fault.Invalidf("Invalid input for field 'limits': a limit has either a project_id or a domain_id.")
		}
		list[i] = identity.Limit{ServiceID: b.ServiceID.V, RegionID: b.RegionID.V, Resource: b.Resource.V, ProjectID: b.ProjectID.V, DomainID: b.DomainID.V,
			Limit: *n, Description: nullable(b.Description)}
	}
	if list, err = a.c.CreateLimits(ctx, list); err != nil {
		return nil, err
	}
	views := make([]any, len(list))
	for i := range list {
		views[i] = limitView(r, &list[i])
	}
	return rest.Created(map[string]any{"limits": views}), nil
}

func (a *api) updateLimit(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	type body struct {
		Limit       rest.Opt[int64]  `json:"resource_limit"`
		Description rest.Opt[string] `json:"description" check:"len=0..255"`
	}
	b, extra, err := change[body](r, "limit", r.Path("id"))
	if err := only(extra, err); err != nil {
		return nil, err
	}
	n, err := number("resource_limit", b.Limit, false)
	if err != nil {
		return nil, err
	}
	l, err := a.c.UpdateLimit(ctx, r.Path("id"), n, nullable(b.Description))
	return one(r, "limit", &l, limitView, http.StatusOK), err
}

func (a *api) deleteLimit(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteLimit(ctx, r.Path("id"))
}
