package api

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"kilonova/service/identity/control"
)

// signs makes a cloud a SAML identity provider.
func signs(t *testing.T) func(*control.Options) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(9, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, file := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, file: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(o *control.Options) {
		o.SAML.EntityID, o.SAML.Endpoint, o.SAML.CertFile, o.SAML.KeyFile = "https://home/idp", "https://home/sso", cert, file
	}
}

const samlPath, ecpPath = "/v3/auth/OS-FEDERATION/saml2", "/v3/auth/OS-FEDERATION/saml2/ecp"

func vouch(token, partner string) doc {
	return doc{"auth": doc{"identity": doc{"methods": []string{"token"}, "token": doc{"id": token}}, "scope": doc{"service_provider": doc{"id": partner}}}}
}

// partnered is a cloud that signs, with a service provider and a user in a group.
func partnered(t *testing.T) (k *cloud, userID, token string) {
	k = newCloud(t, signs(t))
	k.must(201, "PUT", "/v3/OS-FEDERATION/service_providers/away", doc{"service_provider": doc{"enabled": true, "auth_url": "https://away/v3/OS-FEDERATION/identity_providers/home/protocols/saml2/auth",
		"sp_url": "https://away/Shibboleth.sso/SAML2/ECP"}})
	userID, _ = k.user("alice", "member")
	group := k.must(201, "POST", "/v3/groups", doc{"group": doc{"name": "staff"}}).str("group", "id")
	k.must(204, "PUT", "/v3/groups/"+group+"/users/"+userID, nil)
	return k, userID, k.login("alice", "alice's secret", project("alice")).token
}

