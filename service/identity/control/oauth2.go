package control

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/mapping"
	"kilonova/service/identity/store"
)

// Ways in which an OAuth 2 client proves who it is, by their registered names.
const (
	ClientSecretBasic = "client_secret_basic"
	TLSClientAuth     = "tls_client_auth"
)

func clientRefused() error { return fault.New(fault.Unauthenticated, "Client authentication failed.") }

// OAuth2Secret issues a token to a client that has an application credential.
func (c *Control) OAuth2Secret(ctx context.Context, id, secret string) (*identity.Token, error) {
	if !slices.Contains(c.options.OAuth2.AuthnMethods, ClientSecretBasic) {
		return nil, clientRefused()
	}
	return c.Authenticate(ctx, identity.AuthRequest{Methods: []string{identity.MethodAppCred}, AppCred: &identity.AppCredAuth{ID: id, Secret: secret}}, false)
}

// OAuth2Certificate issues a token to a client that has shown a certificate,
// which our TLS listener has verified: the mapping for certificates must say that
// its subject is the user. The token is for the user's default project, and is
// good only with that certificate.
func (c *Control) OAuth2Certificate(ctx context.Context, userID string, cert *x509.Certificate, thumbprint string) (*identity.Token, error) {
	if !slices.Contains(c.options.OAuth2.AuthnMethods, TLSClientAuth) {
		return nil, clientRefused()
	}
	u, domain, err := c.standingUser(ctx, userID)
	if isRefusal(err) || err == nil && u.DefaultProjectID == "" {
		return nil, clientRefused()
	}
	if err != nil {
		return nil, err
	}
	m, err := store.Mapping(ctx, c.db, c.options.OAuth2.CertMapping)
	if errors.Is(err, db.ErrNoRow) {
		c.log.Warn("identity: a certificate cannot be mapped to a user, for there is no such mapping", "mapping", c.options.OAuth2.CertMapping)
		return nil, clientRefused()
	}
	if err != nil {
		return nil, err
	}
	rules, err := mapping.Parse(m.SchemaVersion, []byte(m.Rules))
	if err != nil {
		return nil, err
	}
	is, err := rules.Apply(certificateNames(cert))
	if err != nil || !sameUser(is.User, u, domain) {
		return nil, clientRefused()
	}
	now := c.now()
	claims := identity.Claims{UserID: u.ID, ProjectID: u.DefaultProjectID, Methods: []string{identity.MethodOAuth2}, Thumbprint: thumbprint,
		IssuedAt: now, Expires: now.Add(seconds(c.options.Token.Expiration))}
	audit, err := c.newSecret(16)
	if err != nil {
		return nil, err
	}
	claims.AuditIDs = []string{audit}
	return c.issue(ctx, claims, false)
}

// sameUser holds what a mapping says of a certificate against a user. A mapping
// that says neither its id nor its name lets nobody in.
func sameUser(is mapping.User, u identity.User, domain identity.Named) bool {
	email, _ := u.Extra["email"].(string)
	if is.ID == "" && is.Name == "" {
		return false
	}
	pairs := [][2]string{{is.ID, u.ID}, {is.Name, u.Name}, {is.Email, email}}
	if is.Domain != nil {
		pairs = append(pairs, [2]string{is.Domain.ID, domain.ID}, [2]string{is.Domain.Name, domain.Name})
	}
	for _, p := range pairs {
		if p[0] != "" && p[0] != p[1] {
			return false
		}
	}
	return true
}

// nameParts are the parts of a distinguished name by their object identifiers, as
// mappings name them.
var nameParts = map[string]string{"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "EMAILADDRESS"}

// certificateNames are a certificate's subject and issuer as an assertion.
func certificateNames(cert *x509.Certificate) mapping.Assertion {
	a := mapping.Assertion{}
	for _, part := range cert.Subject.Names {
		if value, ok := part.Value.(string); ok && nameParts[part.Type.String()] != "" {
			key := "SSL_CLIENT_SUBJECT_DN_" + nameParts[part.Type.String()]
			a[key] = append(a[key], value)
		}
	}
	for _, part := range cert.Issuer.Names {
		if value, ok := part.Value.(string); ok && nameParts[part.Type.String()] != "" {
			key := "SSL_CLIENT_ISSUER_DN_" + nameParts[part.Type.String()]
			a[key] = append(a[key], value)
		}
	}
	return a
}
