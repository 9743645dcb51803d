package password

import (
	"crypto/rand"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// Made by passlib, as Keystone makes them, of the same password.
const secret = "secret pässword"

var made = map[string]string{
	"bcrypt_sha256":       "$bcrypt-sha256$v=2,t=2b,r=4$x/bkWKJK/9AYXB7wRIFkcO$7oDCV0YOlWe2DRWfMzwlCki.QsXsH9C",
	"bcrypt_sha256 v1":    "$bcrypt-sha256$2b,4$wwiEYtam7X.EvGqyD4A3Ku$zcLe74v/qBB5VCSUkxx6uSGJAdv/Exq",
	"scrypt":              "$scrypt$ln=4,r=8,p=1$/v+fU+od41yLEaLUei/lHA$5Lv9bAIK7SOIT/0cUGRrI/jDmu10qg1StxPI17GboZg",
	"pbkdf2_sha512":       "$pbkdf2-sha512$1000$2XsvRci59773/l.L8V5rTQ$3PuvJ3gf3PWUqKTxExLYtqMqwD/nTmt.LAa1Yvdpxk3CtQzSkQRznbc3NO3l7piB9LyUtaxctGdshJ8XEeDnRw",
	"sha512_crypt":        "$6$hBM8DrKtDB4opScr$TNUR0NhOCjfMjFRNmQYHDIQZNVSSiCF96dbSgjLqTKTPr0W8yaUxJdsyrHdIGxfqeyspzMe08llwULSda9mj21",
	"sha512_crypt rounds": "$6$rounds=1234$VbvY3BPhHrv9iC9T$ZdukMi1Q9T1/ncCVDI4BUPFffKCXZRqSbW/TXPNNFDRLOgs5ERHg2nXp.BWdDgAe5qPOgUPPJqGyE5UtJF1Gb0",
}

func TestUpstreamsHashes(t *testing.T) {
	h, err := New(Hasher{Rounds: 4, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	for name, hash := range made {
		if !h.Matches(hash, secret) {
			t.Errorf("%s: the right password is refused", name)
		}
		for _, wrong := range []string{"", "secret", secret + " ", strings.Repeat(secret, 20)} {
			if h.Matches(hash, wrong) {
				t.Errorf("%s: %q is taken", name, wrong)
			}
		}
		if h.Matches(hash[:len(hash)-1], secret) || h.Matches(hash+"A", secret) {
			t.Errorf("%s: a hash that is cut or longer is taken", name)
		}
	}
}

// Keystone cuts what bcrypt cannot take; who comes from there with a long password
// must get in. What we have hashed ourselves we have not cut (CVE-2021-3563).
func TestLongPasswordsOfBcrypt(t *testing.T) {
	h, err := New(Hasher{Rounds: 4, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	first := strings.Repeat("0123456789", 8)[:72]
	theirs, err := bcrypt.GenerateFromPassword([]byte(first), 4)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{first: true, first + "89": true, first[:71]: false, "x" + first: false} {
		if got := h.Matches(string(theirs), password); got != want {
			t.Errorf("%q: %t", password, got)
		}
	}
	for _, password := range []string{first, first + "8", first + first} {
		ours, err := h.Make(password)
		if err != nil || !h.Matches(ours, password) || h.Matches(ours, password+"x") || h.Matches(ours, password[:len(password)-1]) {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestEveryAlgorithm(t *testing.T) {
	for name, rounds := range map[string]int{"": 4, Bcrypt: 4, Scrypt: 4, PBKDF2: 1000} {
		h, err := New(Hasher{Algorithm: name, Rounds: rounds, Random: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"x", secret, strings.Repeat("a", 72), strings.Repeat("a", 73), strings.Repeat("ä", 2000)} {
			hash, err := h.Make(p)
			if err != nil || !h.Matches(hash, p) || h.Matches(hash, p+"a") || h.Matches(hash, p[1:]) || len(hash) > 255 {
				t.Errorf("%s: %.20q: %s (%v)", name, p, hash, err)
			}
		}
		if h.Matches("", "no user has this password") {
			t.Errorf("%s: a user without a password lets somebody in", name)
		}
	}
	for _, h := range []Hasher{{Algorithm: "md5"}, {Rounds: 3}, {Rounds: 32}, {Algorithm: Scrypt, Rounds: 30}} {
		if h.Random = rand.Reader; true {
			if _, err := New(h); err == nil {
				t.Errorf("%+v is taken", h)
			}
		}
	}
}

// What stands in the database cannot cost more than we allow.
func TestCostlyHashesAreRefused(t *testing.T) {
	for _, hash := range []string{"$scrypt$ln=24,r=64,p=1$aaaa$aaaa", "$scrypt$ln=20,r=8,p=1000$aaaa$aaaa", "$pbkdf2-sha512$99999999$aaaa$aaaa", "$6$rounds=999999999$a$b",
		"$scrypt$x$y$z", "$pbkdf2-sha512$1$*$*", "$bcrypt-sha256$$$", "$6$", "$9$what"} {
		if check(hash, secret) {
			t.Errorf("%s is taken", hash)
		}
	}
}
