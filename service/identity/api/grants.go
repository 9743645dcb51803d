package api

import (
	"context"
	"strings"

	"kilonova/internal/rest"
	"kilonova/service/identity"
)

// grant reads what a path grants: /projects/ID/users/ID/roles/ID and its kin.
func grant(r *rest.Request) identity.Grant {
	g := identity.Grant{RoleID: r.Path("role_id"), Inherited: strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/inherited_to_projects")}
	switch {
	case r.Path("project_id") != "":
		g.TargetKind, g.TargetID = identity.OnProject, r.Path("project_id")
	case r.Path("domain_id") != "":
		g.TargetKind, g.TargetID = identity.OnDomain, r.Path("domain_id")
	default:
		g.TargetKind, g.TargetID = identity.OnSystem, identity.SystemID
	}
	if g.ActorID = r.Path("user_id"); g.ActorID == "" {
		g.ActorID, g.IsGroup = r.Path("group_id"), true
	}
	return g
}

func (a *api) createGrant(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.CreateGrant(ctx, grant(r))
}

func (a *api) checkGrant(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.CheckGrant(ctx, grant(r))
}

func (a *api) deleteGrant(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteGrant(ctx, grant(r))
}

func (a *api) listGrants(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.GrantedRoles(ctx, grant(r))
	return collection(r, "roles", list, identity.Query{}, roleView, roleID), err
}

// grantRoutes are those of a target and an actor, direct or inherited.
func (a *api) grantRoutes() []rest.Route {
	var routes []rest.Route
	add := func(collection, suffix, doc string) {
		item := collection + "/{role_id}" + suffix
		routes = append(routes,
			rest.Route{Method: "GET", Path: collection + suffix, Handle: a.listGrants, Doc: "list the roles of " + doc},
			rest.Route{Method: "GET", Path: item, Handle: a.checkGrant, Doc: "check a role of " + doc},
			rest.Route{Method: "PUT", Path: item, Handle: a.createGrant, Doc: "give a role to " + doc},
			rest.Route{Method: "DELETE", Path: item, Handle: a.deleteGrant, Doc: "take a role from " + doc})
	}
	for _, actor := range []string{"users/{user_id}", "groups/{group_id}"} {
		name := strings.TrimSuffix(actor[:strings.IndexByte(actor, '/')], "s")
		add("/v3/system/"+actor+"/roles", "", "a "+name+" on the system")
		for _, target := range []string{"projects/{project_id}", "domains/{domain_id}"} {
			on := strings.TrimSuffix(target[:strings.IndexByte(target, '/')], "s")
			add("/v3/"+target+"/"+actor+"/roles", "", "a "+name+" on a "+on)
			add("/v3/OS-INHERIT/"+target+"/"+actor+"/roles", "/inherited_to_projects", "a "+name+" on all projects below a "+on)
		}
	}
	return routes
}

func (a *api) listAssignments(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q := identity.AssignmentQuery{UserID: r.Query.Get("user.id"), GroupID: r.Query.Get("group.id"), RoleID: r.Query.Get("role.id"),
		ProjectID: r.Query.Get("scope.project.id"), DomainID: r.Query.Get("scope.domain.id"), System: r.Query.Get("scope.system") != "",
		Effective: isSet(r, "effective"), Subtree: isSet(r, "include_subtree"), WithNames: isSet(r, "include_names")}
	if values, given := r.Query["scope.OS-INHERIT:inherited_to"]; given {
		inherited := values[0] == "projects"
		q.Inherited = &inherited
	}
	list, err := a.c.Assignments(ctx, q)
	view := func(r *rest.Request, as *identity.Assignment) map[string]any {
		return assignmentView(r, as, q.WithNames)
	}
	return collection(r, "role_assignments", list, identity.Query{}, view, func(*identity.Assignment) string { return "" }), err
}

// reference is a thing by id, with its name and domain where they were asked for.
func reference(id, name string, in identity.Named, names bool) map[string]any {
	v := map[string]any{"id": id}
	if names {
		v["name"] = name
		if in.ID != "" {
			v["domain"] = map[string]any{"id": in.ID, "name": in.Name}
		}
	}
	return v
}

func assignmentView(r *rest.Request, a *identity.Assignment, names bool) map[string]any {
	actor, target, role := "users", a.TargetID, a.RoleID
	kind := a.TargetKind
	v := map[string]any{"role": reference(a.RoleID, a.RoleName, a.RoleIn, names)}
	if a.IsGroup {
		actor = "groups"
		v["group"] = reference(a.ActorID, a.ActorName, a.ActorIn, names)
	} else {
		v["user"] = reference(a.ActorID, a.ActorName, a.ActorIn, names)
	}
	links := map[string]any{}
	actorID := a.ActorID
	if a.ViaGroup != "" {
		actor, actorID = "groups", a.ViaGroup
		links["membership"] = r.Link("/v3/groups/" + a.ViaGroup + "/users/" + a.ActorID)
	}
	if a.ViaRole != "" {
		role = a.ViaRole
		links["prior_role"] = r.Link("/v3/prior_role/" + a.ViaRole + "/implies/" + a.RoleID)
	}
	scope := map[string]any{}
	switch a.TargetKind {
	case identity.OnSystem:
		scope["system"] = map[string]bool{"all": true}
	default:
		scope[string(a.TargetKind)] = reference(a.TargetID, a.TargetName, a.TargetIn, names)
	}
	if a.ViaTarget != "" {
		target, kind = a.ViaTarget, a.ViaKind
	}
	path := "/" + string(kind) + "s/" + target
	if kind == identity.OnSystem {
		path = "/system"
	}
	path += "/" + actor + "/" + actorID + "/roles/" + role
	if a.Inherited || a.ViaTarget != "" {
		scope["OS-INHERIT:inherited_to"] = "projects"
		path = "/OS-INHERIT" + path + "/inherited_to_projects"
	}
	links["assignment"] = r.Link("/v3" + path)
	v["scope"], v["links"] = scope, links
	return v
}
