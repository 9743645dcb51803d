package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

func trustTarget(t identity.Trust) auth.Target {
	return auth.Target{"target.trust.trustor_user_id": t.TrustorID, "target.trust.trustee_user_id": t.TrusteeID}
}

// Trusts lists trusts; those who are neither administrators nor readers of the
// system must ask for their own, by trustor or trustee.
func (c *Control) Trusts(ctx context.Context, trustorID, trusteeID string) ([]identity.Trust, error) {
	target := trustTarget(identity.Trust{TrustorID: trustorID, TrusteeID: trusteeID})
	q, rule := identity.Query{}, "identity:list_trusts"
	if trustorID != "" {
		q, rule = q.Where("trustor_user_id", trustorID), "identity:list_trusts_for_trustor"
	}
	if trusteeID != "" {
		q = q.Where("trustee_user_id", trusteeID)
		if trustorID == "" {
			rule = "identity:list_trusts_for_trustee"
		}
	}
	if err := c.may(ctx, rule, target); err != nil {
		return nil, err
	}
	list, err := store.Trusts(ctx, c.db, q)
	return slices.DeleteFunc(list, c.trustEnded), err
}

func (c *Control) trustEnded(t identity.Trust) bool {
	return !t.Expires.IsZero() && !c.now().Before(t.Expires)
}

// trustByID returns a trust that has not ended.
func (c *Control) trustByID(ctx context.Context, q db.Querier, id string) (identity.Trust, error) {
	t, err := store.Trust(ctx, q, id)
	if err == nil && c.trustEnded(t) {
		t, err = identity.Trust{}, db.ErrNoRow
	}
	return t, found(err, "trust", id)
}

// Trust returns a trust.
func (c *Control) Trust(ctx context.Context, id string) (identity.Trust, error) {
	t, err := c.trustByID(ctx, c.db, id)
	if err != nil {
		return t, err
	}
	return t, c.may(ctx, "identity:get_trust", trustTarget(t))
}

// TrustRoles lists the roles of a trust; single picks the rule for one of them.
func (c *Control) TrustRoles(ctx context.Context, id string, single bool) ([]identity.Role, error) {
	rule := "identity:list_roles_for_trust"
	if single {
		rule = "identity:get_role_for_trust"
	}
	t, err := c.trustByID(ctx, c.db, id)
	if err != nil {
		return nil, err
	}
	return t.Roles, c.may(ctx, rule, trustTarget(t))
}

