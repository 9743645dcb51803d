package identity

import "time"

// User is somebody, or a service, that can log in.
type User struct {
	ID               string     `db:"id"`
	DomainID         string     `db:"domain_id"`
	Name             string     `db:"name"` // unique in its domain
	Enabled          bool       `db:"enabled"`
	DefaultProjectID string     `db:"default_project_id"` // scope of a log-in that names none; may be ""
	Options          Attributes `db:"options"`
	Extra            Attributes `db:"extra"`

	PasswordExpires time.Time // zero: never, or there is no password
}

// Options of users, by upstream's names.
const (
	IgnoreFirstUse     = "ignore_change_password_upon_first_use"
	IgnoreExpiry       = "ignore_password_expiry"
	IgnoreLockout      = "ignore_lockout_failure_attempts"
	IgnoreInactivity   = "ignore_user_inactivity"
	LockPassword       = "lock_password"
	MultiFactorEnabled = "multi_factor_auth_enabled"
	MultiFactorRules   = "multi_factor_auth_rules"
)

// UserChange is what a caller gives of a user, to make or to change it; nil is
// what it does not give. A DefaultProjectID or Password of "" removes it.
type UserChange struct {
	Name             *string
	DomainID         *string
	Enabled          *bool
	DefaultProjectID *string
	Password         *string
	Federated        []FederatedUser // who it is to identity providers; none changes nothing
	Options          Attributes
	Extra            Attributes
}

// Group is a set of users of any domain that can be given roles together.
type Group struct {
	ID          string     `db:"id"`
	DomainID    string     `db:"domain_id"`
	Name        string     `db:"name"` // unique in its domain
	Description string     `db:"description"`
	Extra       Attributes `db:"extra"`
}

// GroupChange is what a caller gives of a group; nil is what it does not give.
type GroupChange struct {
	Name        *string
	DomainID    *string
	Description *string
	Extra       Attributes
}
