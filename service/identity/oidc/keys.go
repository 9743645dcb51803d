package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"
)

// The limits of what is fetched from a provider.
const (
	maxDocument  = 1 << 20
	maxKeys      = 100
	fetchTimeout = 10 * time.Second
	keysLive     = time.Hour        // keys are fetched anew after that
	refetchAfter = 10 * time.Second // at the soonest, for a key that is not among them
	minRSA       = 2048             // bits
)

// jwk is one key of a provider, RFC 7517.
type jwk struct {
	Type string `json:"kty"`
	Use  string `json:"use"`
	ID   string `json:"kid"`
	Alg  string `json:"alg"`
	N    string `json:"n"`
	E    string `json:"e"`
	Crv  string `json:"crv"`
	X    string `json:"x"`
	Y    string `json:"y"`
}

// key returns the public key; nil for a kind that is not known.
func (k jwk) key() (crypto.PublicKey, error) {
	number := func(s string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || len(b) == 0 || len(b) > 2048 {
			return nil
		}
		return new(big.Int).SetBytes(b)
	}
	switch k.Type {
	case "RSA":
		n, e := number(k.N), number(k.E)
		if n == nil || e == nil || !e.IsInt64() || n.BitLen() < minRSA {
			return nil, fmt.Errorf("key %.64q is no RSA key of %d bits or more", k.ID, minRSA)
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
	case "EC":
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[k.Crv]
		x, y := number(k.X), number(k.Y)
		if curve == nil || x == nil || y == nil {
			return nil, fmt.Errorf("key %.64q is no key on a known curve", k.ID)
		}
		size := (curve.Params().BitSize + 7) / 8
		if x.BitLen() > 8*size || y.BitLen() > 8*size {
			return nil, fmt.Errorf("key %.64q is no point of its curve", k.ID)
		}
		point := make([]byte, 1+2*size) // uncompressed, as SEC 1 writes it
		point[0] = 4
		x.FillBytes(point[1 : 1+size])
		y.FillBytes(point[1+size:])
		pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
		if err != nil {
			return nil, fmt.Errorf("key %.64q: %w", k.ID, err)
		}
		return pub, nil
	case "OKP":
		b, err := base64.RawURLEncoding.DecodeString(k.X)
		if k.Crv != "Ed25519" || err != nil || len(b) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("key %.64q is no Ed25519 key", k.ID)
		}
		return ed25519.PublicKey(b), nil
	}
	return nil, nil
}

func (v *Verifier) get(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := v.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}

// fetch loads the provider's keys, whose address is discovered if need be.
func (v *Verifier) fetch(ctx context.Context) (map[string]crypto.PublicKey, error) {
	address := v.JWKS
	if address == "" {
		var found struct {
			Issuer string `json:"issuer"`
			JWKS   string `json:"jwks_uri"`
		}
		if err := v.get(ctx, v.Issuer+"/.well-known/openid-configuration", &found); err != nil {
			return nil, err
		}
		if found.Issuer != v.Issuer || found.JWKS == "" {
			return nil, fmt.Errorf("%s describes the provider %.256q", v.Issuer, found.Issuer)
		}
		address = found.JWKS
	}
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := v.get(ctx, address, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%s has %d keys, more than %d", address, len(set.Keys), maxKeys)
	}
	keys := map[string]crypto.PublicKey{}
	var wrong error
	for _, k := range set.Keys {
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		pub, err := k.key()
		if err != nil {
			wrong = errors.Join(wrong, err)
		} else if pub != nil {
			keys[k.ID] = pub
		}
	}
	if len(keys) == 0 {
		return nil, errors.Join(fmt.Errorf("%s has no key that can be used", address), wrong)
	}
	return keys, nil
}

// find returns the key with an id, or the only one there is for "".
func (v *Verifier) find(ctx context.Context, id string) (crypto.PublicKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.Now()
	pick := func() crypto.PublicKey {
		if id == "" && len(v.keys) == 1 {
			for _, k := range v.keys {
				return k
			}
		}
		return v.keys[id]
	}
	if k := pick(); k != nil && now.Sub(v.fetched) < keysLive {
		return k, nil
	}
	if v.fetched.IsZero() || now.Sub(v.fetched) >= refetchAfter {
		keys, err := v.fetch(ctx)
		if err != nil {
			return nil, &Unreachable{err}
		}
		v.keys, v.fetched = keys, now
	}
	if k := pick(); k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("the provider has no key %.64q", id)
}
