package control

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"golang.org/x/crypto/ssh"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// Keypairs lists a user's keypairs; userID "" is the caller.
func (c *Control) Keypairs(ctx context.Context, userID, marker string, limit int) ([]compute.Keypair, error) {
	userID, err := c.keyOwner(ctx, "index", userID)
	if err != nil {
		return nil, err
	}
	if marker != "" {
		if _, err := c.Store.Keypair(ctx, c.Store.DB, userID, marker); err != nil {
			return nil, fault.Invalidf("marker [%s] not found", marker)
		}
	}
	return c.Store.Keypairs(ctx, c.Store.DB, userID, marker, limit)
}

// Keypair returns one of a user's keypairs.
func (c *Control) Keypair(ctx context.Context, userID, name string) (compute.Keypair, error) {
	userID, err := c.keyOwner(ctx, "show", userID)
	if err != nil {
		return compute.Keypair{}, err
	}
	return c.Store.Keypair(ctx, c.Store.DB, userID, name)
}

// DeleteKeypair removes one; servers keep the key that they have.
func (c *Control) DeleteKeypair(ctx context.Context, userID, name string) error {
	userID, err := c.keyOwner(ctx, "delete", userID)
	if err != nil {
		return err
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		k, err := c.Store.Keypair(ctx, tx, userID, name)
		if err != nil {
			return err
		}
		if err := c.tellKeypair(ctx, tx, "delete", k, k); err != nil {
			return err
		}
		return c.Store.DeleteKeypair(ctx, tx, userID, name)
	})
}

// CreateKeypair keeps a public key, or makes a pair when publicKey is "": then
// the private key is returned, once, and kept nowhere.
func (c *Control) CreateKeypair(ctx context.Context, userID, name, kind, publicKey string) (k compute.Keypair, privateKey string, err error) {
	userID, err = c.keyOwner(ctx, "create", userID)
	if err != nil {
		return k, "", err
	}
	k = compute.Keypair{UserID: userID, Name: name, Type: kind, PublicKey: publicKey, CreatedAt: c.Now()}
	switch {
	case kind == "x509" && publicKey == "":
		k.PublicKey, privateKey, k.Fingerprint, err = newCertificate(userID, c.Now())
	case kind == "x509":
		k.Fingerprint, err = certificateFingerprint(publicKey)
	case publicKey == "":
		k.PublicKey, privateKey, k.Fingerprint, err = newSSHKey()
	default:
		k.Fingerprint, err = sshFingerprint(publicKey)
	}
	if err != nil {
		return k, "", err
	}
	err = c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.Store.QuotaTurn(ctx, tx, "user:"+userID); err != nil {
			return err
		}
		limits, err := c.limits(ctx, tx, auth.From(ctx).ProjectID, "")
		if err != nil {
			return err
		}
		has, err := c.Store.Keypairs(ctx, tx, userID, "", 0)
		if err != nil {
			return err
		}
		if limit := limits["key_pairs"]; limit >= 0 && len(has) >= limit {
			return fault.New(fault.OverLimit, "Quota exceeded, too many key pairs: you have %d of %d.", len(has), limit)
		}
		if err := c.Store.InsertKeypair(ctx, tx, k); err != nil {
			return err
		}
		action, before := "import", k
		if before.Fingerprint = ""; publicKey == "" {
			action, before.PublicKey = "create", ""
		}
		return c.tellKeypair(ctx, tx, action, before, k)
	})
	if err != nil {
		return k, "", err
	}
	k, err = c.Store.Keypair(ctx, c.Store.DB, userID, name)
	return k, privateKey, err
}

func (c *Control) keyOwner(ctx context.Context, verb, userID string) (string, error) {
	if userID == "" {
		userID = auth.From(ctx).UserID
	}
	return userID, c.Policy.Enforce(ctx, "os_compute_api:os-keypairs:"+verb, auth.Target{"user_id": userID})
}

// rsaBits is the size of keys made here, for old microversions, which promise
// that the service can make keys.
const rsaBits = 2048

func newSSHKey() (public, private, fingerprint string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return "", "", "", err
	}
	pub, err := ssh.NewPublicKey(&key.PublicKey)
	if err != nil {
		return "", "", "", err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) + " Generated-by-Nova", string(block), ssh.FingerprintLegacyMD5(pub), nil
}

func sshFingerprint(publicKey string) (string, error) {
	pub, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(publicKey))
	if err != nil || len(strings.TrimSpace(string(rest))) > 0 {
		return "", fault.Invalidf("Keypair data is invalid: failed to generate fingerprint")
	}
	if key, ok := pub.(ssh.CryptoPublicKey); ok {
		if k, ok := key.CryptoPublicKey().(*rsa.PublicKey); ok && k.N.BitLen() < 1024 {
			return "", fault.Invalidf("Keypair data is invalid: an RSA key of %d bits is too short", k.N.BitLen())
		}
	}
	return ssh.FingerprintLegacyMD5(pub), nil
}
