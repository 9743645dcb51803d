package api

import (
	"context"
	"net/http"

	"kilonova/internal/rest"
	"kilonova/service/identity"
)

type groupBody struct {
	Name        rest.Opt[string] `json:"name" check:"len=1..64"`
	DomainID    rest.Opt[string] `json:"domain_id" check:"len=1..64 match=id"`
	Description rest.Opt[string] `json:"description"`
}

func (b groupBody) change(extra identity.Attributes, required bool) (identity.GroupChange, error) {
	n, err := name("name", b.Name, required)
	return identity.GroupChange{Name: n, DomainID: nullable(b.DomainID), Description: text(b.Description), Extra: extra}, err
}

func groupID(g *identity.Group) string { return g.ID }

func (a *api) listGroups(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "name", "domain_id")
	if err != nil {
		return nil, err
	}
	list, err := a.c.Groups(ctx, q)
	return collection(r, "groups", list, q, groupView, groupID), err
}

func (a *api) showGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	g, err := a.c.Group(ctx, r.Path("group_id"))
	return one(r, "group", &g, groupView, http.StatusOK), err
}

func (a *api) createGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[groupBody](r, "group")
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra, true)
	if err != nil {
		return nil, err
	}
	g, err := a.c.CreateGroup(ctx, change)
	return one(r, "group", &g, groupView, http.StatusCreated), err
}

func (a *api) updateGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[groupBody](r, "group", r.Path("group_id"))
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra, false)
	if err != nil {
		return nil, err
	}
	g, err := a.c.UpdateGroup(ctx, r.Path("group_id"), change)
	return one(r, "group", &g, groupView, http.StatusOK), err
}

func (a *api) deleteGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteGroup(ctx, r.Path("group_id"))
}

func (a *api) groupUsers(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := a.userQuery(r)
	if err != nil {
		return nil, err
	}
	list, err := a.c.GroupUsers(ctx, r.Path("group_id"), q)
	return collection(r, "users", list, q, userView, userID), err
}

func (a *api) addMember(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.AddMember(ctx, r.Path("group_id"), r.Path("user_id"))
}

func (a *api) checkMember(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.CheckMember(ctx, r.Path("group_id"), r.Path("user_id"))
}

func (a *api) removeMember(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.RemoveMember(ctx, r.Path("group_id"), r.Path("user_id"))
}
