package control

import (
	"context"
	"errors"
	"strings"

	"kilonova/internal/db"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Groups lists groups. A domain-scoped caller sees those of its domain.
func (c *Control) Groups(ctx context.Context, q identity.Query) ([]identity.Group, error) {
	if err := c.may(ctx, "identity:list_groups", domainTarget(ctx)); err != nil {
		return nil, err
	}
	q = confined(ctx, q)
	if err := c.listDirectory(ctx, domainOf(q)); err != nil {
		return nil, err
	}
	return store.Groups(ctx, c.db, q)
}

// Group returns a group.
func (c *Control) Group(ctx context.Context, id string) (identity.Group, error) {
	return c.group(ctx, id, "identity:get_group")
}

func (c *Control) group(ctx context.Context, id, rule string) (identity.Group, error) {
	g, err := store.Group(ctx, c.db, id)
	return g, c.seen(ctx, found(err, "group", id), rule, groupTarget(g))
}

// CreateGroup makes a group; its name is required.
func (c *Control) CreateGroup(ctx context.Context, change identity.GroupChange) (identity.Group, error) {
	g := identity.Group{DomainID: value(change.DomainID, c.ownDomain(ctx)), Name: strings.TrimSpace(value(change.Name, "")),
		Description: value(change.Description, ""), Extra: change.Extra}
	err := c.may(ctx, "identity:create_group", groupTarget(g))
	if err == nil {
		err = c.readOnly(ctx, g.DomainID)
	}
	if err != nil {
		return g, err
	}
	if g.ID, err = c.newID(); err != nil {
		return g, err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		if err := c.inDomain(ctx, tx, g.DomainID); err != nil {
			return err
		}
		return store.AddGroup(ctx, tx, g)
	})
	return g, duplicateName(err, "group", g.Name, g.DomainID)
}

// UpdateGroup changes a group.
func (c *Control) UpdateGroup(ctx context.Context, id string, change identity.GroupChange) (identity.Group, error) {
	g, err := c.group(ctx, id, "identity:update_group")
	if err != nil {
		return g, err
	}
	if err := c.readOnly(ctx, g.DomainID); err != nil {
		return g, err
	}
	if err := sameDomain(change.DomainID, g.DomainID); err != nil {
		return g, err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		if g, err = store.Group(ctx, tx, id); err != nil {
			return found(err, "group", id)
		}
		g.Name, g.Description = strings.TrimSpace(value(change.Name, g.Name)), value(change.Description, g.Description)
		g.Extra = g.Extra.Merge(change.Extra)
		return store.UpdateGroup(ctx, tx, g)
	})
	return g, duplicateName(err, "group", g.Name, g.DomainID)
}

// DeleteGroup removes a group and what was granted to it.
func (c *Control) DeleteGroup(ctx context.Context, id string) error {
	g, err := c.group(ctx, id, "identity:delete_group")
	if err == nil {
		err = c.readOnly(ctx, g.DomainID)
	}
	if err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return found(store.DeleteGroup(ctx, tx, id), "group", id) })
}

// GroupUsers lists the members of a group.
func (c *Control) GroupUsers(ctx context.Context, id string, q identity.Query) ([]identity.User, error) {
	if _, err := c.group(ctx, id, "identity:list_users_in_group"); err != nil {
		return nil, err
	}
	return store.UsersOfGroup(ctx, c.db, id, confined(ctx, q))
}

// memberOf loads both for a rule about membership.
func (c *Control) memberOf(ctx context.Context, groupID, userID, rule string) error {
	g, err := store.Group(ctx, c.db, groupID)
	err = found(err, "group", groupID)
	u, userErr := store.User(ctx, c.db, userID)
	if err == nil {
		err = found(userErr, "user", userID)
	}
	return c.seen(ctx, err, rule, join(groupTarget(g), userTarget(u)))
}

// AddMember puts a user into a group.
func (c *Control) AddMember(ctx context.Context, groupID, userID string) error {
	if err := c.memberOf(ctx, groupID, userID, "identity:add_user_to_group"); err != nil {
		return err
	}
	if err := c.groupReadOnly(ctx, groupID); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return store.AddMember(ctx, tx, groupID, userID) })
}

// CheckMember is fault.NotFound when a user is not in a group.
func (c *Control) CheckMember(ctx context.Context, groupID, userID string) error {
	if err := c.memberOf(ctx, groupID, userID, "identity:check_user_in_group"); err != nil {
		return err
	}
	is, err := store.IsMember(ctx, c.db, groupID, userID)
	if err == nil && !is {
		err = notMember(groupID, userID)
	}
	return err
}

// RemoveMember takes a user out of a group.
func (c *Control) RemoveMember(ctx context.Context, groupID, userID string) error {
	if err := c.memberOf(ctx, groupID, userID, "identity:remove_user_from_group"); err != nil {
		return err
	}
	if err := c.groupReadOnly(ctx, groupID); err != nil {
		return err
	}
	err := c.changing(ctx, func(tx *db.Tx) error { return store.RemoveMember(ctx, tx, groupID, userID) })
	if errors.Is(err, db.ErrNoRow) {
		err = notMember(groupID, userID)
	}
	return err
}

// groupReadOnly is readOnly for the members of a group.
func (c *Control) groupReadOnly(ctx context.Context, groupID string) error {
	g, err := store.Group(ctx, c.db, groupID)
	if err != nil {
		return found(err, "group", groupID)
	}
	return c.readOnly(ctx, g.DomainID)
}

func notMember(groupID, userID string) error {
	return notFound("user '"+userID+"' in group", groupID)
}
