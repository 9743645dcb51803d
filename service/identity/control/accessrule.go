package control

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// ruleMethods are what an access rule may allow.
var ruleMethods = []string{"POST", "GET", "HEAD", "PATCH", "PUT", "DELETE"}

var rulePath = regexp.MustCompile(`^/\S*$`)

// accessRules resolves the wished access rules of a user in a transaction: those
// that exist by id or by what they say, and new ones.
func (c *Control) accessRules(ctx context.Context, tx *db.Tx, userID string, wanted []identity.AccessRule) ([]identity.AccessRule, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	have, err := store.AccessRules(ctx, tx, userID)
	if err != nil {
		return nil, err
	}
	var rules []identity.AccessRule
	for _, w := range wanted {
		i := slices.IndexFunc(have, func(h identity.AccessRule) bool {
			if w.ID != "" && w.Service == "" {
				return h.ID == w.ID
			}
			return h.Service == w.Service && h.Path == w.Path && h.Method == w.Method
		})
		switch {
		case i >= 0:
			w = have[i]
		case w.ID != "" && w.Service == "":
			return nil, notFound("Access Rule", w.ID)
		default:
			if !slices.Contains(ruleMethods, w.Method) || !rulePath.MatchString(w.Path) || len(w.Path) > 128 || w.Service == "" || len(w.Service) > 64 {
				return nil, fault.Invalidf("Invalid input for field 'access_rules': a rule has a service type, a path that begins with / and a method of %s.", strings.Join(ruleMethods, ", "))
			}
			w.UserID = userID
			if w.ID, err = c.newID(); err != nil {
				return nil, err
			}
			if err := store.AddAccessRule(ctx, tx, w); err != nil {
				return nil, err
			}
			have = append(have, w)
		}
		if !slices.Contains(rules, w) {
			rules = append(rules, w)
		}
	}
	return rules, nil
}

func ownTarget(userID string) auth.Target {
	return auth.Target{"user_id": userID, "target.user.id": userID}
}

// AccessRules lists the access rules of a user.
func (c *Control) AccessRules(ctx context.Context, userID string) ([]identity.AccessRule, error) {
	if err := c.may(ctx, "identity:list_access_rules", ownTarget(userID)); err != nil {
		return nil, err
	}
	return store.AccessRules(ctx, c.db, userID)
}

// AccessRule returns an access rule of a user.
func (c *Control) AccessRule(ctx context.Context, userID, id string) (identity.AccessRule, error) {
	return c.accessRule(ctx, userID, id, "identity:get_access_rule")
}

func (c *Control) accessRule(ctx context.Context, userID, id, rule string) (identity.AccessRule, error) {
	r, err := store.AccessRule(ctx, c.db, id)
	if err == nil && r.UserID != userID {
		r, err = identity.AccessRule{}, db.ErrNoRow
	}
	return r, c.seen(ctx, found(err, "Access Rule", id), rule, ownTarget(userID))
}

// DeleteAccessRule removes an access rule that no application credential uses.
func (c *Control) DeleteAccessRule(ctx context.Context, userID, id string) error {
	if _, err := c.accessRule(ctx, userID, id, "identity:delete_access_rule"); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		used, err := store.AccessRuleInUse(ctx, tx, id)
		if err != nil {
			return err
		}
		if used {
			return fault.Forbiddenf("You are not authorized to perform the requested action: delete access rule %s, which is used by an application credential.", id)
		}
		return found(store.DeleteAccessRule(ctx, tx, id), "Access Rule", id)
	})
}
