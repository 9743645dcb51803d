package saml

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// pair writes a key and its certificate, and returns the options that name them.
func pair(t *testing.T, key any, public any) Options {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(9, 0, 0), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	o, dir := Defaults(), t.TempDir()
	o.EntityID, o.Endpoint = "https://here/idp", "https://here/sso"
	o.CertFile, o.KeyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{o.CertFile: {Type: "CERTIFICATE", Bytes: der}, o.KeyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func provider(t *testing.T) *Provider {
	t.Helper()
	key := rsaKey(t, 2048)
	o := pair(t, key, key.Public())
	p, err := New(o, func() time.Time { return noon }, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var said = Statement{Recipient: "https://there/Shibboleth.sso/SAML2/ECP", User: `ann <"&'é>`, Domain: "Default", Project: "dev\nel", ProjectScope: "Default",
	Roles: []string{"member", "reader"}, Groups: []string{`JSON:{"name":"g","domain":{"name":"Default"}}`}}

// validated is the assertion in a document, if its signature is p's.
func validated(t *testing.T, p *Provider, document []byte) (*etree.Element, error) {
	t.Helper()
	d := etree.NewDocument()
	if err := d.ReadFromBytes(document); err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(p.certificate)
	if err != nil {
		t.Fatal(err)
	}
	v := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
	v.Clock = dsig.NewFakeClockAt(noon)
	a := d.FindElement("//Assertion")
	if a == nil {
		t.Fatalf("there is no assertion in %s", document)
	}
	return v.Validate(a)
}

func TestAssertionsSayWhatTheyShallAndAreSigned(t *testing.T) {
	p := provider(t)
	for name, write := range map[string]func() ([]byte, error){"a response": func() ([]byte, error) { return p.Response(said) },
		"an envelope": func() ([]byte, error) { return p.Envelope(said, "ss:mem:") }} {
		document, err := write()
		if err != nil {
			t.Fatal(err)
		}
		a, err := validated(t, p, document)
		if err != nil {
			t.Fatalf("%s: %v in %s", name, err, document)
		}
		got := map[string][]string{}
		for _, e := range a.FindElements("./AttributeStatement/Attribute") {
			for _, v := range e.ChildElements() {
				got[e.SelectAttrValue("Name", "")] = append(got[e.SelectAttrValue("Name", "")], v.Text())
			}
		}
		for attribute, want := range map[string][]string{"openstack_user": {said.User}, "openstack_user_domain": {"Default"}, "openstack_project": {said.Project},
			"openstack_project_domain": {"Default"}, "openstack_roles": said.Roles, "openstack_groups": said.Groups} {
			if strings.Join(got[attribute], "|") != strings.Join(want, "|") {
				t.Errorf("%s: %s is %q, want %q", name, attribute, got[attribute], want)
			}
		}
		data := a.FindElement("./Subject/SubjectConfirmation/SubjectConfirmationData")
		if end := data.SelectAttrValue("NotOnOrAfter", ""); end != "2026-11-20T13:00:00.000Z" || data.SelectAttrValue("Recipient", "") != said.Recipient {
			t.Errorf("%s: it is good until %s for %s", name, end, data.SelectAttrValue("Recipient", ""))
		}
		if children := a.ChildElements(); children[0].Tag != "Issuer" || children[0].Text() != "https://here/idp" || children[1].Tag != "Subject" {
			t.Errorf("%s: the parts are not in order: %s", name, document) // validation has taken the signature out
		}
		for _, change := range [][2]string{{">member<", ">admin<"}, {said.Recipient, "https://elsewhere"}, {"13:00:00", "23:00:00"}} {
			if _, err := validated(t, p, []byte(strings.Replace(strings.Replace(string(document), "<samlp:Response", "<samlp:Response changed=\"\"", 1), change[0], change[1], -1))); err == nil {
				t.Errorf("%s: with %s for %s it is still good", name, change[1], change[0])
			}
		}
	}
	if _, err := p.Response(Statement{User: "a\x01"}); err == nil {
		t.Error("a name that XML cannot carry is written")
	}
	if a, err := p.Response(Statement{User: "x"}); err != nil || strings.Contains(string(a), "openstack_groups") {
		t.Errorf("of who is in no groups: %v %s", err, a)
	}
}

// An implementation of the standards that is not ours is of the same opinion.
func TestXMLSecAgrees(t *testing.T) {
	if _, err := exec.LookPath("xmlsec1"); err != nil {
		t.Skip("xmlsec1 is not installed")
	}
	p := provider(t)
	document, err := p.Envelope(said, "ss:mem:")
	if err != nil {
		t.Fatal(err)
	}
	check := func(document []byte) ([]byte, error) {
		file := filepath.Join(t.TempDir(), "document.xml")
		if err := os.WriteFile(file, document, 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.CommandContext(t.Context(), "xmlsec1", "--verify", "--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion",
			"--verification-gmt-time", "2026-11-20 12:00:00", "--trusted-pem", p.o.CertFile, file).CombinedOutput()
	}
	if out, err := check(document); err != nil {
		t.Errorf("%v: %s\n%s", err, out, document)
	}
	if out, err := check([]byte(strings.Replace(string(document), ">member<", ">admin<", 1))); err == nil {
		t.Errorf("a changed assertion is verified: %s", out)
	}
}

func TestMetadata(t *testing.T) {
	p := provider(t)
	p.o.OrganizationName, p.o.OrganizationDisplayName, p.o.OrganizationURL = "org", "The Org", "https://org"
	p.o.ContactCompany, p.o.ContactName, p.o.ContactSurname, p.o.ContactEmail, p.o.ContactTelephone = "org", "Ann", "Lee", "ann@org", "1"
	data, err := p.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	d := etree.NewDocument()
	if err := d.ReadFromBytes(data); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, e := range d.FindElement("/EntityDescriptor/IDPSSODescriptor").ChildElements() {
		order = append(order, e.Tag)
	}
	if got := strings.Join(order, " "); got != "KeyDescriptor Organization ContactPerson NameIDFormat SingleSignOnService" {
		t.Errorf("the parts are %s", got)
	}
	if d.Root().SelectAttrValue("entityID", "") != "https://here/idp" || d.FindElement("//SingleSignOnService").SelectAttrValue("Location", "") != "https://here/sso" {
		t.Errorf("%s", data)
	}
	p.o.ContactEmail, p.o.OrganizationURL = "", ""
	if data, err = p.Metadata(); err != nil || strings.Contains(string(data), "Organization") || strings.Contains(string(data), "Contact") {
		t.Errorf("what is not whole is there: %v %s", err, data)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	key, short := rsaKey(t, 2048), rsaKey(t, 1024)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := pair(t, key, key.Public())
	other := pair(t, rsaKey(t, 2048), key.Public())
	for name, change := range map[string]func(o *Options){
		"no URI":            func(o *Options) { o.EntityID = "here" },
		"no endpoint":       func(o *Options) { o.Endpoint = "" },
		"no certificate":    func(o *Options) { o.CertFile = "" },
		"another's key":     func(o *Options) { o.KeyFile = other.KeyFile },
		"no time":           func(o *Options) { o.Expiration = 0 },
		"an unknown kind":   func(o *Options) { o.ContactType = "x" },
		"a short key":       func(o *Options) { *o = pair(t, short, short.Public()) },
		"a key of no use":   func(o *Options) { *o = pair(t, ec, ec.Public()) },
		"a long identifier": func(o *Options) { o.EntityID = "https://" + strings.Repeat("x", 1024) },
	} {
		o := good
		change(&o)
		if _, err := New(o, time.Now, rand.Reader); err == nil {
			t.Errorf("with %s it opens", name)
		}
	}
	if p, err := New(Defaults(), time.Now, rand.Reader); p != nil || err != nil {
		t.Error("without options:", p, err)
	}
}
