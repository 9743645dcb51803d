package password

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// checkScrypt reads $scrypt$ln=16,r=8,p=1$SALT$SUM.
func checkScrypt(settings, saltText, sumText, password string) bool {
	var ln, r, p int
	if n, err := fmt.Sscanf(settings, "ln=%d,r=%d,p=%d", &ln, &r, &p); n != 3 || err != nil || ln < 1 || ln > 24 || r < 1 || p < 1 {
		return false
	}
	if n := 1 << ln; r > maxScryptMemory/128/n || p > maxScryptWork/n/r {
		return false
	}
	salt, err1 := raw.DecodeString(saltText)
	want, err2 := raw.DecodeString(sumText)
	if err1 != nil || err2 != nil || len(want) != 32 {
		return false
	}
	got, err := scrypt.Key([]byte(password), salt, 1<<ln, r, p, len(want))
	return err == nil && same(got, want)
}

// checkPBKDF2 reads $pbkdf2-sha512$ROUNDS$SALT$SUM.
func checkPBKDF2(roundsText, saltText, sumText, password string) bool {
	rounds, err := strconv.Atoi(roundsText)
	if err != nil || rounds < 1 || rounds > maxPBKDF2 {
		return false
	}
	salt, err1 := fromAB64(saltText)
	want, err2 := fromAB64(sumText)
	if err1 != nil || err2 != nil || len(want) != sha512.Size {
		return false
	}
	got, err := pbkdf2.Key(sha512.New, password, salt, rounds, len(want))
	return err == nil && same(got, want)
}

// checkBcryptSHA256 reads $bcrypt-sha256$v=2,t=2b,r=12$SALT$SUM, and the older
// $bcrypt-sha256$2b,12$SALT$SUM: bcrypt of the base64 of an HMAC, or of a hash.
func checkBcryptSHA256(settings, salt, sum, password string) bool {
	var kind string
	var rounds int
	var digest []byte
	if rest, ok := strings.CutPrefix(settings, "v=2,t="); ok {
		t, r, _ := strings.Cut(rest, ",r=")
		mac := hmac.New(sha256.New, []byte(salt))
		mac.Write([]byte(password))
		kind, digest = t, mac.Sum(nil)
		rounds, _ = strconv.Atoi(r)
	} else {
		t, r, _ := strings.Cut(settings, ",")
		hash := sha256.Sum256([]byte(password))
		kind, digest = t, hash[:]
		rounds, _ = strconv.Atoi(r)
	}
	if kind != "2a" && kind != "2b" && kind != "2y" || rounds < bcrypt.MinCost || rounds > bcrypt.MaxCost || len(salt) != 22 || len(sum) != 31 {
		return false
	}
	return bcrypt.CompareHashAndPassword(fmt.Appendf(nil, "$%s$%02d$%s%s", kind, rounds, salt, sum), []byte(base64.StdEncoding.EncodeToString(digest))) == nil
}

// cryptAlphabet is crypt(3)'s base64.
const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// checkSHA512Crypt reads $6$[rounds=N$]SALT$SUM, after Drepper's description of
// SHA-crypt.
func checkSHA512Crypt(hash, password string) bool {
	rest, rounds := strings.TrimPrefix(hash, "$6$"), 5000
	if text, ok := strings.CutPrefix(rest, "rounds="); ok {
		n, after, _ := strings.Cut(text, "$")
		var err error
		if rounds, err = strconv.Atoi(n); err != nil || rounds < 1000 || rounds > maxPBKDF2 {
			return false
		}
		rest = after
	}
	salt, want, ok := strings.Cut(rest, "$")
	if !ok || len(salt) > 16 || len(password) > 4096 {
		return false
	}
	return same([]byte(sha512Crypt([]byte(password), []byte(salt), rounds)), []byte(want))
}

func sha512Crypt(password, salt []byte, rounds int) string {
	sum := func(parts ...[]byte) []byte {
		h := sha512.New()
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	// stretched repeats b to n bytes.
	stretched := func(b []byte, n int) []byte {
		var out []byte
		for len(out) < n {
			out = append(out, b[:min(len(b), n-len(out))]...)
		}
		return out
	}
	b := sum(password, salt, password)
	parts := [][]byte{password, salt, stretched(b, len(password))}
	for n := len(password); n > 0; n >>= 1 {
		if n&1 != 0 {
			parts = append(parts, b)
		} else {
			parts = append(parts, password)
		}
	}
	a := sum(parts...)
	var many [][]byte
	for range password {
		many = append(many, password)
	}
	p := stretched(sum(many...), len(password))
	many = nil
	for range 16 + int(a[0]) {
		many = append(many, salt)
	}
	s := stretched(sum(many...), len(salt))
	for i := range rounds {
		var round [][]byte
		if i&1 != 0 {
			round = append(round, p)
		} else {
			round = append(round, a)
		}
		if i%3 != 0 {
			round = append(round, s)
		}
		if i%7 != 0 {
			round = append(round, p)
		}
		if i&1 != 0 {
			round = append(round, a)
		} else {
			round = append(round, p)
		}
		a = sum(round...)
	}
	var out strings.Builder
	put := func(v uint32, n int) {
		for range n {
			out.WriteByte(cryptAlphabet[v&0x3f])
			v >>= 6
		}
	}
	for i := range 21 { // the bytes in three columns, each triple begins one column on
		t := [3]int{i, i + 21, i + 42}
		x, y, z := t[i%3], t[(i+1)%3], t[(i+2)%3]
		put(uint32(a[x])<<16|uint32(a[y])<<8|uint32(a[z]), 4)
	}
	put(uint32(a[63]), 2)
	return out.String()
}
