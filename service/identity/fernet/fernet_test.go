package fernet

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"kilonova/service/identity"
)

// The specification's own example: https://github.com/fernet/spec
func TestSpecification(t *testing.T) {
	key, err := ParseKey("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")
	if err != nil {
		t.Fatal(err)
	}
	const text = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="
	at := time.Unix(499162800, 0).UTC()
	data, made, err := Open([]Key{key}, text)
	if err != nil || string(data) != "hello" || !made.Equal(at) {
		t.Fatalf("%q %v %v", data, made, err)
	}
	iv := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	if got, err := Seal(key, []byte("hello"), at, strings.NewReader(string(iv))); err != nil || got != strings.TrimRight(text, "=") {
		t.Fatalf("%s %v", got, err)
	}
	for i := range len(text) - 4 { // any change of a character is found
		changed := []byte(text)
		changed[i] ^= 1
		if _, _, err := Open([]Key{key}, string(changed)); !errors.Is(err, ErrInvalid) {
			t.Fatalf("character %d changed: %v", i, err)
		}
	}
	if _, _, err := Open([]Key{{}}, text); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
}

const id1, id2, id3 = "9fe1d3a0b1c24d5e8f90a1b2c3d4e5f6", "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"

func claims() map[string]identity.Claims {
	base := identity.Claims{UserID: id1, Methods: []string{"password", "token"}, AuditIDs: []string{"3T2dc1CGQxyJsHdDu1xkcw", "AAAAc1CGQxyJsHdDu1xkcw"},
		IssuedAt: time.Date(2026, 11, 20, 1, 2, 3, 456789000, time.UTC), Expires: time.Date(2026, 11, 20, 2, 2, 3, 456789000, time.UTC)}
	with := func(change func(*identity.Claims)) identity.Claims {
		c := base
		change(&c)
		return c
	}
	return map[string]identity.Claims{
		"unscoped":       base,
		"project":        with(func(c *identity.Claims) { c.ProjectID = id2 }),
		"named project":  with(func(c *identity.Claims) { c.ProjectID = "admin-project" }),
		"domain":         with(func(c *identity.Claims) { c.DomainID = id2 }),
		"default domain": with(func(c *identity.Claims) { c.DomainID = "default" }),
		"system":         with(func(c *identity.Claims) { c.System = true }),
		"trust":          with(func(c *identity.Claims) { c.ProjectID, c.TrustID = id2, id3 }),
		"app credential": with(func(c *identity.Claims) { c.ProjectID, c.AppCredID = id2, id3 }),
	}
}

func TestIssueAndParse(t *testing.T) {
	key := Key{1, 2, 3}
	for name, c := range claims() {
		text, err := Issue(key, &c, rand.Reader)
		if err != nil || len(text) > 255 {
			t.Fatalf("%s: %d characters, %v", name, len(text), err)
		}
		got, err := Parse([]Key{{}, key}, text)
		if err != nil || !reflect.DeepEqual(*got, c) {
			t.Errorf("%s: %+v, want %+v (%v)", name, got, c, err)
		}
	}
}

// A list as Python's msgpack packs Keystone's: without our microseconds.
func TestParseKeystonesList(t *testing.T) {
	key := Key{7}
	// [2, [True, 16 bytes], 2, [True, 16 bytes], 1795219323.0, [16 bytes]]
	list := "\x96\x02\x92\xc3\xc4\x10" + "\x9f\xe1\xd3\xa0\xb1\xc2\x4d\x5e\x8f\x90\xa1\xb2\xc3\xd4\xe5\xf6" + "\x02\x92\xc3\xc4\x10" +
		"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef" + "\xcb\x41\xda\xc0\x37\xde\xc0\x00\x00" + "\x91\xc4\x10" + strings.Repeat("\x01", 16)
	text, err := Seal(key, []byte(list), time.Unix(1795215723, 0), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse([]Key{key}, text)
	if err != nil || c.UserID != id1 || c.ProjectID != id2 || c.Methods[0] != "password" || len(c.AuditIDs) != 1 || c.IssuedAt.Unix() != 1795215723 || c.Expires.Unix() != 1795219323 {
		t.Fatalf("%+v %v", c, err)
	}
	for i := range len(list) { // whatever is cut off is refused, and nothing panics
		text, err := Seal(key, []byte(list[:i]), time.Unix(1, 0), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse([]Key{key}, text); err == nil {
			t.Fatalf("accepted the first %d bytes", i)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	k, err := OpenKeys(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	first, err := k.Primary()
	if err != nil {
		t.Fatal(err)
	}
	other, err := OpenKeys(dir, rand.Reader) // another process
	if err != nil {
		t.Fatal(err)
	}
	c := claims()["project"]
	text, err := Issue(first, &c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for rotation := range 4 {
		staged, _ := os.ReadFile(filepath.Join(dir, "0"))
		if err := k.Rotate(3); err != nil {
			t.Fatal(err)
		}
		primary, err := k.Primary()
		if err != nil || primary.String() != string(staged) {
			t.Fatalf("rotation %d: the staged key is not the primary one (%v)", rotation, err)
		}
		keys, err := other.All()
		if err != nil || len(keys) > 3 {
			t.Fatal(len(keys), err)
		}
		_, err = Parse(keys, text)
		if valid := rotation < 1; (err == nil) != valid {
			t.Fatalf("rotation %d: %v", rotation, err)
		}
	}
}

func TestKeysRefuseRubbish(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(dir, rand.Reader); err == nil || strings.Contains(err.Error(), "secret") {
		t.Fatal(err)
	}
}

func BenchmarkParse(b *testing.B) {
	c := claims()["project"]
	text, err := Issue(Key{}, &c, rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Parse([]Key{{1}, {}}, text); err != nil {
			b.Fatal(err)
		}
	}
}
