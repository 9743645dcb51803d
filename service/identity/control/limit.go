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

// The models of enforcement, by upstream's names.
const twoLevels = "strict_two_level"

// LimitModel tells how services must enforce limits.
func (c *Control) LimitModel(ctx context.Context) (identity.LimitModel, error) {
	m := identity.LimitModel{Name: c.options.UnifiedLimit.EnforcementModel,
		Description: "Limit enforcement and validation does not take project hierarchy into consideration."}
	if m.Name == twoLevels {
		m.Description = "This model requires project hierarchy never exceeds a depth of two"
	}
	return m, c.may(ctx, "identity:get_limit_model", nil)
}

// RegisteredLimits lists registered limits.
func (c *Control) RegisteredLimits(ctx context.Context, q identity.Query) ([]identity.RegisteredLimit, error) {
	if err := c.may(ctx, "identity:list_registered_limits", nil); err != nil {
		return nil, err
	}
	return store.RegisteredLimits(ctx, c.db, q)
}

// RegisteredLimit returns a registered limit.
func (c *Control) RegisteredLimit(ctx context.Context, id string) (identity.RegisteredLimit, error) {
	l, err := store.RegisteredLimit(ctx, c.db, id)
	return l, c.seen(ctx, noLimit(err, "registered limit", id), "identity:get_registered_limit", nil)
}

func noLimit(err error, what, id string) error {
	if errors.Is(err, db.ErrNoRow) {
		return fault.NotFoundf("Could not find %s for %s.", what, clip(id))
	}
	return err
}

// limitRefers refuses limits of services and regions that do not exist.
func (c *Control) limitRefers(ctx context.Context, tx *db.Tx, target, serviceID, regionID string) error {
	if _, err := store.Service(ctx, tx, serviceID); errors.Is(err, db.ErrNoRow) {
		return wrongLimit("service_id", target)
	} else if err != nil {
		return err
	}
	if regionID == "" {
		return nil
	}
	_, err := store.Region(ctx, tx, regionID)
	if errors.Is(err, db.ErrNoRow) {
		err = wrongLimit("region_id", target)
	}
	return err
}

func wrongLimit(attribute, target string) error {
	return fault.Invalidf("Expecting to find %s in %s. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.", attribute, target)
}

// CreateRegisteredLimits makes all of a list, or none.
func (c *Control) CreateRegisteredLimits(ctx context.Context, list []identity.RegisteredLimit) ([]identity.RegisteredLimit, error) {
	if err := c.may(ctx, "identity:create_registered_limits", nil); err != nil {
		return nil, err
	}
	for i := range list {
		var err error
		if list[i].ID, err = c.newID(); err != nil {
			return nil, err
		}
	}
	err := c.changing(ctx, func(tx *db.Tx) error {
		for _, l := range list {
			if err := c.limitRefers(ctx, tx, "registered_limit", l.ServiceID, l.RegionID); err != nil {
				return err
			}
		}
		return store.AddRegisteredLimits(ctx, tx, list)
	})
	return list, duplicate(err, "registered_limit", "Duplicate entry")
}

// UpdateRegisteredLimit changes a registered limit; its service, region and
// resource only while no limit overrides it.
func (c *Control) UpdateRegisteredLimit(ctx context.Context, id string, change identity.RegisteredLimitChange) (identity.RegisteredLimit, error) {
	var l identity.RegisteredLimit
	if err := c.may(ctx, "identity:update_registered_limit", nil); err != nil {
		return l, err
	}
	err := c.changing(ctx, func(tx *db.Tx) (err error) {
		if l, err = store.RegisteredLimit(ctx, tx, id); err != nil {
			return noLimit(err, "registered limit", id)
		}
		before := l
		l.ServiceID, l.RegionID, l.Resource = value(change.ServiceID, l.ServiceID), value(change.RegionID, l.RegionID), value(change.Resource, l.Resource)
		l.Default = value(change.Default, l.Default)
		if change.Description != nil {
			l.Description = change.Description
		}
		if l.ServiceID != before.ServiceID || l.RegionID != before.RegionID || l.Resource != before.Resource {
			if err := c.unused(ctx, tx, before); err != nil {
				return err
			}
		}
		if err := c.limitRefers(ctx, tx, "registered_limit", l.ServiceID, l.RegionID); err != nil {
			return err
		}
		return store.UpdateRegisteredLimit(ctx, tx, l)
	})
	return l, duplicate(err, "registered_limit", "Duplicate entry")
}

