package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kilonova/service/identity/control"
)

// provider is an OpenID Connect provider with a key of each kind.
type provider struct {
	*httptest.Server
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	var err error
	if p.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if p.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	point, err := p.ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	coordinate := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(doc{"issuer": p.URL, "jwks_uri": p.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(doc{"keys": []doc{
			{"kty": "RSA", "use": "sig", "kid": "rsa", "n": number(p.rsa.N), "e": number(big.NewInt(int64(p.rsa.E)))},
			{"kty": "EC", "kid": "ec", "crv": "P-256", "x": coordinate(point[1:33]), "y": coordinate(point[33:])}}})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) claims(k *cloud, more doc) jwt.MapClaims {
	c := jwt.MapClaims{"iss": p.URL, "aud": "kilonova", "sub": "42", "name": "Ann", "groups": []string{"staff", "nobody"}, "exp": k.now.Add(time.Hour).Unix()}
	for name, v := range more {
		c[name] = v
	}
	return c
}

func sign(t *testing.T, method jwt.SigningMethod, kid string, key any, claims jwt.MapClaims) string {
	t.Helper()
	tok := jwt.NewWithClaims(method, claims)
	tok.Header["kid"] = kid
	text, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// federated is a cloud whose users come from a provider by OpenID Connect.
func federated(t *testing.T, rules string, more ...func(*control.Options)) (*cloud, *provider) {
	p := newProvider(t)
	k := newCloud(t, append(more, func(o *control.Options) {
		o.OpenID = map[string]control.OpenIDOptions{"corp": {Issuer: p.URL, Audience: []string{"kilonova"}}}
	})...)
	k.must(201, "PUT", "/v3/OS-FEDERATION/identity_providers/corp", doc{"identity_provider": doc{"enabled": true, "remote_ids": []string{p.URL}}})
	k.must(201, "PUT", "/v3/OS-FEDERATION/mappings/m", doc{"mapping": doc{"rules": json.RawMessage(rules), "schema_version": "2.0"}})
	k.must(201, "PUT", "/v3/OS-FEDERATION/identity_providers/corp/protocols/openid", doc{"protocol": doc{"mapping_id": "m", "remote_id_attribute": "HTTP_OIDC_ISS"}})
	return k, p
}

const byGroups = `[{"local": [{"user": {"id": "{0}", "name": "{1}"}}, {"groups": "{2}", "domain": {"id": "default"}}],
	"remote": [{"type": "OIDC-sub"}, {"type": "HTTP_OIDC_NAME"}, {"type": "OIDC-groups"}]}]`

const federatedPath = "/v3/OS-FEDERATION/identity_providers/corp/protocols/openid/auth"

func (k *cloud) bearer(text string) answer {
	return k.do("", "POST", federatedPath, nil, "Authorization", "Bearer "+text)
}

func TestOpenIDConnect(t *testing.T) {
	k, p := federated(t, byGroups)
	group := k.must(201, "POST", "/v3/groups", doc{"group": doc{"name": "staff"}}).str("group", "id")
	pr := k.must(201, "POST", "/v3/projects", doc{"project": doc{"name": "work"}}).str("project", "id")
	k.must(204, "PUT", "/v3/projects/"+pr+"/groups/"+group+"/roles/"+k.role("member"), nil)

	a := k.bearer(sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, nil)))
	if a.status != 201 || a.str("token", "user", "OS-FEDERATION", "identity_provider", "id") != "corp" || a.str("token", "user", "name") != "Ann" {
		t.Fatal(a.status, a.body)
	}
	userID := a.str("token", "user", "id")
	if list := k.do(a.token, "GET", "/v3/auth/projects", nil).list("projects"); len(list) != 1 {
		t.Error("projects by group:", list)
	}
	scoped := k.do("", "POST", "/v3/auth/tokens", byToken(a.token, projectByID(pr)))
	k.wants(scoped, 201, "scope by the group's role")
	if got := scoped.at("token", "user", "OS-FEDERATION", "groups").([]any); len(got) != 1 || got[0].(doc)["id"] != group {
		t.Error("groups of the token:", got)
	}
	shown := k.must(200, "GET", "/v3/users/"+userID, nil)
	if f, _ := shown.at("user", "federated").([]any); len(f) != 1 || f[0].(doc)["idp_id"] != "corp" {
		t.Error("the user does not say whence it comes:", shown.body)
	}
	// The same user, by the other key and with another name.
	again := k.bearer(sign(t, jwt.SigningMethodES256, "ec", p.ec, p.claims(k, doc{"name": "Anna"})))
	if again.status != 201 || again.str("token", "user", "id") != userID {
		t.Error(again.status, again.body)
	}

	k.must(200, "PATCH", "/v3/OS-FEDERATION/identity_providers/corp", doc{"identity_provider": doc{"enabled": false}})
	for what, token := range map[string]string{"unscoped": a.token, "scoped": scoped.token} {
		if got := k.valid(token); got != 401 {
			t.Errorf("%s token of a disabled provider: %d", what, got)
		}
	}
	k.wants(k.bearer(sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, nil))), 403, "a disabled provider")
	k.must(204, "DELETE", "/v3/OS-FEDERATION/identity_providers/corp", nil)
	k.wants(k.bearer("x"), 404, "a deleted provider")
}

