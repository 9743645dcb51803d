package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// session is what the methods of a log-in found out.
type session struct {
	user    identity.User
	methods []string
	// parent is the token that was shown, if one was: the new one ends with it
	// and belongs to its chain.
	parent  *identity.Token
	appCred *identity.AppCredential
	// accessToken is that of OAuth 1, if one was shown: the new token is for its project.
	accessToken *identity.AccessToken
	// vouched is who vouches for the user, in a federated log-in.
	vouched *vouched
}

// Authenticate logs in and issues a token. All methods named in the request must
// succeed, for one user. Every failure is fault.Unauthenticated, told alike,
// where telling more would help to guess.
func (c *Control) Authenticate(ctx context.Context, req identity.AuthRequest, withCatalog bool) (*identity.Token, error) {
	s, err := c.authenticate(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := c.enoughMethods(ctx, s); err != nil {
		return nil, err
	}
	now := c.now()
	claims := identity.Claims{UserID: s.user.ID, Methods: s.methods, IssuedAt: now, Expires: now.Add(seconds(c.options.Token.Expiration))}
	audit, err := c.newSecret(16)
	if err != nil {
		return nil, err
	}
	claims.AuditIDs = []string{audit}
	if s.parent != nil {
		claims.AuditIDs = append(claims.AuditIDs, s.parent.AuditIDs[len(s.parent.AuditIDs)-1])
		if s.parent.Expires.Before(claims.Expires) {
			claims.Expires = s.parent.Expires
		}
	}
	if v := s.vouched; v != nil {
		claims.IdentityProvider, claims.Protocol, claims.GroupIDs = v.provider, v.protocol, v.groups
	}
	if err := c.scope(ctx, s, req.Scope, &claims); err != nil {
		return nil, err
	}
	t, err := c.issue(ctx, claims, withCatalog)
	if err != nil {
		return nil, err
	}
	return t, c.useTrust(ctx, t.Trust)
}

// authenticate goes through the methods.
func (c *Control) authenticate(ctx context.Context, req identity.AuthRequest) (*session, error) {
	s := &session{}
	for _, method := range req.Methods {
		if slices.Contains(s.methods, method) {
			continue
		}
		var user identity.User
		var err error
		switch {
		case method == identity.MethodPassword && req.Password != nil:
			user, err = c.byPassword(ctx, *req.Password)
		case method == identity.MethodToken && req.Token != "":
			user, err = c.byToken(ctx, req.Token, s)
		case method == identity.MethodAppCred && req.AppCred != nil:
			user, err = c.byAppCred(ctx, *req.AppCred, s)
		case method == identity.MethodTOTP && req.TOTP != nil:
			user, err = c.byTOTP(ctx, *req.TOTP)
		case method == identity.MethodOAuth1 && req.OAuth1 != nil:
			user, err = c.byOAuth1(ctx, *req.OAuth1, s)
		case req.Mapped != nil && (method == identity.MethodMapped || method == req.Mapped.Protocol):
			method = identity.MethodMapped
			user, err = c.byMapped(ctx, *req.Mapped, s)
		case method == identity.MethodExternal && req.External != nil:
			user, err = c.byExternal(ctx, *req.External)
		case slices.Contains([]string{identity.MethodPassword, identity.MethodToken, identity.MethodAppCred, identity.MethodTOTP, identity.MethodOAuth1}, method):
			return nil, fault.Invalidf("Expecting to find %s in identity. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.", method)
		default:
			return nil, fault.New(fault.Unauthenticated, "Attempted to authenticate with an unsupported method.")
		}
		if err != nil {
			return nil, err
		}
		if s.user.ID != "" && s.user.ID != user.ID {
			return nil, unauthorized()
		}
		s.user = user
		s.methods = append(s.methods, method)
	}
	if len(s.methods) == 0 {
		return nil, fault.Invalidf("Expecting to find methods in identity. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
	}
	if req.Receipt != "" {
		if err := c.addReceipt(ctx, req.Receipt, s); err != nil {
			return nil, err
		}
	}
	if s.parent != nil { // how the token was got counts too
		for _, m := range s.parent.Methods {
			if !slices.Contains(s.methods, m) {
				s.methods = append(s.methods, m)
			}
		}
	}
	return s, nil
}

func (c *Control) byPassword(ctx context.Context, a identity.PasswordAuth) (identity.User, error) {
	id, err := c.userID(ctx, a.User)
	if err != nil {
		return identity.User{}, err
	}
	return c.checkPassword(ctx, id, a.Password, false)
}

// userID resolves a reference; "" when there is no such user, which is for the
// comparison of passwords to tell.
func (c *Control) userID(ctx context.Context, ref identity.UserRef) (string, error) {
	if ref.ID != "" {
		return ref.ID, nil
	}
	if ref.Domain.IsZero() {
		return "", fault.Invalidf("Expecting to find domain in user. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
	}
	domain, err := c.domain(ctx, ref.Domain)
	if err != nil {
		return "", err
	}
	if dir, err := c.directoryOf(ctx, domain.ID); err != nil {
		return "", err
	} else if dir != nil {
		id, err := c.adoptByName(ctx, dir, domain.ID, ref.Name)
		return orElse(id, nobodyIn+domain.ID), err
	}
	u, err := store.UserByName(ctx, c.db, domain.ID, ref.Name)
	if err != nil && !errors.Is(err, db.ErrNoRow) {
		return "", err
	}
	return u.ID, nil
}

// nobodyIn begins the id of nobody in a domain with a directory, which knows how
// long it takes to check a password.
const nobodyIn = "nobody in "

// domain resolves a reference; a zero domain when there is none.
func (c *Control) domain(ctx context.Context, ref identity.DomainRef) (identity.Project, error) {
	var d identity.Project
	var err error
	if ref.ID != "" {
		d, err = store.Project(ctx, c.db, ref.ID)
	} else {
		d, err = store.ProjectByName(ctx, c.db, "", ref.Name)
	}
	if errors.Is(err, db.ErrNoRow) || err == nil && !d.IsDomain {
		return identity.Project{}, nil
	}
	return d, err
}

func (c *Control) byToken(ctx context.Context, text string, s *session) (identity.User, error) {
	t, err := c.token(ctx, text, 0, false)
	if isRefusal(err) {
		err = noToken(err)
	}
	if err != nil {
		return identity.User{}, err
	}
	switch {
	case t.TrustID != "":
		return identity.User{}, fault.Forbiddenf("You are not authorized to perform the requested action: Using trust-scoped token to create another token. Create a new trust-scoped token instead.")
	case t.Thumbprint != "":
		return identity.User{}, fault.Forbiddenf("You are not authorized to perform the requested action: Using a token that is bound to a certificate to create another token.")
	case slices.Contains(t.Methods, identity.MethodEC2):
		return identity.User{}, fault.Forbiddenf("You are not authorized to perform the requested action: Using a token from an EC2 key pair to create another token.")
	case t.Scoped() && !c.options.Token.AllowRescopeScoped:
		return identity.User{}, fault.Forbiddenf("You are not authorized to perform the requested action: rescope a scoped token.")
	}
	s.parent = t
	s.appCred = t.AppCred
	s.accessToken = t.AccessToken
	if t.IdentityProvider != "" {
		s.vouched = &vouched{t.IdentityProvider, t.Protocol, t.GroupIDs}
	}
	return t.User, nil
}

// scope fills in what the token is for. Whether the user has any role there is
// found when the token is issued.
func (c *Control) scope(ctx context.Context, s *session, want identity.ScopeRequest, claims *identity.Claims) error {
	if s.appCred != nil { // it has its scope
		asked := want.ProjectID
		if want.ProjectName != "" || want.System || want.TrustID != "" || !want.Domain.IsZero() || asked != "" && asked != s.appCred.ProjectID {
			if !slices.Contains(s.methods, identity.MethodToken) || want.ProjectName == "" {
				return fault.New(fault.Unauthenticated, "Application credentials cannot request a scope.")
			}
		}
		if want.ProjectName != "" {
			p, err := c.projectByRef(ctx, want)
			if err != nil {
				return err
			}
			if p.ID != s.appCred.ProjectID {
				return fault.New(fault.Unauthenticated, "Application credentials cannot request a scope.")
			}
		}
		claims.ProjectID, claims.AppCredID = s.appCred.ProjectID, s.appCred.ID
		return nil
	}
	if s.accessToken != nil {
		if want != (identity.ScopeRequest{}) && want != (identity.ScopeRequest{ProjectID: s.accessToken.ProjectID}) {
			return fault.New(fault.Unauthenticated, "An OAuth 1 access token cannot request a scope: it has its own.")
		}
		claims.ProjectID, claims.AccessTokenID = s.accessToken.ProjectID, s.accessToken.ID
		return nil
	}
	switch {
	case want.TrustID != "":
		return c.scopeToTrust(ctx, s, want.TrustID, claims)
	case want.System:
		claims.System = true
	case want.ProjectID != "" || want.ProjectName != "":
		p, err := c.projectByRef(ctx, want)
		if err != nil {
			return err
		}
		claims.ProjectID = p.ID
	case !want.Domain.IsZero():
		d, err := c.domain(ctx, want.Domain)
		if err != nil {
			return err
		}
		if !d.Enabled {
			return unauthorized()
		}
		claims.DomainID = d.ID
	case !want.Unscoped && s.user.DefaultProjectID != "" && s.parent == nil:
		return c.scopeToDefault(ctx, s.user, claims)
	}
	return nil
}

// projectByRef resolves the project of a scope; fault.Unauthenticated when there
// is none that is enabled.
func (c *Control) projectByRef(ctx context.Context, want identity.ScopeRequest) (identity.Project, error) {
	var p identity.Project
	var err error
	if want.ProjectID != "" {
		p, err = store.Project(ctx, c.db, want.ProjectID)
	} else {
		if want.ProjectDomain.IsZero() {
			return p, fault.Invalidf("Expecting to find domain in project. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
		}
		var d identity.Project
		if d, err = c.domain(ctx, want.ProjectDomain); err != nil {
			return p, err
		}
		if d.ID == "" {
			return p, unauthorized()
		}
		p, err = store.ProjectByName(ctx, c.db, d.ID, want.ProjectName)
		if errors.Is(err, db.ErrNoRow) && d.Name == want.ProjectName { // the domain as a project
			p, err = d, nil
		}
	}
	if errors.Is(err, db.ErrNoRow) {
		return p, unauthorized()
	}
	return p, err
}

// scopeToDefault takes the user's default project when it can be used, and
// leaves the token unscoped when not.
func (c *Control) scopeToDefault(ctx context.Context, u identity.User, claims *identity.Claims) error {
	p, err := store.Project(ctx, c.db, u.DefaultProjectID)
	if errors.Is(err, db.ErrNoRow) {
		return nil
	}
	if err != nil {
		return err
	}
	try := *claims
	try.ProjectID = p.ID
	_, err = c.resolve(ctx, try, false)
	switch {
	case err == nil:
		claims.ProjectID = p.ID
	case !isRefusal(err):
		return err
	}
	return nil
}

// expiresBy has a token end no later than end; a zero end is none.
func expiresBy(claims *identity.Claims, end time.Time) {
	if !end.IsZero() && end.Before(claims.Expires) {
		claims.Expires = end
	}
}
