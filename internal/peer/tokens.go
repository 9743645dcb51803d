package peer

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
)

// Credentials are those of a service's own user.
type Credentials struct {
	Username      string `toml:"username"`
	Password      string `toml:"password"`
	UserDomain    string `toml:"user_domain_name"`
	Project       string `toml:"project_name"`
	ProjectDomain string `toml:"project_domain_name"`
}

// PasswordTokens logs in to the identity service when a token is needed and
// keeps it until shortly before it ends.
type PasswordTokens struct {
	identity *Client
	creds    Credentials
	now      func() time.Time

	mu           sync.Mutex
	token        string
	expires      time.Time
	catalog      *Catalog
	catalogUntil time.Time
}

// NewPasswordTokens returns Tokens for a user of the identity service in t.
func NewPasswordTokens(t Table, creds Credentials, now func() time.Time) (*PasswordTokens, error) {
	identity, err := t.Client("identity", nil)
	if err != nil {
		return nil, err
	}
	return &PasswordTokens{identity: identity, creds: creds, now: now}, nil
}

// Token implements Tokens.
func (p *PasswordTokens) Token(ctx context.Context, stale string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.token != "" && p.token != stale && p.now().Add(2*time.Minute).Before(p.expires) {
		return p.token, nil
	}
	token, expires, err := p.login(ctx)
	if err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "This service cannot log in to the identity service.")
	}
	p.token, p.expires = token, expires
	return token, nil
}

func (p *PasswordTokens) login(ctx context.Context) (string, time.Time, error) {
	type m = map[string]any
	body := m{"auth": m{
		"identity": m{"methods": []string{"password"}, "password": m{"user": m{
			"name": p.creds.Username, "password": p.creds.Password, "domain": m{"name": p.creds.UserDomain}}}},
		"scope": m{"project": m{"name": p.creds.Project, "domain": m{"name": p.creds.ProjectDomain}}}}}
	var out struct {
		Token struct {
			Expires time.Time `json:"expires_at"`
		} `json:"token"`
	}
	resp, err := p.identity.Open(ctx, Call{Method: http.MethodPost, Path: "/v3/auth/tokens?nocatalog", In: body})
	if err != nil {
		return "", time.Time{}, err
	}
	defer drain(resp.Body)
	if err := decode(resp, &out); err != nil {
		return "", time.Time{}, err
	}
	return resp.Header.Get("X-Subject-Token"), out.Token.Expires, nil
}

// Validator asks the identity service about tokens, as this service's own user. It
// is an auth.LateValidator.
func Validator(t Table, own Tokens) (auth.Validator, error) {
	identity, err := t.Client("identity", own)
	return validator{identity}, err
}

type validator struct{ identity *Client }

// Validate implements auth.Validator.
func (v validator) Validate(ctx context.Context, token string) (*auth.Caller, error) {
	return validate(ctx, v.identity, token, url.Values{"nocatalog": {""}})
}

// ValidateLate implements auth.LateValidator.
func (v validator) ValidateLate(ctx context.Context, token string) (*auth.Caller, error) {
	return validate(ctx, v.identity, token, url.Values{"nocatalog": {""}, "allow_expired": {"1"}})
}

type named struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"domain"`
}

func validate(ctx context.Context, identity *Client, token string, query url.Values) (*auth.Caller, error) {
	header := http.Header{}
	header.Set("X-Subject-Token", token)
	header.Set("OpenStack-Identity-Access-Rules", "1") // we hold requests against them
	var out struct {
		Token struct {
			User     named           `json:"user"`
			Project  *named          `json:"project"`
			Domain   *named          `json:"domain"`
			System   map[string]bool `json:"system"`
			Roles    []named         `json:"roles"`
			Methods  []string        `json:"methods"`
			AuditIDs []string        `json:"audit_ids"`
			IssuedAt time.Time       `json:"issued_at"`
			Expires  time.Time       `json:"expires_at"`
			AppCred  struct {
				Rules []auth.AccessRule `json:"access_rules"`
			} `json:"application_credential"`
			OAuth2 struct {
				Thumbprint string `json:"x5t#S256"`
			} `json:"oauth2_credential"`
		} `json:"token"`
	}
	err := identity.Do(ctx, Call{Method: http.MethodGet, Path: "/v3/auth/tokens?" + query.Encode(), Header: header, Out: &out})
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) {
		return nil, fault.New(fault.Unauthenticated, "The request you have made requires authentication.")
	}
	if err != nil {
		return nil, err
	}
	t := out.Token
	c := &auth.Caller{UserID: t.User.ID, UserName: t.User.Name, UserDomainID: t.User.Domain.ID, UserDomainName: t.User.Domain.Name,
		Methods: t.Methods, AuditIDs: t.AuditIDs, IssuedAt: t.IssuedAt, Expires: t.Expires, Token: token,
		AccessRules: t.AppCred.Rules, Thumbprint: t.OAuth2.Thumbprint}
	for _, r := range t.Roles {
		c.Roles, c.RoleIDs = append(c.Roles, strings.ToLower(r.Name)), append(c.RoleIDs, r.ID)
	}
	if p := t.Project; p != nil {
		c.ProjectID, c.ProjectName, c.ProjectDomainID, c.ProjectDomainName = p.ID, p.Name, p.Domain.ID, p.Domain.Name
	}
	if d := t.Domain; d != nil {
		c.DomainID, c.DomainName = d.ID, d.Name
	}
	if t.System["all"] {
		c.System = "all"
	}
	return c, nil
}
