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

// ruleFor picks the rule for global roles or for those of a domain.
func ruleFor(verb, plural, domainID string) string {
	if domainID == "" {
		return "identity:" + verb + "_role" + plural
	}
	return "identity:" + verb + "_domain_role" + plural
}

// Roles lists global roles, or those of the domain that the query asks for.
func (c *Control) Roles(ctx context.Context, q identity.Query) ([]identity.Role, error) {
	domainID := ""
	i := slices.IndexFunc(q.Filters, func(f identity.Filter) bool { return f.Attribute == "domain_id" })
	if i >= 0 {
		domainID, _ = q.Filters[i].Value.(string)
	} else {
		q = q.Where("domain_id", "")
	}
	if err := c.may(ctx, ruleFor("list", "s", domainID), domainTarget(ctx)); err != nil {
		return nil, err
	}
	return store.Roles(ctx, c.db, q)
}

// Role returns a role.
func (c *Control) Role(ctx context.Context, id string) (identity.Role, error) {
	return c.role(ctx, id, "get")
}

func (c *Control) role(ctx context.Context, id, verb string) (identity.Role, error) {
	r, err := store.Role(ctx, c.db, id)
	return r, c.seen(ctx, found(err, "role", id), ruleFor(verb, "", r.DomainID), roleTarget(r))
}

// CreateRole makes a role; its name is required.
func (c *Control) CreateRole(ctx context.Context, change identity.RoleChange) (identity.Role, error) {
	r := identity.Role{DomainID: value(change.DomainID, ""), Name: strings.TrimSpace(value(change.Name, "")), Description: change.Description,
		Options: change.Options, Extra: change.Extra}
	if err := c.may(ctx, ruleFor("create", "", r.DomainID), roleTarget(r)); err != nil {
		return r, err
	}
	err := checkOptions(r.Options)
	if err != nil {
		return r, err
	}
	if r.ID, err = c.newID(); err != nil {
		return r, err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		if r.DomainID != "" {
			if err := c.inDomain(ctx, tx, r.DomainID); err != nil {
				return err
			}
		}
		return store.AddRole(ctx, tx, r)
	})
	return r, duplicateRole(err, r)
}

func duplicateRole(err error, r identity.Role) error {
	return duplicate(err, "role", "Duplicate entry found with name %s", clip(r.Name))
}

// UpdateRole changes a role.
func (c *Control) UpdateRole(ctx context.Context, id string, change identity.RoleChange) (identity.Role, error) {
	r, err := c.role(ctx, id, "update")
	if err != nil {
		return r, err
	}
	if err := errors.Join(checkOptions(change.Options), sameDomain(change.DomainID, r.DomainID)); err != nil {
		return r, err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		if r, err = store.Role(ctx, tx, id); err != nil {
			return found(err, "role", id)
		}
		unlock := change.Options[identity.Immutable] != true && len(change.Options) > 0
		if r.Options.True(identity.Immutable) && (!unlock || change.Name != nil || change.Description != nil) {
			return immutable("update", "role", id)
		}
		r.Name, r.Options, r.Extra = strings.TrimSpace(value(change.Name, r.Name)), r.Options.Merge(change.Options), r.Extra.Merge(change.Extra)
		if change.Description != nil {
			r.Description = change.Description
		}
		return store.UpdateRole(ctx, tx, r)
	})
	return r, duplicateRole(err, r)
}

// DeleteRole removes a role with all its grants.
func (c *Control) DeleteRole(ctx context.Context, id string) error {
	r, err := c.role(ctx, id, "delete")
	if err != nil {
		return err
	}
	if r.Options.True(identity.Immutable) {
		return immutable("delete", "role", id)
	}
	return c.changing(ctx, func(tx *db.Tx) error { return found(store.DeleteRole(ctx, tx, id), "role", id) })
}

