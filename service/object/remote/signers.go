// Package remote reaches the object service's neighbours over their REST APIs.
package remote

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/object"
)

// Signers asks the identity service who has signed a request, as its own user. An
// answer is remembered for TTL, with the secret: later signatures are then checked
// here.
type Signers struct {
	Identity *peer.Client
	TTL      time.Duration
	Now      func() time.Time

	mu    sync.Mutex
	known map[string]remembered
}

type remembered struct {
	signer *object.Signer
	until  time.Time
}

var _ object.Signers = (*Signers)(nil)

// mostKnown bounds what is remembered; beyond it all is forgotten.
const mostKnown = 10000

// Verify implements object.Signers.
func (s *Signers) Verify(ctx context.Context, access, text, signature string) (*object.Signer, error) {
	s.mu.Lock()
	known := s.known[access]
	s.mu.Unlock()
	if known.signer != nil && s.Now().Before(known.until) && signs(known.signer.Secret, text, signature) {
		return known.signer, nil
	}
	signer, err := s.ask(ctx, access, text, signature)
	if fault.Is(err, fault.Unauthenticated) {
		// An address that was signed for later is too old for the identity service.
		if secret := s.secretOf(ctx, access); secret != "" && signs(secret, text, signature) {
			fresh := s.text()
			signer, err = s.ask(ctx, access, fresh, sign(secret, fresh))
		}
	}
	if err != nil {
		return nil, err
	}
	if signer.Secret = s.secret(ctx, signer.UserID, access); signer.Secret != "" && s.TTL > 0 {
		s.mu.Lock()
		if s.known == nil || len(s.known) >= mostKnown {
			s.known = map[string]remembered{}
		}
		s.known[access] = remembered{signer, s.Now().Add(s.TTL)}
		s.mu.Unlock()
	}
	return signer, nil
}

// ask has the identity service check a signature.
func (s *Signers) ask(ctx context.Context, access, text, signature string) (*object.Signer, error) {
	type named struct {
		ID, Name string
		Domain   struct{ ID string }
	}
	var out struct {
		Token struct {
			User, Project named
			Roles         []named
		}
	}
	in, err := json.Marshal(map[string]any{"credentials": map[string]string{"access": access, "token": base64.URLEncoding.EncodeToString([]byte(text)), "signature": signature}})
	if err != nil {
		return nil, err
	}
	// As a stream, which is sent once: the peer would take a forged signature for a
	// token of ours that has been revoked, and get another one.
	header := http.Header{"Content-Type": {"application/json"}}
	if err := s.Identity.Do(ctx, peer.Call{Method: "POST", Path: "/v3/s3tokens", Header: header, In: bytes.NewReader(in), Out: &out}); err != nil {
		return nil, refused(err)
	}
	t := out.Token
	if t.Project.ID == "" || t.User.ID == "" {
		return nil, fault.New(fault.Unauthenticated, "The access key is for no project.")
	}
	signer := &object.Signer{UserID: t.User.ID, UserName: t.User.Name, UserDomainID: t.User.Domain.ID, ProjectID: t.Project.ID, ProjectName: t.Project.Name, ProjectDomainID: t.Project.Domain.ID}
	for _, r := range t.Roles {
		signer.Roles = append(signer.Roles, strings.ToLower(r.Name))
	}
	return signer, nil
}

// refused finds what the identity service says of the signature: it comes as what it
// says of tokens, 401, for which the peer takes it.
func refused(err error) error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if f, ok := e.(*fault.Error); ok && f.Kind == fault.Unauthenticated { //nolint:errorlint // each link is looked at
			return fault.Wrap(err, fault.Unauthenticated, "The signature is not that of the access key.")
		}
	}
	return err
}

// secret returns what a user's access key signs with, "" where that is not told us.
func (s *Signers) secret(ctx context.Context, user, access string) string {
	var out struct {
		Credential struct{ Secret string }
	}
	if err := s.Identity.Do(ctx, peer.Call{Method: "GET", Path: "/v3/users/" + url.PathEscape(user) + "/credentials/OS-EC2/" + url.PathEscape(access), Out: &out}); err != nil {
		return ""
	}
	return out.Credential.Secret
}

// secretOf is secret where the user is not known: a key pair is kept under the sum of
// its access key.
func (s *Signers) secretOf(ctx context.Context, access string) string {
	sum := sha256.Sum256([]byte(access))
	var out struct{ Credential struct{ Blob string } }
	if err := s.Identity.Do(ctx, peer.Call{Method: "GET", Path: "/v3/credentials/" + hex.EncodeToString(sum[:]), Out: &out}); err != nil {
		return ""
	}
	var blob struct{ Secret string }
	if json.Unmarshal([]byte(out.Credential.Blob), &blob) != nil {
		return ""
	}
	return blob.Secret
}

// text is one to sign that is of now.
func (s *Signers) text() string {
	now := s.Now().UTC()
	return "AWS4-HMAC-SHA256\n" + now.Format("20060102T150405Z") + "\n" + now.Format("20060102") + "/none/s3/aws4_request\n" + strings.Repeat("0", 64)
}

// signs reports whether signature is what secret makes of a text.
func signs(secret, text, signature string) bool {
	want := sign(secret, text)
	return secret != "" && want != "" && hmac.Equal([]byte(want), []byte(signature))
}

// sign makes a signature of version 4; the text says for what.
func sign(secret, text string) string {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return ""
	}
	key := []byte("AWS4" + secret)
	for _, part := range append(strings.Split(lines[2], "/"), text) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return hex.EncodeToString(key)
}
