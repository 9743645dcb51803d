package control

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/mapping"
	"kilonova/service/identity/oidc"
	"kilonova/service/identity/store"
)

// vouched is who vouches for a user in a federated log-in, and for which groups.
type vouched struct {
	provider, protocol string
	groups             []string
}

// byMapped logs in with what an identity provider says. Those that come for the
// first time are made here, in the provider's domain.
func (c *Control) byMapped(ctx context.Context, a identity.MappedAuth, s *session) (identity.User, error) {
	var none identity.User
	p, err := store.IdentityProvider(ctx, c.db, a.IdentityProvider)
	if err != nil {
		return none, found(err, "Identity Provider", a.IdentityProvider)
	}
	if !p.Enabled {
		return none, fault.Forbiddenf("Identity Provider %s is disabled", p.ID)
	}
	proto, err := store.Protocol(ctx, c.db, p.ID, a.Protocol)
	if errors.Is(err, db.ErrNoRow) {
		return none, fault.NotFoundf("Could not find federated protocol %s for Identity Provider: %s.", clip(a.Protocol), p.ID)
	}
	if err != nil {
		return none, err
	}
	assertion, err := c.assertion(ctx, p, a)
	if err != nil {
		return none, err
	}
	if err := c.fromProvider(p, proto, assertion); err != nil {
		return none, err
	}
	res, err := c.mapped(ctx, proto.MappingID, assertion)
	if err != nil {
		return none, err
	}
	if res.User.Type == mapping.Local {
		return c.localUser(ctx, res.User)
	}
	groups, err := c.mappedGroups(ctx, proto.MappingID, res)
	if err != nil {
		return none, err
	}
	u, err := c.shadow(ctx, p, proto, res, groups, assertion)
	if err != nil {
		return none, err
	}
	s.vouched = &vouched{p.ID, proto.ID, groups}
	u, _, err = c.standingUser(ctx, u.ID)
	return u, tokenRefused(err)
}

// assertion is what the provider says, once that is known to come from it.
func (c *Control) assertion(ctx context.Context, p identity.IdentityProvider, a identity.MappedAuth) (mapping.Assertion, error) {
	v := c.providers[p.ID]
	if v == nil || a.Bearer == "" {
		if len(a.Assertion) == 0 {
			return nil, fault.New(fault.Unauthenticated, "Nobody vouches for this request: there is neither a token that identity provider %s has signed, nor has a trusted server in front said who it is.", p.ID)
		}
		return a.Assertion, nil
	}
	claims, err := v.Verify(ctx, a.Bearer)
	if _, ok := errors.AsType[*oidc.Unreachable](err); ok {
		return nil, fault.Wrap(err, fault.Unavailable, "The keys of identity provider %s cannot be had now.", p.ID)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Unauthenticated, "The token of identity provider %s is not valid: %v.", p.ID, err)
	}
	// By the names under which mod_auth_openidc hands them on, so that mappings
	// that were written for it fit.
	assertion := mapping.Assertion{}
	for name, values := range claims {
		assertion["OIDC-"+name] = values
		assertion["HTTP_OIDC_"+headerName(name)] = values
	}
	if sub := claims["sub"]; len(sub) == 1 {
		assertion["REMOTE_USER"] = []string{sub[0]}
	}
	return assertion, nil
}

// headerName is a name as CGI has it of a header.
func headerName(name string) string {
	b := []byte(name)
	for i, ch := range b {
		switch {
		case ch >= 'a' && ch <= 'z':
			b[i] = ch - 'a' + 'A'
		case ch == '-':
			b[i] = '_'
		}
	}
	return string(b)
}

// fromProvider holds what the assertion says of its origin against the provider's
// remote ids.
func (c *Control) fromProvider(p identity.IdentityProvider, proto identity.FederationProtocol, a mapping.Assertion) error {
	attribute := orElse(proto.RemoteIDAttribute, c.options.Federation.RemoteIDAttribute)
	if attribute == "" || len(p.RemoteIDs) == 0 {
		return nil
	}
	is := a[attribute]
	if len(is) != 1 {
		return fault.New(fault.Unauthenticated, "Could not find Identity Provider identifier in environment")
	}
	if !slices.Contains(p.RemoteIDs, is[0]) {
		return fault.Forbiddenf("Incoming identity provider identifier not included among the accepted identifiers.")
	}
	return nil
}

