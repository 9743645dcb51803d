package saml

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/beevik/etree"

	"kilonova/internal/fault"
)

// Namespaces and names of the standards.
const (
	assertionSpace = "urn:oasis:names:tc:SAML:2.0:assertion"
	protocolSpace  = "urn:oasis:names:tc:SAML:2.0:protocol"
	metadataSpace  = "urn:oasis:names:tc:SAML:2.0:metadata"
	ecpSpace       = "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"
	soapSpace      = "http://schemas.xmlsoap.org/soap/envelope/"
	signatureSpace = "http://www.w3.org/2000/09/xmldsig#"

	success    = "urn:oasis:names:tc:SAML:2.0:status:Success"
	entity     = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	transient  = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	bearer     = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	byPassword = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
	uriBinding = "urn:oasis:names:tc:SAML:2.0:bindings:URI"
	nextActor  = "http://schemas.xmlsoap.org/soap/actor/next"
)

// Statement is what an assertion says of a user, and to whom.
type Statement struct {
	Recipient             string // the URL that takes the assertion
	User, Domain          string // names
	Project, ProjectScope string // names of the project and of its domain
	Roles                 []string
	Groups                []string // each as JSON:{"name": …, "domain": {"name": …}}
}

// Response returns a signed assertion in a response, as XML.
func (p *Provider) Response(s Statement) ([]byte, error) {
	r, err := p.response(s)
	if err != nil {
		return nil, err
	}
	return text(r)
}

// Envelope returns a response as an Enhanced Client carries it to the service
// provider: in SOAP, with a relay state that begins with a prefix.
func (p *Provider) Envelope(s Statement, relayPrefix string) ([]byte, error) {
	r, err := p.response(s)
	if err != nil {
		return nil, err
	}
	state, err := p.newID("")
	if err != nil {
		return nil, err
	}
	envelope := etree.NewElement("soap:Envelope")
	envelope.CreateAttr("xmlns:soap", soapSpace)
	relay := envelope.CreateElement("soap:Header").CreateElement("ecp:RelayState")
	relay.CreateAttr("xmlns:ecp", ecpSpace)
	relay.CreateAttr("soap:actor", nextActor)
	relay.CreateAttr("soap:mustUnderstand", "1")
	relay.SetText(relayPrefix + state)
	envelope.CreateElement("soap:Body").AddChild(r)
	return text(envelope)
}

func (p *Provider) response(s Statement) (*etree.Element, error) {
	assertion, err := p.assertion(s)
	if err != nil {
		return nil, err
	}
	id, err := p.newID("_")
	if err != nil {
		return nil, err
	}
	r := etree.NewElement("samlp:Response")
	r.CreateAttr("xmlns:samlp", protocolSpace)
	r.CreateAttr("xmlns:saml", assertionSpace)
	r.CreateAttr("ID", id)
	r.CreateAttr("Version", "2.0")
	r.CreateAttr("IssueInstant", instant(p.now()))
	r.CreateAttr("Destination", s.Recipient)
	p.issuer(r)
	r.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", success)
	r.AddChild(assertion)
	return r, nil
}

// assertion returns a signed assertion. Its parts stand in the order of the
// standard's schema, the signature after the issuer.
func (p *Provider) assertion(s Statement) (*etree.Element, error) {
	id, err := p.newID("_")
	if err != nil {
		return nil, err
	}
	session, err := p.newID("")
	if err != nil {
		return nil, err
	}
	now := p.now()
	ends := instant(now.Add(time.Duration(p.o.Expiration) * time.Second))
	a := etree.NewElement("saml:Assertion")
	a.CreateAttr("xmlns:saml", assertionSpace)
	a.CreateAttr("ID", id)
	a.CreateAttr("Version", "2.0")
	a.CreateAttr("IssueInstant", instant(now))
	p.issuer(a)

	subject := a.CreateElement("saml:Subject")
	subject.CreateElement("saml:NameID").SetText(s.User)
	confirmation := subject.CreateElement("saml:SubjectConfirmation")
	confirmation.CreateAttr("Method", bearer)
	data := confirmation.CreateElement("saml:SubjectConfirmationData")
	data.CreateAttr("NotOnOrAfter", ends)
	data.CreateAttr("Recipient", s.Recipient)

	authn := a.CreateElement("saml:AuthnStatement")
	authn.CreateAttr("AuthnInstant", instant(now))
	authn.CreateAttr("SessionIndex", session)
	authn.CreateAttr("SessionNotOnOrAfter", ends)
	context := authn.CreateElement("saml:AuthnContext")
	context.CreateElement("saml:AuthnContextClassRef").SetText(byPassword)
	context.CreateElement("saml:AuthenticatingAuthority").SetText(p.o.EntityID)

	attributes := a.CreateElement("saml:AttributeStatement")
	for _, attribute := range []struct {
		name   string
		values []string
	}{{"openstack_user", []string{s.User}}, {"openstack_roles", s.Roles}, {"openstack_project", []string{s.Project}},
		{"openstack_project_domain", []string{s.ProjectScope}}, {"openstack_user_domain", []string{s.Domain}}, {"openstack_groups", s.Groups}} {
		if len(attribute.values) == 0 {
			continue
		}
		e := attributes.CreateElement("saml:Attribute")
		e.CreateAttr("Name", attribute.name)
		for _, v := range attribute.values {
			if !writable(v) {
				return nil, fault.Invalidf("No assertion can be made: %s has %q, whose characters XML cannot carry.", attribute.name, v)
			}
			e.CreateElement("saml:AttributeValue").SetText(v)
		}
	}
	return a, p.sign(a)
}

// sign puts a signature of a into it.
func (p *Provider) sign(a *etree.Element) error {
	s, err := p.signing()
	if err != nil {
		return err
	}
	signature, err := s.ConstructSignature(a, true)
	if err != nil {
		return fmt.Errorf("signing an assertion: %w", err)
	}
	a.InsertChildAt(1, signature)
	return nil
}

func (p *Provider) issuer(of *etree.Element) {
	e := of.CreateElement("saml:Issuer")
	e.CreateAttr("Format", entity)
	e.SetText(p.o.EntityID)
}

// newID returns 32 hexadecimal digits. An attribute ID begins with no digit,
// hence the prefix.
func (p *Provider) newID(prefix string) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(p.random, b[:]); err != nil {
		return "", fmt.Errorf("new id: %w", err)
	}
	return prefix + hex.EncodeToString(b[:]), nil
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// writable reports whether XML 1.0 has all characters of s: with another one in
// its place a name might be somebody else's.
func writable(s string) bool {
	for _, r := range s {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
		case r < 0x20 || r == 0xFFFE || r == 0xFFFF || r == 0xFFFD:
			return false
		}
	}
	return true
}

// text writes an element as a document.
func text(e *etree.Element) ([]byte, error) {
	d := etree.NewDocument()
	d.WriteSettings.CanonicalText, d.WriteSettings.CanonicalAttrVal, d.WriteSettings.CanonicalEndTags = true, true, true
	d.CreateProcInst("xml", `version="1.0" encoding="UTF-8"`)
	d.SetRoot(e)
	return d.WriteToBytes()
}
