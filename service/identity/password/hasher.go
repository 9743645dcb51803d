package password

import (
	"crypto/pbkdf2"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// Algorithms by upstream's names.
const (
	Bcrypt = "bcrypt"
	Scrypt = "scrypt"
	PBKDF2 = "pbkdf2_sha512"
)

// Hasher makes and checks password hashes. The zero Rounds, BlockSize and
// Parallelism stand for upstream's defaults.
type Hasher struct {
	Algorithm   string // "": bcrypt
	Rounds      int    // bcrypt's and scrypt's as a power of two
	BlockSize   int    // scrypt's
	Parallelism int    // scrypt's
	Random      io.Reader

	dummy string // what a password is compared with when there is no user
}

const (
	bcryptMax = 72
	long      = "sha512:" // marks the bcrypt hash of a password that is so long, or longer
	saltSize  = 16
)

// The most that a hash in the database may ask of us.
const (
	maxScryptMemory = 256 << 20 // bytes: 128 * N * r
	maxScryptWork   = 1 << 28   // N * r * p
	maxPBKDF2       = 10_000_000
)

// New returns a hasher of an algorithm, or says what is wrong with its settings.
func New(h Hasher) (*Hasher, error) {
	def := map[string]int{"": 12, Bcrypt: 12, Scrypt: 16, PBKDF2: 60000}
	rounds, ok := def[h.Algorithm]
	if !ok {
		return nil, fmt.Errorf("password_hash_algorithm must be %s, %s or %s, and is %q", Bcrypt, Scrypt, PBKDF2, h.Algorithm)
	}
	if h.Rounds == 0 {
		h.Rounds = rounds
	}
	if h.BlockSize == 0 {
		h.BlockSize = 8
	}
	if h.Parallelism == 0 {
		h.Parallelism = 1
	}
	low, high := map[string]int{Scrypt: 1, PBKDF2: 1}[h.Algorithm], map[string]int{Scrypt: 20, PBKDF2: maxPBKDF2}[h.Algorithm]
	if h.Algorithm == "" || h.Algorithm == Bcrypt {
		low, high = bcrypt.MinCost, bcrypt.MaxCost
	}
	if h.Rounds < low || h.Rounds > high {
		return nil, fmt.Errorf("password_hash_rounds of %s must lie between %d and %d, and is %d", orBcrypt(h.Algorithm), low, high, h.Rounds)
	}
	var err error
	h.dummy, err = h.Make("no user has this password")
	return &h, err
}

func orBcrypt(name string) string {
	if name == "" {
		return Bcrypt
	}
	return name
}

// Make returns the hash of a password.
func (h *Hasher) Make(password string) (string, error) {
	switch h.Algorithm {
	case Scrypt, PBKDF2:
		salt := make([]byte, saltSize)
		if _, err := io.ReadFull(h.Random, salt); err != nil {
			return "", fmt.Errorf("password: %w", err)
		}
		if h.Algorithm == PBKDF2 {
			sum, err := pbkdf2.Key(sha512.New, password, salt, h.Rounds, sha512.Size)
			return fmt.Sprintf("$pbkdf2-sha512$%d$%s$%s", h.Rounds, ab64(salt), ab64(sum)), err
		}
		sum, err := scrypt.Key([]byte(password), salt, 1<<h.Rounds, h.BlockSize, h.Parallelism, 32)
		return fmt.Sprintf("$scrypt$ln=%d,r=%d,p=%d$%s$%s", h.Rounds, h.BlockSize, h.Parallelism, raw.EncodeToString(salt), raw.EncodeToString(sum)), err
	}
	prefix := ""
	// Also when it just fits: of a password in a plain hash nothing has been cut off,
	// unless it comes from Keystone.
	if len(password) >= bcryptMax {
		password, prefix = shorten(password), long
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), h.Rounds)
	return prefix + string(hash), err
}

// Matches compares in the same time whether there is a hash or not.
func (h *Hasher) Matches(hash, password string) bool {
	given := hash != ""
	if !given {
		hash = h.dummy
	}
	return check(hash, password) && given
}

// check compares by whatever algorithm the hash is of.
func check(hash, password string) bool {
	switch parts := strings.Split(hash, "$"); {
	case strings.HasPrefix(hash, "$scrypt$") && len(parts) == 5:
		return checkScrypt(parts[2], parts[3], parts[4], password)
	case strings.HasPrefix(hash, "$pbkdf2-sha512$") && len(parts) == 5:
		return checkPBKDF2(parts[2], parts[3], parts[4], password)
	case strings.HasPrefix(hash, "$bcrypt-sha256$") && len(parts) == 5:
		return checkBcryptSHA256(parts[2], parts[3], parts[4], password)
	case strings.HasPrefix(hash, "$6$"):
		return checkSHA512Crypt(hash, password)
	}
	rest, shortened := strings.CutPrefix(hash, long)
	switch {
	case shortened:
		password = shorten(password)
	case len(password) > bcryptMax: // Keystone has hashed so much of it, and no more
		password = password[:bcryptMax]
	}
	return bcrypt.CompareHashAndPassword([]byte(rest), []byte(password)) == nil && len(rest) == 60
}

func shorten(password string) string {
	sum := sha512.Sum384([]byte(password)) // 64 characters, below bcrypt's 72
	return base64.StdEncoding.EncodeToString(sum[:])
}

func same(a, b []byte) bool { return len(a) > 0 && subtle.ConstantTimeCompare(a, b) == 1 }

// raw is base64 without padding; ab64 the same with . in place of +.
var raw = base64.RawStdEncoding

func ab64(b []byte) string { return strings.ReplaceAll(raw.EncodeToString(b), "+", ".") }

func fromAB64(s string) ([]byte, error) { return raw.DecodeString(strings.ReplaceAll(s, ".", "+")) }