func (c *Control) mapped(ctx context.Context, id string, a mapping.Assertion) (mapping.Result, error) {
	m, err := store.Mapping(ctx, c.db, id)
	if err != nil {
		return mapping.Result{}, found(err, "mapping", id)
	}
	rules, err := mapping.Parse(m.SchemaVersion, []byte(m.Rules))
	if err != nil {
		return mapping.Result{}, fmt.Errorf("mapping %s: %w", id, err)
	}
	res, err := rules.Apply(a)
	if err != nil {
		return res, fault.Wrap(err, fault.Unauthenticated, "Mapping %s: %v.", id, err)
	}
	if u := &res.User; u.ID == "" && u.Name == "" {
		if remote := a["REMOTE_USER"]; len(remote) == 1 {
			u.Name = remote[0]
		} else {
			return res, fault.New(fault.Unauthenticated, "Could not map user while setting ephemeral user identity. Either mapping rules must specify user id/name or REMOTE_USER environment variable must be set.")
		}
	}
	return res, nil
}

// localUser is the user that exists here already to whom somebody was mapped.
func (c *Control) localUser(ctx context.Context, want mapping.User) (identity.User, error) {
	ref := identity.UserRef{ID: want.ID, Name: want.Name}
	if want.Domain != nil {
		ref.Domain = identity.DomainRef{ID: want.Domain.ID, Name: want.Domain.Name}
	}
	id, err := c.userID(ctx, ref)
	if err != nil {
		return identity.User{}, fault.Wrap(err, fault.Unauthenticated, "The mapping names no user that exists here.")
	}
	u, _, err := c.standingUser(ctx, id)
	return u, tokenRefused(err)
}