// overrides selects the limits that override a registered one.
func overrides(l identity.RegisteredLimit) identity.Query {
	return identity.Query{}.Where("service_id", l.ServiceID).Where("region_id", l.RegionID).Where("resource_name", l.Resource)
}

func (c *Control) unused(ctx context.Context, tx *db.Tx, l identity.RegisteredLimit) error {
	list, err := store.Limits(ctx, tx, overrides(l))
	if err == nil && len(list) > 0 {
		err = fault.Forbiddenf("Unable to update or delete registered limit %s because there are project limits associated with it.", l.ID)
	}
	return err
}

// DeleteRegisteredLimit removes a registered limit that no limit overrides.
func (c *Control) DeleteRegisteredLimit(ctx context.Context, id string) error {
	if err := c.may(ctx, "identity:delete_registered_limit", nil); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		l, err := store.RegisteredLimit(ctx, tx, id)
		if err != nil {
			return noLimit(err, "registered limit", id)
		}
		if err := c.unused(ctx, tx, l); err != nil {
			return err
		}
		return store.DeleteRegisteredLimit(ctx, tx, id)
	})
}

// Limits lists the limits that the caller may see: of everybody for
// administrators, services and the system, else of its domain or project.
func (c *Control) Limits(ctx context.Context, q identity.Query) ([]identity.Limit, error) {
	if err := c.may(ctx, "identity:list_limits", nil); err != nil {
		return nil, err
	}
	caller := auth.From(ctx)
	all := caller.System != "" || caller.IsAdmin() || caller.HasRole(serviceRole)
	if !all && caller.DomainID == "" {
		if caller.ProjectID == "" {
			return nil, nil
		}
		q = q.Where("project_id", caller.ProjectID)
	}
	list, err := store.Limits(ctx, c.db, q)
	if all || caller.DomainID == "" || err != nil {
		return list, err
	}
	projects, err := store.Projects(ctx, c.db, identity.Query{}.Where("domain_id", caller.DomainID), identity.TagQuery{}, nil)
	mine := map[string]bool{}
	for _, p := range projects {
		mine[p.ID] = true
	}
	var kept []identity.Limit
	for _, l := range list {
		if l.DomainID == caller.DomainID || mine[l.ProjectID] {
			kept = append(kept, l)
		}
	}
	return kept, err
}

// Limit returns a limit.
func (c *Control) Limit(ctx context.Context, id string) (identity.Limit, error) {
	l, err := store.Limit(ctx, c.db, id)
	target := auth.Target{"target.limit.project_id": orNone(l.ProjectID), "target.limit.domain.id": l.DomainID}
	if l.ProjectID != "" {
		if p, err := store.ProjectHead(ctx, c.db, l.ProjectID); err == nil {
			target["target.limit.project.domain_id"] = p.DomainID
		}
	}
	return l, c.seen(ctx, noLimit(err, "limit", id), "identity:get_limit", target)
}

