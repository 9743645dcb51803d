package control

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Users lists users. A domain-scoped caller sees those of its domain.
func (c *Control) Users(ctx context.Context, q identity.Query) ([]identity.User, error) {
	if err := c.may(ctx, "identity:list_users", domainTarget(ctx)); err != nil {
		return nil, err
	}
	q = confined(ctx, q)
	if err := c.listDirectory(ctx, domainOf(q)); err != nil {
		return nil, err
	}
	return store.Users(ctx, c.db, q)
}

// User returns a user.
func (c *Control) User(ctx context.Context, id string) (identity.User, error) {
	u, err := store.User(ctx, c.db, id)
	return u, c.seen(ctx, found(err, "user", id), "identity:get_user", userTarget(u))
}

// CreateUser makes a user; its name is required. Without a domain it belongs to
// the caller's.
func (c *Control) CreateUser(ctx context.Context, change identity.UserChange) (identity.User, error) {
	u := identity.User{Enabled: true, DomainID: value(change.DomainID, c.ownDomain(ctx))}
	if err := c.may(ctx, "identity:create_user", userTarget(u)); err != nil {
		return u, err
	}
	if err := c.readOnly(ctx, u.DomainID); err != nil {
		return u, err
	}
	if err := errors.Join(c.checkUser(ctx, u, change), c.checkFederated(ctx, change.Federated)); err != nil {
		return u, err
	}
	hash, err := c.newHash(change.Password)
	if err != nil {
		return u, err
	}
	if u.ID, err = c.newID(); err != nil {
		return u, err
	}
	applyUser(&u, change)
	err = c.changing(ctx, func(tx *db.Tx) error {
		if err := c.inDomain(ctx, tx, u.DomainID); err != nil {
			return err
		}
		var l store.Login
		if err := c.setPassword(ctx, tx, &u, &l, value(change.Password, ""), hash, false); err != nil {
			return err
		}
		if u.Options.True(identity.IgnoreInactivity) || c.options.Compliance.DisableInactiveDays > 0 {
			l.ActiveAt = db.At(c.now())
		}
		if err := store.AddUser(ctx, tx, u, l, db.At(c.now())); err != nil {
			return err
		}
		return c.setFederated(ctx, tx, u, change.Federated)
	})
	return u, duplicateName(err, "user", u.Name, u.DomainID)
}

// newHash checks and hashes a password outside of any transaction, since it
// takes long; "" for none.
func (c *Control) newHash(password *string) (string, error) {
	if value(password, "") == "" {
		return "", nil
	}
	if err := c.checkNewPassword(*password); err != nil {
		return "", err
	}
	return c.hash.Make(*password)
}

func applyUser(u *identity.User, change identity.UserChange) {
	u.Name = strings.TrimSpace(value(change.Name, u.Name))
	u.Enabled = value(change.Enabled, u.Enabled)
	u.DefaultProjectID = value(change.DefaultProjectID, u.DefaultProjectID)
	u.Options, u.Extra = u.Options.Merge(change.Options), u.Extra.Merge(change.Extra)
}

// checkUser refuses default projects that are domains, and options that make no
// sense.
func (c *Control) checkUser(ctx context.Context, u identity.User, change identity.UserChange) error {
	if id := value(change.DefaultProjectID, ""); id != "" {
		p, err := store.ProjectHead(ctx, c.db, id)
		if err != nil && !errors.Is(err, db.ErrNoRow) {
			return err
		}
		if p.IsDomain {
			return fault.Invalidf("User's default project ID cannot be a domain ID: %s", id)
		}
	}
	for name, v := range change.Options {
		switch name {
		case identity.IgnoreFirstUse, identity.IgnoreExpiry, identity.IgnoreLockout, identity.IgnoreInactivity, identity.LockPassword, identity.MultiFactorEnabled:
			if _, ok := v.(bool); !ok && v != nil {
				return fault.Invalidf("Invalid input for field 'options/%s': %v is not of type 'boolean'.", name, v)
			}
		case identity.MultiFactorRules:
			if !isRuleList(v) && v != nil {
				return fault.Invalidf("Invalid input for field 'options/%s': it must be a list of lists of method names, none of them empty or there twice.", name)
			}
		default:
			return fault.Invalidf("Invalid input for field 'options'. Additional properties are not allowed ('%s' was unexpected)", clip(name))
		}
	}
	return nil
}

func isRuleList(v any) bool {
	rules, ok := v.([]any)
	for _, r := range rules {
		methods, isList := r.([]any)
		seen := map[any]bool{}
		ok = ok && isList && len(methods) > 0
		for _, m := range methods {
			name, isText := m.(string)
			ok = ok && isText && name != "" && !seen[name]
			seen[name] = true
		}
	}
	return ok
}

