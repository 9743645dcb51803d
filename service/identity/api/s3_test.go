package api

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// What S3 servers (Swift's s3api) ask: whose signature is under a text. The signatures are made here by hand, as AWS describes them.
func TestS3Tokens(t *testing.T) {
	k := newCloud(t)
	u, p := k.user("alice", "member")
	alice := k.login("alice", "alice's secret", project("alice")).token
	nova := k.login("nova", "nova's secret", project("service")).token
	made := k.do(alice, "POST", "/v3/users/"+u+"/credentials/OS-EC2", doc{"tenant_id": p})
	access, secret := made.str("credential", "access"), made.str("credential", "secret")
	older := func(secret, _ string, text string) string {
		h := hmac.New(sha1.New, []byte(secret))
		h.Write([]byte(text))
		return base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	newer := func(secret, scope, text string) string {
		key := []byte("AWS4" + secret)
		for _, part := range append(strings.Split(scope, "/"), text) {
			h := hmac.New(sha256.New, key)
			h.Write([]byte(part))
			key = h.Sum(nil)
		}
		return hex.EncodeToString(key)
	}
	type scheme struct {
		sign func(secret, scope, text string) string
		text func(when time.Time) (scope, text string)
	}
	for name, s := range map[string]scheme{
		"version 1": {older, func(when time.Time) (string, string) {
			return "", "GET\n\n\n" + when.Format(time.RFC1123) + "\n/bucket/object"
		}},
		"version 4": {newer, func(when time.Time) (string, string) {
			scope := when.Format("20060102") + "/RegionOne/s3/aws4_request"
			return scope, "AWS4-HMAC-SHA256\n" + when.Format("20060102T150405Z") + "\n" + scope + "\n" + strings.Repeat("0f", 32)
		}},
	} {
		ask := func(who string, when time.Time, change func(credentials doc)) answer {
			scope, text := s.text(when.UTC())
			c := doc{"access": access, "token": base64.URLEncoding.EncodeToString([]byte(text)), "signature": s.sign(secret, scope, text)}
			change(c)
			return k.do(who, "POST", "/v3/s3tokens", doc{"credentials": c})
		}
		as := func(doc) {}
		if a := ask(nova, k.now, as); a.status != 200 || a.str("token", "user", "id") != u || a.str("token", "project", "id") != p {
			t.Error(name, a.status, a.body)
		}
		// OSSA-2025-002: only services may turn a signature into a token.
		k.wants(ask("", k.now, as), 401, "%s asked by nobody", name)
		k.wants(ask(alice, k.now, as), 403, "%s asked by a user", name)
		k.wants(ask(nova, k.now, func(c doc) { c["signature"] = s.sign("guessed", "20260101/RegionOne/s3/aws4_request", "x") }), 401, "%s forged", name)
		k.wants(ask(nova, k.now, func(c doc) { c["token"] = base64.URLEncoding.EncodeToString([]byte("DELETE\n\n\n\n/bucket/object")) }), 401, "%s of another request", name)
		k.wants(ask(nova, k.now, func(c doc) { c["token"] = "not base64!" }), 400, "%s of no text", name)
		k.wants(ask(nova, k.now, func(c doc) { c["access"] = "unknown" }), 404, "%s of nobody", name)
		if name == "version 4" { // the older one's date is not the identity service's to read
			k.wants(ask(nova, k.now.Add(-16*time.Minute), as), 401, "%s signed long ago", name)
		}
	}
	k.must(204, "DELETE", "/v3/projects/"+p+"/users/"+u+"/roles/"+k.role("member"), nil)
	scope, text := "", "GET\n\n\n\n/bucket/object"
	k.wants(k.do(nova, "POST", "/v3/s3tokens", doc{"credentials": doc{"access": access, "token": base64.URLEncoding.EncodeToString([]byte(text)), "signature": older(secret, scope, text)}}), 401, "without a role")
}
