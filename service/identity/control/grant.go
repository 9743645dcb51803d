package control

import (
	"context"
	"errors"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// grantRule names the rule of a verb (check, list, create, revoke) on a grant.
func grantRule(verb string, g identity.Grant) string {
	if g.TargetKind != identity.OnSystem {
		if verb == "list" {
			return "identity:list_grants"
		}
		return "identity:" + verb + "_grant"
	}
	actor, plural := "user", ""
	if g.IsGroup {
		actor = "group"
	}
	if verb == "list" {
		plural = "s"
	}
	return "identity:" + verb + "_system_grant" + plural + "_for_" + actor
}

// allowGrant checks that what a grant names exists, and the rule. The role may
// be "" in lists; gone says that actor and target need not exist any more.
func (c *Control) allowGrant(ctx context.Context, verb string, g identity.Grant, gone bool) error {
	target := auth.Target{}
	var missing error
	note := func(err error, what, id string) {
		if err != nil && missing == nil {
			missing = found(err, what, id)
		}
	}
	if g.RoleID != "" {
		r, err := store.Role(ctx, c.db, g.RoleID)
		note(err, "role", g.RoleID)
		target = join(target, roleTarget(r))
		if err == nil && verb == "create" {
			if err := c.roleFits(ctx, r, g); err != nil && missing == nil {
				missing = err
			}
		}
	}
	if g.IsGroup {
		group, err := store.Group(ctx, c.db, g.ActorID)
		if !gone {
			note(err, "group", g.ActorID)
		}
		target = join(target, groupTarget(group))
	} else {
		u, err := store.User(ctx, c.db, g.ActorID)
		if !gone {
			note(err, "user", g.ActorID)
		}
		target = join(target, userTarget(u))
	}
	switch g.TargetKind {
	case identity.OnProject:
		p, err := store.ProjectHead(ctx, c.db, g.TargetID)
		note(err, "project", g.TargetID)
		target["target.project.id"], target["target.project.domain_id"] = p.ID, orNone(p.DomainID)
	case identity.OnDomain:
		d, err := c.domainByID(ctx, c.db, g.TargetID)
		if err != nil {
			note(err, "domain", g.TargetID)
		}
		target["target.domain.id"] = d.ID
	}
	return c.seen(ctx, missing, grantRule(verb, g), target)
}

// roleFits refuses roles of a domain on other domains' projects and on the system.
// On domains Keystone takes them from anywhere, and so do we.
func (c *Control) roleFits(ctx context.Context, r identity.Role, g identity.Grant) error {
	switch {
	case r.DomainID == "":
		return nil
	case g.TargetKind == identity.OnSystem:
		return fault.Invalidf("Role %s is a domain-specific role. Unable to use a domain-specific role in a system assignment.", r.ID)
	case g.TargetKind != identity.OnProject:
		return nil
	}
	p, err := store.ProjectHead(ctx, c.db, g.TargetID)
	if err != nil {
		return found(err, "project", g.TargetID)
	}
	if p.DomainID != r.DomainID {
		return fault.Forbiddenf("Project %s must be in the same domain as the role %s being assigned.", g.TargetID, r.ID)
	}
	return nil
}

// CreateGrant gives a role. It is no error when it has been given already.
func (c *Control) CreateGrant(ctx context.Context, g identity.Grant) error {
	if err := c.allowGrant(ctx, "create", g, false); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return store.AddGrant(ctx, tx, g) })
}

// CheckGrant is fault.NotFound when a role has not been given.
func (c *Control) CheckGrant(ctx context.Context, g identity.Grant) error {
	if err := c.allowGrant(ctx, "check", g, false); err != nil {
		return err
	}
	has, err := store.HasGrant(ctx, c.db, g)
	if err == nil && !has {
		err = noGrant(g)
	}
	return err
}

// DeleteGrant takes a role away.
func (c *Control) DeleteGrant(ctx context.Context, g identity.Grant) error {
	if err := c.allowGrant(ctx, "revoke", g, true); err != nil {
		return err
	}
	err := c.changing(ctx, func(tx *db.Tx) error { return store.DeleteGrant(ctx, tx, g) })
	if errors.Is(err, db.ErrNoRow) {
		err = noGrant(g)
	}
	return err
}

func noGrant(g identity.Grant) error {
	return fault.NotFoundf("Could not find role assignment with role: %s, user or group: %s, project, domain, or system: %s.", clip(g.RoleID), clip(g.ActorID), clip(g.TargetID))
}

// GrantedRoles lists the roles that have been given to g's actor on g's target.
func (c *Control) GrantedRoles(ctx context.Context, g identity.Grant) ([]identity.Role, error) {
	if err := c.allowGrant(ctx, "list", g, false); err != nil {
		return nil, err
	}
	grants, err := store.Grants(ctx, c.db, store.GrantQuery{Actors: []string{g.ActorID}, Targets: []string{g.TargetID}, Kind: g.TargetKind, Inherited: &g.Inherited})
	if err != nil || len(grants) == 0 {
		return nil, err
	}
	ids := make([]string, len(grants))
	for i, grant := range grants {
		ids[i] = grant.RoleID
	}
	return store.RolesByID(ctx, c.db, ids)
}