// CreateLimits makes all of a list, or none; each overrides a registered limit.
func (c *Control) CreateLimits(ctx context.Context, list []identity.Limit) ([]identity.Limit, error) {
	if err := c.may(ctx, "identity:create_limits", nil); err != nil {
		return nil, err
	}
	for i := range list {
		var err error
		if list[i].ID, err = c.newID(); err != nil {
			return nil, err
		}
	}
	err := c.changing(ctx, func(tx *db.Tx) error {
		for i := range list {
			if err := c.checkLimit(ctx, tx, &list[i]); err != nil {
				return err
			}
			if err := store.AddLimits(ctx, tx, list[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	})
	return list, duplicate(err, "limit", "Duplicate entry")
}

// checkLimit refuses limits of what does not exist, and those that the model of
// enforcement forbids. A domain that is named as a project is put right.
func (c *Control) checkLimit(ctx context.Context, tx *db.Tx, l *identity.Limit) error {
	if err := c.limitRefers(ctx, tx, "limit", l.ServiceID, l.RegionID); err != nil {
		return err
	}
	id := l.ProjectID
	if l.DomainID != "" {
		id = l.DomainID
	}
	p, err := store.ProjectHead(ctx, tx, id)
	if errors.Is(err, db.ErrNoRow) || err == nil && l.DomainID != "" && !p.IsDomain {
		if l.DomainID != "" {
			return wrongLimit("domain_id", "limit")
		}
		return wrongLimit("project_id", "limit")
	}
	if err != nil {
		return err
	}
	if p.IsDomain {
		l.ProjectID, l.DomainID = "", p.ID
	}
	registered, err := store.RegisteredLimits(ctx, tx, overrides(identity.RegisteredLimit{ServiceID: l.ServiceID, RegionID: l.RegionID, Resource: l.Resource}))
	if err != nil {
		return err
	}
	if len(registered) == 0 {
		return fault.Forbiddenf("Unable to create a limit that has no corresponding registered limit.")
	}
	if c.options.UnifiedLimit.EnforcementModel != twoLevels {
		return nil
	}
	return c.checkTwoLevels(ctx, tx, *l, p, registered[0])
}

// checkTwoLevels holds a limit against that of the domain above, or those of the
// projects below.
func (c *Control) checkTwoLevels(ctx context.Context, tx *db.Tx, l identity.Limit, p identity.Project, registered identity.RegisteredLimit) error {
	same, err := store.Limits(ctx, tx, overrides(registered))
	if err != nil {
		return err
	}
	bad := fault.Forbiddenf("Invalid resource limit: the limit of a project must not be above that of its domain.")
	if p.IsDomain {
		for _, other := range same {
			child, err := store.ProjectHead(ctx, tx, other.ProjectID)
			if err == nil && child.DomainID == p.ID && above(other.Limit, l.Limit) {
				return bad
			}
		}
		return nil
	}
	top := registered.Default
	for _, other := range same {
		if other.DomainID == p.DomainID {
			top = other.Limit
		}
	}
	if above(l.Limit, top) {
		return bad
	}
	return nil
}

// above compares limits, of which Unlimited is the highest.
func above(a, b int64) bool {
	return b != identity.Unlimited && (a == identity.Unlimited || a > b)
}

// UpdateLimit changes a limit's number and description; nil leaves them.
func (c *Control) UpdateLimit(ctx context.Context, id string, limit *int64, description *string) (identity.Limit, error) {
	var l identity.Limit
	if err := c.may(ctx, "identity:update_limit", nil); err != nil {
		return l, err
	}
	return l, c.changing(ctx, func(tx *db.Tx) (err error) {
		if l, err = store.Limit(ctx, tx, id); err != nil {
			return noLimit(err, "limit", id)
		}
		l.Limit = value(limit, l.Limit)
		if description != nil {
			l.Description = description
		}
		if err := c.checkLimit(ctx, tx, &l); err != nil {
			return err
		}
		return store.UpdateLimit(ctx, tx, l)
	})
}

// DeleteLimit removes a limit: the registered one counts again.
func (c *Control) DeleteLimit(ctx context.Context, id string) error {
	if err := c.may(ctx, "identity:delete_limit", nil); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return noLimit(store.DeleteLimit(ctx, tx, id), "limit", id) })
}
