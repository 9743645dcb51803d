package api

import (
	"context"
	"net/http"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

func trustView(r *rest.Request, t *identity.Trust) map[string]any {
	v := map[string]any{"id": t.ID, "trustor_user_id": t.TrustorID, "trustee_user_id": t.TrusteeID, "project_id": orNull(t.ProjectID),
		"impersonation": t.Impersonation, "expires_at": zulu(t.Expires), "deleted_at": nil, "remaining_uses": t.RemainingUses,
		"redelegation_count": t.RedelegationCount}
	if t.RedelegatedFrom != "" {
		v["redelegated_trust_id"] = t.RedelegatedFrom
	}
	if t.Roles != nil {
		roles := make([]any, len(t.Roles))
		for i := range t.Roles {
			roles[i] = roleView(r, &t.Roles[i])
		}
		v["roles"] = roles
		v["roles_links"] = map[string]any{"self": r.Link("/v3/OS-TRUST/trusts/" + t.ID + "/roles"), "previous": nil, "next": nil}
	}
	return object(r, "/OS-TRUST/trusts/"+t.ID, t.Extra, v)
}

type trustBody struct {
	TrustorID     rest.Opt[string] `json:"trustor_user_id"`
	TrusteeID     rest.Opt[string] `json:"trustee_user_id"`
	ProjectID     rest.Opt[string] `json:"project_id"`
	Impersonation rest.Opt[bool]   `json:"impersonation"`
	Expires       rest.Opt[string] `json:"expires_at"`
	RemainingUses *int64           `json:"remaining_uses"`
	Roles         []roleRef        `json:"roles"`
	Redelegate    rest.Opt[bool]   `json:"allow_redelegation"`
	Redelegations *int64           `json:"redelegation_count" check:"range=0..1000"`
}

func (a *api) createTrust(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[trustBody](r, "trust")
	if err != nil {
		return nil, err
	}
	if err := need("trustor_user_id", b.TrustorID.V, "trustee_user_id", b.TrusteeID.V); err != nil {
		return nil, err
	}
	if !b.Impersonation.Set || b.Impersonation.Null {
		return nil, fault.Invalidf("'impersonation' is a required property")
	}
	if b.RemainingUses != nil && *b.RemainingUses < 1 {
		return nil, fault.Invalidf("Invalid input for field 'remaining_uses': %d is less than the minimum of 1", *b.RemainingUses)
	}
	expires, err := instant("expires_at", b.Expires)
	if err != nil {
		return nil, err
	}
	for _, role := range b.Roles {
		if role.ID == "" && role.Name == "" {
			return nil, fault.Invalidf("Invalid input for field 'roles': a role has an id or a name.")
		}
	}
	t, err := a.c.CreateTrust(ctx, identity.TrustSpec{TrustorID: b.TrustorID.V, TrusteeID: b.TrusteeID.V, ProjectID: b.ProjectID.V,
		Impersonation: b.Impersonation.V, Expires: expires, RemainingUses: b.RemainingUses, Roles: roleRefs(b.Roles),
		AllowRedelegation: b.Redelegate.V, RedelegationCount: b.Redelegations, Extra: extra})
	return one(r, "trust", &t, trustView, http.StatusCreated), err
}

func (a *api) listTrusts(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.Trusts(ctx, r.Query.Get("trustor_user_id"), r.Query.Get("trustee_user_id"))
	return collection(r, "trusts", list, identity.Query{}, trustView, func(t *identity.Trust) string { return t.ID }), err
}

func (a *api) showTrust(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	t, err := a.c.Trust(ctx, r.Path("trust_id"))
	return one(r, "trust", &t, trustView, http.StatusOK), err
}

func (a *api) deleteTrust(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteTrust(ctx, r.Path("trust_id"))
}

func (a *api) trustRoles(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.TrustRoles(ctx, r.Path("trust_id"), false)
	return collection(r, "roles", list, identity.Query{}, roleView, roleID), err
}

func (a *api) trustRole(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.TrustRoles(ctx, r.Path("trust_id"), true)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].ID == r.Path("role_id") {
			return one(r, "role", &list[i], roleView, http.StatusOK), nil
		}
	}
	return nil, fault.NotFoundf("Could not find role: %.64s.", r.Path("role_id"))
}