// UpdateUser changes a user. A new password, or to disable it, ends its tokens.
func (c *Control) UpdateUser(ctx context.Context, id string, change identity.UserChange) (identity.User, error) {
	u, err := store.User(ctx, c.db, id)
	if err := c.seen(ctx, found(err, "user", id), "identity:update_user", userTarget(u)); err != nil {
		return u, err
	}
	if err := c.readOnly(ctx, u.DomainID); err != nil {
		return u, err
	}
	if err := sameDomain(change.DomainID, u.DomainID); err != nil {
		return u, err
	}
	if err := errors.Join(c.checkUser(ctx, u, change), c.checkFederated(ctx, change.Federated)); err != nil {
		return u, err
	}
	hash, err := c.newHash(change.Password)
	if err != nil {
		return u, err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		if u, err = store.User(ctx, tx, id); err != nil {
			return found(err, "user", id)
		}
		wasEnabled := u.Enabled
		applyUser(&u, change)
		if change.Password != nil {
			l, err := store.UserLogin(ctx, tx, id)
			if err != nil {
				return err
			}
			if err := c.setPassword(ctx, tx, &u, &l, *change.Password, hash, false); err != nil {
				return err
			}
			if err := store.UpdateLogin(ctx, tx, id, l); err != nil {
				return err
			}
		}
		if !wasEnabled && u.Enabled { // back from inactivity or a lock-out
			if err := c.resetLogin(ctx, tx, id); err != nil {
				return err
			}
		}
		if change.Password != nil || wasEnabled && !u.Enabled {
			if err := c.revoke(ctx, tx, revokedUser, id); err != nil {
				return err
			}
		}
		if err := store.UpdateUser(ctx, tx, u); err != nil {
			return err
		}
		return c.setFederated(ctx, tx, u, change.Federated)
	})
	return u, duplicateName(err, "user", u.Name, u.DomainID)
}

func (c *Control) resetLogin(ctx context.Context, tx *db.Tx, id string) error {
	l, err := store.UserLogin(ctx, tx, id)
	if err != nil {
		return err
	}
	l.Failures, l.FailedAt = 0, db.Time{}
	if !l.ActiveAt.IsZero() {
		l.ActiveAt = db.At(c.now())
	}
	return store.UpdateLogin(ctx, tx, id, l)
}

// DeleteUser removes a user with its grants, memberships and credentials.
func (c *Control) DeleteUser(ctx context.Context, id string) error {
	u, err := store.User(ctx, c.db, id)
	if err := c.seen(ctx, found(err, "user", id), "identity:delete_user", userTarget(u)); err != nil {
		return err
	}
	if err := c.readOnly(ctx, u.DomainID); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		return errors.Join(c.revoke(ctx, tx, revokedUser, id), found(store.DeleteUser(ctx, tx, id), "user", id))
	})
}

// UserGroups lists the groups of a user, and when those memberships end that an
// identity provider has given for a while.
func (c *Control) UserGroups(ctx context.Context, id string, q identity.Query) ([]identity.Group, map[string]time.Time, error) {
	u, err := store.User(ctx, c.db, id)
	if err := c.seen(ctx, found(err, "user", id), "identity:list_groups_for_user", userTarget(u)); err != nil {
		return nil, nil, err
	}
	lasting, err := store.GroupsOfUser(ctx, c.db, id, confined(ctx, q))
	if err != nil {
		return nil, nil, err
	}
	ends, err := store.FederatedMemberships(ctx, c.db, id, c.now())
	if err != nil || len(ends) == 0 {
		return lasting, nil, err
	}
	for _, g := range lasting {
		delete(ends, g.ID)
	}
	more, err := store.GroupsByIDs(ctx, c.db, slices.Collect(maps.Keys(ends)), confined(ctx, q))
	return append(lasting, more...), ends, err
}

// UserProjects lists the projects on which a user has a role.
func (c *Control) UserProjects(ctx context.Context, id string, q identity.Query) ([]identity.Project, error) {
	u, err := store.User(ctx, c.db, id)
	if err := c.seen(ctx, found(err, "user", id), "identity:list_user_projects", userTarget(u)); err != nil {
		return nil, err
	}
	return c.reachable(ctx, id, nil, false, confined(ctx, q))
}

// ownDomain is the domain of what a caller makes without naming one.
func (c *Control) ownDomain(ctx context.Context) string {
	if d := callerDomain(ctx); d != "" {
		return d
	}
	return identity.DefaultDomainID
}

// inDomain refuses to make something in a domain that is not there.
func (c *Control) inDomain(ctx context.Context, tx *db.Tx, id string) error {
	d, err := store.ProjectHead(ctx, tx, id)
	if errors.Is(err, db.ErrNoRow) || err == nil && !d.IsDomain {
		return notFound("domain", id)
	}
	return err
}

// sameDomain refuses to move a thing to another domain.
func sameDomain(want *string, is string) error {
	if want != nil && *want != is {
		return fault.Invalidf("Cannot change Domain ID")
	}
	return nil
}
