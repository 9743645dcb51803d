package api

import (
	"context"
	"net/http"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

type userBody struct {
	Name             rest.Opt[string]          `json:"name" check:"len=1..255"`
	DomainID         rest.Opt[string]          `json:"domain_id" check:"len=1..64 match=id"`
	Enabled          rest.Opt[rest.Bool]       `json:"enabled"`
	DefaultProjectID rest.Opt[string]          `json:"default_project_id" check:"len=0..64"`
	Password         rest.Opt[string]          `json:"password"`
	Options          rest.Opt[map[string]any]  `json:"options"`
	Expires          any                       `json:"password_expires_at"` // only read
	Federated        rest.Opt[[]federatedBody] `json:"federated"`
}

func (b userBody) change(extra identity.Attributes, required bool) (identity.UserChange, error) {
	n, err := name("name", b.Name, required)
	if err != nil {
		return identity.UserChange{}, err
	}
	federated, err := federatedChange(b.Federated.V)
	return identity.UserChange{Name: n, DomainID: nullable(b.DomainID), Enabled: flag(b.Enabled), DefaultProjectID: text(b.DefaultProjectID),
		Password: text(b.Password), Federated: federated, Options: b.Options.V, Extra: extra}, err
}

func userID(u *identity.User) string { return u.ID }

func (a *api) userQuery(r *rest.Request) (identity.Query, error) {
	q, err := query(r, "id", "name", "domain_id", "enabled", "default_project_id", "idp_id", "protocol_id", "unique_id")
	if err != nil {
		return q, err
	}
	if text := r.Query.Get("password_expires_at"); text != "" {
		f, err := expiryFilter(text)
		if err != nil {
			return q, err
		}
		q.Filters = append(q.Filters, f)
	}
	return q, nil
}

// expiryFilter reads "lt:2016-12-08T22:02:00Z".
func expiryFilter(text string) (identity.Filter, error) {
	f := identity.Filter{Attribute: "password_expires_at"}
	op, when, ok := cutOp(text)
	if !ok {
		return f, fault.Invalidf("The given operator %.64s is not valid. It must be one of the following: 'eq', 'neq', 'lt', 'lte', 'gt', or 'gte'.", text)
	}
	t, err := parseTime("password_expires_at", when)
	f.Op, f.Value = op, t
	return f, err
}

func (a *api) listUsers(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := a.userQuery(r)
	if err != nil {
		return nil, err
	}
	list, err := a.c.Users(ctx, q)
	if err != nil {
		return nil, err
	}
	as, err := a.c.FederatedAs(ctx, list)
	return collection(r, "users", list, q, federatedView(as), userID), err
}

func (a *api) showUser(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	u, err := a.c.User(ctx, r.Path("user_id"))
	if err != nil {
		return nil, err
	}
	return a.federatedUser(ctx, r, &u, http.StatusOK)
}

func (a *api) createUser(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[userBody](r, "user")
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra, true)
	if err != nil {
		return nil, err
	}
	u, err := a.c.CreateUser(ctx, change)
	if err != nil {
		return nil, err
	}
	return a.federatedUser(ctx, r, &u, http.StatusCreated)
}

func (a *api) updateUser(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[userBody](r, "user", r.Path("user_id"))
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra, false)
	if err != nil {
		return nil, err
	}
	u, err := a.c.UpdateUser(ctx, r.Path("user_id"), change)
	if err != nil {
		return nil, err
	}
	return a.federatedUser(ctx, r, &u, http.StatusOK)
}

func (a *api) deleteUser(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteUser(ctx, r.Path("user_id"))
}

func (a *api) changePassword(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	type body struct {
		Original *string `json:"original_password"`
		Password *string `json:"password"`
	}
	b, _, err := decode[body](r, "user")
	if err != nil {
		return nil, err
	}
	if b.Original == nil || b.Password == nil {
		return nil, fault.Invalidf("Invalid input for field 'user': 'original_password' and 'password' are required properties.")
	}
	return rest.NoContent(), a.c.ChangePassword(ctx, r.Path("user_id"), *b.Original, *b.Password)
}

func (a *api) userGroups(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "name")
	if err != nil {
		return nil, err
	}
	list, ends, err := a.c.UserGroups(ctx, r.Path("user_id"), q)
	view := func(r *rest.Request, g *identity.Group) map[string]any {
		v := groupView(r, g)
		v["membership_expires_at"] = zulu(ends[g.ID]) // only memberships by federation end
		return v
	}
	return collection(r, "groups", list, q, view, groupID), err
}

func (a *api) userProjects(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "name", "domain_id", "enabled", "parent_id")
	if err != nil {
		return nil, err
	}
	list, err := a.c.UserProjects(ctx, r.Path("user_id"), q)
	return collection(r, "projects", list, q, projectView, projectID), err
}
