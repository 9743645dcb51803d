package remote

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
)

// identity is what this service asks of its neighbour, with one key pair. It refuses
// what was signed more than a quarter of an hour ago, as the real one does.
type identity struct {
	now    time.Time
	asked  map[string]int
	closed bool // it shows nobody secrets
	gone   bool // the key has been deleted
}

const access, secret = "the-access", "the-secret"

func (i *identity) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256([]byte(access))
	refuse := func(status int) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error": {"message": "no", "code": %d}}`, status)
	}
	i.asked[r.Method+" "+r.URL.Path]++
	switch r.URL.Path {
	case "/v3/s3tokens":
		var in struct {
			Credentials struct{ Access, Token, Signature string }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("Content-Type") != "application/json" {
			refuse(400)
			return
		}
		text, _ := base64.URLEncoding.DecodeString(in.Credentials.Token)
		lines := strings.Split(string(text), "\n")
		at, err := time.Parse("20060102T150405Z", lines[1])
		switch {
		case in.Credentials.Access != access || i.gone:
			refuse(404)
		case err != nil || i.now.Sub(at) > 15*time.Minute || !signs(secret, string(text), in.Credentials.Signature):
			refuse(401)
		default:
			fmt.Fprint(w, `{"token": {"user": {"id": "u", "name": "n", "domain": {"id": "d"}}, "project": {"id": "p", "name": "pn", "domain": {"id": "d"}}, "roles": [{"name": "SwiftOperator"}]}}`)
		}
	case "/v3/users/u/credentials/OS-EC2/" + access:
		if i.closed || i.gone {
			refuse(403)
			return
		}
		fmt.Fprintf(w, `{"credential": {"access": %q, "secret": %q}}`, access, secret)
	case "/v3/credentials/" + hex.EncodeToString(sum[:]):
		if i.closed || i.gone {
			refuse(403)
			return
		}
		fmt.Fprintf(w, `{"credential": {"blob": %q}}`, fmt.Sprintf(`{"access": %q, "secret": %q}`, access, secret))
	default:
		refuse(404)
	}
}

type own struct{}

func (own) Token(context.Context, string) (string, error)  { return "token", nil }
func (own) Catalog(context.Context) (*peer.Catalog, error) { return nil, nil }

func newSigners(t *testing.T) (*Signers, *identity) {
	t.Helper()
	i := &identity{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), asked: map[string]int{}}
	c, err := peer.Table{"identity": {URL: "http://identity", Transport: peer.Pipe(i)}}.Client("identity", own{})
	if err != nil {
		t.Fatal(err)
	}
	return &Signers{Identity: c, TTL: time.Minute, Now: func() time.Time { return i.now }}, i
}

func TestSigners(t *testing.T) {
	s, i := newSigners(t)
	text := s.text()
	who, err := s.Verify(t.Context(), access, text, sign(secret, text))
	if err != nil || who.UserID != "u" || who.ProjectID != "p" || who.Secret != secret || len(who.Roles) != 1 || who.Roles[0] != "swiftoperator" {
		t.Fatalf("%+v %v", who, err)
	}
	// It is asked once, and again when a minute is over.
	other := strings.Replace(text, "0000", "1111", 1)
	for range 5 {
		if _, err := s.Verify(t.Context(), access, other, sign(secret, other)); err != nil {
			t.Error(err)
		}
	}
	if n := i.asked["POST /v3/s3tokens"]; n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	// What is forged is asked about, and refused; once, since it is no token of ours that is refused.
	if _, err := s.Verify(t.Context(), access, text, sign("guessed", text)); !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
	if n := i.asked["POST /v3/s3tokens"]; n != 2 {
		t.Errorf("it was asked %d times", n)
	}
	if _, err := s.Verify(t.Context(), "nobody", text, sign(secret, text)); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	i.now, i.gone = i.now.Add(2*time.Minute), true
	text = s.text()
	if _, err := s.Verify(t.Context(), access, text, sign(secret, text)); !fault.Is(err, fault.NotFound) {
		t.Error("a key that has been deleted:", err)
	}
}

// An address may be signed a week before: the secret tells that it is right, and the
// identity service who has it now.
func TestAddressesThatWereSignedBefore(t *testing.T) {
	s, i := newSigners(t)
	text := s.text()
	i.now = i.now.Add(24 * time.Hour)
	if who, err := s.Verify(t.Context(), access, text, sign(secret, text)); err != nil || who.UserID != "u" {
		t.Errorf("%+v %v", who, err)
	}
	if _, err := s.Verify(t.Context(), access, text, sign("guessed", text)); !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
	i.closed = true
	i.now = i.now.Add(time.Hour)
	if _, err := s.Verify(t.Context(), access, text, sign(secret, text)); !fault.Is(err, fault.Unauthenticated) {
		t.Error("without the secret nobody can tell:", err)
	}
	text = s.text()
	if who, err := s.Verify(t.Context(), access, text, sign(secret, text)); err != nil || who.Secret != "" {
		t.Errorf("%+v %v", who, err)
	}
}
