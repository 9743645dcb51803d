package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// refusal is why a token is not or no longer good. Who shows one is told that it
// is not valid; the reason is for the log and for who logs in.
type refusal struct{ reason string }

func (r *refusal) Error() string { return r.reason }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

func isRefusal(err error) bool {
	_, ok := errors.AsType[*refusal](err)
	return ok
}

// tokenRefused turns a refusal into the fault for somebody who shows the token
// as his own.
func tokenRefused(err error) error {
	if isRefusal(err) {
		return fault.Wrap(err, fault.Unauthenticated, "The request you have made requires authentication.")
	}
	return err
}

// issue makes a token of claims, if all that they name stands.
func (c *Control) issue(ctx context.Context, claims identity.Claims, withCatalog bool) (*identity.Token, error) {
	t, err := c.resolve(ctx, claims, withCatalog)
	if isRefusal(err) {
		return nil, fault.Wrap(err, fault.Unauthenticated, "%s", err.Error())
	}
	if err != nil {
		return nil, err
	}
	t.ID, err = c.form.Issue(&t.Claims)
	return t, err
}

// token returns the valid token of a text: one of ours, not expired for longer
// than grace, not revoked, of a user and a scope that still stand. Other errors
// than refusals mean that this is not known now.
func (c *Control) token(ctx context.Context, text string, grace time.Duration, withCatalog bool) (*identity.Token, error) {
	t, err := c.checked(ctx, text)
	if err != nil {
		return nil, err
	}
	if !c.now().Before(t.Expires.Add(grace)) {
		return nil, refuse("the token has expired")
	}
	if !withCatalog || !t.Scoped() {
		return t, nil
	}
	full := *t // others have the one that is known
	return &full, c.addCatalog(ctx, &full)
}

func (c *Control) addCatalog(ctx context.Context, t *identity.Token) error {
	now := c.now()
	changes, err := c.changes(ctx, now)
	if err != nil {
		return err
	}
	key, k := [2]string{t.UserID, t.ProjectID}, &c.known
	k.mu.Lock()
	hit, ok := k.catalogs[key]
	k.mu.Unlock()
	if !ok || !now.Before(hit.until) {
		hit = knownCatalog{until: now.Add(knownFor)}
		if hit.catalog, err = c.catalog(ctx, t.UserID, t.ProjectID); err != nil {
			return err
		}
		if hit.providers, err = store.ServiceProviders(ctx, c.db, identity.Query{}.Where("enabled", true)); err != nil {
			return err
		}
		k.mu.Lock()
		if k.changes == changes && !k.seen.IsZero() {
			if k.catalogs == nil || len(k.catalogs) >= maxKnown {
				k.catalogs = map[[2]string]knownCatalog{}
			}
			k.catalogs[key] = hit
		}
		k.mu.Unlock()
	}
	t.Catalog, t.ServiceProviders = hit.catalog, hit.providers
	return nil
}

// lookUp is token without regard to its expiry.
func (c *Control) lookUp(ctx context.Context, text string) (*identity.Token, error) {
	claims, err := c.form.Parse(text)
	if _, ours := errors.AsType[*fs.PathError](err); ours { // the keys cannot be read: that says nothing of the token
		return nil, err
	}
	if err != nil {
		return nil, refuse("%v", err)
	}
	t, err := c.resolve(ctx, *claims, false)
	if err != nil {
		return nil, err
	}
	t.ID = text
	subjects := []string{t.UserID, t.User.DomainID}
	if len(t.AuditIDs) > 0 {
		subjects = append(subjects, t.AuditIDs[0])
	}
	if p := t.Project; p != nil {
		subjects = append(subjects, p.ID, p.DomainID)
	}
	if t.Trust != nil {
		subjects = append(subjects, t.TrustID, t.Trust.TrustorID)
	}
	for _, id := range []string{t.DomainID, t.AppCredID, t.AccessTokenID, t.IdentityProvider} {
		if id != "" {
			subjects = append(subjects, id)
		}
	}
	until, err := store.RevokedUpTo(ctx, c.db, subjects)
	if err != nil {
		return nil, err
	}
	if !t.IssuedAt.After(until) {
		return nil, refuse("the token has been revoked")
	}
	return t, nil
}

