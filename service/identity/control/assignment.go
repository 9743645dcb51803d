package control

import (
	"context"
	"errors"
	"maps"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Assignments lists who has which roles where. Effective ones are what follows
// from the grants: for users instead of groups, on each project instead of
// inherited, with implied roles, without roles of domains.
func (c *Control) Assignments(ctx context.Context, q identity.AssignmentQuery) ([]identity.Assignment, error) {
	if err := c.allowAssignments(ctx, q); err != nil {
		return nil, err
	}
	if err := checkAssignmentQuery(q); err != nil {
		return nil, err
	}
	grants, err := c.grantsFor(ctx, q)
	if err != nil {
		return nil, err
	}
	list := make([]identity.Assignment, len(grants))
	for i, g := range grants {
		list[i] = identity.Assignment{Grant: g}
	}
	if q.Effective {
		if list, err = c.effective(ctx, q, list); err != nil {
			return nil, err
		}
	}
	if d := callerDomain(ctx); d != "" {
		if list, err = c.inCallersDomain(ctx, list, d); err != nil {
			return nil, err
		}
	}
	if q.WithNames {
		err = c.nameAssignments(ctx, list)
	}
	return list, err
}

func (c *Control) allowAssignments(ctx context.Context, q identity.AssignmentQuery) error {
	if !q.Subtree {
		return c.may(ctx, "identity:list_role_assignments", domainTarget(ctx))
	}
	p, err := store.ProjectHead(ctx, c.db, q.ProjectID)
	if q.ProjectID != "" {
		err = found(err, "project", q.ProjectID)
	} else {
		err = fault.Invalidf("scope.project.id must be specified if include_subtree is also specified")
	}
	return c.seen(ctx, err, "identity:list_role_assignments_for_tree", auth.Target{"target.domain_id": orNone(p.DomainID)})
}

func checkAssignmentQuery(q identity.AssignmentQuery) error {
	switch {
	case q.DomainID != "" && q.ProjectID != "":
		return fault.Invalidf("Specify a domain or project, not both")
	case q.DomainID != "" && q.System:
		return fault.Invalidf("Specify system or domain, not both")
	case q.ProjectID != "" && q.System:
		return fault.Invalidf("Specify system or project, not both")
	case q.UserID != "" && q.GroupID != "":
		return fault.Invalidf("Specify a user or group, not both")
	case q.Effective && q.GroupID != "":
		return fault.Invalidf("Combining effective and group filter will always result in an empty list.")
	case q.Effective && q.DomainID != "" && value(q.Inherited, false):
		return fault.Invalidf("Combining effective, domain and inherited filters will always result in an empty list.")
	}
	return nil
}

// grantsFor lists the grants that a query asks for; of an effective one, all
// that can lead to what it asks for.
func (c *Control) grantsFor(ctx context.Context, q identity.AssignmentQuery) ([]identity.Grant, error) {
	var g store.GrantQuery
	switch {
	case q.GroupID != "":
		g.Actors = []string{q.GroupID}
	case q.UserID != "":
		g.Actors = []string{q.UserID}
		if q.Effective {
			groups, err := store.GroupsOfUser(ctx, c.db, q.UserID, identity.Query{})
			if err != nil {
				return nil, err
			}
			for _, group := range groups {
				g.Actors = append(g.Actors, group.ID)
			}
		}
	}
	switch {
	case q.ProjectID != "":
		p, err := store.ProjectHead(ctx, c.db, q.ProjectID)
		if errors.Is(err, db.ErrNoRow) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		g.Targets = []string{p.ID}
		if q.Effective {
			g.Targets = append(g.Targets, p.Ancestors()...)
		} else {
			g.Kind = identity.OnProject
		}
		if q.Subtree {
			below, err := store.Subtree(ctx, c.db, p)
			if err != nil {
				return nil, err
			}
			for _, b := range below {
				g.Targets = append(g.Targets, b.ID)
			}
		}
	case q.DomainID != "":
		g.Targets, g.Kind = []string{q.DomainID}, identity.OnDomain
	case q.System:
		g.Targets, g.Kind = []string{identity.SystemID}, identity.OnSystem
	}
	g.Inherited = q.Inherited
	if !q.Effective {
		g.RoleID = q.RoleID
	}
	return store.Grants(ctx, c.db, g)
}

// effective expands grants, and keeps of that what the query asks for.
func (c *Control) effective(ctx context.Context, q identity.AssignmentQuery, list []identity.Assignment) ([]identity.Assignment, error) {
	list, err := c.expandGroups(ctx, list)
	if err != nil {
		return nil, err
	}
	if list, err = c.expandInherited(ctx, list); err != nil {
		return nil, err
	}
	if list, err = c.expandImplied(ctx, list); err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	if q.Subtree {
		p, err := store.ProjectHead(ctx, c.db, q.ProjectID)
		if err != nil {
			return nil, found(err, "project", q.ProjectID)
		}
		below, err := store.Subtree(ctx, c.db, p)
		if err != nil {
			return nil, err
		}
		for _, b := range below {
			wanted[b.ID] = true
		}
	}
	wanted[q.ProjectID] = true
	return slices.DeleteFunc(list, func(a identity.Assignment) bool {
		return q.UserID != "" && a.ActorID != q.UserID || q.RoleID != "" && a.RoleID != q.RoleID ||
			q.ProjectID != "" && (a.TargetKind != identity.OnProject || !wanted[a.TargetID]) ||
			q.DomainID != "" && (a.TargetKind != identity.OnDomain || a.TargetID != q.DomainID)
	}), nil
}

func (c *Control) expandGroups(ctx context.Context, list []identity.Assignment) ([]identity.Assignment, error) {
	groups := map[string]bool{}
	for _, a := range list {
		if a.IsGroup {
			groups[a.ActorID] = true
		}
	}
	members, err := store.MembersOf(ctx, c.db, slices.Collect(maps.Keys(groups)))
	if err != nil {
		return nil, err
	}
	var out []identity.Assignment
	for _, a := range list {
		if !a.IsGroup {
			out = append(out, a)
			continue
		}
		a.ViaGroup, a.IsGroup = a.ActorID, false
		for _, user := range members[a.ViaGroup] {
			a.ActorID = user
			out = append(out, a)
		}
	}
	return out, nil
}

func (c *Control) expandInherited(ctx context.Context, list []identity.Assignment) ([]identity.Assignment, error) {
	subtrees := map[string][]identity.Project{}
	var out []identity.Assignment
	for _, a := range list {
		if !a.Inherited {
			out = append(out, a)
			continue
		}
		below, known := subtrees[a.TargetID]
		if !known {
			p, err := store.ProjectHead(ctx, c.db, a.TargetID)
			if errors.Is(err, db.ErrNoRow) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if below, err = store.Subtree(ctx, c.db, p); err != nil {
				return nil, err
			}
			subtrees[a.TargetID] = below
		}
		a.ViaTarget, a.ViaKind, a.Inherited, a.TargetKind = a.TargetID, a.TargetKind, false, identity.OnProject
		for _, p := range below {
			a.TargetID = p.ID
			out = append(out, a)
		}
	}
	return out, nil
}

func (c *Control) expandImplied(ctx context.Context, list []identity.Assignment) ([]identity.Assignment, error) {
	all, err := store.Implications(ctx, c.db)
	if err != nil {
		return nil, err
	}
	implied := map[string][]string{}
	for _, i := range all {
		implied[i.PriorID] = append(implied[i.PriorID], i.ImpliedID)
	}
	roles, err := c.rolesByID(ctx)
	if err != nil {
		return nil, err
	}
	var out []identity.Assignment
	for _, a := range list {
		seen := map[string]bool{a.RoleID: true}
		work := []identity.Assignment{a}
		for len(work) > 0 {
			a, work = work[0], work[1:]
			if roles[a.RoleID].DomainID == "" {
				out = append(out, a)
			}
			for _, next := range implied[a.RoleID] {
				if !seen[next] {
					seen[next] = true
					b := a
					b.RoleID, b.ViaRole = next, a.RoleID
					work = append(work, b)
				}
			}
		}
	}
	return out, nil
}

// inCallersDomain keeps what lies in a domain.
func (c *Control) inCallersDomain(ctx context.Context, list []identity.Assignment, domainID string) ([]identity.Assignment, error) {
	projects, err := c.names(ctx, store.ProjectNames, list, func(a identity.Assignment) (string, bool) {
		return a.TargetID, a.TargetKind == identity.OnProject
	})
	return slices.DeleteFunc(list, func(a identity.Assignment) bool {
		return a.TargetID != domainID && projects[a.TargetID].DomainID != domainID
	}), err
}

// names looks up what id selects of a list.
func (c *Control) names(ctx context.Context, table string, list []identity.Assignment, id func(identity.Assignment) (string, bool)) (map[string]store.Name, error) {
	ids := map[string]bool{}
	for _, a := range list {
		if v, ok := id(a); ok {
			ids[v] = true
		}
	}
	return store.Names(ctx, c.db, table, slices.Sorted(maps.Keys(ids)))
}

// nameAssignments fills in the names of actors, targets and roles, and of their
// domains.
func (c *Control) nameAssignments(ctx context.Context, list []identity.Assignment) error {
	users, err1 := c.names(ctx, store.UserNames, list, func(a identity.Assignment) (string, bool) { return a.ActorID, !a.IsGroup })
	groups, err2 := c.names(ctx, store.GroupNames, list, func(a identity.Assignment) (string, bool) { return a.ActorID, a.IsGroup })
	targets, err3 := c.names(ctx, store.ProjectNames, list, func(a identity.Assignment) (string, bool) { return a.TargetID, a.TargetKind != identity.OnSystem })
	roles, err4 := c.names(ctx, store.RoleNames, list, func(a identity.Assignment) (string, bool) { return a.RoleID, true })
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	domainIDs := map[string]bool{}
	for _, m := range []map[string]store.Name{users, groups, targets, roles} {
		for _, n := range m {
			domainIDs[n.DomainID] = true
		}
	}
	domains, err := store.Names(ctx, c.db, store.ProjectNames, slices.Sorted(maps.Keys(domainIDs)))
	in := func(n store.Name) identity.Named {
		return identity.Named{ID: n.DomainID, Name: domains[n.DomainID].Name}
	}
	for i := range list {
		a := &list[i]
		actor := users[a.ActorID]
		if a.IsGroup {
			actor = groups[a.ActorID]
		}
		target, role := targets[a.TargetID], roles[a.RoleID]
		a.ActorName, a.ActorIn = actor.Name, in(actor)
		a.TargetName, a.TargetIn = target.Name, in(target)
		a.RoleName, a.RoleIn = role.Name, in(role)
	}
	return err
}
