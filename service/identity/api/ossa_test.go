package api

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/rest"
	"kilonova/service/identity/fernet"
)

// The advisories on Keystone and its middleware that no other test here carries.

// OSSA-2026-001: who a caller is comes from its token, and from no header.
func TestIdentityHeadersAreNothing(t *testing.T) {
	k := newCloud(t)
	k.user("alice", "reader")
	var seen *auth.Caller
	svc := &rest.Service{Name: "compute", Envelope: rest.IdentityEnvelope, Validator: k.c.Validator(), Now: func() time.Time { return k.now }, Log: newLog(k),
		Routes: []rest.Route{{Method: "GET", Path: "/who", Handle: handleNothing(&seen)}}}
	k.handler = svc.Handler()
	forged := []string{"X-Identity-Status", "Confirmed", "X-User-Id", "admin", "X-Roles", "admin", "X-Role", "admin", "X-Project-Id", "p", "X-Is-Admin-Project", "True",
		"Openstack-System-Scope", "all", "X-Service-Roles", "service"}
	if a := k.do("", "GET", "/who", nil, forged...); a.status != 401 {
		t.Error("headers alone let somebody in:", a.status)
	}
	token := newLogin(k)
	if a := k.do("", "GET", "/who", nil, append(forged, "Authorization", "Bearer "+token)...); a.status != 204 || seen.HasRole("admin") || seen.UserName != "alice" || seen.System != "" {
		t.Errorf("%d %+v", a.status, seen)
	}
}

// OSSA-2016-008, OSSA-2014-006, OSSA-2013-025, OSSA-2013-009: a token has its own
// audit id and that of its chain, and what is revoked is refused whoever asks.
func TestAuditIDsAndRevocation(t *testing.T) {
	k := newCloud(t)
	_, p := k.user("alice", "member")
	first := k.login("alice", "alice's secret", "unscoped")
	second := k.do("", "POST", "/v3/auth/tokens", byToken(first.token, projectByID(p)))
	third := k.do("", "POST", "/v3/auth/tokens", byToken(second.token, projectByID(p)))
	ids := func(a answer) []any { l, _ := a.at("token", "audit_ids").([]any); return l }
	if len(ids(first)) != 1 || len(ids(second)) != 2 || ids(second)[1] != ids(first)[0] || ids(third)[1] != ids(first)[0] || ids(third)[0] == ids(second)[0] {
		t.Error(ids(first), ids(second), ids(third))
	}
	shown := k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", second.token)
	if fmt.Sprint(ids(shown)) != fmt.Sprint(ids(second)) {
		t.Error("the token's own audit ids are", ids(shown), "and were issued as", ids(second))
	}
	k.wants(k.do(second.token, "DELETE", "/v3/auth/tokens", nil, "X-Subject-Token", second.token), 204, "revoke")
	for _, method := range []string{"GET", "HEAD"} {
		k.wants(k.do(k.admin, method, "/v3/auth/tokens", nil, "X-Subject-Token", second.token), 404, "%s of a revoked token", method)
	}
	if k.valid(second.token) != 401 || k.valid(first.token) != 200 || k.valid(third.token) != 200 {
		t.Error("one token was revoked; valid are now", k.valid(first.token), k.valid(second.token), k.valid(third.token))
	}
	// Base64 has several spellings of one text: they are the same token.
	for _, other := range []string{second.token + "=", second.token + "==", strings.TrimRight(second.token, "=")} {
		if got := k.valid(other); got != 401 {
			t.Errorf("a revoked token in another spelling: %d", got)
		}
	}
}

// OSSA-2014-022: a trust is the trustor's to give, whatever the body says.
func TestTrustsAreTheTrustorsToGive(t *testing.T) {
	k := newCloud(t)
	a, p := k.user("alice", "member")
	b, _ := k.user("bob", "member")
	bob := k.login("bob", "bob's secret", project("bob")).token
	k.wants(k.do(bob, "POST", "/v3/OS-TRUST/trusts", doc{"trust": doc{"trustor_user_id": a, "trustee_user_id": b, "impersonation": true, "project_id": p, "roles": []doc{{"name": "member"}}}}), 403, "another's trust")
	alice := k.login("alice", "alice's secret", project("alice")).token
	k.wants(k.do(alice, "POST", "/v3/OS-TRUST/trusts", doc{"trust": doc{"trustor_user_id": a, "trustee_user_id": b, "impersonation": true, "project_id": p, "roles": []doc{{"name": "admin"}}}}), 404, "a role that the trustor has not")
}