// resolve looks up what claims stand for now. A refusal says what of it is gone.
func (c *Control) resolve(ctx context.Context, claims identity.Claims, withCatalog bool) (*identity.Token, error) {
	t := &identity.Token{Claims: claims}
	var err error
	if t.User, err = c.enabledUser(ctx, t.UserID); err != nil {
		return nil, err
	}
	if t.IdentityProvider != "" {
		if err := c.standingProvider(ctx, t.IdentityProvider); err != nil {
			return nil, err
		}
	}
	if err := c.resolveScope(ctx, t); err != nil {
		return nil, err
	}
	switch {
	case t.TrustID != "":
		err = c.resolveTrust(ctx, t)
	case t.AppCredID != "":
		err = c.resolveAppCred(ctx, t)
	case t.AccessTokenID != "":
		err = c.resolveAccessToken(ctx, t)
	case t.ProjectID != "":
		t.Roles, err = c.projectRoles(ctx, t.UserID, t.GroupIDs, t.Project)
	case t.DomainID != "":
		t.Roles, err = c.rolesOn(ctx, t.UserID, t.GroupIDs, identity.OnDomain, t.DomainID, nil)
	case t.System:
		t.Roles, err = c.rolesOn(ctx, t.UserID, t.GroupIDs, identity.OnSystem, identity.SystemID, nil)
	}
	if err != nil {
		return nil, err
	}
	if t.Scoped() && len(t.Roles) == 0 {
		switch {
		case t.System:
			return nil, refuse("User %s has no access to the system", t.UserID)
		case t.DomainID != "":
			return nil, refuse("User %s has no access to domain %s", t.UserID, t.DomainID)
		}
		return nil, refuse("User %s has no access to project %s", t.UserID, t.ProjectID)
	}
	if withCatalog && t.Scoped() {
		err = c.addCatalog(ctx, t)
	}
	return t, err
}

func (c *Control) enabledUser(ctx context.Context, id string) (identity.User, error) {
	u, err := store.User(ctx, c.db, id)
	if err == nil {
		u, err = c.refresh(ctx, u)
	}
	if errors.Is(err, db.ErrNoRow) || err == nil && !u.Enabled {
		return u, refuse("user %s does not exist or is disabled", id)
	}
	return u, err
}

// standingUser returns a user that is enabled in an enabled domain.
func (c *Control) standingUser(ctx context.Context, id string) (identity.User, identity.Named, error) {
	u, err := c.enabledUser(ctx, id)
	if err != nil {
		return u, identity.Named{}, err
	}
	heads, err := store.Heads(ctx, c.db, u.DomainID, u.DomainID)
	if err != nil {
		return u, identity.Named{}, err
	}
	d, err := enabledHead(heads, u.DomainID, true)
	return u, identity.Named{ID: d.ID, Name: d.Name}, err
}

// enabledHead finds an enabled project, or an enabled domain.
func enabledHead(heads []store.Head, id string, domain bool) (store.Head, error) {
	for _, h := range heads {
		if h.ID == id && h.Enabled && (h.IsDomain || !domain) {
			return h, nil
		}
	}
	return store.Head{}, refuse("project or domain %s does not exist or is disabled", id)
}

// resolveScope looks up the domains of the user and of the scope, and the
// project or domain of the scope: one query where they are the same domain.
func (c *Control) resolveScope(ctx context.Context, t *identity.Token) error {
	scope := t.ProjectID + t.DomainID // at most one is set
	heads, err := store.Heads(ctx, c.db, t.User.DomainID, scope)
	if err != nil {
		return err
	}
	home, err := enabledHead(heads, t.User.DomainID, true)
	if err != nil {
		return err
	}
	t.UserDomain = identity.Named{ID: home.ID, Name: home.Name}
	if scope == "" {
		return nil
	}
	h, err := enabledHead(heads, scope, t.DomainID != "")
	if err != nil {
		return err
	}
	if t.DomainID != "" {
		t.Domain = &identity.Named{ID: h.ID, Name: h.Name}
		return nil
	}
	t.Project = &identity.Project{ID: h.ID, DomainID: h.DomainID, Path: h.Path, Name: h.Name, Enabled: h.Enabled, IsDomain: h.IsDomain}
	if h.IsDomain {
		return nil
	}
	if h.DomainID != home.ID {
		if heads, err = store.Heads(ctx, c.db, h.DomainID, h.DomainID); err != nil {
			return err
		}
		if home, err = enabledHead(heads, h.DomainID, true); err != nil {
			return err
		}
	}
	t.ProjectDomain = identity.Named{ID: home.ID, Name: home.Name}
	return nil
}

// rolesOn returns the roles that a user has on a target, also by groups that its
// token names.
func (c *Control) rolesOn(ctx context.Context, userID string, groups []string, kind identity.TargetKind, target string, above []string) ([]identity.Named, error) {
	return store.RolesOn(ctx, c.db, c.actor(userID, groups), kind, target, above)
}

func (c *Control) actor(userID string, groups []string) store.Actor {
	return store.Actor{UserID: userID, Groups: groups, Now: c.now()}
}

func (c *Control) projectRoles(ctx context.Context, userID string, groups []string, p *identity.Project) ([]identity.Named, error) {
	return c.rolesOn(ctx, userID, groups, identity.OnProject, p.ID, p.Ancestors())
}

// Validator returns a validator that looks tokens up here: for identity's own
// API. Others ask over the wire.
func (c *Control) Validator() auth.Validator {
	return auth.ValidatorFunc(func(ctx context.Context, text string) (*auth.Caller, error) {
		t, err := c.token(ctx, text, 0, false)
		if err != nil {
			return nil, tokenRefused(err)
		}
		return caller(t), nil
	})
}

