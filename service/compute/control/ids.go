package control

import (
	"crypto/rand"
	"strings"

	"github.com/google/uuid"
)

func newID() string { return uuid.NewString() }

const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// randomText returns n characters without those that look alike.
func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b)
}

// hostnameOf makes a name that a guest can have out of a user's free text, as
// upstream does; other is for names of which nothing is left.
func hostnameOf(name, other string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-':
			b.WriteRune(r)
		case r == ' ' || r == '_' || r == '.':
			b.WriteByte('-')
		}
	}
	host := b.String()
	host = strings.Trim(host[:min(63, len(host))], "-")
	if host == "" {
		return other
	}
	return host
}
