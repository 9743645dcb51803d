package auth

import (
	"context"
	"slices"
	"time"
)

// Caller is what a valid token says of who calls, with which scope.
type Caller struct {
	UserID         string
	UserName       string
	UserDomainID   string
	UserDomainName string

	// At most one scope is set: project, domain or system.
	ProjectID         string
	ProjectName       string
	ProjectDomainID   string
	ProjectDomainName string
	DomainID          string
	DomainName        string
	System            string // "all" for system scope

	Roles    []string // names, lower case
	RoleIDs  []string
	Methods  []string
	AuditIDs []string
	IssuedAt time.Time
	Expires  time.Time
	Token    string

	// AccessRules are all that the token may be used for, so nothing if there are
	// none; nil: anything that its roles allow.
	AccessRules []AccessRule
	// Thumbprint is of the certificate that a client must show with the token; "" none.
	Thumbprint string
}

// HasRole reports whether the caller has a role, by name.
func (c *Caller) HasRole(name string) bool { return slices.Contains(c.Roles, name) }

// IsAdmin reports whether the caller is an administrator as the default rules of
// upstream's services see it: it has the role admin.
func (c *Caller) IsAdmin() bool { return c.HasRole("admin") }

type contextKey struct{}

// With returns a context that carries c.
func With(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From returns the caller that ctx carries, nil if there is none: a call from
// within, or a public route.
func From(ctx context.Context) *Caller {
	c, _ := ctx.Value(contextKey{}).(*Caller)
	return c
}

// Validator turns a token into the caller it stands for. fault.Unauthenticated
// means that the token is not or no longer valid; anything else that this is
// not known now.
type Validator interface {
	Validate(ctx context.Context, token string) (*Caller, error)
}

// LateValidator is a Validator that also takes tokens whose time is over: for
// services that work on what was asked for in time. How late is the identity
// service's to say; a token that was revoked is refused as ever.
type LateValidator interface {
	Validator
	ValidateLate(ctx context.Context, token string) (*Caller, error)
}

// ValidatorFunc is a function as Validator.
type ValidatorFunc func(ctx context.Context, token string) (*Caller, error)

// Validate implements Validator.
func (f ValidatorFunc) Validate(ctx context.Context, token string) (*Caller, error) {
	return f(ctx, token)
}
