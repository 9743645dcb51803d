package api

import (
	"context"
	"net/http"

	"kilonova/internal/rest"
	"kilonova/service/identity"
	"kilonova/service/identity/control"
)

func policyView(r *rest.Request, p *identity.Policy) map[string]any {
	return object(r, "/policies/"+p.ID, p.Extra, map[string]any{"id": p.ID, "type": p.Type, "blob": p.Blob})
}

type policyBody struct {
	Type rest.Opt[string] `json:"type" check:"len=1..255"`
	Blob rest.Opt[string] `json:"blob"`
}

func (a *api) listPolicies(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "type")
	if err != nil {
		return nil, err
	}
	list, err := a.c.Policies(ctx, q)
	return collection(r, "policies", list, q, policyView, func(p *identity.Policy) string { return p.ID }), err
}

func (a *api) showPolicy(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, err := a.c.Policy(ctx, r.Path("policy_id"))
	return one(r, "policy", &p, policyView, http.StatusOK), err
}

func (a *api) createPolicy(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[policyBody](r, "policy")
	if err != nil {
		return nil, err
	}
	if err := need("blob", b.Blob.V, "type", b.Type.V); err != nil {
		return nil, err
	}
	p, err := a.c.CreatePolicy(ctx, identity.Policy{Type: b.Type.V, Blob: b.Blob.V, Extra: extra})
	return one(r, "policy", &p, policyView, http.StatusCreated), err
}

func (a *api) updatePolicy(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[policyBody](r, "policy", r.Path("policy_id"))
	if err != nil {
		return nil, err
	}
	p, err := a.c.UpdatePolicy(ctx, r.Path("policy_id"), nullable(b.Type), nullable(b.Blob), extra)
	return one(r, "policy", &p, policyView, http.StatusOK), err
}

func (a *api) deletePolicy(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeletePolicy(ctx, r.Path("policy_id"))
}

func policyUse(r *rest.Request) control.PolicyUse {
	return control.PolicyUse{PolicyID: r.Path("policy_id"), EndpointID: r.Path("endpoint_id"), ServiceID: r.Path("service_id"), RegionID: r.Path("region_id")}
}

func (a *api) usePolicy(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.UsePolicy(ctx, policyUse(r))
}

func (a *api) checkPolicyUse(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.CheckPolicyUse(ctx, policyUse(r))
}

func (a *api) endPolicyUse(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.EndPolicyUse(ctx, policyUse(r))
}

func (a *api) endpointPolicy(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, err := a.c.EndpointPolicy(ctx, r.Path("endpoint_id"))
	return one(r, "policy", &p, policyView, http.StatusOK), err
}

func (a *api) policyEndpoints(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.PolicyEndpoints(ctx, r.Path("policy_id"))
	return collection(r, "endpoints", list, identity.Query{}, endpointView, endpointID), err
}

// policyUseRoutes are the three kinds of association.
func (a *api) policyUseRoutes() []rest.Route {
	var routes []rest.Route
	for _, kind := range []string{"endpoints/{endpoint_id}", "services/{service_id}", "services/{service_id}/regions/{region_id}"} {
		path := "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY/" + kind
		routes = append(routes,
			rest.Route{Method: "PUT", Path: path, Handle: a.usePolicy, Doc: "associate a policy with endpoints"},
			rest.Route{Method: "GET", Path: path, Handle: a.checkPolicyUse, Doc: "check an association of a policy"},
			rest.Route{Method: "DELETE", Path: path, Handle: a.endPolicyUse, Doc: "end an association of a policy"})
	}
	return append(routes,
		rest.Route{Method: "GET", Path: "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints", Handle: a.policyEndpoints, Doc: "list the endpoints of a policy"},
		rest.Route{Method: "GET", Path: "/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", Handle: a.endpointPolicy, Doc: "show the policy of an endpoint"})
}