// gate is the web server in front of a cloud: it believes who the other cloud's
// metadata says signs, and tells by headers what the assertion says.
func gate(t *testing.T, metadata, envelope string) (headers []string) {
	t.Helper()
	about, message := etree.NewDocument(), etree.NewDocument()
	if err := about.ReadFromString(metadata); err != nil {
		t.Fatal(metadata, err)
	}
	der, err := base64.StdEncoding.DecodeString(about.FindElement("//X509Certificate").Text())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := message.ReadFromString(envelope); err != nil {
		t.Fatal(envelope, err)
	}
	a, err := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}}).Validate(message.FindElement("/Envelope/Body/Response/Assertion"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range a.FindElements("./AttributeStatement/Attribute") {
		var values []string
		for _, v := range e.ChildElements() {
			values = append(values, v.Text())
		}
		headers = append(headers, strings.ReplaceAll(e.SelectAttrValue("Name", ""), "_", "-"), strings.Join(values, ";"))
	}
	return append(headers, "Shib-Identity-Provider", a.FindElement("./Issuer").Text())
}

// Keystone to Keystone: a user of one cloud gets a token of another.
func TestOneCloudVouchesForItsUsersAtAnother(t *testing.T) {
	home, _, token := partnered(t)
	given := home.do("", "POST", ecpPath, vouch(token, "away"))
	home.wants(given, 200, "an assertion")
	if given.header.Get("X-sp-url") != "https://away/Shibboleth.sso/SAML2/ECP" || !strings.HasPrefix(given.header.Get("X-auth-url"), "https://away/v3/") ||
		!strings.HasPrefix(given.header.Get("Content-Type"), "text/xml") || !strings.Contains(given.body, ">ss:mem:") {
		t.Errorf("%v %s", given.header, given.body)
	}
	metadata := home.do("", "GET", "/v3/OS-FEDERATION/saml2/metadata", nil)
	home.wants(metadata, 200, "metadata")

	away := newCloud(t, func(o *control.Options) {
		o.Federation.TrustedProxies, o.Federation.RemoteIDAttribute = []string{"192.0.2.0/24"}, "HTTP_SHIB_IDENTITY_PROVIDER"
	})
	staff := away.must(201, "POST", "/v3/groups", doc{"group": doc{"name": "staff"}}).str("group", "id")
	p := away.must(201, "POST", "/v3/projects", doc{"project": doc{"name": "shared"}}).str("project", "id")
	away.must(204, "PUT", "/v3/projects/"+p+"/groups/"+staff+"/roles/"+away.role("member"), nil)
	away.must(201, "PUT", "/v3/OS-FEDERATION/identity_providers/home", doc{"identity_provider": doc{"enabled": true, "remote_ids": []string{"https://home/idp"}}})
	rules := `[{"local": [{"user": {"name": "{0}"}}, {"group": {"name": "staff", "domain": {"id": "default"}}}],
		"remote": [{"type": "HTTP_OPENSTACK_USER"}, {"type": "HTTP_OPENSTACK_USER_DOMAIN", "any_one_of": ["Default"]},
			{"type": "HTTP_OPENSTACK_GROUPS", "any_one_of": ["JSON:{\"name\":\"staff\",\"domain\":{\"name\":\"Default\"}}"]}]}]`
	away.must(201, "PUT", "/v3/OS-FEDERATION/mappings/m", doc{"mapping": doc{"rules": json.RawMessage(rules), "schema_version": "1.0"}})
	away.must(201, "PUT", "/v3/OS-FEDERATION/identity_providers/home/protocols/saml2", doc{"protocol": doc{"mapping_id": "m"}})
	in := away.do("", "GET", "/v3/OS-FEDERATION/identity_providers/home/protocols/saml2/auth", nil, gate(t, metadata.body, given.body)...)
	away.wants(in, 201, "the log-in there")
	scoped := away.do("", "POST", "/v3/auth/tokens", byToken(in.token, projectByID(p)))
	away.wants(scoped, 201, "a token for a project there")
	if scoped.str("token", "user", "name") != "alice" {
		t.Error(scoped.body)
	}
}

func TestWhoIsVouchedFor(t *testing.T) {
	k, userID, token := partnered(t)
	unscoped := k.login("alice", "alice's secret", "unscoped").token
	cred := k.do(token, "POST", "/v3/users/"+userID+"/application_credentials", doc{"application_credential": doc{"name": "x", "access_rules": []doc{{"path": "/x", "method": "GET", "service": "compute"}}}})
	restricted := k.do("", "POST", "/v3/auth/tokens", doc{"auth": doc{"identity": doc{"methods": []string{"application_credential"},
		"application_credential": doc{"id": cred.str("application_credential", "id"), "secret": cred.str("application_credential", "secret")}}}}).token
	wrong := vouch(token, "away")
	wrong["auth"].(doc)["more"] = 1
	for name, tt := range map[string]struct {
		body   any
		status int
	}{
		"a token that is none":      {vouch("x", "away"), 404},
		"another's cloud":           {vouch(token, "nowhere"), 404},
		"a token without a project": {vouch(unscoped, "away"), 403},
		"a restricted token":        {vouch(restricted, "away"), 404},
		"no token":                  {vouch("", "away"), 400},
		"no service provider":       {vouch(token, ""), 400},
		"no identity":               {doc{"auth": doc{}}, 400},
		"no auth":                   {doc{}, 400},
		"something unknown":         {wrong, 400},
	} {
		for _, path := range []string{samlPath, ecpPath} {
			k.wants(k.do("", "POST", path, tt.body), tt.status, "%s at %s", name, path)
		}
	}
	plain := k.do("", "POST", samlPath, vouch(token, "away"))
	k.wants(plain, 200, "a plain response")
	if strings.Contains(plain.body, "Envelope") || !strings.Contains(plain.body, "Response") {
		t.Error(plain.body)
	}
	k.must(200, "PATCH", "/v3/OS-FEDERATION/service_providers/away", doc{"service_provider": doc{"enabled": false}})
	k.wants(k.do("", "POST", samlPath, vouch(token, "away")), 403, "at a disabled service provider")
	k.must(200, "PATCH", "/v3/OS-FEDERATION/service_providers/away", doc{"service_provider": doc{"enabled": true}})
	k.must(200, "PATCH", "/v3/users/"+userID, doc{"user": doc{"enabled": false}})
	k.wants(k.do("", "POST", samlPath, vouch(token, "away")), 404, "of a disabled user")
}

func TestACloudThatSignsNothing(t *testing.T) {
	k := newCloud(t)
	k.wants(k.do("", "POST", samlPath, vouch(k.admin, "x")), 501, "an assertion")
	file := filepath.Join(t.TempDir(), "metadata.xml")
	if err := os.WriteFile(file, []byte("<EntityDescriptor/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	k = newCloud(t, func(o *control.Options) { o.SAML.MetadataPath = file })
	if a := k.do("", "GET", "/v3/OS-FEDERATION/saml2/metadata", nil); a.status != 200 || a.body != "<EntityDescriptor/>" {
		t.Error(a.status, a.body)
	}
}
