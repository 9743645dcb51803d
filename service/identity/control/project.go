package control

import (
	"context"
	"errors"
	"slices"
	"strings"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Projects lists projects, or domains where the query asks for is_domain. A
// domain-scoped caller sees those of its domain.
func (c *Control) Projects(ctx context.Context, q identity.Query, tags identity.TagQuery) ([]identity.Project, error) {
	if err := c.may(ctx, "identity:list_projects", domainTarget(ctx)); err != nil {
		return nil, err
	}
	return store.Projects(ctx, c.db, confined(ctx, q), tags, nil)
}

// Project returns a project.
func (c *Control) Project(ctx context.Context, id string) (identity.Project, error) {
	return c.project(ctx, id, "identity:get_project")
}

func (c *Control) project(ctx context.Context, id, rule string) (identity.Project, error) {
	p, err := store.Project(ctx, c.db, id)
	return p, c.seen(ctx, found(err, "project", id), rule, projectTarget(p))
}

// Parents lists those projects above p, the nearest first, on which the caller
// has a role.
func (c *Control) Parents(ctx context.Context, p identity.Project) ([]identity.Project, error) {
	above, err := store.Projects(ctx, c.db, identity.Query{}, identity.TagQuery{}, p.Ancestors())
	if err != nil {
		return nil, err
	}
	slices.SortFunc(above, func(a, b identity.Project) int { return b.Depth() - a.Depth() })
	return c.onlyOwn(ctx, above)
}

// Children lists those projects below p, the nearest first, on which the caller
// has a role.
func (c *Control) Children(ctx context.Context, p identity.Project) ([]identity.Project, error) {
	below, err := store.Subtree(ctx, c.db, p)
	if err != nil {
		return nil, err
	}
	return c.onlyOwn(ctx, below)
}

func (c *Control) onlyOwn(ctx context.Context, list []identity.Project) ([]identity.Project, error) {
	claims, err := c.claims(ctx)
	if err != nil {
		return nil, err
	}
	own, err := c.reachable(ctx, self(ctx), claims.GroupIDs, false, identity.Query{})
	if err != nil {
		return nil, err
	}
	mine := map[string]bool{}
	for _, p := range own {
		mine[p.ID] = true
	}
	return slices.DeleteFunc(list, func(p identity.Project) bool { return !mine[p.ID] }), nil
}

// Subtree lists all below p, for their ids.
func (c *Control) Subtree(ctx context.Context, p identity.Project) ([]identity.Project, error) {
	return store.Subtree(ctx, c.db, p)
}

// CreateProject makes a project, or a domain; its name is required. Without a
// parent it lies at the top of its domain.
func (c *Control) CreateProject(ctx context.Context, change identity.ProjectChange) (identity.Project, error) {
	p := identity.Project{Name: strings.TrimSpace(value(change.Name, "")), Description: value(change.Description, ""), Enabled: value(change.Enabled, true),
		IsDomain: value(change.IsDomain, false), Options: change.Options, Extra: change.Extra, Tags: value(change.Tags, nil)}
	if !p.IsDomain {
		p.ParentID = value(change.ParentID, "")
		if p.DomainID = value(change.DomainID, ""); p.DomainID == "" {
			p.DomainID = c.ownDomain(ctx)
			if parent, err := store.ProjectHead(ctx, c.db, p.ParentID); err == nil && parent.IsDomain && callerDomain(ctx) == "" {
				p.DomainID = parent.ID
			}
		}
		if p.ParentID == "" {
			p.ParentID = p.DomainID
		}
	} else if value(change.ParentID, "") != "" || value(change.DomainID, "") != "" {
		return p, fault.Invalidf("only root projects are allowed to act as domains.")
	}
	if err := c.may(ctx, "identity:create_project", projectTarget(p)); err != nil {
		return p, err
	}
	return c.addProject(ctx, p)
}

func (c *Control) addProject(ctx context.Context, p identity.Project) (identity.Project, error) {
	if err := checkOptions(p.Options); err != nil {
		return p, err
	}
	if err := checkTags(p.Tags); err != nil {
		return p, err
	}
	var err error
	if p.ID == "" {
		if p.ID, err = c.newID(); err != nil {
			return p, err
		}
	}
	slices.Sort(p.Tags)
	err = c.changing(ctx, func(tx *db.Tx) error {
		p.Path = p.ID
		if !p.IsDomain {
			parent, err := c.parentOf(ctx, tx, p)
			if err != nil {
				return err
			}
			p.Path = parent.Path + "/" + p.ID
		}
		return store.AddProject(ctx, tx, p)
	})
	return p, c.duplicateProject(err, p)
}

func (c *Control) duplicateProject(err error, p identity.Project) error {
	if p.IsDomain {
		return duplicate(err, "domain", "it is not permitted to have two projects acting as domains with the same name: %s", clip(p.Name))
	}
	return duplicate(err, "project", "it is not permitted to have two projects with either the same name or same id in the same domain: name is %s, project id %s", clip(p.Name), p.ID)
}

// parentOf returns the parent of a new project, if it may have one more child.
func (c *Control) parentOf(ctx context.Context, tx *db.Tx, p identity.Project) (identity.Project, error) {
	domain, err := store.ProjectHead(ctx, tx, p.DomainID)
	if errors.Is(err, db.ErrNoRow) || err == nil && !domain.IsDomain {
		return domain, fault.Invalidf("Could not find domain: %s.", clip(p.DomainID))
	}
	if err != nil {
		return domain, err
	}
	parent, err := store.ProjectHead(ctx, tx, p.ParentID)
	switch {
	case errors.Is(err, db.ErrNoRow):
		return parent, fault.Invalidf("Could not find project: %s.", clip(p.ParentID))
	case err != nil:
		return parent, err
	case parent.IsDomain && parent.ID != domain.ID:
		return parent, fault.Invalidf("Cannot create project, the parent (%s) is acting as a domain, but this project's domain id (%s) does not match the parent's id.", parent.ID, domain.ID)
	case !parent.IsDomain && parent.DomainID != domain.ID:
		return parent, fault.Invalidf("Cannot create project, since it specifies its domain_id %s, but specifies a parent in a different domain (%s).", domain.ID, parent.DomainID)
	case parent.Depth() >= c.depthLimit():
		return parent, fault.Forbiddenf("Max hierarchy depth reached for %s branch.", parent.ID)
	}
	branch, err := store.Projects(ctx, tx, identity.Query{}, identity.TagQuery{}, strings.Split(parent.Path, "/"))
	if err != nil {
		return parent, err
	}
	for _, above := range branch {
		if !above.Enabled {
			return parent, fault.Invalidf("cannot create a project in a branch containing a disabled project: %s", above.ID)
		}
	}
	return parent, nil
}

// depthLimit is how many projects may lie one below the other in a domain.
func (c *Control) depthLimit() int {
	if c.options.UnifiedLimit.EnforcementModel == "strict_two_level" {
		return min(c.options.MaxProjectTreeDepth, 2)
	}
	return c.options.MaxProjectTreeDepth
}

// UpdateProject changes a project, or a domain by its other name.
func (c *Control) UpdateProject(ctx context.Context, id string, change identity.ProjectChange) (identity.Project, error) {
	p, err := c.project(ctx, id, "identity:update_project")
	if err != nil {
		return p, err
	}
	return c.changeProject(ctx, id, change)
}

func (c *Control) changeProject(ctx context.Context, id string, change identity.ProjectChange) (identity.Project, error) {
	var p identity.Project
	if err := checkOptions(change.Options); err != nil {
		return p, err
	}
	if err := checkTags(value(change.Tags, nil)); err != nil {
		return p, err
	}
	err := c.changing(ctx, func(tx *db.Tx) (err error) {
		if p, err = store.Project(ctx, tx, id); err != nil {
			return found(err, "project", id)
		}
		if err := c.checkProjectChange(ctx, tx, p, change); err != nil {
			return err
		}
		wasEnabled := p.Enabled
		p.Name, p.Description = strings.TrimSpace(value(change.Name, p.Name)), value(change.Description, p.Description)
		p.Enabled, p.Tags = value(change.Enabled, p.Enabled), value(change.Tags, p.Tags)
		p.Options, p.Extra = p.Options.Merge(change.Options), p.Extra.Merge(change.Extra)
		slices.Sort(p.Tags)
		if wasEnabled && !p.Enabled {
			if err := c.revoke(ctx, tx, projectKind(p), id); err != nil {
				return err
			}
		}
		return store.UpdateProject(ctx, tx, p)
	})
	return p, c.duplicateProject(err, p)
}

func projectKind(p identity.Project) string {
	if p.IsDomain {
		return revokedDomain
	}
	return revokedProject
}

// checkProjectChange refuses what cannot be changed, or not now.
func (c *Control) checkProjectChange(ctx context.Context, tx *db.Tx, p identity.Project, change identity.ProjectChange) error {
	if err := protected(p.Options, change.Options, p.IsDomain, p.ID, change); err != nil {
		return err
	}
	if change.DomainID != nil && *change.DomainID != p.DomainID {
		return fault.Invalidf("Cannot change Domain ID")
	}
	if change.ParentID != nil && *change.ParentID != p.ParentID {
		return fault.Forbiddenf("Update of `parent_id` is not allowed.")
	}
	if change.IsDomain != nil && *change.IsDomain != p.IsDomain {
		return fault.Invalidf("Update of `is_domain` is not allowed.")
	}
	if change.Enabled == nil || *change.Enabled == p.Enabled || p.IsDomain {
		return nil
	}
	if *change.Enabled {
		above, err := store.Projects(ctx, tx, identity.Query{}, identity.TagQuery{}, p.Ancestors())
		for _, a := range above {
			if !a.Enabled {
				return fault.Forbiddenf("Cannot enable project %s since it has disabled parents", p.ID)
			}
		}
		return err
	}
	below, err := store.Subtree(ctx, tx, p)
	for _, b := range below {
		if b.Enabled {
			return fault.Forbiddenf("Cannot disable project %s since its subtree contains enabled projects.", p.ID)
		}
	}
	return err
}

// protected refuses changes to what is immutable, except to make it mutable.
func protected(options, change identity.Attributes, isDomain bool, id string, all identity.ProjectChange) error {
	if !options.True(identity.Immutable) {
		return nil
	}
	if v, given := change[identity.Immutable]; given && v != true && all.Name == nil && all.Enabled == nil && all.Description == nil && len(all.Extra) == 0 {
		return nil
	}
	what := "project"
	if isDomain {
		what = "domain"
	}
	return immutable("update", what, id)
}

func immutable(verb, what, id string) error {
	return fault.Forbiddenf("Unable to %s immutable %s resource: `%s. Set resource option \"immutable\" to false first.", verb, what, id)
}

// checkOptions refuses options of roles, projects and domains that do not exist.
func checkOptions(options identity.Attributes) error {
	for name, v := range options {
		if _, ok := v.(bool); name != identity.Immutable || !ok && v != nil {
			return fault.Invalidf("Invalid input for field 'options'. The only option is 'immutable', a 'boolean' or null; '%s' was unexpected.", clip(name))
		}
	}
	return nil
}

// DeleteProject removes a project without children, or a disabled domain.
func (c *Control) DeleteProject(ctx context.Context, id string) error {
	p, err := c.project(ctx, id, "identity:delete_project")
	if err != nil {
		return err
	}
	if p.IsDomain {
		return c.deleteDomain(ctx, id)
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		p, err := store.Project(ctx, tx, id)
		if err != nil {
			return found(err, "project", id)
		}
		if p.Options.True(identity.Immutable) {
			return immutable("delete", "project", id)
		}
		below, err := store.Subtree(ctx, tx, p)
		if err != nil {
			return err
		}
		if len(below) > 0 {
			return fault.Forbiddenf("Cannot delete the project %s since it is not a leaf in the hierarchy. Use the cascade option if you want to delete a whole subtree.", id)
		}
		return store.DeleteProject(ctx, tx, id)
	})
}
