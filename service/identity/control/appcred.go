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

// AppCredentials lists the application credentials of a user.
func (c *Control) AppCredentials(ctx context.Context, userID string, q identity.Query) ([]identity.AppCredential, error) {
	if err := c.may(ctx, "identity:list_application_credentials", ownTarget(userID)); err != nil {
		return nil, err
	}
	return store.AppCredentials(ctx, c.db, q.Where("user_id", userID))
}

// AppCredential returns an application credential of a user.
func (c *Control) AppCredential(ctx context.Context, userID, id string) (identity.AppCredential, error) {
	return c.appCredential(ctx, userID, id, "identity:get_application_credential")
}

func (c *Control) appCredential(ctx context.Context, userID, id, rule string) (identity.AppCredential, error) {
	a, _, err := store.AppCredential(ctx, c.db, id)
	if err == nil && a.UserID != userID {
		a, err = identity.AppCredential{}, db.ErrNoRow
	}
	return a, c.seen(ctx, found(err, "Application Credential", id), rule, ownTarget(userID))
}

// CreateAppCredential makes an application credential for the caller, with roles
// that its token has on the token's project. The answer alone has the secret.
func (c *Control) CreateAppCredential(ctx context.Context, userID string, spec identity.AppCredentialSpec) (identity.AppCredential, error) {
	a := identity.AppCredential{UserID: userID, Name: spec.Name, Description: spec.Description, Unrestricted: spec.Unrestricted, Expires: spec.Expires, Secret: spec.Secret}
	if err := c.may(ctx, "identity:create_application_credential", ownTarget(userID)); err != nil {
		return a, err
	}
	if _, err := c.mayDelegate(ctx, false); err != nil {
		return a, err
	}
	caller := auth.From(ctx)
	if caller.ProjectID == "" {
		return a, fault.Invalidf("Invalid application credential: a token for a project is needed to make one")
	}
	a.ProjectID = caller.ProjectID
	if !a.Expires.IsZero() && !a.Expires.After(c.now()) {
		return a, fault.Invalidf("The 'expires_at' must not be before now. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
	}
	refs := spec.Roles
	if len(refs) == 0 {
		for _, id := range caller.RoleIDs {
			refs = append(refs, identity.RoleRef{ID: id})
		}
	}
	var err error
	if a.Roles, err = c.rolesByRef(ctx, refs); err != nil {
		return a, err
	}
	for _, r := range a.Roles {
		if !slices.Contains(caller.RoleIDs, r.ID) {
			return a, fault.Invalidf("Invalid application credential: Could not find role assignment with role: %s, user or group: %s, project, domain, or system: %s.", r.ID, userID, a.ProjectID)
		}
	}
	if a.Secret == "" {
		if a.Secret, err = c.newSecret(64); err != nil {
			return a, err
		}
	}
	hash, err := c.hash.Make(a.Secret)
	if err != nil {
		return a, err
	}
	if a.ID, err = c.newID(); err != nil {
		return a, err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		if most := c.options.AppCredential.UserLimit; most >= 0 {
			have, err := store.AppCredentials(ctx, tx, identity.Query{}.Where("user_id", userID))
			if err != nil {
				return err
			}
			if len(have) >= most {
				return fault.Forbiddenf("Unable to create additional application credentials, maximum of %d already exceeded for user.", most)
			}
		}
		var err error
		if a.AccessRules, err = c.accessRules(ctx, tx, userID, spec.AccessRules); err != nil {
			return err
		}
		return store.AddAppCredential(ctx, tx, a, hash)
	})
	return a, duplicate(err, "application_credential", "Duplicate entry found with name %s", clip(a.Name))
}

// DeleteAppCredential removes an application credential, and with it its tokens.
func (c *Control) DeleteAppCredential(ctx context.Context, userID, id string) error {
	if _, err := c.appCredential(ctx, userID, id, "identity:delete_application_credential"); err != nil {
		return err
	}
	if _, err := c.mayDelegate(ctx, false); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		return found(store.DeleteAppCredential(ctx, tx, id), "Application Credential", id)
	})
}

// byAppCred logs in with an application credential. What is wrong about it is
// not told.
func (c *Control) byAppCred(ctx context.Context, a identity.AppCredAuth, s *session) (identity.User, error) {
	id := a.ID
	if id == "" {
		userID, err := c.userID(ctx, a.User)
		if err != nil {
			return identity.User{}, err
		}
		list, err := store.AppCredentials(ctx, c.db, identity.Query{}.Where("user_id", userID).Where("name", a.Name))
		if err != nil {
			return identity.User{}, err
		}
		if len(list) == 1 {
			id = list[0].ID
		}
	}
	cred, hash, err := store.AppCredential(ctx, c.db, id)
	if err != nil && !errors.Is(err, db.ErrNoRow) {
		return identity.User{}, err
	}
	if !c.hash.Matches(hash, a.Secret) || c.appCredEnded(cred) {
		return identity.User{}, unauthorized()
	}
	u, _, err := c.standingUser(ctx, cred.UserID)
	if err != nil {
		return u, tokenRefused(err)
	}
	s.appCred = &cred
	return u, nil
}

func (c *Control) appCredEnded(a identity.AppCredential) bool {
	return !a.Expires.IsZero() && !c.now().Before(a.Expires)
}

// resolveAppCred fills in what a token of an application credential stands for:
// those of the credential's roles that its user has now.
func (c *Control) resolveAppCred(ctx context.Context, t *identity.Token) error {
	a, _, err := store.AppCredential(ctx, c.db, t.AppCredID)
	if errors.Is(err, db.ErrNoRow) || err == nil && c.appCredEnded(a) {
		return refuse("application credential %s has ended", t.AppCredID)
	}
	if err != nil {
		return err
	}
	if a.UserID != t.UserID || a.ProjectID != t.ProjectID {
		return refuse("application credential %s is another user's or project's", t.AppCredID)
	}
	t.AppCred = &a
	expiresBy(&t.Claims, a.Expires)
	has, err := c.projectRoles(ctx, t.UserID, t.GroupIDs, t.Project)
	if err != nil {
		return err
	}
	for _, r := range a.Roles {
		named := identity.Named{ID: r.ID, Name: r.Name}
		if slices.Contains(has, named) {
			t.Roles = append(t.Roles, named)
		}
	}
	return nil
}
