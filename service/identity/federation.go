package identity

import "time"

// IdentityProvider is somebody else who vouches for users. Those that it vouches
// for live in its domain.
type IdentityProvider struct {
	ID          string  `db:"id"`
	DomainID    string  `db:"domain_id"`
	Enabled     bool    `db:"enabled"`
	Description *string `db:"description"`
	// AuthorizationTTL is for how many minutes a user stays in the groups that it
	// was mapped into; nil: for as long as the token of that log-in lives.
	AuthorizationTTL *int64 `db:"authorization_ttl"`

	RemoteIDs []string // what it calls itself, each unique
}

// IdentityProviderChange is what a caller gives of an identity provider; nil is
// what it does not give. A TTL that points to nil removes it.
type IdentityProviderChange struct {
	DomainID         *string
	Enabled          *bool
	Description      **string
	AuthorizationTTL **int64
	RemoteIDs        *[]string
}

// FederationProtocol says by which mapping users come in from a provider by one
// protocol.
type FederationProtocol struct {
	ID                string `db:"id"`
	IdentityProvider  string `db:"idp_id"`
	MappingID         string `db:"mapping_id"`
	RemoteIDAttribute string `db:"remote_id_attribute"` // of an assertion: has the provider's remote id; may be ""
}

// Mapping turns assertions into users and groups. Rules is the JSON of its
// rules, which service/identity/mapping reads.
type Mapping struct {
	ID            string `db:"id"`
	SchemaVersion string `db:"schema_version"`
	Rules         string `db:"rules"`
}

// ServiceProvider is another cloud that takes our word for our users.
type ServiceProvider struct {
	ID               string  `db:"id"`
	AuthURL          string  `db:"auth_url"`
	URL              string  `db:"sp_url"`
	Description      *string `db:"description"`
	Enabled          bool    `db:"enabled"`
	RelayStatePrefix string  `db:"relay_state_prefix"`
}

// ServiceProviderChange is what a caller gives of a service provider; nil is what
// it does not give.
type ServiceProviderChange struct {
	AuthURL, URL, RelayStatePrefix *string
	Description                    **string
	Enabled                        *bool
}

// FederatedUser is who a user is to an identity provider.
type FederatedUser struct {
	UserID           string `db:"user_id"`
	IdentityProvider string `db:"idp_id"`
	Protocol         string `db:"protocol_id"`
	UniqueID         string `db:"unique_id"`
	DisplayName      string `db:"display_name"`
}

// Consumer is a program that users let act for them by OAuth 1.
type Consumer struct {
	ID          string     `db:"id"`
	Description *string    `db:"description"`
	Secret      string     `db:"secret"` // shown once, when it is made
	Extra       Attributes `db:"extra"`
}

// RequestToken is a consumer's wish to act for somebody on a project.
type RequestToken struct {
	ID         string  `db:"id"`
	Secret     string  `db:"secret"`
	Verifier   string  `db:"verifier"` // "" until a user has agreed
	UserID     string  `db:"user_id"`  // who has agreed
	ProjectID  string  `db:"project_id"`
	ConsumerID string  `db:"consumer_id"`
	RoleIDs    Strings `db:"role_ids"`

	Expires time.Time // zero: never
}

// AccessToken lets a consumer act for a user with some of its roles on a project.
type AccessToken struct {
	ID         string  `db:"id"`
	Secret     string  `db:"secret"`
	UserID     string  `db:"user_id"`
	ProjectID  string  `db:"project_id"`
	ConsumerID string  `db:"consumer_id"`
	RoleIDs    Strings `db:"role_ids"`

	Expires time.Time // zero: never
}
