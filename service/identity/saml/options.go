package saml

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	dsig "github.com/russellhaering/goxmldsig"
)

// Options are the section [saml], by upstream's names. Without EntityID the cloud
// is no identity provider.
type Options struct {
	EntityID string `toml:"idp_entity_id"`    // a URI that names this identity provider
	Endpoint string `toml:"idp_sso_endpoint"` // the URL of its single sign-on
	CertFile string `toml:"certfile"`         // PEM
	KeyFile  string `toml:"keyfile"`          // PEM, of RSA
	// Expiration is for how many seconds an assertion is good.
	Expiration int `toml:"assertion_expiration_time"`
	// RelayStatePrefix is that of service providers that have none of their own.
	RelayStatePrefix string `toml:"relay_state_prefix"`
	// MetadataPath is a file to show as our metadata; "": made of the options.
	MetadataPath string `toml:"idp_metadata_path"`

	// For the metadata's readers; an organization or a contact that is not whole is
	// left out.
	Lang                    string `toml:"idp_lang"`
	OrganizationName        string `toml:"idp_organization_name"`
	OrganizationDisplayName string `toml:"idp_organization_display_name"`
	OrganizationURL         string `toml:"idp_organization_url"`
	ContactCompany          string `toml:"idp_contact_company"`
	ContactName             string `toml:"idp_contact_name"`
	ContactSurname          string `toml:"idp_contact_surname"`
	ContactEmail            string `toml:"idp_contact_email"`
	ContactTelephone        string `toml:"idp_contact_telephone"`
	ContactType             string `toml:"idp_contact_type"`
}

// Defaults are the options of an installation that sets none.
func Defaults() Options {
	return Options{Expiration: 3600, RelayStatePrefix: "ss:mem:", Lang: "en", ContactType: "other"}
}

// leastBits is the shortest RSA key that is taken, in bits.
const leastBits = 2048

// Provider signs assertions with one key.
type Provider struct {
	o           Options
	key         *rsa.PrivateKey
	certificate []byte // DER
	now         func() time.Time
	random      io.Reader
}

// New reads the key and its certificate; nil where the options name no identity
// provider. random is the source of ids.
func New(o Options, now func() time.Time, random io.Reader) (*Provider, error) {
	if o.EntityID == "" {
		return nil, nil
	}
	for name, text := range map[string]string{"idp_entity_id": o.EntityID, "idp_sso_endpoint": o.Endpoint} {
		if u, err := url.Parse(text); err != nil || u.Scheme == "" || len(text) > 1024 {
			return nil, fmt.Errorf("[saml] %s must be a URI of 1024 characters at most, and is %q", name, text)
		}
	}
	if o.Expiration <= 0 {
		return nil, fmt.Errorf("[saml] assertion_expiration_time must be more than 0 seconds, and is %d", o.Expiration)
	}
	if kinds := []string{"technical", "support", "administrative", "billing", "other"}; !slices.Contains(kinds, o.ContactType) {
		return nil, fmt.Errorf("[saml] idp_contact_type must be one of %v, and is %q", kinds, o.ContactType)
	}
	pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("[saml] certfile and keyfile: %w", err)
	}
	key, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok || key.N.BitLen() < leastBits {
		return nil, fmt.Errorf("[saml] keyfile %s must have an RSA key of %d bits at least", o.KeyFile, leastBits)
	}
	if _, err := x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return nil, fmt.Errorf("[saml] certfile: %w", err)
	}
	return &Provider{o: o, key: key, certificate: pair.Certificate[0], now: now, random: random}, nil
}

// Ends is when the certificate does.
func (p *Provider) Ends() (time.Time, error) {
	cert, err := x509.ParseCertificate(p.certificate)
	if err != nil {
		return time.Time{}, err
	}
	return cert.NotAfter, nil
}

// signing is how assertions are signed: RSA with SHA-256, in the exclusive
// canonical form, so that the signature holds within any envelope.
func (p *Provider) signing() (*dsig.SigningContext, error) {
	s, err := dsig.NewSigningContext(p.key, [][]byte{p.certificate})
	if err != nil {
		return nil, err
	}
	s.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	return s, nil
}