func TestForgedOpenIDTokensAreRefused(t *testing.T) {
	k, p := federated(t, byGroups)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&p.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	good := p.claims(k, nil)
	for what, text := range map[string]string{
		"unsigned":             sign(t, jwt.SigningMethodNone, "rsa", jwt.UnsafeAllowNoneSignatureType, good),
		"by the public key":    sign(t, jwt.SigningMethodHS256, "rsa", asPEM, good),
		"by another key":       sign(t, jwt.SigningMethodRS256, "rsa", other, good),
		"by an unknown key":    sign(t, jwt.SigningMethodRS256, "new", other, good),
		"by the wrong kind":    sign(t, jwt.SigningMethodES256, "rsa", p.ec, good),
		"for somebody else":    sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, doc{"aud": "other"})),
		"by another issuer":    sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, doc{"iss": "http://other"})),
		"expired":              sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, doc{"exp": k.now.Add(-time.Hour).Unix()})),
		"not good yet":         sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, doc{"nbf": k.now.Add(time.Hour).Unix()})),
		"without an end":       sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, jwt.MapClaims{"iss": p.URL, "aud": "kilonova", "sub": "42"}),
		"nothing":              "",
		"no token":             "a.b.c",
		"longer than any":      strings.Repeat("a", 64<<10),
		"without what it maps": sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, doc{"groups": []string{}})),
	} {
		k.wants(k.bearer(text), 401, "a token %s", what)
	}
	k.wants(k.bearer(sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, good)), 201, "the good one")
	p.Close()
	k.now = k.now.Add(2 * time.Hour) // the keys must be fetched anew
	k.wants(k.bearer(sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, nil))), 503, "a provider that cannot be reached")
}

const toProjects = `[{"local": [{"user": {"name": "{0}"}, "projects": [{"name": "dev of {0}", "roles": [{"name": "member"}]}]}], "remote": [{"type": "OIDC-name"}]}]`