// caller is a token as policies see it.
func caller(t *identity.Token) *auth.Caller {
	user, domain := t.User, t.UserDomain
	a := &auth.Caller{UserID: user.ID, UserName: user.Name, UserDomainID: domain.ID, UserDomainName: domain.Name,
		Methods: t.Methods, AuditIDs: t.AuditIDs, IssuedAt: t.IssuedAt, Expires: t.Expires, Token: t.ID}
	for _, r := range t.Roles {
		a.Roles, a.RoleIDs = append(a.Roles, strings.ToLower(r.Name)), append(a.RoleIDs, r.ID)
	}
	if p := t.Project; p != nil {
		a.ProjectID, a.ProjectName, a.ProjectDomainID, a.ProjectDomainName = p.ID, p.Name, t.ProjectDomain.ID, t.ProjectDomain.Name
	}
	if d := t.Domain; d != nil {
		a.DomainID, a.DomainName = d.ID, d.Name
	}
	if t.System {
		a.System = "all"
	}
	a.Thumbprint = t.Thumbprint
	if t.AppCred != nil {
		for _, r := range t.AppCred.AccessRules {
			a.AccessRules = append(a.AccessRules, auth.AccessRule{Service: r.Service, Method: r.Method, Path: r.Path})
		}
	}
	return a
}

// TokenQuery is what is asked about a token.
type TokenQuery struct {
	Text         string
	AllowExpired bool
	Catalog      bool
	Check        bool // only whether it is valid
	AccessRules  bool // the caller knows that a token may be restricted by access rules
}

// Token returns a valid token; fault.NotFound for one that is not valid.
func (c *Control) Token(ctx context.Context, q TokenQuery) (*identity.Token, error) {
	grace := time.Duration(0)
	if q.AllowExpired {
		grace = seconds(c.options.Token.AllowExpiredWindow)
	}
	action := "identity:validate_token"
	if q.Check {
		action = "identity:check_token"
	}
	t, err := c.subject(ctx, action, q.Text, grace, q.Catalog)
	if err != nil {
		return nil, err
	}
	if t.AppCred != nil && len(t.AppCred.AccessRules) > 0 && !q.AccessRules {
		return nil, noToken(nil)
	}
	return t, nil
}

// RevokeToken ends one token.
func (c *Control) RevokeToken(ctx context.Context, text string) error {
	t, err := c.subject(ctx, "identity:revoke_token", text, 0, false)
	if err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return c.revoke(ctx, tx, revokedToken, t.AuditIDs[0]) })
}

func noToken(err error) error { return fault.Wrap(err, fault.NotFound, "Failed to validate token") }

// subject returns the token that a caller asks about.
func (c *Control) subject(ctx context.Context, action, text string, grace time.Duration, catalog bool) (*identity.Token, error) {
	t, err := c.token(ctx, text, grace, catalog)
	if isRefusal(err) {
		err = noToken(err)
	}
	if err != nil {
		return nil, err
	}
	return t, c.may(ctx, action, auth.Target{"target.token.user_id": t.User.ID})
}

// Scopes lists the projects, or domains, that the caller can have a token for.
func (c *Control) Scopes(ctx context.Context, domains bool) ([]identity.Project, error) {
	action := "identity:get_auth_projects"
	if domains {
		action = "identity:get_auth_domains"
	}
	if err := c.may(ctx, action, nil); err != nil {
		return nil, err
	}
	claims, err := c.claims(ctx)
	if err != nil {
		return nil, err
	}
	return c.reachable(ctx, self(ctx), claims.GroupIDs, domains, identity.Query{})
}

// reachable lists the enabled projects or domains on which a user has a role.
func (c *Control) reachable(ctx context.Context, userID string, groups []string, domains bool, q identity.Query) ([]identity.Project, error) {
	grants, err := store.GrantsOfUser(ctx, c.db, c.actor(userID, groups))
	if err != nil {
		return nil, err
	}
	ids, roots := []string{}, []string{}
	for _, g := range grants {
		switch {
		case g.Inherited && !domains:
			roots = append(roots, g.TargetID)
		case !g.Inherited && (g.TargetKind == identity.OnDomain) == domains && g.TargetKind != identity.OnSystem:
			ids = append(ids, g.TargetID)
		}
	}
	for _, root := range roots {
		p, err := store.Project(ctx, c.db, root)
		if errors.Is(err, db.ErrNoRow) {
			continue
		}
		if err != nil {
			return nil, err
		}
		below, err := store.Subtree(ctx, c.db, p)
		if err != nil {
			return nil, err
		}
		for _, child := range below {
			ids = append(ids, child.ID)
		}
	}
	slices.Sort(ids)
	q = q.Where("enabled", true)
	if domains {
		q = q.Where("is_domain", true)
	}
	return store.Projects(ctx, c.db, q, identity.TagQuery{}, slices.Compact(ids))
}

// HasSystem reports whether the caller can have a token for the system.
func (c *Control) HasSystem(ctx context.Context) (bool, error) {
	if err := c.may(ctx, "identity:get_auth_system", nil); err != nil {
		return false, err
	}
	claims, err := c.claims(ctx)
	if err != nil {
		return false, err
	}
	roles, err := c.rolesOn(ctx, self(ctx), claims.GroupIDs, identity.OnSystem, identity.SystemID, nil)
	return len(roles) > 0, err
}
