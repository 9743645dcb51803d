package control

import (
	"context"
	"errors"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Domains lists domains. A domain-scoped caller sees its own.
func (c *Control) Domains(ctx context.Context, q identity.Query) ([]identity.Project, error) {
	if err := c.may(ctx, "identity:list_domains", domainTarget(ctx)); err != nil {
		return nil, err
	}
	if d := callerDomain(ctx); d != "" {
		q = q.Where("id", d)
	}
	return store.Projects(ctx, c.db, q.Where("is_domain", true), identity.TagQuery{}, nil)
}

// Domain returns a domain.
func (c *Control) Domain(ctx context.Context, id string) (identity.Project, error) {
	d, err := c.domainByID(ctx, c.db, id)
	return d, c.seen(ctx, err, "identity:get_domain", auth.Target{"target.domain.id": id})
}

func (c *Control) domainByID(ctx context.Context, q db.Querier, id string) (identity.Project, error) {
	d, err := store.Project(ctx, q, id)
	if err == nil && !d.IsDomain {
		err = db.ErrNoRow
	}
	return d, found(err, "domain", id)
}

// CreateDomain makes a domain; its name is required. id, if not "", is an
// explicit one: 32 hexadecimal digits.
func (c *Control) CreateDomain(ctx context.Context, id string, change identity.ProjectChange) (identity.Project, error) {
	d := identity.Project{ID: id, Name: strings.TrimSpace(value(change.Name, "")), Description: value(change.Description, ""),
		Enabled: value(change.Enabled, true), IsDomain: true, Options: change.Options, Extra: change.Extra, Tags: value(change.Tags, nil)}
	if err := c.may(ctx, "identity:create_domain", nil); err != nil {
		return d, err
	}
	if id != "" {
		_, err := store.ProjectHead(ctx, c.db, id)
		if err == nil {
			return d, fault.Conflictf("Conflict occurred attempting to store domain - Duplicate ID, %s.", id)
		}
		if !errors.Is(err, db.ErrNoRow) {
			return d, err
		}
	}
	return c.addProject(ctx, d)
}

// UpdateDomain changes a domain.
func (c *Control) UpdateDomain(ctx context.Context, id string, change identity.ProjectChange) (identity.Project, error) {
	d, err := c.domainByID(ctx, c.db, id)
	if err := c.seen(ctx, err, "identity:update_domain", auth.Target{"target.domain.id": id}); err != nil {
		return d, err
	}
	return c.changeProject(ctx, id, change)
}

// DeleteDomain removes a disabled domain with all that it owns.
func (c *Control) DeleteDomain(ctx context.Context, id string) error {
	_, err := c.domainByID(ctx, c.db, id)
	if err := c.seen(ctx, err, "identity:delete_domain", auth.Target{"target.domain.id": id}); err != nil {
		return err
	}
	return c.deleteDomain(ctx, id)
}

func (c *Control) deleteDomain(ctx context.Context, id string) error {
	return c.changing(ctx, func(tx *db.Tx) error {
		d, err := c.domainByID(ctx, tx, id)
		if err != nil {
			return err
		}
		switch {
		case id == identity.DefaultDomainID:
			return fault.Forbiddenf("You are not authorized to perform the requested action: delete the default domain.")
		case d.Options.True(identity.Immutable):
			return immutable("delete", "domain", id)
		case d.Enabled:
			return fault.Forbiddenf("Cannot delete a domain that is enabled, please disable it first.")
		}
		return c.emptyDomain(ctx, tx, d)
	})
}

// emptyDomain removes what a domain owns, and then itself.
func (c *Control) emptyDomain(ctx context.Context, tx *db.Tx, d identity.Project) error {
	in := identity.Query{}.Where("domain_id", d.ID)
	below, err := store.Subtree(ctx, tx, d)
	if err != nil {
		return err
	}
	users, err := store.Users(ctx, tx, in)
	if err != nil {
		return err
	}
	groups, err := store.Groups(ctx, tx, in)
	if err != nil {
		return err
	}
	roles, err := store.Roles(ctx, tx, in)
	for _, p := range below {
		err = errors.Join(err, store.DeleteProject(ctx, tx, p.ID))
	}
	for _, u := range users {
		err = errors.Join(err, c.revoke(ctx, tx, revokedUser, u.ID), store.DeleteUser(ctx, tx, u.ID))
	}
	for _, g := range groups {
		err = errors.Join(err, store.DeleteGroup(ctx, tx, g.ID))
	}
	for _, r := range roles {
		err = errors.Join(err, store.DeleteRole(ctx, tx, r.ID))
	}
	return errors.Join(err, store.DeleteProject(ctx, tx, d.ID))
}