// OSSA-2017-004: who is mapped to roles on projects gets these, and nothing that
// somebody else has there.
func TestMappedProjects(t *testing.T) {
	k, p := federated(t, toProjects)
	a := k.bearer(sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, nil)))
	k.wants(a, 201, "log in")
	list := k.do(a.token, "GET", "/v3/auth/projects", nil).list("projects")
	if len(list) != 1 || list[0].(doc)["name"] != "dev of Ann" {
		t.Fatal(list)
	}
	id := list[0].(doc)["id"].(string)
	admin := k.must(200, "GET", "/v3/users?name=admin", nil).list("users")[0].(doc)["id"].(string)
	k.must(204, "PUT", "/v3/projects/"+id+"/users/"+admin+"/roles/"+k.role("admin"), nil)
	scoped := k.do("", "POST", "/v3/auth/tokens", byToken(a.token, projectByID(id)))
	for _, r := range scoped.at("token", "roles").([]any) {
		if name := r.(doc)["name"]; name != "member" && name != "reader" {
			t.Error("the mapped user has the role", name)
		}
	}
	// Another user of the provider is not in that project.
	b := k.bearer(sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, doc{"name": "Bob"})))
	k.wants(k.do("", "POST", "/v3/auth/tokens", byToken(b.token, projectByID(id))), 401, "another one's project")
	// OSSA-2018-002: nor is it told of it.
	if list := k.do(b.token, "GET", "/v3/OS-FEDERATION/projects", nil).list("projects"); len(list) != 1 || list[0].(doc)["name"] != "dev of Bob" {
		t.Error("OS-FEDERATION/projects tells of others' projects:", list)
	}
	k.must(200, "PATCH", "/v3/OS-FEDERATION/mappings/m", doc{"mapping": doc{"rules": json.RawMessage(strings.Replace(toProjects, "member", "no such role", 1))}})
	k.wants(k.bearer(sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, doc{"name": "Cyd"}))), 401, "a role that is not there")
	if list := k.must(200, "GET", "/v3/projects?name=dev+of+Cyd", nil).list("projects"); len(list) != 0 {
		t.Error("a refused log-in left a project behind")
	}
	if list := k.must(200, "GET", "/v3/users?name=Cyd", nil).list("users"); len(list) != 0 {
		t.Error("a refused log-in left a user behind")
	}
}

func TestMappedGroupsLastForTheirTime(t *testing.T) {
	k, p := federated(t, byGroups)
	k.must(200, "PATCH", "/v3/OS-FEDERATION/identity_providers/corp", doc{"identity_provider": doc{"authorization_ttl": 30}})
	group := k.must(201, "POST", "/v3/groups", doc{"group": doc{"name": "staff"}}).str("group", "id")
	pr := k.must(201, "POST", "/v3/projects", doc{"project": doc{"name": "work"}}).str("project", "id")
	k.must(204, "PUT", "/v3/projects/"+pr+"/groups/"+group+"/roles/"+k.role("member"), nil)
	a := k.bearer(sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, nil)))
	scoped := k.do("", "POST", "/v3/auth/tokens", byToken(a.token, projectByID(pr)))
	made := k.do(scoped.token, "POST", "/v3/users/"+a.str("token", "user", "id")+"/application_credentials", doc{"application_credential": doc{"name": "x"}})
	k.wants(made, 201, "an application credential of a federated user")
	login := func() answer {
		return k.do("", "POST", "/v3/auth/tokens", doc{"auth": doc{"identity": doc{"methods": []string{"application_credential"},
			"application_credential": doc{"id": made.str("application_credential", "id"), "secret": made.str("application_credential", "secret")}}}})
	}
	k.wants(login(), 201, "log in with it")
	if list := k.must(200, "GET", "/v3/users/"+a.str("token", "user", "id")+"/groups", nil).list("groups"); len(list) != 1 || list[0].(doc)["membership_expires_at"] == nil {
		t.Error("the user's groups, with their ends:", list)
	}
	k.now = k.now.Add(31 * time.Minute)
	k.wants(login(), 401, "log in with it after the membership has ended")
}

