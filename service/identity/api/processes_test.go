package api

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"kilonova/service/identity/control"
	"kilonova/service/identity/store"
)

// beside is another process of the same service: the same database and keys, and
// what it knows by heart of its own.
func (k *cloud) beside() *cloud {
	k.t.Helper()
	other := &cloud{t: k.t, now: k.now, db: k.db, options: k.options, admin: k.admin}
	s, err := store.New(k.t.Context(), k.db)
	if err != nil {
		k.t.Fatal(err)
	}
	now := k.tick
	log := slog.New(slog.NewTextHandler(&other.log, nil))
	if other.c, err = control.New(control.Config{Store: s, Log: log, Now: now, Options: k.options}); err != nil {
		k.t.Fatal(err)
	}
	other.handler = New(other.c, Options{Log: log, Now: now, AuthURL: func() string { return "" }}).Handler()
	return other
}

// What one process revokes, every other one refuses within a second, however well
// it knew the token.
func TestRevocationReachesEveryProcess(t *testing.T) {
	k := newCloud(t)
	far := k.beside()
	u, p := k.user("alice", "member")
	for what, end := range map[string]func(token string){
		"revoked": func(token string) {
			k.wants(k.do(token, "DELETE", "/v3/auth/tokens", nil, "X-Subject-Token", token), 204, "revoke")
		},
		"of another password": func(string) { k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"password": "alice's secret"}}) },
		"without its role":    func(string) { k.must(204, "DELETE", "/v3/projects/"+p+"/users/"+u+"/roles/"+k.role("member"), nil) },
	} {
		k.do(k.admin, "PUT", "/v3/projects/"+p+"/users/"+u+"/roles/"+k.role("member"), nil)
		k.now = k.now.Add(time.Second)
		token := k.login("alice", "alice's secret", project("alice")).token
		for range 3 { // known by heart
			if got := far.valid(token); got != 200 {
				t.Fatalf("%s: before: %d", what, got)
			}
		}
		end(token)
		if got := k.valid(token); got != 401 {
			t.Errorf("%s: here: %d", what, got)
		}
		k.now = k.now.Add(500 * time.Millisecond)
		if got := far.valid(token); got != 401 {
			t.Errorf("%s: elsewhere, half a second later: %d", what, got)
		}
	}
}

// Tokens live through rotations, everywhere and at once, until their key is
// forgotten.
func TestKeysRotateUnderSeveralProcesses(t *testing.T) {
	k := newCloud(t)
	far := k.beside()
	k.user("alice", "member")
	old := k.login("alice", "alice's secret", nil).token
	for i := range 2 { // three keys are kept: the staged one, and two that made tokens
		for j, c := range []*cloud{k, far} {
			fresh := c.login("alice", "alice's secret", nil).token
			for _, other := range []*cloud{k, far} {
				other.now = k.now
				if got := other.valid(fresh); got != 200 {
					t.Errorf("rotation %d: a token of %d: %d", i, j, got)
				}
			}
		}
		if i == 1 {
			break
		}
		if err := k.c.RotateTokenKeys(); err != nil {
			t.Fatal(err)
		}
		if got := far.valid(old); got != 200 {
			t.Errorf("after rotation %d: %d", i, got)
		}
	}
	for range 2 {
		if err := far.c.RotateTokenKeys(); err != nil {
			t.Fatal(err)
		}
	}
	k.now = k.now.Add(10 * time.Second) // nobody knows it by heart any more
	if got := k.valid(old); got != 401 {
		t.Error("a token whose key is forgotten:", got)
	}
}

func TestSignedTokens(t *testing.T) {
	k := newCloud(t, func(o *control.Options) { o.Token.Provider = "jws" })
	u, p := k.user("alice", "member")
	a := k.login("alice", "alice's secret", project("alice"))
	if got := k.beside().valid(a.token); got != 200 {
		t.Error("another process with the same keys:", got)
	}
	again := k.do("", "POST", "/v3/auth/tokens", byToken(a.token, projectByID(p)))
	k.wants(again, 201, "a token of a token")
	cred := k.do(a.token, "POST", "/v3/users/"+u+"/application_credentials", doc{"application_credential": doc{"name": "x"}})
	k.wants(cred, 201, "an application credential")
	shown := k.do(k.admin, http.MethodGet, "/v3/auth/tokens", nil, "X-Subject-Token", a.token)
	if shown.str("token", "project", "id") != p || shown.str("token", "user", "id") != u {
		t.Error(shown.body)
	}
	k.wants(k.do(a.token, "DELETE", "/v3/auth/tokens", nil, "X-Subject-Token", a.token), 204, "revoke")
	if got := k.valid(a.token); got != 401 {
		t.Error("revoked:", got)
	}
	if got := k.valid(again.token); got != 200 {
		t.Error("the other one:", got)
	}
	other := newCloud(t)
	if got := other.valid(k.admin); got != 401 {
		t.Error("another cloud's token:", got)
	}
}
