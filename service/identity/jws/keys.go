package jws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// The names of the two files of a pair of keys.
const (
	PrivateFile = "private.pem"
	PublicFile  = "public.pem"
)

// Keys are a folder with the private key that signs, and one with the public keys
// that are believed. They are read again when a folder has changed.
type Keys struct {
	private, public string // the folders

	mu      sync.Mutex
	signer  *ecdsa.PrivateKey
	known   []*ecdsa.PublicKey
	changed [2]time.Time
}

// OpenKeys returns the keys in two folders, which it makes, with a pair of keys,
// when there is no private key.
func OpenKeys(private, public string) (*Keys, error) {
	for _, dir := range []string{private, public} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("jws keys: %w", err)
		}
	}
	k := &Keys{private: private, public: public}
	if _, err := os.Stat(filepath.Join(private, PrivateFile)); errors.Is(err, fs.ErrNotExist) {
		if err := CreatePair(private, public); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	_, _, err := k.load()
	return k, err
}

// CreatePair writes a new pair of keys; fs.ErrExist when there is a private key.
func CreatePair(private, public string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("jws keys: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("jws keys: %w", err)
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return fmt.Errorf("jws keys: %w", err)
	}
	// The public key first: a signer whose key nobody believes is of no use. Where a
	// private key exists the public one must not be overwritten.
	if _, err := os.Stat(filepath.Join(private, PrivateFile)); err == nil {
		return fmt.Errorf("jws keys: %s: %w", filepath.Join(private, PrivateFile), fs.ErrExist)
	}
	if err := write(filepath.Join(public, PublicFile), "PUBLIC KEY", pub, 0o644); err != nil {
		return err
	}
	return write(filepath.Join(private, PrivateFile), "PRIVATE KEY", der, 0o600)
}

// write makes a file appear whole.
func write(path, kind string, der []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("jws keys: %w", err)
	}
	defer os.Remove(tmp.Name())
	err = errors.Join(pem.Encode(tmp, &pem.Block{Type: kind, Bytes: der}), tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("jws keys: %w", err)
	}
	return nil
}

// load returns the private key and the public keys.
func (k *Keys) load() (*ecdsa.PrivateKey, []*ecdsa.PublicKey, error) {
	var changed [2]time.Time
	for i, dir := range []string{k.private, k.public} {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, nil, fmt.Errorf("jws keys: %w", err)
		}
		changed[i] = info.ModTime()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.signer != nil && changed == k.changed {
		return k.signer, k.known, nil
	}
	parsed, err := read(filepath.Join(k.private, PrivateFile), x509.ParsePKCS8PrivateKey)
	if err != nil {
		return nil, nil, err
	}
	signer, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || signer.Curve != elliptic.P256() {
		return nil, nil, fmt.Errorf("jws keys: %s is no key for ES256", filepath.Join(k.private, PrivateFile))
	}
	entries, err := os.ReadDir(k.public)
	if err != nil {
		return nil, nil, fmt.Errorf("jws keys: %w", err)
	}
	known := []*ecdsa.PublicKey{&signer.PublicKey}
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasSuffix(e.Name(), ".pem") {
			continue
		}
		parsed, err := read(filepath.Join(k.public, e.Name()), x509.ParsePKIXPublicKey)
		if err != nil {
			return nil, nil, err
		}
		pub, ok := parsed.(*ecdsa.PublicKey)
		if !ok || pub.Curve != elliptic.P256() {
			return nil, nil, fmt.Errorf("jws keys: %s is no key for ES256", filepath.Join(k.public, e.Name()))
		}
		if !slices.ContainsFunc(known, func(o *ecdsa.PublicKey) bool { return o.Equal(pub) }) {
			known = append(known, pub)
		}
	}
	k.signer, k.known, k.changed = signer, known, changed
	return signer, known, nil
}

func read(path string, parse func([]byte) (any, error)) (any, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("jws keys: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("jws keys: %s has no key", path)
	}
	key, err := parse(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("jws keys: %s: %w", path, err)
	}
	return key, nil
}
