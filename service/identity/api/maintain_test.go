package api

import (
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/identity/control"
)

func TestCredentialKeysRotate(t *testing.T) {
	k := newCloud(t)
	u, _ := k.user("alice", "member")
	made := k.must(201, "POST", "/v3/credentials", doc{"credential": doc{"user_id": u, "type": "cert", "blob": "the secret"}}).str("credential", "id")
	shown := func() {
		t.Helper()
		if got := k.must(200, "GET", "/v3/credentials/"+made, nil).str("credential", "blob"); got != "the secret" {
			t.Errorf("the credential is %q", got)
		}
	}
	ctx := t.Context()
	for range 4 { // more often than keys are kept
		if err := k.c.RotateCredentialKeys(ctx); err != nil {
			t.Fatal(err)
		}
		shown()
		if err := k.c.RotateCredentialKeys(ctx); !fault.Is(err, fault.Conflict) {
			t.Error("rotated though a credential has an old key:", err)
		}
		if n, err := k.c.MigrateCredentials(ctx); err != nil || n != 1 {
			t.Error(n, err)
		}
		if n, err := k.c.MigrateCredentials(ctx); err != nil || n != 0 {
			t.Error("migrated twice:", n, err)
		}
		shown()
	}
	var kept string
	if err := k.scalar(&kept, `SELECT content FROM credentials WHERE id = ?`, made); err != nil || kept == "the secret" {
		t.Error("the secret stands in the database in the clear:", err)
	}
}

func TestTrustsAreFlushed(t *testing.T) {
	k := newCloud(t)
	u, p := k.user("alice", "member")
	token := k.login("alice", "alice's secret", project("alice")).token
	for _, end := range []string{k.now.Add(time.Hour).Format(time.RFC3339), "2099-01-01T00:00:00Z"} {
		k.wants(k.do(token, "POST", "/v3/OS-TRUST/trusts", doc{"trust": doc{"trustor_user_id": u, "trustee_user_id": u, "impersonation": true, "project_id": p,
			"roles": []doc{{"name": "member"}}, "expires_at": end}}), 201, "make")
	}
	at := k.now.Add(2 * time.Hour)
	for _, tt := range []struct {
		f    control.TrustFilter
		want int
	}{{control.TrustFilter{Before: k.now}, 0}, {control.TrustFilter{Before: at, TrustorID: "other"}, 0}, {control.TrustFilter{Before: at, TrustorID: u}, 1}, {control.TrustFilter{Before: at}, 0}} {
		if n, err := k.c.FlushTrusts(t.Context(), tt.f); err != nil || n != tt.want {
			t.Errorf("%+v: %d (%v), want %d", tt.f, n, err, tt.want)
		}
	}
}

func TestDirectoryEntriesArePurged(t *testing.T) {
	k, _, domain := inDirectory(t)
	if err := k.c.PopulateDirectory(t.Context(), "corp"); err != nil {
		t.Fatal(err)
	}
	a := k.do("", "POST", "/v3/auth/tokens", inDomain("ann", "ann's word", domain, nil))
	k.wants(a, 201, "log in")
	purge := func(f control.EntryFilter, want int) {
		t.Helper()
		if n, err := k.c.PurgeDirectory(t.Context(), f); err != nil || n != want {
			t.Errorf("%+v: %d (%v), want %d", f, n, err, want)
		}
	}
	if _, err := k.c.PurgeDirectory(t.Context(), control.EntryFilter{DomainName: "none"}); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	purge(control.EntryFilter{DomainName: "Default"}, 0)
	purge(control.EntryFilter{DomainName: "corp", LocalID: "ann"}, 1)
	if got := k.valid(a.token); got != 401 {
		t.Error("the token of one who was purged:", got)
	}
	k.now = k.now.Add(time.Second)
	if again := k.do("", "POST", "/v3/auth/tokens", inDomain("ann", "ann's word", domain, nil)); again.status != 201 || again.str("token", "user", "id") != a.str("token", "user", "id") {
		t.Error("who comes back is another:", again.body)
	}
	purge(control.EntryFilter{Kind: "group"}, 1)
	purge(control.EntryFilter{}, 3)
	if err := k.c.PopulateDirectory(t.Context(), "Default"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}
