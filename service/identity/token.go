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

	Trust   *Trust
	AppCred *AppCredential
}