// OSSA-2013-028: whoever is put into a project is given that project's role, and
// nobody else's.
func TestGrantsAreOfOneRoleOnOneTarget(t *testing.T) {
	k := newCloud(t)
	u, p := k.user("alice", "reader")
	other := k.must(201, "POST", "/v3/projects", doc{"project": doc{"name": "other"}}).str("project", "id")
	for _, path := range []string{"/v3/projects/" + p + "/users/" + u + "/roles/" + k.role("admin"), "/v3/projects/" + other + "/users/" + u + "/roles/" + k.role("reader"),
		"/v3/domains/default/users/" + u + "/roles/" + k.role("reader"), "/v3/system/users/" + u + "/roles/" + k.role("reader")} {
		if a := k.do(k.admin, "HEAD", path, nil); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	// OSSA-2012-013: nor can he give it to himself.
	alice := k.login("alice", "alice's secret", project("alice")).token
	k.wants(k.do(alice, "PUT", "/v3/projects/"+p+"/users/"+u+"/roles/"+k.role("admin"), nil), 403, "a role given to oneself")
}

// OSSA-2013-014, OSSA-2012-010: tokens end, and no token outlives the one that it
// was made of.
func TestTokensExpire(t *testing.T) {
	k := newCloud(t)
	_, p := k.user("alice", "member")
	first := k.login("alice", "alice's secret", "unscoped")
	k.now = k.now.Add(59 * time.Minute)
	second := k.do("", "POST", "/v3/auth/tokens", byToken(first.token, projectByID(p)))
	if second.status != 201 || second.str("token", "expires_at") != first.str("token", "expires_at") {
		t.Error("a token of a token lives longer:", second.body)
	}
	admin := k.login("admin", adminPassword, project("admin")).token
	k.now = k.now.Add(2 * time.Minute)
	for what, token := range map[string]string{"the first": first.token, "the second": second.token} {
		if got := k.valid(token); got != 401 {
			t.Errorf("%s after its end: %d", what, got)
		}
		k.wants(k.do(admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", token), 404, "%s after its end, asked by a service", what)
		k.wants(k.do("", "POST", "/v3/auth/tokens", byToken(token, projectByID(p))), 404, "%s after its end, for another", what)
	}
}

// OSSA-2013-003: what is no token costs nothing and leaves nothing behind.
// OSSA-2013-004: and there is no XML.
func TestRubbishIsRefusedEarly(t *testing.T) {
	k := newCloud(t)
	before := k.count()
	for _, token := range []string{"x", strings.Repeat("A", 200_000), "gAAAAA" + strings.Repeat("A", 8000), strings.Repeat("=", 100), "a.b.c", "%00"} {
		if got := k.valid(token); got != 401 {
			t.Errorf("%.20q: %d", token, got)
		}
		k.wants(k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", token), 404, "asked about %.20q", token)
	}
	k.wants(k.do("", "POST", "/v3/auth/tokens", `<!DOCTYPE a [<!ENTITY b "c">]><auth xmlns="x">&b;</auth>`, "Content-Type", "application/xml"), 400, "XML")
	k.wants(k.do("", "POST", "/v3/auth/tokens", strings.Repeat("[", 50_000)), 400, "nested")
	// OSSA-2012-002: a password of any length is refused without being hashed.
	k.wants(k.do("", "POST", "/v3/auth/tokens", password("admin", strings.Repeat("x", 90_000), nil)), 401, "an endless password")
	k.wants(k.do("", "POST", "/v3/auth/tokens", password("admin", strings.Repeat("x", 200_000), nil)), 413, "a body without end")
	k.must(403, "POST", "/v3/users", doc{"user": doc{"name": "long", "password": strings.Repeat("x", 5000)}})
	if after := k.count(); after != before {
		t.Errorf("%d rows, %d before", after, before)
	}
}

// OSSA-2012-015: no operation answers without a token, but those that are for
// everybody.
func TestEveryOperationWantsAToken(t *testing.T) {
	k := newCloud(t)
	a := &api{k.c}
	open := map[string]bool{}
	for _, r := range a.routes() {
		path := strings.NewReplacer("{", "", "}", "").Replace(r.Path)
		got := k.do("", r.Method, path, nil).status
		if r.Public {
			open[r.Path] = true
		} else if got != 401 {
			t.Errorf("%s %s without a token: %d", r.Method, r.Path, got)
		}
		if got := k.do("forged", r.Method, path, nil).status; !r.Public && got != 401 {
			t.Errorf("%s %s with a forged token: %d", r.Method, r.Path, got)
		}
	}
	for path := range open {
		ok := path == "/" || path == "/v3" || path == "/v3/auth/tokens" || strings.HasSuffix(path, "/password") || strings.Contains(path, "OAUTH") || strings.Contains(path, "FEDERATION") ||
			strings.Contains(path, "SIMPLE-CERT") || strings.Contains(path, "OS-PKI")
		if !ok {
			t.Error("open to everybody:", path)
		}
	}
}

// OSSA-2012-014, CVE-2022-2447: a role that is taken away is gone from tokens that exist, and one
// that is deleted, too.
func TestRolesAreTakenFromTokens(t *testing.T) {
	k := newCloud(t)
	u, p := k.user("alice", "member")
	role := k.must(201, "POST", "/v3/roles", doc{"role": doc{"name": "extra"}}).str("role", "id")
	k.must(204, "PUT", "/v3/projects/"+p+"/users/"+u+"/roles/"+role, nil)
	token := k.login("alice", "alice's secret", project("alice")).token
	has := func() bool {
		a := k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", token)
		return a.status == 200 && strings.Contains(a.body, `"extra"`)
	}
	if !has() {
		t.Fatal("it has not the role to begin with")
	}
	k.must(204, "DELETE", "/v3/roles/"+role, nil)
	if has() {
		t.Error("a token has a role that was deleted")
	}
}

// OSSA-2015-008, and others of its kind: no secret is in any log, nor in any answer
// but the one that made it.
func TestNoSecretIsLogged(t *testing.T) {
	k := newCloud(t)
	u, p := k.user("alice", "member")
	a := k.login("alice", "alice's secret", project("alice"))
	cred := k.do(a.token, "POST", "/v3/users/"+u+"/application_credentials", doc{"application_credential": doc{"name": "x"}})
	key := k.must(201, "POST", "/v3/users/"+u+"/credentials/OS-EC2", doc{"tenant_id": p})
	consumer := k.must(201, "POST", "/v3/OS-OAUTH1/consumers", doc{"consumer": doc{}})
	k.do("", "POST", "/v3/auth/tokens", password("alice", "a wrong secret", nil))
	k.do("", "POST", "/v3/auth/tokens", `{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "alice", "password": "a malformed secret"`)
	k.do(a.token, "POST", "/v3/users/"+u+"/password", doc{"user": doc{"original_password": "alice's secret", "password": "her new secret"}})
	k.oauth2("x", "a client's secret", "client_credentials")
	k.do("a token that is none", "GET", "/v3/users", nil)
	if !strings.Contains(k.log.String(), "/v3/auth/tokens") {
		t.Fatal("nothing was logged")
	}
	for what, secret := range map[string]string{"a password": "alice's secret", "a wrong password": "a wrong secret", "a malformed body": "a malformed secret", "a new password": "her new secret",
		"the administrator's": adminPassword, "a token": a.token, "an administrator's token": k.admin, "a client's secret": "a client's secret", "a forged token": "a token that is none",
		"an application credential": cred.str("application_credential", "secret"), "an EC2 key": key.str("credential", "secret"), "a consumer's": consumer.str("consumer", "secret")} {
		if secret == "" || strings.Contains(k.log.String(), secret) {
			t.Errorf("%s is in the log, or was never there (%q)", what, secret)
		}
	}
	for _, path := range []string{"/v3/users/" + u, "/v3/users", "/v3/users/" + u + "/application_credentials", "/v3/OS-OAUTH1/consumers"} {
		body := k.must(200, "GET", path, nil).body
		for _, secret := range []string{"$2", cred.str("application_credential", "secret"), consumer.str("consumer", "secret")} {
			if strings.Contains(body, secret) {
				t.Errorf("%s shows a secret: %s", path, body)
			}
		}
	}
}

// CVE-2018-20170: who guesses learns nothing from how long the answer takes: an
// unknown user, a wrong password and a disabled user cost one hash each. Tries are
// interleaved, on a hash that takes some time.
func TestRefusalsTakeTheSameTime(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector slows the parts down unequally")
	}
	k := newCloud(t, slowHash)
	disabled, _ := k.user("disabled", "member")
	k.must(200, "PATCH", "/v3/users/"+disabled, doc{"user": doc{"enabled": false}})
	bodies := map[string]doc{"wrong password": password("admin", "wrong", nil), "unknown user": password("nobody", "wrong", nil), "disabled user": password("disabled", "disabled's secret", nil),
		"unknown domain": {"auth": doc{"identity": doc{"methods": []string{"password"}, "password": doc{"user": doc{"name": "admin", "domain": doc{"name": "x"}, "password": "wrong"}}}}}}
	apart := func() (all []string) {
		took := map[string][]time.Duration{}
		for range 30 {
			for name, body := range bodies { // in another order each time
				began := time.Now()
				k.wants(k.do("", "POST", loginPath, body), http.StatusUnauthorized, "%s", name)
				took[name] = append(took[name], time.Since(began))
			}
		}
		for name, times := range took {
			if differ(times, took["wrong password"]) {
				all = append(all, fmt.Sprintf("%s takes %v, a wrong password %v", name, median(times), median(took["wrong password"])))
			}
		}
		return all
	}
	if first := apart(); len(first) > 0 { // once may be chance
		if again := apart(); len(again) > 0 {
			t.Errorf("%q, and again %q", first, again)
		}
	}
}

// differ reports whether two samples of equal size can be told apart: one is mostly
// the larger (Mann and Whitney's U lies four standard errors from its middle), and by
// so much that a network would not hide it. On a busy machine the second alone happens
// by chance, on a quiet one the first for a query of the database more.
func differ(a, b []time.Duration) bool {
	n, larger := float64(len(a)), 0.0
	for _, x := range a {
		for _, y := range b {
			if x > y {
				larger++
			}
		}
	}
	deviation := math.Sqrt((2*n + 1) / (12 * n * n)) // of larger / n²
	ratio := float64(median(a)) / float64(median(b))
	return math.Abs(larger/(n*n)-0.5) > 4*deviation && (ratio < 0.8 || ratio > 1.25)
}

func TestSamplesAreToldApart(t *testing.T) {
	sample := func(base, noise time.Duration) []time.Duration {
		all := make([]time.Duration, 30)
		for i := range all {
			all[i] = base + noise*time.Duration(i*7%30)/30
		}
		return all
	}
	for _, tt := range []struct {
		a, b []time.Duration
		want bool
	}{
		{sample(10*time.Millisecond, 5*time.Millisecond), sample(10*time.Millisecond, 5*time.Millisecond), false},
		{sample(time.Millisecond, 5*time.Millisecond), sample(10*time.Millisecond, 5*time.Millisecond), true},    // no hash
		{sample(20*time.Millisecond, 9*time.Millisecond), sample(10*time.Millisecond, 9*time.Millisecond), true}, // two
		{sample(10*time.Millisecond, time.Millisecond), sample(11*time.Millisecond, time.Millisecond), false},
	} {
		if got := differ(tt.a, tt.b); got != tt.want {
			t.Errorf("%v and %v: %t", median(tt.a), median(tt.b), got)
		}
	}
}

// CVE-2021-3563: of a secret, and of a password, every character counts.
func TestLongSecretsCountWhole(t *testing.T) {
	k := newCloud(t)
	u, _ := k.user("alice", "member")
	long := strings.Repeat("0123456789", 8)
	token := k.login("alice", "alice's secret", project("alice")).token
	cred := k.do(token, "POST", "/v3/users/"+u+"/application_credentials", doc{"application_credential": doc{"name": "x", "secret": long}})
	k.wants(cred, 201, "an application credential")
	k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"password": long}})
	for secret, want := range map[string]int{long: 201, long[:72]: 401, long[:79]: 401, long + "0": 401, long[:72] + "xxxxxxxx": 401} {
		k.wants(k.do("", "POST", loginPath, doc{"auth": doc{"identity": doc{"methods": []string{"application_credential"},
			"application_credential": doc{"id": cred.str("application_credential", "id"), "secret": secret}}}}), want, "the secret %s", secret)
		k.wants(k.do("", "POST", loginPath, password("alice", secret, nil)), want, "the password %s", secret)
	}
}

// OSSA-2016-008 again: the ids in a token's text are those of its answer.
func TestAuditIDsInTheText(t *testing.T) {
	k := newCloud(t)
	keys, err := fernet.OpenKeys(k.options.Fernet.KeyRepository, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := keys.All()
	if err != nil {
		t.Fatal(err)
	}
	a := k.login("admin", adminPassword, project("admin"))
	c, err := fernet.Parse(all, a.token)
	if err != nil {
		t.Fatal(err)
	}
	if ids := a.at("token", "audit_ids").([]any); len(c.AuditIDs) != 1 || c.AuditIDs[0] != ids[0] {
		t.Error(c.AuditIDs, ids)
	}
	if raw, err := base64.RawURLEncoding.DecodeString(c.AuditIDs[0]); err != nil || len(raw) != 16 {
		t.Error(c.AuditIDs, err)
	}
}
