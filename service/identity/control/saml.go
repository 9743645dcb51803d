package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/saml"
	"kilonova/service/identity/store"
)

// Assertion is what another cloud is told of a user, in XML, and whom to tell.
type Assertion struct {
	XML     []byte
	Partner identity.ServiceProvider
}

// Assert vouches for the user of a token at a service provider, within an envelope
// for an enhanced client if that is asked for. The token is all that the caller
// has to show.
func (c *Control) Assert(ctx context.Context, token, partnerID string, envelope bool) (a Assertion, err error) {
	if c.saml == nil {
		return a, fault.New(fault.Unsupported, "This cloud is no SAML identity provider: [saml] idp_entity_id is not set.")
	}
	t, err := c.token(ctx, token, 0, false)
	// One that is restricted, to some calls or to who has a certificate, is not for
	// this: another cloud could not hold its user to that.
	if err == nil && (t.Thumbprint != "" || t.AppCred != nil && len(t.AppCred.AccessRules) > 0) {
		err = refuse("the token is restricted")
	}
	if isRefusal(err) {
		err = noToken(err)
	}
	if err != nil {
		return a, err
	}
	a.Partner, err = store.ServiceProvider(ctx, c.db, partnerID)
	switch {
	case err != nil:
		return a, found(err, "Service Provider", partnerID)
	case !a.Partner.Enabled:
		return a, fault.Forbiddenf("Service Provider %s is disabled", clip(partnerID))
	case t.Project == nil:
		return a, fault.Forbiddenf("You are not authorized to perform the requested action: Use a project scoped token when attempting to create a SAML assertion.")
	}
	s := saml.Statement{Recipient: a.Partner.URL, User: t.User.Name, Domain: t.UserDomain.Name, Project: t.Project.Name, ProjectScope: t.ProjectDomain.Name}
	for _, r := range t.Roles {
		s.Roles = append(s.Roles, r.Name)
	}
	if s.Groups, err = c.assertedGroups(ctx, t); err != nil {
		return a, err
	}
	if envelope {
		a.XML, err = c.saml.Envelope(s, a.Partner.RelayStatePrefix)
	} else {
		a.XML, err = c.saml.Response(s)
	}
	return a, err
}

// assertedGroups names the groups of a token's user with their domains, in the
// form that mappings of Keystone read.
func (c *Control) assertedGroups(ctx context.Context, t *identity.Token) ([]string, error) {
	groups, err := store.GroupsOfUser(ctx, c.db, t.UserID, identity.Query{})
	if err != nil {
		return nil, err
	}
	type named struct {
		Name string `json:"name"`
	}
	var all []string
	for _, g := range groups {
		domain, err := store.ProjectHead(ctx, c.db, g.DomainID)
		if errors.Is(err, db.ErrNoRow) {
			continue // it went a moment ago
		}
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(struct {
			named
			Domain named `json:"domain"`
		}{named{g.Name}, named{domain.Name}})
		if err != nil {
			return nil, err
		}
		all = append(all, "JSON:"+string(text))
	}
	return all, nil
}

// maxMetadata bounds the file with our SAML metadata, in bytes.
const maxMetadata = 1 << 20

// SAMLMetadata describes this cloud as a SAML identity provider: the operator's
// file, or what the options say.
func (c *Control) SAMLMetadata() ([]byte, error) {
	if path := c.options.SAML.MetadataPath; path != "" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("[saml] idp_metadata_path: %w", err)
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, maxMetadata))
	}
	if c.saml == nil {
		return nil, fault.NotFoundf("This cloud is no SAML identity provider: neither idp_entity_id nor idp_metadata_path of [saml] is set.")
	}
	return c.saml.Metadata()
}
