package identity

import "time"

// Credential is a secret that identity keeps for a user: an EC2 key pair, a
// TOTP seed, a certificate.
type Credential struct {
	ID        string     `db:"id"` // of an EC2 key pair: the SHA-256 of its access key
	UserID    string     `db:"user_id"`
	ProjectID string     `db:"project_id"` // may be ""
	Type      string     `db:"type"`       // "ec2", "totp", "cert", …
	Blob      string     `db:"content"`    // the secret itself; encrypted at rest
	Extra     Attributes `db:"extra"`
}

// The types of credentials that identity itself understands.
const (
	CredentialEC2  = "ec2"
	CredentialTOTP = "totp"
)

// CredentialChange is what a caller gives of a credential; nil is what it does not give.
type CredentialChange struct {
	UserID, ProjectID, Type, Blob *string
	Extra                         Attributes
}

// AppCredential lets a program log in as a user with some of its roles on one
// project, without the user's password.
type AppCredential struct {
	ID          string  `db:"id"`
	UserID      string  `db:"user_id"`
	ProjectID   string  `db:"project_id"`
	Name        string  `db:"name"` // unique for its user
	Description *string `db:"description"`
	// Unrestricted ones may make further credentials, application credentials
	// and trusts.
	Unrestricted bool `db:"unrestricted"`

	Expires     time.Time // zero: never
	Roles       []Role
	AccessRules []AccessRule
	Secret      string // only in the answer that made it
}

// AccessRule allows one method on paths of one service.
type AccessRule struct {
	ID      string `db:"id"`
	UserID  string `db:"user_id"`
	Service string `db:"service"` // a service type
	Path    string `db:"path"`    // with *, ** and {name} as wildcards
	Method  string `db:"method"`
}

// Trust lets the trustee act for the trustor, with some of its roles on one project.
type Trust struct {
	ID                string     `db:"id"`
	TrustorID         string     `db:"trustor_id"`
	TrusteeID         string     `db:"trustee_id"`
	ProjectID         string     `db:"project_id"` // may be "": tokens of it are unscoped
	Impersonation     bool       `db:"impersonation"`
	RemainingUses     *int64     `db:"remaining_uses"` // nil: without limit
	RedelegatedFrom   string     `db:"redelegated_from"`
	RedelegationCount int64      `db:"redelegation_count"`
	AllowRedelegation bool       `db:"allow_redelegation"`
	Extra             Attributes `db:"extra"`

	Expires time.Time // zero: never
	Roles   []Role
}

// RegisteredLimit is a default: how much of a resource a project may use.
type RegisteredLimit struct {
	ID          string  `db:"id"`
	ServiceID   string  `db:"service_id"`
	RegionID    string  `db:"region_id"` // may be ""
	Resource    string  `db:"resource_name"`
	Default     int64   `db:"default_limit"`
	Description *string `db:"description"`
}

// Limit overrides a registered limit for one project or domain.
type Limit struct {
	ID          string  `db:"id"`
	ServiceID   string  `db:"service_id"`
	RegionID    string  `db:"region_id"`
	Resource    string  `db:"resource_name"`
	ProjectID   string  `db:"project_id"` // this or DomainID
	DomainID    string  `db:"domain_id"`
	Limit       int64   `db:"resource_limit"`
	Description *string `db:"description"`
}

// Policy is a text that some service may fetch; identity does not read it.
type Policy struct {
	ID    string     `db:"id"`
	Type  string     `db:"type"`
	Blob  string     `db:"content"`
	Extra Attributes `db:"extra"`
}

// EndpointGroup selects endpoints by attributes, to show them to some projects.
type EndpointGroup struct {
	ID          string     `db:"id"`
	Name        string     `db:"name"`
	Description *string    `db:"description"`
	Filters     Attributes `db:"filters"` // of service_id, region_id, interface, enabled
}

// AppCredentialSpec is a wish for an application credential.
type AppCredentialSpec struct {
	Name         string
	Description  *string
	Secret       string // "": a new one is made up
	Expires      time.Time
	Roles        []RoleRef // none: all that the caller's token has
	Unrestricted bool
	AccessRules  []AccessRule // with an id only: one that exists
}

// RoleRef names a role: by id, or a global one by name.
type RoleRef struct{ ID, Name string }

// TrustSpec is a wish for a trust.
type TrustSpec struct {
	TrustorID, TrusteeID string
	ProjectID            string
	Impersonation        bool
	Expires              time.Time
	RemainingUses        *int64
	Roles                []RoleRef
	AllowRedelegation    bool
	RedelegationCount    *int64
	Extra                Attributes
}

// RegisteredLimitChange is what a caller changes of a registered limit; nil is
// what it leaves.
type RegisteredLimitChange struct {
	ServiceID, RegionID, Resource *string
	Default                       *int64
	Description                   *string
}

// LimitModel is how limits are enforced in the tree of projects.
type LimitModel struct{ Name, Description string }