// Inferences lists which roles imply which; priorID, if not "", is the only
// prior role.
func (c *Control) Inferences(ctx context.Context, priorID string) ([]identity.Inference, error) {
	rule := "identity:list_role_inference_rules"
	if priorID != "" {
		rule = "identity:list_implied_roles"
	}
	if err := c.may(ctx, rule, nil); err != nil {
		return nil, err
	}
	if priorID != "" {
		if _, err := store.Role(ctx, c.db, priorID); err != nil {
			return nil, found(err, "role", priorID)
		}
	}
	all, err := store.Implications(ctx, c.db)
	if err != nil {
		return nil, err
	}
	roles, err := c.rolesByID(ctx)
	var list []identity.Inference
	for _, i := range all {
		if priorID == "" || i.PriorID == priorID {
			list = append(list, identity.Inference{Prior: roles[i.PriorID], Implied: roles[i.ImpliedID]})
		}
	}
	return list, err
}

func (c *Control) rolesByID(ctx context.Context) (map[string]identity.Role, error) {
	roles, err := store.Roles(ctx, c.db, identity.Query{})
	byID := make(map[string]identity.Role, len(roles))
	for _, r := range roles {
		byID[r.ID] = r
	}
	return byID, err
}

// inference loads both roles of an implication.
func (c *Control) inference(ctx context.Context, priorID, impliedID, rule string) (identity.Inference, error) {
	var i identity.Inference
	var err error
	if i.Prior, err = store.Role(ctx, c.db, priorID); err != nil {
		err = found(err, "role", priorID)
	} else if i.Implied, err = store.Role(ctx, c.db, impliedID); err != nil {
		err = found(err, "role", impliedID)
	}
	return i, c.seen(ctx, err, rule, nil)
}

// Inference returns an implication; check is its other rule, for HEAD.
func (c *Control) Inference(ctx context.Context, priorID, impliedID string, check bool) (identity.Inference, error) {
	rule := "identity:get_implied_role"
	if check {
		rule = "identity:check_implied_role"
	}
	i, err := c.inference(ctx, priorID, impliedID, rule)
	if err != nil {
		return i, err
	}
	all, err := store.Implications(ctx, c.db)
	if err == nil && !slices.Contains(all, store.Implication{PriorID: priorID, ImpliedID: impliedID}) {
		err = noInference(priorID, impliedID)
	}
	return i, err
}

func noInference(priorID, impliedID string) error {
	return fault.NotFoundf("%s does not imply %s.", clip(priorID), clip(impliedID))
}

// rootRole is what no role may imply: it would raise whoever has the other.
const rootRole = "admin"

// CreateInference has one role imply another.
func (c *Control) CreateInference(ctx context.Context, priorID, impliedID string) (identity.Inference, error) {
	i, err := c.inference(ctx, priorID, impliedID, "identity:create_implied_role")
	if err != nil {
		return i, err
	}
	if i.Implied.Name == rootRole && i.Implied.DomainID == "" {
		return i, fault.Forbiddenf("%s cannot be an implied roles.", impliedID)
	}
	if i.Implied.DomainID != "" && i.Prior.DomainID == "" {
		return i, fault.Forbiddenf("Role %s belongs to a domain and cannot be implied by a global role.", impliedID)
	}
	return i, c.changing(ctx, func(tx *db.Tx) error {
		all, err := store.Implications(ctx, tx)
		if err != nil {
			return err
		}
		add := store.Implication{PriorID: priorID, ImpliedID: impliedID}
		if slices.Contains(all, add) {
			return nil
		}
		if priorID == impliedID || leads(all, impliedID, priorID) {
			return fault.Forbiddenf("Role %s implies %s already, which therefore cannot imply it.", impliedID, priorID)
		}
		return store.AddImplication(ctx, tx, add)
	})
}

// leads reports whether from implies to, by any number of steps.
func leads(all []store.Implication, from, to string) bool {
	for _, i := range all {
		if i.PriorID == from && (i.ImpliedID == to || leads(all, i.ImpliedID, to)) {
			return true
		}
	}
	return false
}

// DeleteInference ends an implication.
func (c *Control) DeleteInference(ctx context.Context, priorID, impliedID string) error {
	if _, err := c.inference(ctx, priorID, impliedID, "identity:delete_implied_role"); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		err := store.DeleteImplication(ctx, tx, store.Implication{PriorID: priorID, ImpliedID: impliedID})
		if errors.Is(err, db.ErrNoRow) {
			err = noInference(priorID, impliedID)
		}
		return err
	})
}