func TestOnlyTrustedProxiesVouch(t *testing.T) {
	k, p := federated(t, `[{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}, {"type": "HTTP_X_DEPARTMENT", "any_one_of": ["it"]}]}]`,
		func(o *control.Options) { o.Federation.TrustedProxies = []string{"192.0.2.0/24"} })
	from := func(address string) answer {
		req := httptest.NewRequest("GET", "http://here"+federatedPath, nil)
		req.RemoteAddr = address
		for name, v := range map[string]string{"X-Remote-User": "Eve", "X-Department": "hr;it", "Oidc-Iss": p.URL} {
			req.Header.Set(name, v)
		}
		w := httptest.NewRecorder()
		k.handler.ServeHTTP(w, req)
		a := answer{status: w.Code, body: w.Body.String()}
		json.Unmarshal(w.Body.Bytes(), &a.json)
		return a
	}
	if a := from("192.0.2.7:1234"); a.status != 201 || a.str("token", "user", "name") != "Eve" {
		t.Error(a.status, a.body)
	}
	for _, address := range []string{"198.51.100.1:1234", "pipe", ""} {
		if a := from(address); a.status != 401 {
			t.Error(address, a.status, a.body)
		}
	}
}

func TestExternalUsers(t *testing.T) {
	k := newCloud(t, func(o *control.Options) { o.Federation.TrustedProxies = []string{"192.0.2.1/32"} }) // httptest's address
	k.user("alice", "member")
	body := doc{"auth": doc{"identity": doc{"methods": []string{"external"}, "external": doc{}}, "scope": project("alice")}}
	if a := k.do("", "POST", "/v3/auth/tokens", body, "X-Remote-User", "alice"); a.status != 201 || a.str("token", "user", "name") != "alice" {
		t.Error(a.status, a.body)
	}
	k.wants(k.do("", "POST", "/v3/auth/tokens", body, "X-Remote-User", "nobody"), 401, "a user that is not there")
	k.wants(k.do("", "POST", "/v3/auth/tokens", body), 401, "nobody")
	open := newCloud(t)
	open.user("alice", "member")
	open.wants(open.do("", "POST", "/v3/auth/tokens", body, "X-Remote-User", "alice"), 401, "a header that anybody can send")
}

func TestWebSSO(t *testing.T) {
	k, p := federated(t, byGroups, func(o *control.Options) { o.Federation.TrustedDashboard = []string{"https://dash/auth/websso/"} })
	const path = "/v3/auth/OS-FEDERATION/identity_providers/corp/protocols/openid/websso"
	text := "Bearer " + sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, nil))
	a := k.do("", "GET", path+"?origin=https://DASH/auth/websso/", nil, "Authorization", text)
	if a.status != 200 || !strings.Contains(a.body, `action="https://dash/auth/websso/"`) || !strings.Contains(a.header.Get("Content-Type"), "text/html") {
		t.Error(a.status, a.body)
	}
	k.wants(k.do("", "GET", path+"?origin=https://evil/", nil, "Authorization", text), 401, "a dashboard that is not trusted")
	k.wants(k.do("", "GET", path, nil, "Authorization", text), 400, "no dashboard")
}

func TestServiceProviders(t *testing.T) {
	k := newCloud(t)
	const path = "/v3/OS-FEDERATION/service_providers/there"
	k.must(400, "PUT", path, doc{"service_provider": doc{"auth_url": "nowhere", "sp_url": "https://there/sp"}})
	k.must(201, "PUT", path, doc{"service_provider": doc{"auth_url": "https://there/auth", "sp_url": "https://there/sp", "enabled": true}})
	k.must(409, "PUT", path, doc{"service_provider": doc{"auth_url": "https://there/auth", "sp_url": "https://there/sp"}})
	a := k.login("admin", adminPassword, project("admin"))
	if list, _ := a.at("token", "service_providers").([]any); len(list) != 1 {
		t.Error("a token does not tell of service providers:", a.body)
	}
	k.must(200, "PATCH", path, doc{"service_provider": doc{"enabled": false, "description": nil}})
	if a := k.login("admin", adminPassword, project("admin")); a.at("token", "service_providers") != nil {
		t.Error("a token tells of a disabled service provider")
	}
	k.must(204, "DELETE", path, nil)
	k.must(404, "GET", path, nil)
	k.must(404, "GET", "/v3/OS-FEDERATION/saml2/metadata", nil)
}