// mappedGroups are the ids of the groups: those by id must exist, of those by
// name the ones that do.
func (c *Control) mappedGroups(ctx context.Context, mappingID string, res mapping.Result) ([]string, error) {
	var ids []string
	for _, id := range res.GroupIDs {
		if _, err := store.Group(ctx, c.db, id); errors.Is(err, db.ErrNoRow) {
			return nil, fault.New(fault.Unauthenticated, "Group %s returned by mapping %s was not found in the backend.", clip(id), mappingID)
		} else if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	for _, g := range res.Groups {
		d, err := c.domain(ctx, identity.DomainRef{ID: g.Domain.ID, Name: g.Domain.Name})
		if err != nil {
			return nil, err
		}
		known, err := store.GroupByName(ctx, c.db, d.ID, g.Name)
		if errors.Is(err, db.ErrNoRow) || err == nil && d.ID == "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, known.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// maxUnique bounds a provider's name for a user, in bytes.
const maxUnique = 255

// shadow finds the user that somebody is here, or makes it, and gives it what the
// mapping says, in one transaction.
func (c *Control) shadow(ctx context.Context, p identity.IdentityProvider, proto identity.FederationProtocol, res mapping.Result, groups []string, a mapping.Assertion) (identity.User, error) {
	unique, display := orElse(res.User.ID, res.User.Name), orElse(res.User.Name, res.User.ID)
	f := identity.FederatedUser{IdentityProvider: p.ID, Protocol: proto.ID, UniqueID: url.QueryEscape(unique), DisplayName: display}
	if len(f.UniqueID) > maxUnique || len(display) > maxUnique {
		return identity.User{}, fault.New(fault.Unauthenticated, "The mapped name of the user is longer than %d bytes.", maxUnique)
	}
	domainID, err := c.mappedDomain(ctx, res.User.Domain, p.DomainID)
	if err != nil {
		return identity.User{}, err
	}
	grants, err := c.mappedGrants(ctx, p, res)
	if err != nil {
		return identity.User{}, err
	}
	if u, ok, err := c.unchanged(ctx, f, p, grants); ok || err != nil {
		return u, err
	}
	var u identity.User
	err = c.changing(ctx, func(tx *db.Tx) error {
		if u, err = c.shadowUser(ctx, tx, f, domainID, res.User.Email); err != nil {
			return err
		}
		for _, g := range grants {
			if err := c.grantMapped(ctx, tx, u.ID, g); err != nil {
				return err
			}
		}
		ttl := value(p.AuthorizationTTL, int64(c.options.Federation.DefaultAuthorizationTTL))
		if ttl <= 0 {
			return store.SetFederatedMemberships(ctx, tx, u.ID, p.ID, nil, time.Time{})
		}
		return store.SetFederatedMemberships(ctx, tx, u.ID, p.ID, groups, c.now().Add(time.Duration(ttl)*time.Minute))
	})
	return u, err
}

// unchanged is the user of a log-in that has nothing to write: most of them.
func (c *Control) unchanged(ctx context.Context, f identity.FederatedUser, p identity.IdentityProvider, grants []mappedGrant) (identity.User, bool, error) {
	if len(grants) > 0 || value(p.AuthorizationTTL, int64(c.options.Federation.DefaultAuthorizationTTL)) > 0 {
		return identity.User{}, false, nil
	}
	known, err := store.FederatedUser(ctx, c.db, f.IdentityProvider, f.Protocol, f.UniqueID)
	if errors.Is(err, db.ErrNoRow) || err == nil && known.DisplayName != f.DisplayName {
		return identity.User{}, false, nil
	}
	if err != nil {
		return identity.User{}, false, err
	}
	u, err := store.User(ctx, c.db, known.UserID)
	return u, err == nil, err
}

func (c *Control) shadowUser(ctx context.Context, tx *db.Tx, f identity.FederatedUser, domainID, email string) (identity.User, error) {
	known, err := store.FederatedUser(ctx, tx, f.IdentityProvider, f.Protocol, f.UniqueID)
	if err != nil && !errors.Is(err, db.ErrNoRow) {
		return identity.User{}, err
	}
	if err == nil {
		u, err := store.User(ctx, tx, known.UserID)
		if err != nil || known.DisplayName == f.DisplayName {
			return u, err
		}
		return u, store.RenameFederatedUser(ctx, tx, f)
	}
	id, err := c.newID()
	if err != nil {
		return identity.User{}, err
	}
	u := identity.User{ID: id, DomainID: domainID, Name: f.DisplayName, Enabled: true}
	if email != "" {
		u.Extra = identity.Attributes{"email": email}
	}
	if _, err := store.UserByName(ctx, tx, domainID, u.Name); err == nil { // somebody else has that name here
		if u.Name += "@" + f.IdentityProvider; len(u.Name) > maxUnique {
			u.Name = id
		}
		if _, err := store.UserByName(ctx, tx, domainID, u.Name); err == nil {
			u.Name = id
		}
	}
	if err := store.AddUser(ctx, tx, u, store.Login{}, db.At(c.now())); err != nil {
		return u, db.Raced(err)
	}
	f.UserID = id
	return u, db.Raced(store.AddFederatedUser(ctx, tx, f))
}

// mappedDomain is the domain that a mapping names; def where it names none.
func (c *Control) mappedDomain(ctx context.Context, d *mapping.Domain, def string) (string, error) {
	if d == nil || *d == (mapping.Domain{}) {
		return def, nil
	}
	known, err := c.domain(ctx, identity.DomainRef{ID: d.ID, Name: d.Name})
	if err == nil && known.ID == "" {
		err = fault.New(fault.Unauthenticated, "The mapping names the domain %s, which does not exist.", clip(orElse(d.ID, d.Name)))
	}
	return known.ID, err
}

// mappedGrant is a role that a mapping gives, on a project by name or on a domain.
type mappedGrant struct{ domainID, project, roleID string }

// mappedGrants checks what a mapping gives: it must all be there before anything
// is made.
func (c *Control) mappedGrants(ctx context.Context, p identity.IdentityProvider, res mapping.Result) ([]mappedGrant, error) {
	if len(res.Projects)+len(res.Domains) == 0 {
		return nil, nil
	}
	roles, err := store.Roles(ctx, c.db, identity.Query{})
	if err != nil {
		return nil, err
	}
	var grants []mappedGrant
	add := func(domainID, project string, wanted []mapping.Role) error {
		for _, want := range wanted {
			i := slices.IndexFunc(roles, func(r identity.Role) bool {
				return r.Name == want.Name && (r.DomainID == "" || r.DomainID == domainID)
			})
			if i < 0 {
				return fault.New(fault.Unauthenticated, "Could not find role: %s. The mapping for identity provider %s names it.", clip(want.Name), p.ID)
			}
			grants = append(grants, mappedGrant{domainID, project, roles[i].ID})
		}
		if len(wanted) == 0 && project != "" {
			grants = append(grants, mappedGrant{domainID, project, ""})
		}
		return nil
	}
	for _, want := range res.Projects {
		domainID, err := c.mappedDomain(ctx, want.Domain, p.DomainID)
		if err != nil {
			return nil, err
		}
		if len(want.Name) == 0 || len(want.Name) > 64 {
			return nil, fault.New(fault.Unauthenticated, "The mapping names a project whose name is empty or longer than 64 characters.")
		}
		if err := add(domainID, want.Name, want.Roles); err != nil {
			return nil, err
		}
	}
	for _, want := range res.Domains {
		domainID, err := c.mappedDomain(ctx, &want.Domain, p.DomainID)
		if err != nil {
			return nil, err
		}
		if err := add(domainID, "", want.Roles); err != nil {
			return nil, err
		}
	}
	return grants, nil
}

// grantMapped gives a user a role, and makes the project if need be.
func (c *Control) grantMapped(ctx context.Context, tx *db.Tx, userID string, g mappedGrant) error {
	target, kind := g.domainID, identity.OnDomain
	if g.project != "" {
		kind = identity.OnProject
		p, err := store.ProjectByName(ctx, tx, g.domainID, g.project)
		if errors.Is(err, db.ErrNoRow) {
			id, idErr := c.newID()
			if idErr != nil {
				return idErr
			}
			p = identity.Project{ID: id, DomainID: g.domainID, ParentID: g.domainID, Path: g.domainID + "/" + id, Name: g.project, Enabled: true}
			err = db.Raced(store.AddProject(ctx, tx, p))
		}
		if err != nil {
			return err
		}
		target = p.ID
	}
	if g.roleID == "" {
		return nil
	}
	return store.AddGrant(ctx, tx, identity.Grant{ActorID: userID, TargetKind: kind, TargetID: target, RoleID: g.roleID})
}

// byExternal logs in a user that a trusted server in front has authenticated.
func (c *Control) byExternal(ctx context.Context, a identity.ExternalAuth) (identity.User, error) {
	domainID := identity.DefaultDomainID
	if a.Domain != "" {
		d, err := c.domain(ctx, identity.DomainRef{Name: a.Domain})
		if err != nil {
			return identity.User{}, err
		}
		domainID = d.ID
	}
	u, err := store.UserByName(ctx, c.db, domainID, a.User)
	if errors.Is(err, db.ErrNoRow) || domainID == "" {
		return identity.User{}, fault.New(fault.Unauthenticated, "Unable to lookup user %s.", clip(a.User))
	}
	if err != nil {
		return u, err
	}
	u, _, err = c.standingUser(ctx, u.ID)
	return u, tokenRefused(err)
}

// standingProvider refuses tokens of those whose identity provider is gone or
// disabled.
func (c *Control) standingProvider(ctx context.Context, id string) error {
	p, err := store.IdentityProvider(ctx, c.db, id)
	if errors.Is(err, db.ErrNoRow) || err == nil && !p.Enabled {
		return refuse("identity provider %s does not exist or is disabled", id)
	}
	return err
}

// ProviderByRemoteID is the identity provider whose assertion a web server has
// verified for a protocol, for dashboards that do not name it.
func (c *Control) ProviderByRemoteID(ctx context.Context, protocol string, a mapping.Assertion) (string, error) {
	all, err := store.IdentityProviders(ctx, c.db, identity.Query{})
	if err != nil {
		return "", err
	}
	for _, p := range all {
		proto, err := store.Protocol(ctx, c.db, p.ID, protocol)
		if errors.Is(err, db.ErrNoRow) {
			continue
		}
		if err != nil {
			return "", err
		}
		is := a[orElse(proto.RemoteIDAttribute, c.options.Federation.RemoteIDAttribute)]
		if len(is) == 1 && slices.Contains(p.RemoteIDs, is[0]) {
			return p.ID, nil
		}
	}
	return "", fault.New(fault.Unauthenticated, "Missing entity ID from environment")
}

// TrustsDashboard reports whether a token may be handed to a dashboard at a URL.
func (c *Control) TrustsDashboard(origin string) bool {
	return slices.Contains(c.options.Federation.TrustedDashboard, origin)
}
