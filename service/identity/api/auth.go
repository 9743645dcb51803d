package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
	"kilonova/service/identity/control"
)

type domainRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (d *domainRef) ref() identity.DomainRef {
	if d == nil {
		return identity.DomainRef{}
	}
	return identity.DomainRef(*d)
}

type userRef struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Domain   *domainRef `json:"domain"`
	Password *string    `json:"password"`
	Passcode *string    `json:"passcode"`
}

func (u *userRef) ref() identity.UserRef {
	return identity.UserRef{ID: u.ID, Name: u.Name, Domain: u.Domain.ref()}
}

type authBody struct {
	Auth *struct {
		Identity *struct {
			Methods  []string `json:"methods"`
			Password *struct {
				User *userRef `json:"user"`
			} `json:"password"`
			TOTP *struct {
				User *userRef `json:"user"`
			} `json:"totp"`
			Token *struct {
				ID string `json:"id"`
			} `json:"token"`
			External *struct{} `json:"external"`
			Mapped   *struct {
				IdentityProvider string `json:"identity_provider"`
				Protocol         string `json:"protocol"`
				ID               string `json:"id"`
			} `json:"mapped"`
			AppCred *struct {
				ID     string   `json:"id"`
				Name   string   `json:"name"`
				Secret *string  `json:"secret"`
				User   *userRef `json:"user"`
			} `json:"application_credential"`
		} `json:"identity"`
		Scope json.RawMessage `json:"scope"`
	} `json:"auth"`
}

type scopeBody struct {
	Project *struct {
		ID     string     `json:"id"`
		Name   string     `json:"name"`
		Domain *domainRef `json:"domain"`
	} `json:"project"`
	Domain *domainRef `json:"domain"`
	System *struct {
		All bool `json:"all"`
	} `json:"system"`
	Trust *struct {
		ID string `json:"id"`
	} `json:"OS-TRUST:trust"`
	Unscoped *struct{} `json:"unscoped"`
}

func expecting(attribute, target string) error {
	return fault.Invalidf("Expecting to find %s in %s. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.", attribute, target)
}

// authRequest reads the body of a log-in.
func (a *api) authRequest(r *rest.Request) (identity.AuthRequest, error) {
	var b authBody
	var req identity.AuthRequest
	if err := r.Decode(&b); err != nil {
		return req, err
	}
	if b.Auth == nil {
		return req, expecting("auth", "request body")
	}
	id := b.Auth.Identity
	if id == nil {
		return req, expecting("identity", "auth")
	}
	req.Methods = id.Methods
	if id.Password != nil {
		u := id.Password.User
		if u == nil || u.Password == nil || u.ID == "" && u.Name == "" {
			return req, expecting("user with an id or name and a password", "password")
		}
		req.Password = &identity.PasswordAuth{User: u.ref(), Password: *u.Password}
	}
	if id.TOTP != nil {
		u := id.TOTP.User
		if u == nil || u.Passcode == nil || u.ID == "" && u.Name == "" {
			return req, expecting("user with an id or name and a passcode", "totp")
		}
		req.TOTP = &identity.PasswordAuth{User: u.ref(), Password: *u.Passcode}
	}
	if id.Token != nil {
		if req.Token = id.Token.ID; req.Token == "" {
			return req, expecting("id", "token")
		}
	}
	if ac := id.AppCred; ac != nil {
		if ac.Secret == nil || ac.ID == "" && (ac.Name == "" || ac.User == nil || ac.User.ID == "" && ac.User.Name == "") {
			return req, expecting("a secret, and an id or a name and user,", "application_credential")
		}
		req.AppCred = &identity.AppCredAuth{ID: ac.ID, Name: ac.Name, Secret: *ac.Secret}
		if ac.User != nil {
			req.AppCred.User = ac.User.ref()
		}
	}
	if m := id.Mapped; m != nil {
		if m.ID != "" { // an older way to rescope a federated token
			req.Token, req.Methods = m.ID, []string{identity.MethodToken}
		} else {
			req.Mapped = a.mappedAuth(r, m.IdentityProvider, m.Protocol)
		}
	}
	req.External, req.Receipt = a.external(r), r.Header.Get("Openstack-Auth-Receipt")
	if req.External != nil && len(req.Methods) == 0 {
		req.Methods = []string{identity.MethodExternal}
	}
	if r.Header.Get("Authorization") != "" {
		req.OAuth1 = signedCall(r)
	}
	var err error
	req.Scope, err = scopeRequest(b.Auth.Scope)
	return req, err
}