// CreateTrust lets another user act for the caller. With a token of a trust that
// allows it, it passes that trust on.
func (c *Control) CreateTrust(ctx context.Context, spec identity.TrustSpec) (identity.Trust, error) {
	t := identity.Trust{TrustorID: spec.TrustorID, TrusteeID: spec.TrusteeID, ProjectID: spec.ProjectID, Impersonation: spec.Impersonation,
		RemainingUses: spec.RemainingUses, Expires: spec.Expires, AllowRedelegation: spec.AllowRedelegation, Extra: spec.Extra}
	if err := c.may(ctx, "identity:create_trust", trustTarget(t)); err != nil {
		return t, err
	}
	claims, err := c.mayDelegate(ctx, true)
	if err != nil {
		return t, err
	}
	if !t.Expires.IsZero() && !t.Expires.After(c.now()) {
		return t, fault.Invalidf("The 'expires_at' must not be before now. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
	}
	if _, err := store.User(ctx, c.db, t.TrusteeID); err != nil {
		return t, found(err, "user", t.TrusteeID)
	}
	if t.Roles, err = c.rolesByRef(ctx, spec.Roles); err != nil {
		return t, err
	}
	if claims.TrustID != "" {
		err = c.redelegate(ctx, claims.TrustID, spec, &t)
	} else {
		err = c.delegate(ctx, spec, &t)
	}
	if err != nil {
		return t, err
	}
	if err := c.checkTrustRoles(ctx, t); err != nil {
		return t, err
	}
	if t.ID, err = c.newID(); err != nil {
		return t, err
	}
	return t, c.changing(ctx, func(tx *db.Tx) error { return store.AddTrust(ctx, tx, t) })
}

// delegate settles how often a new trust may be passed on.
func (c *Control) delegate(ctx context.Context, spec identity.TrustSpec, t *identity.Trust) error {
	most := int64(c.options.Trust.MaxRedelegationCount)
	if !spec.AllowRedelegation {
		return nil
	}
	if spec.RemainingUses != nil {
		return fault.Forbiddenf("remaining_uses must not be set if redelegation is allowed")
	}
	t.RedelegationCount = value(spec.RedelegationCount, most)
	if t.RedelegationCount < 0 || t.RedelegationCount > most {
		return fault.Forbiddenf("Requested redelegation depth of %d is greater than allowed %d", t.RedelegationCount, most)
	}
	return nil
}

// redelegate holds a trust against the one that it passes on.
func (c *Control) redelegate(ctx context.Context, fromID string, spec identity.TrustSpec, t *identity.Trust) error {
	from, err := c.trustByID(ctx, c.db, fromID)
	if err != nil {
		return err
	}
	switch {
	case !c.options.Trust.AllowRedelegation || !from.AllowRedelegation:
		return fault.Forbiddenf("You are not authorized to perform the requested action: redelegation is not allowed by the trust.")
	case from.RedelegationCount < 1:
		return fault.Forbiddenf("Remaining redelegation depth of %d out of allowed range of [0..%d]", from.RedelegationCount-1, c.options.Trust.MaxRedelegationCount)
	case spec.RemainingUses != nil:
		return fault.Forbiddenf("remaining_uses must not be set if redelegation is allowed")
	case t.ProjectID != from.ProjectID:
		return fault.Forbiddenf("You are not authorized to perform the requested action: a redelegated trust must be for the project of the trust that it passes on.")
	case t.Impersonation && !from.Impersonation:
		return fault.Forbiddenf("Impersonation is not allowed because redelegated trust does not specify impersonation. Redelegated trust id: %s", from.ID)
	}
	for _, r := range t.Roles {
		if !slices.ContainsFunc(from.Roles, func(f identity.Role) bool { return f.ID == r.ID }) {
			return fault.Forbiddenf("Some of requested roles are not in redelegated trust")
		}
	}
	if len(t.Roles) == 0 {
		t.Roles = from.Roles
	}
	if !from.Expires.IsZero() {
		if t.Expires.IsZero() {
			t.Expires = from.Expires
		}
		if t.Expires.After(from.Expires) {
			return fault.Forbiddenf("Requested expiration time is more than redelegated trust can provide")
		}
	}
	t.RedelegatedFrom = from.ID
	t.RedelegationCount = from.RedelegationCount - 1
	t.AllowRedelegation = t.AllowRedelegation && t.RedelegationCount > 0
	return nil
}

// checkTrustRoles refuses roles that the one for whom it is does not have.
func (c *Control) checkTrustRoles(ctx context.Context, t identity.Trust) error {
	if t.ProjectID == "" {
		if len(t.Roles) > 0 {
			return fault.Invalidf("A trust with roles needs a project.")
		}
		return nil
	}
	p, err := store.ProjectHead(ctx, c.db, t.ProjectID)
	if err != nil {
		return found(err, "project", t.ProjectID)
	}
	if len(t.Roles) == 0 {
		return fault.Forbiddenf("At least one role should be specified")
	}
	first, err := c.firstTrustor(ctx, t)
	if err != nil {
		return err
	}
	has, err := c.projectRoles(ctx, first, nil, &p)
	if err != nil {
		return err
	}
	for _, r := range t.Roles {
		if !slices.Contains(has, identity.Named{ID: r.ID, Name: r.Name}) {
			return notFound("role", r.ID)
		}
	}
	return nil
}

// firstTrustor is whose roles a trust hands out, however often it was passed on.
func (c *Control) firstTrustor(ctx context.Context, t identity.Trust) (string, error) {
	for t.RedelegatedFrom != "" {
		from, err := c.trustByID(ctx, c.db, t.RedelegatedFrom)
		if err != nil {
			return "", err
		}
		t = from
	}
	return t.TrustorID, nil
}

// DeleteTrust ends a trust, those that pass it on, and their tokens.
func (c *Control) DeleteTrust(ctx context.Context, id string) error {
	t, err := c.trustByID(ctx, c.db, id)
	if err != nil {
		return err
	}
	if err := c.may(ctx, "identity:delete_trust", trustTarget(t)); err != nil {
		return err
	}
	claims, err := c.mayDelegate(ctx, true)
	if err != nil {
		return err
	}
	if claims.TrustID != "" && claims.TrustID != t.RedelegatedFrom {
		return fault.Forbiddenf("You are not authorized to perform the requested action: a token from a trust can only end those that pass it on.")
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		doomed := []string{id}
		for i := 0; i < len(doomed); i++ {
			next, err := store.Trusts(ctx, tx, identity.Query{}.Where("redelegated_from", doomed[i]))
			if err != nil {
				return err
			}
			for _, t := range next {
				doomed = append(doomed, t.ID)
			}
		}
		for _, id := range doomed {
			if err := store.DeleteTrust(ctx, tx, id); err != nil {
				return found(err, "trust", id)
			}
		}
		return nil
	})
}

