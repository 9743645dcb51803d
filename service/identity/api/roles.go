package api

import (
	"context"
	"net/http"

	"kilonova/internal/rest"
	"kilonova/service/identity"
)

type roleBody struct {
	Name        rest.Opt[string]         `json:"name" check:"len=1..255"`
	DomainID    rest.Opt[string]         `json:"domain_id" check:"len=1..64 match=id"`
	Description rest.Opt[string]         `json:"description"`
	Options     rest.Opt[map[string]any] `json:"options"`
}

func (b roleBody) change(extra identity.Attributes, required bool) (identity.RoleChange, error) {
	n, err := name("name", b.Name, required)
	return identity.RoleChange{Name: n, DomainID: nullable(b.DomainID), Description: nullable(b.Description), Options: b.Options.V, Extra: extra}, err
}

func roleID(r *identity.Role) string { return r.ID }

func (a *api) listRoles(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "name", "domain_id")
	if err != nil {
		return nil, err
	}
	list, err := a.c.Roles(ctx, q)
	return collection(r, "roles", list, q, roleView, roleID), err
}

func (a *api) showRole(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	o, err := a.c.Role(ctx, r.Path("role_id"))
	return one(r, "role", &o, roleView, http.StatusOK), err
}

func (a *api) createRole(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[roleBody](r, "role")
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra, true)
	if err != nil {
		return nil, err
	}
	o, err := a.c.CreateRole(ctx, change)
	return one(r, "role", &o, roleView, http.StatusCreated), err
}

func (a *api) updateRole(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[roleBody](r, "role", r.Path("role_id"))
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra, false)
	if err != nil {
		return nil, err
	}
	o, err := a.c.UpdateRole(ctx, r.Path("role_id"), change)
	return one(r, "role", &o, roleView, http.StatusOK), err
}

func (a *api) deleteRole(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteRole(ctx, r.Path("role_id"))
}

// shortRole is a role as inferences show it.
func shortRole(r *rest.Request, o identity.Role) map[string]any {
	return map[string]any{"id": o.ID, "name": o.Name, "links": map[string]string{"self": r.Link("/v3/roles/" + o.ID)}}
}

func inferenceView(r *rest.Request, i identity.Inference) map[string]any {
	return map[string]any{"role_inference": map[string]any{"prior_role": shortRole(r, i.Prior), "implies": shortRole(r, i.Implied)},
		"links": map[string]any{"self": r.Link("/v3/roles/" + i.Prior.ID + "/implies/" + i.Implied.ID)}}
}

// grouped lists inferences by prior role.
func grouped(r *rest.Request, list []identity.Inference) []any {
	groups := []any{}
	var last string
	for _, i := range list {
		if i.Prior.ID != last {
			groups = append(groups, map[string]any{"prior_role": shortRole(r, i.Prior), "implies": []any{}})
			last = i.Prior.ID
		}
		g := groups[len(groups)-1].(map[string]any)
		g["implies"] = append(g["implies"].([]any), shortRole(r, i.Implied))
	}
	return groups
}

func (a *api) listInferences(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.Inferences(ctx, "")
	return rest.OK(map[string]any{"role_inferences": grouped(r, list), "links": map[string]any{"self": r.Link("/v3/role_inferences"), "previous": nil, "next": nil}}), err
}

func (a *api) listImplied(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id := r.Path("role_id")
	list, err := a.c.Inferences(ctx, id)
	if err != nil {
		return nil, err
	}
	var inference any
	if groups := grouped(r, list); len(groups) > 0 {
		inference = groups[0]
	} else {
		prior, err := a.c.Role(ctx, id)
		if err != nil {
			return nil, err
		}
		inference = map[string]any{"prior_role": shortRole(r, prior), "implies": []any{}}
	}
	return rest.OK(map[string]any{"role_inference": inference, "links": map[string]any{"self": r.Link("/v3/roles/" + id + "/implies")}}), nil
}

func (a *api) showInference(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	check := r.Method == http.MethodHead
	i, err := a.c.Inference(ctx, r.Path("role_id"), r.Path("implied_id"), check)
	if check {
		return rest.NoContent(), err
	}
	return rest.OK(inferenceView(r, i)), err
}

func (a *api) createInference(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	i, err := a.c.CreateInference(ctx, r.Path("role_id"), r.Path("implied_id"))
	return rest.Created(inferenceView(r, i)), err
}

func (a *api) deleteInference(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteInference(ctx, r.Path("role_id"), r.Path("implied_id"))
}