func scopeRequest(raw json.RawMessage) (identity.ScopeRequest, error) {
	var s identity.ScopeRequest
	switch string(raw) {
	case "", "null", "{}":
		return s, nil
	case `"unscoped"`:
		return identity.ScopeRequest{Unscoped: true}, nil
	}
	var b scopeBody
	if err := rest.Decode(raw, rest.Version{}, false, &b); err != nil {
		return s, err
	}
	n := 0
	if p := b.Project; p != nil {
		n++
		if p.ID == "" && p.Name == "" {
			return s, expecting("id or name", "project")
		}
		s.ProjectID, s.ProjectName, s.ProjectDomain = p.ID, p.Name, p.Domain.ref()
	}
	if b.Domain != nil {
		n++
		if s.Domain = b.Domain.ref(); s.Domain.IsZero() {
			return s, expecting("id or name", "domain")
		}
	}
	if b.System != nil {
		n++
		if s.System = b.System.All; !s.System {
			return s, expecting("all", "system")
		}
	}
	if b.Trust != nil {
		n++
		if s.TrustID = b.Trust.ID; s.TrustID == "" {
			return s, expecting("trust_id", "trust")
		}
	}
	if b.Unscoped != nil {
		n++
		s.Unscoped = true
	}
	if n != 1 {
		return s, expecting("one of project, domain, system, OS-TRUST:trust or unscoped", "scope")
	}
	return s, nil
}

func (a *api) issueToken(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	req, err := a.authRequest(r)
	if err != nil {
		return nil, err
	}
	t, err := a.c.Authenticate(ctx, req, wantsCatalog(r))
	if receipt, ok := errors.AsType[*identity.Receipt](err); ok {
		return receiptView(r, receipt), nil
	}
	if err != nil {
		return nil, err
	}
	return rest.Created(map[string]any{"token": tokenView(t)}).With("X-Subject-Token", t.ID), nil
}

// receiptView is a 401 that says how the log-in can go on.
func receiptView(r *rest.Request, receipt *identity.Receipt) *rest.Response {
	body := map[string]any{"receipt": map[string]any{"methods": receipt.Methods, "expires_at": rest.MicroTimeZ{Time: receipt.Expires}, "issued_at": rest.MicroTimeZ{Time: receipt.IssuedAt},
		"user": &namedView{ID: receipt.User.ID, Name: receipt.User.Name, Domain: named(receipt.Domain)}}, "required_auth_methods": receipt.Rules}
	resp := &rest.Response{Status: http.StatusUnauthorized, Body: body}
	return resp.With("Openstack-Auth-Receipt", receipt.ID).With("WWW-Authenticate", `Keystone uri="`+r.Link("")+`"`)
}

func wantsCatalog(r *rest.Request) bool {
	_, without := r.Query["nocatalog"]
	return !without
}

func (a *api) showToken(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q := control.TokenQuery{Text: r.Header.Get("X-Subject-Token"), Catalog: wantsCatalog(r) && r.Method != http.MethodHead,
		Check: r.Method == http.MethodHead, AccessRules: r.Header.Get("OpenStack-Identity-Access-Rules") != ""}
	if _, given := r.Query["allow_expired"]; given {
		q.AllowExpired, _ = rest.ParseBool(r.Query.Get("allow_expired"))
	}
	t, err := a.c.Token(ctx, q)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"token": tokenView(t)}).With("X-Subject-Token", t.ID), nil
}

func (a *api) revokeToken(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.RevokeToken(ctx, r.Header.Get("X-Subject-Token"))
}

type namedView struct {
	ID     string     `json:"id"`
	Name   string     `json:"name"`
	Domain *namedView `json:"domain,omitempty"`
}

func named(n identity.Named) *namedView { return &namedView{ID: n.ID, Name: n.Name} }

type tokenUser struct {
	namedView
	PasswordExpires any `json:"password_expires_at"`
	Federation      any `json:"OS-FEDERATION,omitempty"`
}

type tokenBody struct {
	Methods  []string        `json:"methods"`
	User     tokenUser       `json:"user"`
	AuditIDs []string        `json:"audit_ids"`
	Expires  rest.MicroTimeZ `json:"expires_at"`
	IssuedAt rest.MicroTimeZ `json:"issued_at"`
	Project  *namedView      `json:"project,omitempty"`
	IsDomain *bool           `json:"is_domain,omitempty"`
	Domain   *namedView      `json:"domain,omitempty"`
	System   map[string]bool `json:"system,omitempty"`
	Roles    []*namedView    `json:"roles,omitempty"`
	Catalog  []catalogEntry  `json:"catalog,omitzero"`
	Trust    any             `json:"OS-TRUST:trust,omitempty"`
	AppCred  map[string]any  `json:"application_credential,omitempty"`
	SPs      []any           `json:"service_providers,omitempty"`
	OAuth1   map[string]any  `json:"OS-OAUTH1,omitempty"`
	OAuth2   map[string]any  `json:"oauth2_credential,omitempty"`
}

