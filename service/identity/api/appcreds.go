package api

import (
	"context"
	"net/http"

	"kilonova/internal/rest"
	"kilonova/service/identity"
)

type roleRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func roleRefs(list []roleRef) []identity.RoleRef {
	var refs []identity.RoleRef
	for _, r := range list {
		refs = append(refs, identity.RoleRef(r))
	}
	return refs
}

func accessRules(list []identity.AccessRule) []any {
	views := make([]any, len(list))
	for i, r := range list {
		views[i] = map[string]any{"id": r.ID, "service": r.Service, "path": r.Path, "method": r.Method}
	}
	return views
}

func accessRuleView(r *rest.Request, o *identity.AccessRule) map[string]any {
	return object(r, "/users/"+o.UserID+"/access_rules/"+o.ID, nil, map[string]any{"id": o.ID, "service": o.Service, "path": o.Path, "method": o.Method})
}

func appCredView(r *rest.Request, a *identity.AppCredential) map[string]any {
	roles := make([]any, len(a.Roles))
	for i, o := range a.Roles {
		roles[i] = map[string]any{"id": o.ID, "name": o.Name, "domain_id": orNull(o.DomainID), "description": o.Description, "options": options(o.Options)}
	}
	v := map[string]any{"id": a.ID, "name": a.Name, "description": a.Description, "project_id": a.ProjectID, "user_id": a.UserID, "roles": roles,
		"expires_at": micros(a.Expires), "unrestricted": a.Unrestricted, "system": nil}
	if len(a.AccessRules) > 0 {
		v["access_rules"] = accessRules(a.AccessRules)
	}
	if a.Secret != "" {
		v["secret"] = a.Secret
	}
	return object(r, "/users/"+a.UserID+"/application_credentials/"+a.ID, nil, v)
}

type appCredBody struct {
	Name         rest.Opt[string]    `json:"name" check:"len=1..255"`
	Description  rest.Opt[string]    `json:"description"`
	Secret       rest.Opt[string]    `json:"secret" check:"len=1..4096"`
	Expires      rest.Opt[string]    `json:"expires_at"`
	Roles        []roleRef           `json:"roles"`
	Unrestricted rest.Opt[rest.Bool] `json:"unrestricted"`
	ProjectID    any                 `json:"project_id"`
	AccessRules  []struct {
		ID      string `json:"id"`
		Service string `json:"service"`
		Path    string `json:"path"`
		Method  string `json:"method"`
	} `json:"access_rules"`
}

func (a *api) createAppCred(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[appCredBody](r, "application_credential")
	if err := only(extra, err); err != nil {
		return nil, err
	}
	n, err := name("name", b.Name, true)
	if err != nil {
		return nil, err
	}
	expires, err := instant("expires_at", b.Expires)
	if err != nil {
		return nil, err
	}
	spec := identity.AppCredentialSpec{Name: *n, Description: nullable(b.Description), Secret: b.Secret.V, Expires: expires,
		Roles: roleRefs(b.Roles), Unrestricted: bool(b.Unrestricted.V)}
	for _, rule := range b.AccessRules {
		spec.AccessRules = append(spec.AccessRules, identity.AccessRule{ID: rule.ID, Service: rule.Service, Path: rule.Path, Method: rule.Method})
	}
	cred, err := a.c.CreateAppCredential(ctx, r.Path("user_id"), spec)
	return one(r, "application_credential", &cred, appCredView, http.StatusCreated), err
}

func (a *api) listAppCreds(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "name")
	if err != nil {
		return nil, err
	}
	list, err := a.c.AppCredentials(ctx, r.Path("user_id"), q)
	return collection(r, "application_credentials", list, q, appCredView, func(c *identity.AppCredential) string { return c.ID }), err
}

func (a *api) showAppCred(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	c, err := a.c.AppCredential(ctx, r.Path("user_id"), r.Path("id"))
	return one(r, "application_credential", &c, appCredView, http.StatusOK), err
}

func (a *api) deleteAppCred(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteAppCredential(ctx, r.Path("user_id"), r.Path("id"))
}

func (a *api) listAccessRules(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.AccessRules(ctx, r.Path("user_id"))
	return collection(r, "access_rules", list, identity.Query{}, accessRuleView, func(o *identity.AccessRule) string { return o.ID }), err
}

func (a *api) showAccessRule(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	o, err := a.c.AccessRule(ctx, r.Path("user_id"), r.Path("id"))
	return one(r, "access_rule", &o, accessRuleView, http.StatusOK), err
}

func (a *api) deleteAccessRule(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteAccessRule(ctx, r.Path("user_id"), r.Path("id"))
}
