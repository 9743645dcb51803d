package control

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/object"
)

// digests are those that a signature may be made with, and how long it then is.
var digests = map[string]struct {
	make func() hash.Hash
	size int
}{"sha1": {sha1.New, sha1.Size}, "sha256": {sha256.New, sha256.Size}, "sha512": {sha512.New, sha512.Size}}

// Signed returns ctx for somebody who has signed one of some texts with a key of the
// account, or of the container; fault.Unauthenticated if nobody has.
func (c *Control) Signed(ctx context.Context, p object.Path, signature string, texts []string) (context.Context, error) {
	refused := fault.New(fault.Unauthenticated, "Temp URL invalid")
	if err := c.known(p.Account); err != nil {
		return nil, refused
	}
	name, want, ok := digestOf(signature)
	if !ok || !slices.Contains(c.o.TempURL.Digests, name) {
		return nil, refused
	}
	a, err := c.store.AccountHead(ctx, c.store.DB, p.Account)
	if err != nil {
		return nil, err
	}
	signs := func(h object.Headers, prefix string) bool {
		for _, header := range []string{prefix + "Temp-Url-Key", prefix + "Temp-Url-Key-2"} {
			for _, text := range texts {
				mac := hmac.New(digests[name].make, []byte(h[header]))
				mac.Write([]byte(text))
				if h[header] != "" && hmac.Equal(mac.Sum(nil), want) {
					return true
				}
			}
		}
		return false
	}
	if signs(a.Headers, "X-Account-Meta-") {
		return granted(ctx, object.Path{Account: p.Account}), nil
	}
	box, err := c.store.Container(ctx, c.store.DB, p.Account, p.Container)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, refused
	case err != nil:
		return nil, err
	case signs(box.Headers, "X-Container-Meta-"):
		return granted(ctx, object.Path{Account: p.Account, Container: p.Container}), nil
	}
	return nil, refused
}

// digestOf reads a signature: hexadecimal, told by its length, or "sha512:" and base64.
func digestOf(signature string) (name string, value []byte, ok bool) {
	if name, text, ok := strings.Cut(signature, ":"); ok {
		text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
		value, err := base64.RawStdEncoding.DecodeString(text)
		return name, value, err == nil && digests[name].size == len(value) && len(value) > 0
	}
	value, err := hex.DecodeString(signature)
	if err != nil {
		return "", nil, false
	}
	for name, d := range digests {
		if d.size == len(value) {
			return name, value, true
		}
	}
	return "", nil, false
}

// Shown is the metadata of a container that says how it looks to browsers: what of it
// begins with prefix, whoever asks.
func (c *Control) Shown(ctx context.Context, p object.Path, prefix string) (object.Headers, error) {
	box, err := c.store.Container(ctx, c.store.DB, p.Account, p.Container)
	if err != nil {
		return nil, err
	}
	out := object.Headers{}
	for name, value := range box.Headers {
		if strings.HasPrefix(name, prefix) {
			out[name] = value
		}
	}
	return out, nil
}