func tokenView(t *identity.Token) *tokenBody {
	b := &tokenBody{Methods: t.Methods, AuditIDs: t.AuditIDs, Expires: rest.MicroTimeZ{Time: t.Expires}, IssuedAt: rest.MicroTimeZ{Time: t.IssuedAt},
		User: tokenUser{namedView{ID: t.User.ID, Name: t.User.Name, Domain: named(t.UserDomain)}, micros(t.User.PasswordExpires), nil}}
	if t.IdentityProvider != "" {
		groups := make([]any, len(t.GroupIDs))
		for i, id := range t.GroupIDs {
			groups[i] = map[string]string{"id": id}
		}
		b.User.Federation = map[string]any{"groups": groups, "identity_provider": map[string]string{"id": t.IdentityProvider}, "protocol": map[string]string{"id": t.Protocol}}
	}
	for _, p := range t.ServiceProviders {
		b.SPs = append(b.SPs, map[string]any{"id": p.ID, "auth_url": p.AuthURL, "sp_url": p.URL})
	}
	for _, r := range t.Roles {
		b.Roles = append(b.Roles, named(r))
	}
	if p := t.Project; p != nil {
		b.Project = &namedView{ID: p.ID, Name: p.Name}
		if !p.IsDomain {
			b.Project.Domain = named(t.ProjectDomain)
		} else {
			b.Project.Domain = &namedView{}
		}
		b.IsDomain = &p.IsDomain
	}
	if t.Domain != nil {
		b.Domain = named(*t.Domain)
	}
	if t.System {
		b.System = map[string]bool{"all": true}
	}
	if t.Catalog != nil {
		b.Catalog = catalogView(t.Catalog)
	}
	if tr := t.Trust; tr != nil {
		b.IsDomain = nil
		b.Trust = map[string]any{"id": tr.ID, "impersonation": tr.Impersonation,
			"trustor_user": map[string]string{"id": tr.TrustorID}, "trustee_user": map[string]string{"id": tr.TrusteeID}}
	}
	if at := t.AccessToken; at != nil {
		b.OAuth1 = map[string]any{"access_token_id": at.ID, "consumer_id": at.ConsumerID}
	}
	if t.Thumbprint != "" {
		b.OAuth2 = map[string]any{"x5t#S256": t.Thumbprint}
	}
	if ac := t.AppCred; ac != nil {
		b.AppCred = map[string]any{"id": ac.ID, "name": ac.Name, "restricted": !ac.Unrestricted}
		if len(ac.AccessRules) > 0 {
			b.AppCred["access_rules"] = accessRules(ac.AccessRules)
		}
	}
	return b
}

type catalogEntry struct {
	ID        string            `json:"id"`
	Type      string            `json:"type"`
	Name      string            `json:"name"`
	Endpoints []catalogEndpoint `json:"endpoints"`
}

type catalogEndpoint struct {
	ID        string  `json:"id"`
	Interface string  `json:"interface"`
	Region    *string `json:"region"` // the older name of the next one
	RegionID  *string `json:"region_id"`
	URL       string  `json:"url"`
}

// catalogView is of structs and not of maps, which would cost more than all else of
// a token's check.
func catalogView(catalog []identity.CatalogEntry) []catalogEntry {
	list := make([]catalogEntry, len(catalog))
	for i, entry := range catalog {
		endpoints := make([]catalogEndpoint, len(entry.Endpoints))
		for j := range entry.Endpoints {
			e := &entry.Endpoints[j]
			endpoints[j] = catalogEndpoint{ID: e.ID, Interface: e.Interface, URL: e.URL}
			if e.RegionID != "" {
				endpoints[j].Region, endpoints[j].RegionID = &e.RegionID, &e.RegionID
			}
		}
		list[i] = catalogEntry{entry.Service.ID, entry.Service.Type, entry.Service.Name, endpoints}
	}
	return list
}

func (a *api) showCatalog(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	catalog, err := a.c.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"catalog": catalogView(catalog), "links": map[string]any{"self": r.Link("/v3/auth/catalog")}}), nil
}

func (a *api) authProjects(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.Scopes(ctx, false)
	return collection(r, "projects", list, identity.Query{}, projectView, projectID), err
}

func (a *api) authDomains(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.Scopes(ctx, true)
	return collection(r, "domains", list, identity.Query{}, domainView, projectID), err
}

func (a *api) authSystem(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	has, err := a.c.HasSystem(ctx)
	list := []any{}
	if has {
		list = append(list, map[string]bool{"all": true})
	}
	return rest.OK(map[string]any{"system": list, "links": map[string]any{"self": r.Link("/v3/auth/system")}}), err
}
