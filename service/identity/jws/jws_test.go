package jws

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kilonova/service/identity"
)

func claimsAt(c identity.Claims) *identity.Claims {
	c.UserID, c.Methods, c.AuditIDs = "u", []string{"password"}, []string{"a", "b"}
	c.IssuedAt = time.Date(2026, 1, 1, 0, 0, 0, 123456000, time.UTC)
	c.Expires = c.IssuedAt.Truncate(time.Second).Add(time.Hour)
	return &c
}

func TestTokensComeBackWhole(t *testing.T) {
	dir := t.TempDir()
	k, err := OpenKeys(filepath.Join(dir, "private"), filepath.Join(dir, "public"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []identity.Claims{{}, {ProjectID: "p"}, {DomainID: "d"}, {System: true}, {ProjectID: "p", TrustID: "t"}, {ProjectID: "p", AppCredID: "a"},
		{ProjectID: "p", AccessTokenID: "o"}, {ProjectID: "p", Thumbprint: "x"}, {IdentityProvider: "i", Protocol: "saml", GroupIDs: []string{"g", "h"}}} {
		want := claimsAt(c)
		text, err := k.Issue(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Parse(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
		parts := strings.Split(text, ".")
		other, _ := k.Issue(claimsAt(identity.Claims{System: true, ProjectID: "other"}))
		for what, bad := range map[string]string{"empty": "", "other claims": parts[0] + "." + strings.Split(other, ".")[1] + "." + parts[2], "no signature": parts[0] + "." + parts[1] + ".",
			"unsigned": "eyJhbGciOiJub25lIn0." + parts[1] + ".", "long": strings.Repeat("a", maxText+1)} {
			if _, err := k.Parse(bad); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

// Who has the public key of another believes its tokens, as soon as the file is there.
func TestKeysOfSeveral(t *testing.T) {
	dir := t.TempDir()
	one, err := OpenKeys(filepath.Join(dir, "1"), filepath.Join(dir, "1p"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := OpenKeys(filepath.Join(dir, "2"), filepath.Join(dir, "2p"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := two.Issue(claimsAt(identity.Claims{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.Parse(text); !errors.Is(err, ErrInvalid) {
		t.Error("a stranger's token:", err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "2p", PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "1p", "two.pem"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Parse(text); err != nil {
		t.Error(err)
	}
	if err := CreatePair(filepath.Join(dir, "2"), filepath.Join(dir, "2p")); !errors.Is(err, fs.ErrExist) {
		t.Error("a private key was replaced:", err)
	}
	if again, err := OpenKeys(filepath.Join(dir, "2"), filepath.Join(dir, "2p")); err != nil {
		t.Error(err)
	} else if _, err := again.Parse(text); err != nil {
		t.Error("after a start anew:", err)
	}
}
