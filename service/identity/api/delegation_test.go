package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kilonova/service/identity/control"
	"kilonova/service/identity/signature"
)

func appCredLogin(id, secret string, scope any) doc {
	auth := doc{"identity": doc{"methods": []string{"application_credential"}, "application_credential": doc{"id": id, "secret": secret}}}
	if scope != nil {
		auth["scope"] = scope
	}
	return doc{"auth": auth}
}

func TestAppCredentials(t *testing.T) {
	k := newCloud(t)
	u, p := k.user("alice", "manager")
	token := k.login("alice", "alice's secret", project("alice")).token
	path := "/v3/users/" + u + "/application_credentials"
	make := func(token string, body doc) answer {
		return k.do(token, "POST", path, doc{"application_credential": body})
	}
	a := make(token, doc{"name": "ci", "roles": []doc{{"name": "member"}}, "expires_at": k.now.Add(30 * time.Minute).Format(time.RFC3339)})
	k.wants(a, 201, "make")
	id, secret := a.str("application_credential", "id"), a.str("application_credential", "secret")
	if secret == "" || strings.Contains(k.do(token, "GET", path, nil).body, secret) || strings.Contains(k.do(token, "GET", path+"/"+id, nil).body, secret) {
		t.Error("the secret belongs into the answer that made it, and nowhere else")
	}
	for name, tt := range map[string]struct {
		body doc
		want int
	}{
		"same name": {doc{"name": "ci"}, 409}, "no name": {doc{}, 400}, "a role that the token has not": {doc{"name": "x", "roles": []doc{{"name": "admin"}}}, 400},
		"an unknown role": {doc{"name": "x", "roles": []doc{{"name": "king"}}}, 404}, "in the past": {doc{"name": "x", "expires_at": "2001-01-01T00:00:00Z"}, 400},
		"at no time": {doc{"name": "x", "expires_at": "soon"}, 400}, "an unknown attribute": {doc{"name": "x", "colour": "red"}, 400},
		"a wrong rule": {doc{"name": "x", "access_rules": []doc{{"service": "image", "path": "x", "method": "GET"}}}, 400},
	} {
		k.wants(make(token, tt.body), tt.want, "%s", name)
	}
	k.wants(make(k.admin, doc{"name": "x"}), 403, "make one for another")
	login := k.do("", "POST", "/v3/auth/tokens", appCredLogin(id, secret, nil))
	if roleNames(login) != "member" || login.str("token", "project", "id") != p || login.at("token", "application_credential", "restricted") != true {
		t.Fatal(login.body) // without reader, which member implies: only what was given
	}
	if got, want := login.str("token", "expires_at"), k.now.Add(30*time.Minute).Format("2006-01-02T15:04:05"); !strings.HasPrefix(got, want) {
		t.Errorf("the token ends at %s, its credential at %s", got, want)
	}
	byName := doc{"auth": doc{"identity": doc{"methods": []string{"application_credential"},
		"application_credential": doc{"name": "ci", "secret": secret, "user": doc{"name": "alice", "domain": doc{"id": "default"}}}}}}
	k.wants(k.do("", "POST", "/v3/auth/tokens", byName), 201, "log in by name")
	k.wants(k.do("", "POST", "/v3/auth/tokens", appCredLogin(id, "wrong", nil)), 401, "a wrong secret")
	k.wants(k.do("", "POST", "/v3/auth/tokens", appCredLogin("nothing", secret, nil)), 401, "an unknown one")
	k.wants(k.do("", "POST", "/v3/auth/tokens", appCredLogin(id, secret, project("admin"))), 401, "another scope")
	k.wants(k.do("", "POST", "/v3/auth/tokens", byToken(login.token, system())), 401, "another scope by token")
	// OSSA-2026-005: a restricted one makes no further credentials of any kind.
	k.wants(make(login.token, doc{"name": "more"}), 403, "a further one")
	k.wants(k.do(login.token, "POST", "/v3/users/"+u+"/credentials/OS-EC2", doc{"tenant_id": p}), 403, "an EC2 key pair")
	k.wants(k.do(login.token, "POST", "/v3/credentials", doc{"credential": doc{"type": "cert", "blob": "b", "user_id": u}}), 403, "a credential")
	k.wants(k.do(login.token, "POST", "/v3/OS-TRUST/trusts", doc{"trust": doc{"trustor_user_id": u, "trustee_user_id": u, "impersonation": true, "project_id": p, "roles": []doc{{"name": "member"}}}}), 403, "a trust")
	k.wants(k.do(login.token, "DELETE", path+"/"+id, nil), 403, "to delete itself")
	free := make(token, doc{"name": "free", "unrestricted": true, "secret": strings.Repeat("long", 40)})
	freeToken := k.do("", "POST", "/v3/auth/tokens", appCredLogin(free.str("application_credential", "id"), strings.Repeat("long", 40), nil)).token
	k.wants(make(freeToken, doc{"name": "more", "roles": []doc{{"name": "reader"}}}), 201, "one more by an unrestricted one")
	// The role it hands on is taken away: nothing is left of it.
	k.must(204, "DELETE", "/v3/projects/"+p+"/users/"+u+"/roles/"+k.role("manager"), nil)
	if k.valid(login.token) != 401 {
		t.Error("it has a role that its user has not")
	}
	k.must(204, "PUT", "/v3/projects/"+p+"/users/"+u+"/roles/"+k.role("manager"), nil)
	if k.valid(login.token) != 200 {
		t.Error("its user has the role again")
	}
	k.must(204, "DELETE", path+"/"+id, nil)
	if k.valid(login.token) != 401 {
		t.Error("it has been deleted, its token has not")
	}
	k.now = k.now.Add(31 * time.Minute)
	k.wants(k.do("", "POST", "/v3/auth/tokens", appCredLogin(id, secret, nil)), 401, "log in after its end")
}

