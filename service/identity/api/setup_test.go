package api

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/identity/control"
)

// What an operator makes on a host with ids of its own choice, clients use.
func TestProjectsAndUsersAreSetUp(t *testing.T) {
	k := newCloud(t)
	ctx := t.Context()
	said := func(text string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if got := said(k.c.SetUpProject(ctx, "site", "11112222333344445555666677778888")); got != "project site made with id 11112222333344445555666677778888" {
		t.Error(got)
	}
	if got := said(k.c.SetUpProject(ctx, "site", "")); got != "project site exists with id 11112222333344445555666677778888" {
		t.Error(got)
	}
	if got := said(k.c.SetUpUser(ctx, "ann", "ann's first", "aaaa")); got != "user ann made with id aaaa" {
		t.Error(got)
	}
	k.must(204, "PUT", "/v3/projects/11112222333344445555666677778888/users/aaaa/roles/"+k.role("member"), nil)
	first := k.login("ann", "ann's first", project("site")).token
	if got := said(k.c.SetUpUser(ctx, "ann", "ann's second", "aaaa")); !strings.Contains(got, "its password is set") {
		t.Error(got)
	}
	k.login("ann", "ann's second", project("site"))
	if got := k.valid(first); got != 401 {
		t.Error("a token of the old password is still good:", got)
	}
	before := k.count()
	for what, err := range map[string]error{
		"another id for a project": second(k.c.SetUpProject(ctx, "site", "ffff")), "an id that is taken": second(k.c.SetUpProject(ctx, "other", "11112222333344445555666677778888")),
		"an id that is none": second(k.c.SetUpProject(ctx, "other", "a/b")), "no name": second(k.c.SetUpProject(ctx, "", "")),
		"another id for a user": second(k.c.SetUpUser(ctx, "ann", "x", "bbbb")), "a user's id that is taken": second(k.c.SetUpUser(ctx, "bob", "x", "aaaa")),
		"no password": second(k.c.SetUpUser(ctx, "bob", "", "")),
	} {
		if kind := fault.KindOf(err); err == nil || kind != fault.Conflict && kind != fault.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if after := k.count(); after != before {
		t.Errorf("%d rows were left behind", after-before)
	}
}

func second[T any](_ T, err error) error { return err }

func TestReceiptKeysRotate(t *testing.T) {
	k := newCloud(t)
	for range 5 {
		if err := k.c.RotateReceiptKeys(); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := filepath.Glob(filepath.Join(k.options.Receipts.KeyRepository, "*")); err != nil || len(files) != 3 {
		t.Error(files, err)
	}
}

func TestTheDoctorFindsWhatWantsCare(t *testing.T) {
	find := func(k *cloud, part string, want bool) {
		t.Helper()
		all, err := k.c.Symptoms(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(all, "\n"), part); got != want {
			t.Errorf("%q: %t, want %t, of %q", part, got, want, all)
		}
	}
	k := newCloud(t)
	if all, err := k.c.Symptoms(t.Context()); err != nil || len(all) != 0 {
		t.Error("of a healthy cloud:", all, err)
	}
	u, _ := k.user("alice", "member")
	k.must(201, "POST", "/v3/credentials", doc{"credential": doc{"user_id": u, "type": "cert", "blob": "b"}})
	if err := k.c.RotateCredentialKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	find(k, "1 credentials are not encrypted", true)
	if _, err := k.c.MigrateCredentials(t.Context()); err != nil {
		t.Fatal(err)
	}
	find(k, "are not encrypted", false)
	staged := filepath.Join(k.options.Fernet.KeyRepository, "0")
	if err := os.Chmod(staged, 0o644); err != nil {
		t.Fatal(err)
	}
	find(k, staged+", which others on this host can open (mode 644)", true)
	if err := os.Remove(staged); err != nil {
		t.Fatal(err)
	}
	find(k, "[fernet_tokens] has no staged key", true)

	k = newCloud(t, func(o *control.Options) {
		o.Compliance.MinimumPasswordAge, o.Compliance.PasswordExpiresDays, o.Compliance.PasswordRegex, o.Compliance.DisableInactiveDays = 7, 7, ".", 30
		o.Receipts.KeyRepository = o.Credential.KeyRepository
	})
	find(k, "minimum_password_age (7 days) is not less", true)
	find(k, "has no password_regex_description", true)
	find(k, "[fernet_receipts] and [credential] share the keys", true)
	find(k, "users no log-in is known", true)
	if n, err := k.c.ResetLastActive(t.Context()); err != nil || n == 0 {
		t.Error(n, err)
	}
	find(k, "users no log-in is known", false)
	d := k.must(201, "POST", "/v3/domains", doc{"domain": doc{"name": "corp"}}).str("domain", "id")
	k.must(201, "PUT", "/v3/domains/"+d+"/config", doc{"config": doc{"identity": doc{"driver": "ldap"}, "ldap": doc{"url": "ldapi:///nowhere/socket", "user_tree_dn": "dc=x"}}})
	find(k, "The directory of the domain corp cannot be used", true)
}
