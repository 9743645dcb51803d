package identity

import "time"

// Methods of authentication, by upstream's names.
const (
	MethodExternal = "external"
	MethodPassword = "password"
	MethodToken    = "token"
	MethodOAuth1   = "oauth1"
	MethodMapped   = "mapped"
	MethodAppCred  = "application_credential"
	MethodTOTP     = "totp"
	MethodEC2      = "ec2credential"
	MethodOAuth2   = "oauth2_credential"
)

// Claims are what a token itself says; the rest is looked up whenever it is
// used, so that nothing in it can be out of date.
type Claims struct {
	UserID  string
	Methods []string
	// At most one of these is set; with a trust ProjectID is set too.
	ProjectID string
	DomainID  string
	System    bool
	TrustID   string
	AppCredID string // with ProjectID
	// AccessTokenID is the OAuth 1 access token that the log-in used, with ProjectID.
	AccessTokenID string
	// Thumbprint is the SHA-256 of the certificate that must come with the token,
	// as RFC 8705 writes it; with ProjectID.
	Thumbprint string
	// Of a federated log-in: who vouched for the user, and the groups that it was
	// mapped into.
	IdentityProvider, Protocol string
	GroupIDs                   []string
	// AuditIDs are the token's own id for audits and, after re-scoping, that of
	// the first token of its chain.
	AuditIDs []string
	IssuedAt time.Time // to the microsecond
	Expires  time.Time
}

// Scoped reports whether the token is for something.
func (c *Claims) Scoped() bool { return c.ProjectID != "" || c.DomainID != "" || c.System }

// Token is a valid token with all that it stands for now.
type Token struct {
	Claims
	ID string // the text of it

	User       User
	UserDomain Named
	// Project is the scope of a token for a project, with its domain's name.
	Project       *Project
	ProjectDomain Named
	Domain        *Named
	Roles         []Named
	Catalog       []CatalogEntry // nil: not asked for, or unscoped

	Trust       *Trust
	AppCred     *AppCredential
	AccessToken *AccessToken
	// ServiceProviders are other clouds that take our word; only with a catalog.
	ServiceProviders []ServiceProvider
}

// Receipt is what a log-in got that must go on: by which methods its user has been
// found to be the one, and which combinations of methods are enough.
type Receipt struct {
	ID       string // the text of it
	User     User
	Domain   Named
	Methods  []string
	Rules    [][]string
	IssuedAt time.Time
	Expires  time.Time
}

// Error says what is missing: a receipt is no token.
func (r *Receipt) Error() string { return "Additional authentications steps required." }

// Revocation ends the tokens of a subject that were issued up to an instant.
type Revocation struct {
	Kind         string // "audit", "user", "project", "domain", "trust" or "app_cred"
	Subject      string // its id
	IssuedBefore time.Time
}

// AuthRequest is a request to log in: how, as whom, and what for.
type AuthRequest struct {
	Methods  []string
	Password *PasswordAuth
	Token    string
	AppCred  *AppCredAuth
	TOTP     *PasswordAuth // with the passcode in place of the password
	OAuth1   *SignedCall
	Mapped   *MappedAuth
	External *ExternalAuth
	Receipt  string // of an earlier log-in that was not enough
	Scope    ScopeRequest
}

// UserRef names a user: by id, or by name and domain.
type UserRef struct {
	ID, Name string
	Domain   DomainRef
}

// DomainRef names a domain, by id or name.
type DomainRef struct{ ID, Name string }

// IsZero reports whether r names nothing.
func (r DomainRef) IsZero() bool { return r == DomainRef{} }

// PasswordAuth is a user and its password.
type PasswordAuth struct {
	User     UserRef
	Password string
}

// AppCredAuth is an application credential, by id or by name and user.
type AppCredAuth struct {
	ID, Name string
	User     UserRef
	Secret   string
}

// SignedCall is a request with OAuth 1's signature in its Authorization header.
type SignedCall struct{ Method, URL, Authorization string }

// MappedAuth is what an identity provider says of a user.
type MappedAuth struct {
	IdentityProvider, Protocol string
	// Bearer is a token of the provider's own (OpenID Connect); "" where a web
	// server in front has checked what Assertion says.
	Bearer    string
	Assertion map[string][]string
}

// ExternalAuth is a user that a web server in front of the service has
// authenticated.
type ExternalAuth struct{ User, Domain string }

// ScopeRequest is what a log-in asks to be for. The zero value leaves it to the
// user's default project.
type ScopeRequest struct {
	Unscoped bool
	// A project by id, or by name and domain.
	ProjectID, ProjectName string
	ProjectDomain          DomainRef
	Domain                 DomainRef
	System                 bool
	TrustID                string
}

// IsZero reports whether r asks for nothing.
func (r ScopeRequest) IsZero() bool { return r == ScopeRequest{} }