func TestAccessRules(t *testing.T) {
	k := newCloud(t)
	u, _ := k.user("alice", "member")
	token := k.login("alice", "alice's secret", project("alice")).token
	a := k.do(token, "POST", "/v3/users/"+u+"/application_credentials", doc{"application_credential": doc{"name": "ci", "access_rules": []doc{
		{"service": "compute", "method": "GET", "path": "/v2.1/servers/**"}, {"service": "identity", "method": "GET", "path": "/v3/auth/*"}}}})
	k.wants(a, 201, "make")
	restricted := k.do("", "POST", "/v3/auth/tokens", appCredLogin(a.str("application_credential", "id"), a.str("application_credential", "secret"), nil)).token
	for path, want := range map[string]int{"/v3/auth/projects": 200, "/v3/users/" + u: 401, "/v3/auth": 401, "/v3/auth/nothing": 404} {
		k.wants(k.do(restricted, "GET", path, nil), want, "GET %s", path)
	}
	k.wants(k.do(restricted, "DELETE", "/v3/auth/tokens", nil, "X-Subject-Token", restricted), 401, "another method")
	k.wants(k.do(restricted, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", restricted, "OpenStack-Identity-Access-Rules", "1.0"), 200, "its own token")
	rescoped := k.do("", "POST", "/v3/auth/tokens", byToken(restricted, project("alice")))
	k.wants(rescoped, 201, "a token made of it")
	k.wants(k.do(rescoped.token, "GET", "/v3/users/"+u, nil), 401, "what a token made of it may do")
	k.wants(k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", restricted), 404, "shown to a service that knows no access rules")
	if shown := k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", restricted, "OpenStack-Identity-Access-Rules", "1.0"); len(shown.at("token", "application_credential", "access_rules").([]any)) != 2 {
		t.Error(shown.body)
	}
	rules := k.do(token, "GET", "/v3/users/"+u+"/access_rules", nil).list("access_rules")
	id := rules[0].(doc)["id"].(string)
	k.wants(k.do(token, "GET", "/v3/users/"+u+"/access_rules/"+id, nil), 200, "show a rule")
	k.wants(k.do(token, "DELETE", "/v3/users/"+u+"/access_rules/"+id, nil), 403, "delete a rule in use")
	k.wants(k.do(token, "POST", "/v3/users/"+u+"/application_credentials", doc{"application_credential": doc{"name": "two", "access_rules": []doc{{"id": id}}}}), 201, "the same rule again")
	for _, name := range k.do(token, "GET", "/v3/users/"+u+"/application_credentials", nil).list("application_credentials") {
		k.wants(k.do(token, "DELETE", "/v3/users/"+u+"/application_credentials/"+name.(doc)["id"].(string), nil), 204, "delete")
	}
	k.wants(k.do(token, "DELETE", "/v3/users/"+u+"/access_rules/"+id, nil), 204, "delete a rule")
}

// An empty list of rules is none, as upstream's: the token says nothing of rules, and does what its roles allow.
func TestNoAccessRules(t *testing.T) {
	k := newCloud(t)
	u, _ := k.user("alice", "member")
	token := k.login("alice", "alice's secret", project("alice")).token
	for name, spec := range map[string]doc{"without": {}, "empty": {"access_rules": []doc{}}} {
		spec["name"] = name
		a := k.do(token, "POST", "/v3/users/"+u+"/application_credentials", doc{"application_credential": spec})
		k.wants(a, 201, "make %s", name)
		free := k.do("", "POST", "/v3/auth/tokens", appCredLogin(a.str("application_credential", "id"), a.str("application_credential", "secret"), nil)).token
		k.wants(k.do(free, "GET", "/v3/users/"+u, nil), 200, "used %s rules", name)
		shown := k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", free)
		k.wants(shown, 200, "shown to a service that knows no access rules")
		if strings.Contains(a.body+shown.body, "access_rules") {
			t.Errorf("%s rules are shown as a list: %s %s", name, a.body, shown.body)
		}
	}
}

func TestTrusts(t *testing.T) {
	k := newCloud(t, func(o *control.Options) { o.Trust.AllowRedelegation = true })
	alice, p := k.user("alice", "member")
	bob, _ := k.user("bob", "reader")
	carol, _ := k.user("carol", "reader")
	aliceToken := k.login("alice", "alice's secret", project("alice")).token
	bobToken := k.login("bob", "bob's secret", nil).token
	make := func(token string, change doc) answer {
		body := doc{"trustor_user_id": alice, "trustee_user_id": bob, "impersonation": true, "project_id": p, "roles": []doc{{"name": "member"}}}
		for name, v := range change {
			body[name] = v
		}
		return k.do(token, "POST", "/v3/OS-TRUST/trusts", doc{"trust": body})
	}
	a := make(aliceToken, doc{"allow_redelegation": true})
	k.wants(a, 201, "make")
	id := a.str("trust", "id")
	scope := func(id string) doc { return doc{"OS-TRUST:trust": doc{"id": id}} }
	trusted := k.do("", "POST", "/v3/auth/tokens", byToken(bobToken, scope(id)))
	if trusted.status != 201 || trusted.str("token", "user", "id") != alice || roleNames(trusted) != "member reader" || trusted.str("token", "OS-TRUST:trust", "trustee_user", "id") != bob {
		t.Fatal(trusted.status, trusted.body)
	}
	plain := k.do("", "POST", "/v3/auth/tokens", byToken(bobToken, scope(make(aliceToken, doc{"impersonation": false}).str("trust", "id"))))
	if plain.str("token", "user", "id") != bob || plain.str("token", "project", "id") != p {
		t.Error(plain.body)
	}
	for name, tt := range map[string]struct {
		token  string
		change doc
		want   int
	}{
		"for another":              {bobToken, nil, 403},
		"a role that is not had":   {aliceToken, doc{"roles": []doc{{"name": "admin"}}}, 404},
		"no role":                  {aliceToken, doc{"roles": []doc{}}, 403},
		"an unknown trustee":       {aliceToken, doc{"trustee_user_id": "nobody"}, 404},
		"an unknown project":       {aliceToken, doc{"project_id": "nothing"}, 404},
		"in the past":              {aliceToken, doc{"expires_at": "2001-01-01T00:00:00Z"}, 400},
		"no use":                   {aliceToken, doc{"remaining_uses": 0}, 400},
		"uses and redelegation":    {aliceToken, doc{"remaining_uses": 2, "allow_redelegation": true}, 403},
		"too deep":                 {aliceToken, doc{"redelegation_count": 9, "allow_redelegation": true}, 403},
		"no word of impersonation": {aliceToken, doc{"impersonation": nil}, 400},
	} {
		k.wants(make(tt.token, tt.change), tt.want, "%s", name)
	}
	// OSSA-2014-018, OSSA-2013-032: a trust is not a way to more than it says.
	k.wants(k.do("", "POST", "/v3/auth/tokens", byToken(trusted.token, project("alice"))), 403, "another token of it")
	k.wants(k.do(trusted.token, "POST", "/v3/users/"+alice+"/credentials/OS-EC2", doc{"tenant_id": p}), 403, "an EC2 key pair of it")
	k.wants(k.do("", "POST", "/v3/auth/tokens", byToken(k.login("carol", "carol's secret", nil).token, scope(id))), 403, "used by another")
	k.wants(k.do(k.login("carol", "carol's secret", project("carol")).token, "GET", "/v3/OS-TRUST/trusts/"+id, nil), 403, "seen by another")
	// Passed on: alice to bob to carol.
	k.wants(make(trusted.token, doc{"trustee_user_id": carol, "roles": []doc{{"name": "admin"}}}), 403, "pass on a role that it has not")
	passed := make(trusted.token, doc{"trustee_user_id": carol})
	k.wants(passed, 201, "pass it on")
	carols := k.do("", "POST", "/v3/auth/tokens", byToken(k.login("carol", "carol's secret", nil).token, scope(passed.str("trust", "id"))))
	if carols.str("token", "user", "id") != alice || passed.str("trust", "redelegated_trust_id") != id {
		t.Error(carols.body, passed.body)
	}
	if n := len(k.do(aliceToken, "GET", "/v3/OS-TRUST/trusts?trustor_user_id="+alice, nil).list("trusts")); n != 3 {
		t.Errorf("%d trusts of alice", n)
	}
	k.wants(k.do(bobToken, "GET", "/v3/OS-TRUST/trusts?trustor_user_id="+alice, nil), 403, "list another's")
	k.wants(k.do(bobToken, "GET", "/v3/OS-TRUST/trusts", nil), 403, "list all")
	member := k.role("member")
	k.wants(k.do(aliceToken, "GET", "/v3/OS-TRUST/trusts/"+id+"/roles/"+member, nil), 200, "show a role")
	k.wants(k.do(aliceToken, "GET", "/v3/OS-TRUST/trusts/"+id+"/roles/"+k.role("admin"), nil), 404, "show a role that it has not")
	// What the trustor loses, the trust loses.
	k.must(204, "DELETE", "/v3/projects/"+p+"/users/"+alice+"/roles/"+member, nil)
	if a, b := k.valid(trusted.token), k.valid(carols.token); a != 401 || b != 401 {
		t.Errorf("tokens of a trust without its role: %d %d", a, b)
	}
	k.must(204, "PUT", "/v3/projects/"+p+"/users/"+alice+"/roles/"+member, nil)
	if a, b := k.valid(trusted.token), k.valid(carols.token); a != 200 || b != 200 {
		t.Errorf("with it again: %d %d", a, b)
	}
	k.wants(k.do(aliceToken, "DELETE", "/v3/OS-TRUST/trusts/"+id, nil), 204, "delete")
	if a, b := k.valid(trusted.token), k.valid(carols.token); a != 401 || b != 401 {
		t.Errorf("tokens of a deleted trust, and of what passed it on: %d %d", a, b)
	}
	k.wants(k.do(aliceToken, "GET", "/v3/OS-TRUST/trusts/"+passed.str("trust", "id"), nil), 404, "what passed it on")
	once := make(aliceToken, doc{"remaining_uses": 1}).str("trust", "id")
	k.wants(k.do("", "POST", "/v3/auth/tokens", byToken(bobToken, scope(once))), 201, "its one use")
	k.wants(k.do("", "POST", "/v3/auth/tokens", byToken(bobToken, scope(once))), 403, "one use more")
}

func TestEC2(t *testing.T) {
	k := newCloud(t)
	u, p := k.user("alice", "member")
	other, _ := k.user("bob", "member")
	alice, bob := k.login("alice", "alice's secret", project("alice")).token, k.login("bob", "bob's secret", project("bob")).token
	nova := k.login("nova", "nova's secret", project("service")).token
	a := k.do(alice, "POST", "/v3/users/"+u+"/credentials/OS-EC2", doc{"tenant_id": p})
	k.wants(a, 201, "make")
	access, secret := a.str("credential", "access"), a.str("credential", "secret")
	path := "/v3/users/" + u + "/credentials/OS-EC2/" + access
	if shown := k.do(alice, "GET", path, nil); shown.body != a.body {
		t.Error(shown.body)
	}
	k.wants(k.do(bob, "GET", path, nil), 403, "shown to another")
	k.wants(k.do(bob, "GET", "/v3/users/"+other+"/credentials/OS-EC2/"+access, nil), 404, "as if it were his")
	k.wants(k.do(bob, "DELETE", "/v3/users/"+other+"/credentials/OS-EC2/"+access, nil), 404, "deleted as if it were his")
	k.wants(k.do(bob, "POST", "/v3/users/"+u+"/credentials/OS-EC2", doc{"tenant_id": p}), 403, "made for another")
	request := func(when time.Time) doc {
		r := signature.Request{Verb: "GET", Host: "ec2:8773", Path: "/services/Cloud/", Params: map[string]string{"Action": "DescribeInstances", "SignatureVersion": "2",
			"AWSAccessKeyId": access, "Timestamp": when.UTC().Format("2006-01-02T15:04:05Z")}}
		signed, err := signature.EC2(secret, r)
		if err != nil {
			t.Fatal(err)
		}
		return doc{"ec2Credentials": doc{"access": access, "signature": signed, "verb": r.Verb, "host": r.Host, "path": r.Path, "params": r.Params}}
	}
	login := k.do(nova, "POST", "/v3/ec2tokens", request(k.now))
	if login.status != 200 || login.str("token", "user", "id") != u || login.str("token", "project", "id") != p || login.token == "" {
		t.Fatal(login.status, login.body)
	}
	// OSSA-2025-002: only services may turn a signature into a token.
	k.wants(k.do("", "POST", "/v3/ec2tokens", request(k.now)), 401, "asked by nobody")
	k.wants(k.do(alice, "POST", "/v3/ec2tokens", request(k.now)), 403, "asked by a user")
	// OSSA-2020-003: a signature is good for a while.
	k.wants(k.do(nova, "POST", "/v3/ec2tokens", request(k.now.Add(-16*time.Minute))), 401, "signed long ago")
	forged := request(k.now)
	forged["ec2Credentials"].(doc)["verb"] = "POST"
	k.wants(k.do(nova, "POST", "/v3/ec2tokens", forged), 401, "forged")
	// Its token is for the cloud, not to make more of its kind.
	k.wants(k.do("", "POST", "/v3/auth/tokens", byToken(login.token, project("alice"))), 403, "another token")
	k.wants(k.do(login.token, "POST", "/v3/users/"+u+"/credentials/OS-EC2", doc{"tenant_id": p}), 403, "another key pair")
	// OSSA-2013-005, OSSA-2012-018: gone with its user's role.
	k.must(204, "DELETE", "/v3/projects/"+p+"/users/"+u+"/roles/"+k.role("member"), nil)
	k.wants(k.do(nova, "POST", "/v3/ec2tokens", request(k.now)), 401, "without a role")
	k.must(204, "DELETE", path, nil)
	k.wants(k.do(nova, "POST", "/v3/ec2tokens", request(k.now)), 404, "deleted")
}

// OSSA-2019-006, OSSA-2020-004: credentials are their owner's.
func TestCredentialsAreTheirOwners(t *testing.T) {
	k := newCloud(t)
	alice, p := k.user("alice", "member")
	bob, _ := k.user("bob", "member")
	a, b := k.login("alice", "alice's secret", project("alice")).token, k.login("bob", "bob's secret", project("bob")).token
	made := k.do(a, "POST", "/v3/credentials", doc{"credential": doc{"type": "cert", "blob": "alice's key", "user_id": alice}})
	k.wants(made, 201, "make")
	id := made.str("credential", "id")
	k.wants(k.do(b, "POST", "/v3/credentials", doc{"credential": doc{"type": "cert", "blob": "b", "user_id": alice}}), 403, "made for another")
	k.wants(k.do(b, "GET", "/v3/credentials/"+id, nil), 403, "shown to another")
	k.wants(k.do(b, "PATCH", "/v3/credentials/"+id, doc{"credential": doc{"blob": "b"}}), 403, "changed by another")
	k.wants(k.do(b, "DELETE", "/v3/credentials/"+id, nil), 403, "deleted by another")
	k.wants(k.do(a, "PATCH", "/v3/credentials/"+id, doc{"credential": doc{"user_id": bob}}), 403, "given to another")
	if got := len(k.do(b, "GET", "/v3/credentials?user_id="+alice, nil).list("credentials")); got != 0 {
		t.Errorf("bob sees %d credentials of alice", got)
	}
	if got := k.do(a, "GET", "/v3/credentials", nil).list("credentials"); len(got) != 1 {
		t.Error(got)
	}
	key := k.do(a, "POST", "/v3/users/"+alice+"/credentials/OS-EC2", doc{"tenant_id": p}).str("credential", "access")
	for _, c := range k.do(a, "GET", "/v3/credentials?type=ec2", nil).list("credentials") {
		blob, _ := json.Marshal(doc{"access": key, "secret": "x", "trust_id": "another's"})
		k.wants(k.do(a, "PATCH", "/v3/credentials/"+c.(doc)["id"].(string), doc{"credential": doc{"blob": string(blob)}}), 400, "a trust put into a key pair")
	}
	// At rest a secret is not in the clear.
	var kept string
	if err := k.scalar(&kept, `SELECT content FROM credentials WHERE id = ?`, id); err != nil || strings.Contains(kept, "alice") {
		t.Errorf("kept as %q (%v)", kept, err)
	}
}
