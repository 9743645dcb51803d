package jws

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kilonova/service/identity"
)

// claims are a token's, by Keystone's names. Times are in seconds; Micros, which
// Keystone does not have, are those of the time of issue: they tell a log-in after
// a revocation from one before it in the same second.
type claims struct {
	Subject  string   `json:"sub"`
	IssuedAt int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	Methods  []string `json:"openstack_methods"`
	AuditIDs []string `json:"openstack_audit_ids"`

	System        string   `json:"openstack_system,omitempty"`
	ProjectID     string   `json:"openstack_project_id,omitempty"`
	DomainID      string   `json:"openstack_domain_id,omitempty"`
	TrustID       string   `json:"openstack_trust_id,omitempty"`
	AppCredID     string   `json:"openstack_app_cred_id,omitempty"`
	AccessTokenID string   `json:"openstack_access_token_id,omitempty"`
	GroupIDs      []string `json:"openstack_group_ids,omitempty"`
	IDP           string   `json:"openstack_idp_id,omitempty"`
	Protocol      string   `json:"openstack_protocol_id,omitempty"`
	Thumbprint    string   `json:"openstack_thumbprint,omitempty"`

	Micros int `json:"issued_at_micros,omitempty"`
}

// The times are checked by who asks: a token may be shown for work in flight after
// its end.
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (c *claims) GetIssuer() (string, error)                   { return "", nil }
func (c *claims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }

// maxText bounds the text of a token before anything is computed with it.
const maxText = 64 << 10

// ErrInvalid is what a text is that no key of ours has signed.
var ErrInvalid = errors.New("jws: not signed with any of the keys")

// Issue makes the text of a token.
func (k *Keys) Issue(c *identity.Claims) (string, error) {
	signer, _, err := k.load()
	if err != nil {
		return "", err
	}
	j := &claims{Subject: c.UserID, IssuedAt: c.IssuedAt.Unix(), Micros: c.IssuedAt.Nanosecond() / 1000, Expires: c.Expires.Unix(), Methods: c.Methods,
		AuditIDs: c.AuditIDs, ProjectID: c.ProjectID, DomainID: c.DomainID, TrustID: c.TrustID, AppCredID: c.AppCredID, AccessTokenID: c.AccessTokenID,
		GroupIDs: c.GroupIDs, IDP: c.IdentityProvider, Protocol: c.Protocol, Thumbprint: c.Thumbprint}
	if c.System {
		j.System = "all"
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, j).SignedString(signer)
	if err != nil {
		return "", fmt.Errorf("jws: %w", err)
	}
	return text, nil
}

// Parse reads a token's text; ErrInvalid when none of the keys has signed it.
func (k *Keys) Parse(text string) (*identity.Claims, error) {
	_, known, err := k.load()
	if err != nil {
		return nil, err
	}
	if len(text) > maxText {
		return nil, ErrInvalid
	}
	p := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation())
	for _, key := range known {
		j := &claims{}
		if _, err := p.ParseWithClaims(text, j, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
			continue
		}
		if j.Subject == "" || j.Expires <= 0 || len(j.AuditIDs) == 0 {
			return nil, errors.New("jws: the token names no user, no end or no audit id")
		}
		return &identity.Claims{UserID: j.Subject, Methods: j.Methods, ProjectID: j.ProjectID, DomainID: j.DomainID, System: j.System != "", TrustID: j.TrustID,
			AppCredID: j.AppCredID, AccessTokenID: j.AccessTokenID, Thumbprint: j.Thumbprint, IdentityProvider: j.IDP, Protocol: j.Protocol, GroupIDs: j.GroupIDs,
			AuditIDs: j.AuditIDs, IssuedAt: time.Unix(j.IssuedAt, 0).UTC().Add(time.Duration(j.Micros) * time.Microsecond), Expires: time.Unix(j.Expires, 0).UTC()}, nil
	}
	return nil, ErrInvalid
}