// scopeToTrust has a log-in of its trustee use a trust.
func (c *Control) scopeToTrust(ctx context.Context, s *session, id string, claims *identity.Claims) error {
	t, err := c.trustByID(ctx, c.db, id)
	if err != nil {
		return err
	}
	if t.TrusteeID != s.user.ID {
		return fault.Forbiddenf("You are not authorized to perform the requested action: User is not a trustee.")
	}
	claims.TrustID, claims.ProjectID = t.ID, t.ProjectID
	return nil
}

// useTrust counts a use of a trust that can be used only so often.
func (c *Control) useTrust(ctx context.Context, t *identity.Trust) error {
	if t == nil || t.RemainingUses == nil {
		return nil
	}
	err := c.db.Tx(ctx, func(tx *db.Tx) error { return store.UseTrust(ctx, tx, t.ID) })
	if errors.Is(err, db.ErrNoRow) {
		err = fault.Forbiddenf("No remaining uses for trust: %s.", t.ID)
	}
	return err
}

// resolveTrust fills in what a token of a trust stands for: its roles, if the
// first trustor still has them all, and with impersonation the trustor itself.
func (c *Control) resolveTrust(ctx context.Context, t *identity.Token) error {
	trust, err := c.trustByID(ctx, c.db, t.TrustID)
	if err != nil {
		return gone(err)
	}
	if trust.TrusteeID != t.UserID || trust.ProjectID != t.ProjectID {
		return refuse("trust %s is for another user or project", trust.ID)
	}
	trustor, domain, err := c.standingUser(ctx, trust.TrustorID)
	if err != nil {
		return err
	}
	t.Trust = &trust
	expiresBy(&t.Claims, trust.Expires)
	if trust.Impersonation {
		t.User, t.UserDomain = trustor, domain
	}
	if trust.ProjectID == "" {
		return nil
	}
	first, err := c.firstTrustor(ctx, trust)
	if err != nil {
		return gone(err)
	}
	has, err := c.projectRoles(ctx, first, nil, t.Project)
	if err != nil {
		return err
	}
	ids := make([]string, len(trust.Roles))
	for i, r := range trust.Roles {
		ids[i] = r.ID
	}
	if t.Roles, err = store.ImpliedBy(ctx, c.db, ids); err != nil {
		return err
	}
	for _, r := range t.Roles {
		if !slices.Contains(has, r) {
			return refuse("the trustor of trust %s no longer has role %s", trust.ID, r.Name)
		}
	}
	return nil
}

// gone turns "not found" into a refusal.
func gone(err error) error {
	if fault.Is(err, fault.NotFound) {
		return refuse("%v", err)
	}
	return err
}
