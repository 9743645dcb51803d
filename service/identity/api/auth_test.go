package api

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kilonova/service/identity/control"
)

func names(list []any) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.(doc)["name"].(string))
	}
	slices.Sort(out)
	return out
}

func roleNames(a answer) string {
	list, _ := a.at("token", "roles").([]any)
	return strings.Join(names(list), " ")
}

func TestScopes(t *testing.T) {
	k := newCloud(t)
	k.must(204, "PUT", "/v3/domains/default/users/"+k.do(k.admin, "GET", "/v3/users?name=admin", nil).list("users")[0].(doc)["id"].(string)+"/roles/"+k.role("reader"), nil)
	tests := []struct {
		name  string
		scope any
		roles string
		key   string
	}{
		{"none", nil, "", ""},
		{"explicitly none", "unscoped", "", ""},
		{"project", project("admin"), "admin manager member reader", "project"},
		{"domain", doc{"domain": doc{"name": "Default"}}, "reader", "domain"},
		{"system", system(), "admin manager member reader", "system"},
	}
	for _, tt := range tests {
		a := k.login("admin", adminPassword, tt.scope)
		if got := roleNames(a); got != tt.roles || tt.key != "" && a.at("token", tt.key) == nil {
			t.Errorf("%s: roles %q, want %q: %s", tt.name, got, tt.roles, a.body)
		}
		if (a.at("token", "catalog") != nil) != (tt.key != "") {
			t.Errorf("%s: catalog %v", tt.name, a.at("token", "catalog"))
		}
		if len(a.token) > 255 {
			t.Errorf("%s: a token of %d characters", tt.name, len(a.token))
		}
		// A validation says what the log-in said.
		v := k.do(a.token, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", a.token)
		if v.status != 200 || v.body != a.body {
			t.Errorf("%s: validated as %s, issued as %s", tt.name, v.body, a.body)
		}
	}
	for name, scope := range map[string]any{"project": project("service"), "no such project": project("nothing"), "domain": doc{"domain": doc{"id": "nothing"}}} {
		k.wants(k.do("", "POST", "/v3/auth/tokens", password("admin", adminPassword, scope)), 401, "scope to %s without a role", name)
	}
}

func TestCatalogFillsIn(t *testing.T) {
	k := newCloud(t)
	id := k.login("admin", adminPassword, project("admin")).str("token", "project", "id")
	a := k.must(200, "GET", "/v3/auth/catalog", nil)
	for _, want := range []string{"http://here/compute/v2.1/" + id, "http://here/" + id} {
		if !strings.Contains(a.body, `"`+want+`"`) {
			t.Errorf("the catalog lacks %s: %s", want, a.body)
		}
	}
	unfilled := k.login("admin", adminPassword, system())
	if strings.Contains(unfilled.body, "project_id)") || strings.Contains(unfilled.body, "tenant_id") || strings.Contains(unfilled.body, "/compute/") {
		t.Errorf("an endpoint without its project: %s", unfilled.body)
	}
	// OSSA-2014-029: a URL may not ask for anything else.
	service := k.must(200, "GET", "/v3/services?type=compute", nil).list("services")[0].(doc)["id"].(string)
	for _, url := range []string{"http://x/%(admin_token)s", "http://x/$(password)s", "http://x/%(project_id)", "", strings.Repeat("x", 3000)} {
		k.must(400, "POST", "/v3/endpoints", doc{"endpoint": doc{"service_id": service, "interface": "public", "url": url}})
	}
}

func TestWrongCredentialsAreToldAlike(t *testing.T) {
	k := newCloud(t)
	id, _ := k.user("disabled", "member")
	k.must(200, "PATCH", "/v3/users/"+id, doc{"user": doc{"enabled": false}})
	var first string
	for name, body := range map[string]doc{
		"wrong password": password("admin", "wrong", nil),
		"unknown user":   password("nobody", "wrong", nil),
		"disabled user":  password("disabled", "disabled's secret", nil),
		"long password":  password("admin", strings.Repeat("x", 5000), nil),
		"no password":    password("admin", "", nil),
		"unknown domain": {"auth": doc{"identity": doc{"methods": []string{"password"}, "password": doc{"user": doc{"name": "admin", "domain": doc{"name": "x"}, "password": adminPassword}}}}},
		"unknown id":     {"auth": doc{"identity": doc{"methods": []string{"password"}, "password": doc{"user": doc{"id": "x", "password": adminPassword}}}}},
	} {
		a := k.do("", "POST", "/v3/auth/tokens", body)
		if first == "" {
			first = a.body
		}
		if a.status != 401 || a.body != first || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestMalformedLogins(t *testing.T) {
	k := newCloud(t)
	for _, body := range []string{``, `{}`, `[]`, `{"auth": 1}`, `{"auth": {}}`, `{"auth": {"identity": {}}}`, `{"auth": {"identity": {"methods": []}}}`,
		`{"auth": {"identity": {"methods": ["password"]}}}`, `{"auth": {"identity": {"methods": "password"}}}`, `{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": 7}}}}}`,
		`{"auth": {"identity": {"methods": ["token"], "token": {"id": ""}}}}`, `{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "a", "password": "b"}}}}}`,
		`{"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {"id": "a"}, "domain": {"id": "b"}}}}`,
		`{"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {}}}}`, `{"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"system": {}}}}`,
		`{"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": 5}}`} {
		k.wants(k.do("", "POST", "/v3/auth/tokens", body), 400, "%s", body)
	}
	k.wants(k.do("", "POST", "/v3/auth/tokens", `{"auth": {"identity": {"methods": ["magic"], "magic": {}}}}`), 401, "an unknown method")
	k.wants(k.do("", "POST", "/v3/auth/tokens", byToken("rubbish", nil)), 404, "a token that is none")
	// OSSA-2014-013: methods many times over are done once.
	many := password("admin", adminPassword, nil)
	many["auth"].(doc)["identity"].(doc)["methods"] = slices.Repeat([]string{"password"}, 5000)
	if a := k.do("", "POST", "/v3/auth/tokens", many); a.status != 201 || len(a.at("token", "methods").([]any)) != 1 {
		t.Errorf("%d %.200s", a.status, a.body)
	}
}

// OSSA-2012-019: a token got by a token ends with it and belongs to its chain.
func TestRescope(t *testing.T) {
	k := newCloud(t)
	first := k.login("admin", adminPassword, "unscoped")
	k.now = k.now.Add(10 * time.Minute)
	second := k.do("", "POST", "/v3/auth/tokens", byToken(first.token, project("admin")))
	third := k.do("", "POST", "/v3/auth/tokens", byToken(second.token, system()))
	for _, a := range []answer{second, third} {
		ids, _ := a.at("token", "audit_ids").([]any)
		if a.status != 201 || a.str("token", "expires_at") != first.str("token", "expires_at") || len(ids) != 2 || ids[1] != first.at("token", "audit_ids").([]any)[0] {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	methods, _ := third.at("token", "methods").([]any)
	if len(methods) != 2 || methods[0] != "token" || methods[1] != "password" {
		t.Error(methods)
	}
	// To revoke one token leaves the others of its chain alone.
	k.wants(k.do(first.token, "DELETE", "/v3/auth/tokens", nil, "X-Subject-Token", first.token), 204, "revoke")
	if a, b := k.valid(first.token), k.valid(second.token); a != 401 || b != 200 {
		t.Errorf("revoked %d, re-scoped from it %d", a, b)
	}
}

func TestDefaultProject(t *testing.T) {
	k := newCloud(t)
	id, projectID := k.user("alice", "member")
	k.must(200, "PATCH", "/v3/users/"+id, doc{"user": doc{"default_project_id": projectID}})
	if got := k.login("alice", "alice's secret", nil).str("token", "project", "id"); got != projectID {
		t.Errorf("scoped to %q, want the default project %s", got, projectID)
	}
	if a := k.login("alice", "alice's secret", "unscoped"); a.at("token", "project") != nil {
		t.Error(a.body)
	}
	k.must(200, "PATCH", "/v3/projects/"+projectID, doc{"project": doc{"enabled": false}})
	if a := k.login("alice", "alice's secret", nil); a.at("token", "project") != nil {
		t.Error("scoped to a disabled project: " + a.body)
	}
	k.must(400, "PATCH", "/v3/users/"+id, doc{"user": doc{"default_project_id": "default"}})
}

func TestShowAndCheckToken(t *testing.T) {
	k := newCloud(t)
	k.user("alice", "member")
	k.user("bob", "member")
	alice, bob := k.login("alice", "alice's secret", project("alice")).token, k.login("bob", "bob's secret", project("bob")).token
	nova := k.login("nova", "nova's secret", project("service")).token
	for _, method := range []string{"GET", "HEAD"} {
		k.wants(k.do(alice, method, "/v3/auth/tokens", nil, "X-Subject-Token", alice), 200, "%s one's own token", method)
		k.wants(k.do(nova, method, "/v3/auth/tokens?nocatalog", nil, "X-Subject-Token", alice), 200, "%s by a service", method)
		k.wants(k.do(bob, method, "/v3/auth/tokens", nil, "X-Subject-Token", alice), 403, "%s another's token", method)
		k.wants(k.do(k.admin, method, "/v3/auth/tokens", nil, "X-Subject-Token", alice+"x"), 404, "%s a token that is none", method)
		k.wants(k.do(k.admin, method, "/v3/auth/tokens", nil), 404, "%s no token", method)
	}
	if a := k.do(nova, "GET", "/v3/auth/tokens?nocatalog", nil, "X-Subject-Token", alice); a.at("token", "catalog") != nil {
		t.Error("a catalog that was not wanted")
	}
	k.wants(k.do(bob, "DELETE", "/v3/auth/tokens", nil, "X-Subject-Token", alice), 403, "revoke another's token")
	k.now = k.now.Add(61 * time.Minute)
	nova = k.login("nova", "nova's secret", project("service")).token
	k.wants(k.do(nova, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", alice), 404, "an expired token")
	k.wants(k.do(nova, "GET", "/v3/auth/tokens?allow_expired=1", nil, "X-Subject-Token", alice), 200, "an expired token for work in flight")
	k.now = k.now.Add(48 * time.Hour)
	nova = k.login("nova", "nova's secret", project("service")).token
	k.wants(k.do(nova, "GET", "/v3/auth/tokens?allow_expired=1", nil, "X-Subject-Token", alice), 404, "a token that expired long ago")
	if k.valid(alice) != 401 {
		t.Error("an expired token still works")
	}
}

// Whatever a token stands for takes the token along at once, and does not bring
// it back: OSSA-2013-011, OSSA-2014-026, OSSA-2012-016, OSSA-2016-005.
func TestTokensEndWithWhatTheyStandFor(t *testing.T) {
	patch := func(path string, enabled bool) func(*cloud, string) {
		return func(k *cloud, id string) {
			member := strings.TrimSuffix(strings.Split(path, "/")[2], "s")
			k.must(200, "PATCH", path+id, doc{member: doc{"enabled": enabled}})
		}
	}
	for name, how := range map[string]struct {
		end, back func(k *cloud, user, project string)
	}{
		"user disabled": {func(k *cloud, u, p string) { patch("/v3/users/", false)(k, u) }, func(k *cloud, u, p string) { patch("/v3/users/", true)(k, u) }},
		"user deleted":  {func(k *cloud, u, p string) { k.must(204, "DELETE", "/v3/users/"+u, nil) }, nil},
		"project disabled": {func(k *cloud, u, p string) { patch("/v3/projects/", false)(k, p) },
			func(k *cloud, u, p string) { patch("/v3/projects/", true)(k, p) }},
		"project deleted": {func(k *cloud, u, p string) { k.must(204, "DELETE", "/v3/projects/"+p, nil) }, nil},
		"role taken": {func(k *cloud, u, p string) {
			k.must(204, "DELETE", "/v3/projects/"+p+"/users/"+u+"/roles/"+k.role("member"), nil)
		}, nil},
		"password reset": {func(k *cloud, u, p string) {
			k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"password": "another"}})
		}, nil},
		"password changed": {func(k *cloud, u, p string) {
			k.wants(k.do("", "POST", "/v3/users/"+u+"/password", doc{"user": doc{"original_password": "alice's secret", "password": "another"}}), 204, "change password")
		}, nil},
	} {
		k := newCloud(t)
		u, p := k.user("alice", "member")
		token := k.login("alice", "alice's secret", project("alice")).token
		if k.valid(token) != 200 {
			t.Fatal(name)
		}
		how.end(k, u, p)
		if got := k.valid(token); got != 401 {
			t.Errorf("%s: the token is still good (%d)", name, got)
		}
		if how.back != nil {
			how.back(k, u, p)
			if got := k.valid(token); got != 401 {
				t.Errorf("%s and back: the token is good again (%d)", name, got)
			}
			if got := k.valid(k.login("alice", "alice's secret", project("alice")).token); got != 200 { // in the same second
				t.Errorf("%s and back: a new token is not good (%d)", name, got)
			}
		}
	}
}

func TestGroupsAndDomainsEndTokensToo(t *testing.T) {
	k := newCloud(t)
	u, p := k.user("alice", "reader")
	g := k.must(201, "POST", "/v3/groups", doc{"group": doc{"name": "staff"}}).str("group", "id")
	k.must(204, "PUT", "/v3/groups/"+g+"/users/"+u, nil)
	k.must(204, "PUT", "/v3/projects/"+p+"/groups/"+g+"/roles/"+k.role("manager"), nil)
	a := k.login("alice", "alice's secret", project("alice"))
	if got := roleNames(a); got != "manager member reader" {
		t.Fatal(got)
	}
	k.must(204, "DELETE", "/v3/groups/"+g+"/users/"+u, nil)
	if got := roleNames(k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", a.token)); got != "reader" {
		t.Errorf("roles after leaving the group: %q", got)
	}
	d := k.must(201, "POST", "/v3/domains", doc{"domain": doc{"name": "other"}}).str("domain", "id")
	eve := k.must(201, "POST", "/v3/users", doc{"user": doc{"name": "eve", "domain_id": d, "password": "eve's secret"}}).str("user", "id")
	k.must(204, "PUT", "/v3/projects/"+p+"/users/"+eve+"/roles/"+k.role("member"), nil)
	login := doc{"auth": doc{"identity": doc{"methods": []string{"password"}, "password": doc{"user": doc{"id": eve, "password": "eve's secret"}}}, "scope": projectByID(p)}}
	token := k.do("", "POST", "/v3/auth/tokens", login).token
	if k.valid(token) != 200 {
		t.Fatal("eve cannot log in")
	}
	k.must(200, "PATCH", "/v3/domains/"+d, doc{"domain": doc{"enabled": false}})
	if k.valid(token) != 401 {
		t.Error("the token of a user in a disabled domain is good")
	}
	k.wants(k.do("", "POST", "/v3/auth/tokens", login), 401, "log in to a disabled domain")
	k.must(204, "DELETE", "/v3/domains/"+d, nil)
	k.must(404, "GET", "/v3/users/"+eve, nil)
}

func TestPasswordRules(t *testing.T) {
	k := newCloud(t, func(o *control.Options) {
		o.Compliance.LockoutFailureAttempts, o.Compliance.LockoutDuration = 3, 600
		o.Compliance.PasswordExpiresDays, o.Compliance.UniqueLastPasswordCount = 30, 3
		o.Compliance.PasswordRegex, o.Compliance.PasswordRegexDescription = `.{5,}`, "five characters"
	})
	u, _ := k.user("alice", "member")
	change := func(from, to string) int {
		return k.do("", "POST", "/v3/users/"+u+"/password", doc{"user": doc{"original_password": from, "password": to}}).status
	}
	for _, tt := range []struct {
		from, to string
		want     int
	}{{"wrong", "second secret", 401}, {"alice's secret", "x", 400}, {"alice's secret", "alice's secret", 400}, {"alice's secret", "second secret", 204},
		{"second secret", "alice's secret", 400}, {"second secret", "third secret", 204}, {"third secret", "fourth secret", 204}, {"fourth secret", "alice's secret", 204}} {
		if got := change(tt.from, tt.to); got != tt.want {
			t.Errorf("%s -> %s: %d, want %d", tt.from, tt.to, got, tt.want)
		}
	}
	k.must(400, "POST", "/v3/users", doc{"user": doc{"name": "bob", "password": "x"}})
	// OSSA-2021-003: who is locked out is told no more than who is wrong.
	for range 3 {
		k.wants(k.do("", "POST", "/v3/auth/tokens", password("alice", "wrong", nil)), 401, "wrong password")
	}
	locked, wrong := k.do("", "POST", "/v3/auth/tokens", password("alice", "alice's secret", nil)), k.do("", "POST", "/v3/auth/tokens", password("nobody", "x", nil))
	if locked.status != 401 || locked.body != wrong.body {
		t.Errorf("locked out: %d %s", locked.status, locked.body)
	}
	k.now = k.now.Add(601 * time.Second)
	k.login("alice", "alice's secret", nil)
	k.now = k.now.Add(31 * 24 * time.Hour)
	if a := k.do("", "POST", "/v3/auth/tokens", password("alice", "alice's secret", nil)); a.status != 401 || !strings.Contains(a.body, "expired") {
		t.Errorf("expired password: %d %s", a.status, a.body)
	}
	if got := change("alice's secret", "a fresh secret"); got != 204 {
		t.Errorf("an expired password cannot be changed: %d", got)
	}
	k.login("alice", "a fresh secret", nil)
}

func TestMultiFactor(t *testing.T) {
	k := newCloud(t)
	u, _ := k.user("alice", "member")
	k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"options": doc{"multi_factor_auth_enabled": true, "multi_factor_auth_rules": [][]string{{"password", "totp"}}}}})
	k.wants(k.do("", "POST", "/v3/auth/tokens", password("alice", "alice's secret", nil)), 401, "one factor of two")
	k.must(201, "POST", "/v3/credentials", doc{"credential": doc{"type": "totp", "user_id": u, "blob": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}}) // RFC 6238's
	login := func(code string) answer {
		b := password("alice", "alice's secret", nil)
		id := b["auth"].(doc)["identity"].(doc)
		id["methods"], id["totp"] = []string{"password", "totp"}, doc{"user": doc{"id": u, "passcode": code}}
		return k.do("", "POST", "/v3/auth/tokens", b)
	}
	at := k.now
	k.now = time.Unix(1111111109, 0) // the specification's instant: 07081804
	k.wants(login("081804"), 201, "both factors")
	k.wants(login("081805"), 401, "a wrong passcode")
	k.now = time.Unix(1111111109+29, 0)
	k.wants(login("081804"), 201, "the passcode before")
	k.now = time.Unix(1111111109+70, 0)
	k.wants(login("081804"), 401, "an old passcode")
	k.now = at
}

func TestBootstrapAgain(t *testing.T) {
	k := newCloud(t)
	before := k.must(200, "GET", "/v3/role_assignments", nil).body
	b := bootstrapped()
	if err := k.c.Bootstrap(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if k.valid(k.admin) != 200 || k.must(200, "GET", "/v3/role_assignments", nil).body != before {
		t.Error("the same again changed something")
	}
	b.AdminPassword, b.Services[0].Public, b.ServiceUsers[0].Password = "new", "http://elsewhere", "new too"
	if err := k.c.Bootstrap(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if k.valid(k.admin) != 401 {
		t.Error("a token from before the password changed")
	}
	a := k.login("admin", "new", project("admin"))
	k.login("nova", "new too", project("service"))
	if !strings.Contains(a.body, "http://elsewhere") || strings.Count(a.body, `"interface"`) != 6 {
		t.Error(a.body)
	}
	for _, bad := range []control.Bootstrap{{}, {AdminPassword: "x", Services: []control.BootstrapService{{Type: "x", Name: "x", Public: "%(x)s"}}}} {
		if err := k.c.Bootstrap(t.Context(), bad); err == nil {
			t.Error("accepted", bad)
		}
	}
}

// A log-in may go on with what its first step has got, once and for its user.
func TestReceipts(t *testing.T) {
	k := newCloud(t)
	rules := [][]string{{"password", "totp"}}
	enroll := func(name string) string {
		u, _ := k.user(name, "member")
		k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"options": doc{"multi_factor_auth_enabled": true, "multi_factor_auth_rules": rules}}})
		k.must(201, "POST", "/v3/credentials", doc{"credential": doc{"type": "totp", "user_id": u, "blob": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}})
		return u
	}
	alice, bob := enroll("alice"), enroll("bob")
	code := "081804"
	k.now = time.Unix(1111111109, 0) // RFC 6238's instant
	first := func(name string) answer {
		return k.do("", "POST", "/v3/auth/tokens", password(name, name+"'s secret", nil))
	}
	second := func(user, receipt string) answer {
		return k.do("", "POST", "/v3/auth/tokens", doc{"auth": doc{"identity": doc{"methods": []string{"totp"}, "totp": doc{"user": doc{"id": user, "passcode": code}}}}}, "Openstack-Auth-Receipt", receipt)
	}
	a := first("alice")
	receipt := a.header.Get("Openstack-Auth-Receipt")
	if a.status != 401 || receipt == "" || a.str("receipt", "user", "id") != alice || len(a.list("required_auth_methods")) != 1 {
		t.Fatal(a.status, a.body)
	}
	k.wants(second(alice, ""), 401, "the second factor alone")
	k.wants(second(bob, receipt), 401, "another user's receipt")
	k.wants(second(alice, receipt+"x"), 401, "a forged receipt")
	if got := k.valid(receipt); got != 401 {
		t.Error("a receipt is taken for a token:", got)
	}
	done := second(alice, receipt)
	k.wants(done, 201, "both steps")
	k.wants(second(alice, done.token), 401, "a token as a receipt")
	k.must(200, "PATCH", "/v3/users/"+alice, doc{"user": doc{"password": "another"}})
	k.wants(second(alice, receipt), 401, "a receipt of an older password")
	old := first("bob").header.Get("Openstack-Auth-Receipt")
	k.now = time.Unix(1111111109+301, 0)
	code = "536305" // of that instant
	k.wants(second(bob, old), 401, "a receipt after its time")
	k.wants(second(bob, first("bob").header.Get("Openstack-Auth-Receipt")), 201, "a new one")
}
