package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"kilonova/internal/peer"
)

const oauth2Path = "/v3/OS-OAUTH2/token"

func (k *cloud) oauth2(id, secret, grant string) answer {
	req, _ := http.NewRequest("POST", "http://here", nil)
	req.SetBasicAuth(id, secret)
	return k.do("", "POST", oauth2Path, "grant_type="+grant, "Content-Type", "application/x-www-form-urlencoded", "Authorization", req.Header.Get("Authorization"))
}

func TestOAuth2WithASecret(t *testing.T) {
	k := newCloud(t)
	u, _ := k.user("alice", "member")
	token := k.login("alice", "alice's secret", project("alice")).token
	made := k.do(token, "POST", "/v3/users/"+u+"/application_credentials", doc{"application_credential": doc{"name": "a"}})
	id, secret := made.str("application_credential", "id"), made.str("application_credential", "secret")
	a := k.oauth2(id, secret, "client_credentials")
	if a.status != 200 || a.str("token_type") != "Bearer" || a.at("expires_in") != 3600.0 {
		t.Fatal(a.status, a.body)
	}
	if got := k.do("", "GET", "/v3/auth/projects", nil, "Authorization", "Bearer "+a.str("access_token")).status; got != 200 {
		t.Error("the token as a bearer's:", got)
	}
	for want, got := range map[string]answer{
		"invalid_client":         k.oauth2(id, "wrong", "client_credentials"),
		"unsupported_grant_type": k.oauth2(id, secret, "password"),
		"invalid_request":        k.oauth2(id, secret, ""),
		"other_error":            k.do("", "GET", oauth2Path, nil),
	} {
		if got.str("error") != want || got.status < 400 {
			t.Errorf("%d %s, want %s", got.status, got.body, want)
		}
	}
	k.wants(k.do("", "POST", oauth2Path, "grant_type=client_credentials"), 401, "no client")
}

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (a *authority) issue(t *testing.T, name string, isCA bool) (tls.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name, Organization: []string{"org"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: isCA, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, key
}

// A token that is bound to a certificate is good with that certificate only.
func TestOAuth2WithACertificate(t *testing.T) {
	k := newCloud(t)
	u, p := k.user("alice", "member")
	k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"default_project_id": p}})
	k.must(201, "PUT", "/v3/OS-FEDERATION/mappings/oauth2_mapping", doc{"mapping": doc{"rules": json.RawMessage(
		`[{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "SSL_CLIENT_SUBJECT_DN_CN"}, {"type": "SSL_CLIENT_ISSUER_DN_CN", "any_one_of": ["root"]}]}]`)}})
	ca := &authority{}
	root, key := ca.issue(t, "root", true)
	ca.cert, ca.key = root.Leaf, key
	pool := x509.NewCertPool()
	pool.AddCert(root.Leaf)
	srv := httptest.NewUnstartedServer(k.handler)
	srv.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	srv.StartTLS()
	defer srv.Close()
	client := func(certs ...tls.Certificate) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs}}}
	}
	ask := func(c *http.Client, user string) (status int, token string) {
		resp, err := c.PostForm(srv.URL+oauth2Path, url.Values{"grant_type": {"client_credentials"}, "client_id": {user}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b struct {
			Token string `json:"access_token"`
		}
		json.NewDecoder(resp.Body).Decode(&b)
		return resp.StatusCode, b.Token
	}
	use := func(c *http.Client, token string) int {
		req, _ := http.NewRequest("GET", srv.URL+"/v3/auth/projects", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	alices, _ := ca.issue(t, "alice", false)
	bobs, _ := ca.issue(t, "bob", false)
	alice, bob, nobody := client(alices), client(bobs), client()
	status, token := ask(alice, u)
	if status != 200 || token == "" {
		t.Fatal(status)
	}
	for what, c := range map[string]*http.Client{"another's certificate": bob, "no certificate": nobody} {
		if got, _ := ask(c, u); got != 401 {
			t.Errorf("a token for alice with %s: %d", what, got)
		}
		if got := use(c, token); got != 401 {
			t.Errorf("alice's token with %s: %d", what, got)
		}
	}
	if got := use(alice, token); got != 200 {
		t.Error("alice's token with her certificate:", got)
	}
	shown := k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", token)
	if print := shown.str("token", "oauth2_credential", "x5t#S256"); len(print) != 44 {
		t.Error("the token does not name its certificate:", shown.body)
	}
	k.wants(k.do("", "POST", "/v3/auth/tokens", byToken(token, projectByID(p))), 403, "a token without the binding made of it")
}

// Other services learn what a token may be used for.
func TestPeersSeeAccessRules(t *testing.T) {
	k := newCloud(t)
	u, _ := k.user("alice", "member")
	made := k.do(k.login("alice", "alice's secret", project("alice")).token, "POST", "/v3/users/"+u+"/application_credentials", doc{"application_credential": doc{"name": "a",
		"access_rules": []doc{{"service": "compute", "method": "GET", "path": "/v2.1/servers"}}}})
	token := k.oauth2(made.str("application_credential", "id"), made.str("application_credential", "secret"), "client_credentials").str("access_token")
	srv := httptest.NewServer(k.handler)
	defer srv.Close()
	table := peer.Table{"identity": {URL: srv.URL, Transport: peer.Network(nil)}}
	own, err := peer.NewPasswordTokens(table, peer.Credentials{Username: "nova", Password: "nova's secret", UserDomain: "Default", Project: "service", ProjectDomain: "Default"}, func() time.Time { return k.now })
	if err != nil {
		t.Fatal(err)
	}
	v, err := peer.Validator(table, own)
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.Validate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if !c.MayCall("compute", "GET", "/v2.1/servers") || c.MayCall("compute", "POST", "/v2.1/servers") || c.MayCall("image", "GET", "/v2/images") {
		t.Errorf("%+v", c.AccessRules)
	}
	if a := k.do(token, "GET", "/v3/auth/projects", nil); a.status != 401 || !strings.Contains(a.body, "access rules") {
		t.Error("identity itself lets it through:", a.status, a.body)
	}
}
