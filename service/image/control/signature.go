package control

import (
	"context"
	"crypto"
	"crypto/dsa" //nolint:staticcheck // deprecated for signing; what owners have signed with it long ago is verified
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"hash"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
	"kilonova/service/image/binarycurve"
)

// The properties that say how an image is signed, by the names of cursive.
const (
	propSignature   = "img_signature"
	propSigHash     = "img_signature_hash_method"
	propSigKeyType  = "img_signature_key_type"
	propCertificate = "img_signature_certificate_uuid"
)

// maxCertificate bounds a certificate, in bytes; maxRSA and maxDSA a key, in bits: who
// verifies with it computes with numbers of that size. OpenSSL has the same for RSA.
const (
	maxCertificate = 64 << 10
	maxRSA         = 16384
	maxDSA         = 3072
)

var signatureHashes = map[string]crypto.Hash{"SHA-224": crypto.SHA224, "SHA-256": crypto.SHA256, "SHA-384": crypto.SHA384, "SHA-512": crypto.SHA512}

// signatureCurves are those of the key types that the standard library has.
var signatureCurves = map[string]elliptic.Curve{"ECC_SECP384R1": elliptic.P384(), "ECC_SECP521R1": elliptic.P521()}

// CertificateDir is a folder of certificates as image.Certificates: ID.pem.
type CertificateDir string

// Certificate implements image.Certificates.
func (d CertificateDir) Certificate(_ context.Context, _, id string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(string(d), id+".pem")) // id is a UUID
	if os.IsNotExist(err) {
		return nil, fault.NotFoundf("There is no certificate %s.", id)
	}
	return data, err
}

// signature checks an image's data against what its owner has signed.
type signature struct {
	sum    hash.Hash
	verify func(digest []byte) error
}

// signed reports whether an image says how it is signed.
func signed(i *image.Image) bool {
	for _, name := range []string{propSignature, propSigHash, propSigKeyType, propCertificate} {
		if i.Properties[name] == "" {
			return false
		}
	}
	return true
}

// certificate fetches the certificate of a signed image as the caller; nil for
// those that are not signed.
func (c *Control) certificate(ctx context.Context, i *image.Image) ([]byte, error) {
	if !signed(i) {
		return nil, nil
	}
	id := i.Properties[propCertificate]
	if !rest.IsUUID(id) {
		return nil, badSignature("%s is no UUID", propCertificate)
	}
	if c.certificates == nil {
		return nil, badSignature("this site has no certificates of images")
	}
	data, err := c.certificates.Certificate(ctx, auth.From(ctx).Token, id)
	switch {
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Forbidden), fault.Is(err, fault.Invalid):
		return nil, badSignature("unable to retrieve certificate with ID: %s", id)
	case err != nil:
		return nil, err
	case len(data) > maxCertificate:
		return nil, badSignature("the certificate %s is larger than %d bytes", id, maxCertificate)
	}
	return data, nil
}

func badSignature(format string, args ...any) error {
	return fault.Invalidf("Signature verification for image failed: "+format+".", args...)
}

// verifier makes what checks an image's data; nil for images that are not signed.
func verifier(i *image.Image, certificate []byte, now time.Time) (*signature, error) {
	if !signed(i) {
		return nil, nil
	}
	method, ok := signatureHashes[i.Properties[propSigHash]]
	if !ok {
		return nil, badSignature("invalid signature hash method: %.32s", i.Properties[propSigHash])
	}
	sig, err := base64.StdEncoding.DecodeString(i.Properties[propSignature])
	if err != nil {
		return nil, badSignature("the signature data was not properly encoded using base64")
	}
	if block, _ := pem.Decode(certificate); block != nil {
		certificate = block.Bytes
	}
	public, from, until, err := keyOf(certificate)
	if err != nil {
		return nil, err
	}
	if now.Before(from) || now.After(until) {
		return nil, badSignature("the certificate is valid from %s to %s only", from.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	}
	s := &signature{sum: method.New()}
	kind := i.Properties[propSigKeyType]
	switch key := public.(type) {
	case *rsa.PublicKey:
		if kind != "RSA-PSS" {
			return nil, badSignature("invalid public key type for signature key type: %.32s", kind)
		}
		if bits := key.N.BitLen(); bits > maxRSA {
			return nil, badSignature("the certificate's key has %d bits, of which at most %d are taken", bits, maxRSA)
		}
		s.verify = func(digest []byte) error {
			return rsa.VerifyPSS(key, method, digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto})
		}
	case *ecdsa.PublicKey:
		if curve := signatureCurves[kind]; curve == nil || curve != key.Curve {
			return nil, badSignature("invalid public key type for signature key type: %.32s", kind)
		}
		s.verify = func(digest []byte) error {
			if !ecdsa.VerifyASN1(key, digest, sig) {
				return rsa.ErrVerification
			}
			return nil
		}
	case *dsa.PublicKey:
		if kind != "DSA" || key.P.BitLen() > maxDSA || key.Q.BitLen() > 256 {
			return nil, badSignature("invalid public key type for signature key type: %.32s", kind)
		}
		s.verify = func(digest []byte) error { return verifyDSA(key, digest, sig) }
	case *binarycurve.Key:
		if kind != "ECC_"+key.Curve {
			return nil, badSignature("invalid public key type for signature key type: %.32s", kind)
		}
		s.verify = func(digest []byte) error {
			if !key.Verify(digest, sig) {
				return rsa.ErrVerification
			}
			return nil
		}
	default:
		return nil, badSignature("keys of the certificate's kind are not supported; there are RSA-PSS, DSA, and ECC_ with SECP384R1, SECP521R1, SECT409K1, SECT409R1, SECT571K1 and SECT571R1")
	}
	return s, nil
}

// keyOf reads a certificate's key, and when it is valid.
func keyOf(certificate []byte) (key any, from, until time.Time, err error) {
	if c, err := x509.ParseCertificate(certificate); err == nil {
		return c.PublicKey, c.NotBefore, c.NotAfter, nil
	}
	c, err := binarycurve.ParseCertificate(certificate)
	if err != nil {
		return nil, from, until, badSignature("the certificate cannot be read")
	}
	return c.Key, c.NotBefore, c.NotAfter, nil
}

// verifyDSA checks a signature in ASN.1, of as much of a digest as the key takes.
func verifyDSA(key *dsa.PublicKey, digest, sig []byte) error {
	var parts struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(sig, &parts)
	if err != nil || len(rest) > 0 || !dsa.Verify(key, digest[:min(len(digest), key.Q.BitLen()/8)], parts.R, parts.S) {
		return rsa.ErrVerification
	}
	return nil
}

// check judges the data that has passed; a nil signature finds all well.
func (s *signature) check() error {
	if s != nil && s.verify(s.sum.Sum(nil)) != nil {
		return badSignature("the data is not what was signed")
	}
	return nil
}
