package api

import (
	"context"
	"encoding/json"
	"net/http"

	"kilonova/internal/rest"
	"kilonova/service/network"
)

func (a *api) quotaRoutes() []rest.Route {
	const one = "/v2.0/quotas/{id}"
	return []rest.Route{
		{Method: http.MethodGet, Path: "/v2.0/quotas", Handle: a.listQuotas, Doc: "List the projects with limits of their own"},
		{Method: http.MethodGet, Path: "/v2.0/quotas/tenant", Handle: a.ownProject, Doc: "Show whose quotas the caller sees"},
		{Method: http.MethodGet, Path: one, Handle: a.showQuota, Doc: "Show a project's limits"},
		{Method: http.MethodPut, Path: one, Handle: a.setQuota, Doc: "Give a project limits of its own"},
		{Method: http.MethodDelete, Path: one, Handle: a.deleteQuota, Doc: "Take a project's own limits away"},
		{Method: http.MethodGet, Path: one + "/default", Handle: a.showDefaultQuota, Doc: "Show the default limits"},
		{Method: http.MethodGet, Path: one + "/details", Handle: a.showQuotaDetails, Doc: "Show a project's limits and what it uses"},
		{Method: http.MethodGet, Path: one + "/details.json", Handle: a.showQuotaDetails, Doc: "The same, under its older address"},
	}
}

func (a *api) listQuotas(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	list, err := a.control.Quotas(ctx)
	out := []any{}
	for _, q := range list {
		view := map[string]any{"project_id": q.ProjectID, "tenant_id": q.ProjectID}
		for resource, limit := range q.Limits {
			view[resource] = limit
		}
		out = append(out, view)
	}
	return rest.OK(map[string]any{"quotas": out}), err
}

func (a *api) ownProject(_ context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.OK(map[string]any{"tenant": map[string]string{"tenant_id": r.Caller.ProjectID}}), nil
}

func (a *api) showQuota(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	limits, err := a.control.Quota(ctx, r.Path("id"))
	return rest.OK(map[string]any{"quota": limits}), err
}

func (a *api) showDefaultQuota(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	limits, err := a.control.DefaultQuota(ctx, r.Path("id"))
	return rest.OK(map[string]any{"quota": limits}), err
}

func (a *api) showQuotaDetails(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	usage, err := a.control.QuotaUsage(ctx, r.Path("id"))
	return rest.OK(map[string]any{"quota": usage}), err
}

func (a *api) setQuota(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in struct {
		Quota map[string]json.RawMessage `json:"quota"`
	}
	if err := lenient(r, &in); err != nil {
		return nil, err
	}
	if in.Quota == nil {
		return nil, badRequest("Unable to find 'quota' in request body")
	}
	limits, check := network.Limits{}, false
	for resource, raw := range in.Quota {
		if resource == "tenant_id" || resource == "project_id" {
			continue
		}
		if resource == "check_limit" {
			var on network.Opt[bool]
			if err := on.UnmarshalJSON(raw); err != nil {
				return nil, badRequest("Invalid input for check_limit. Reason: %s.", err)
			}
			check = on.V
			continue
		}
		var n network.Opt[int]
		if err := n.UnmarshalJSON(raw); err != nil || n.Null {
			return nil, badRequest("Invalid input for %.64s. Reason: '%.64s' is not an integer.", resource, raw)
		}
		limits[resource] = n.V
	}
	all, err := a.control.SetQuota(ctx, r.Path("id"), limits, check)
	return rest.OK(map[string]any{"quota": all}), err
}

func (a *api) deleteQuota(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.control.DeleteQuota(ctx, r.Path("id"))
}
