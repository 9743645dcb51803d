package binarycurve

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"time"
)

// Key is a public key on one of the curves.
type Key struct {
	// Curve is SECT409K1, SECT409R1, SECT571K1 or SECT571R1.
	Curve string

	curve *curve
	at    point
}

// Certificate is what is read of an X.509 certificate.
type Certificate struct {
	Key                 *Key
	NotBefore, NotAfter time.Time
}

// What certificates call keys on curves, and named curves (RFC 5480, 2.1.1).
var (
	ecPublicKey = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	namedCurves = asn1.ObjectIdentifier{1, 3, 132, 0}
)

// errNone says that there is no key of ours in a certificate.
var errNone = errors.New("binarycurve: no certificate with a key on one of the curves")

// ParseCertificate reads a certificate, in DER, whose key is on one of the curves;
// any other is an error. Who signed it is not asked.
func ParseCertificate(der []byte) (*Certificate, error) {
	var c struct {
		Body struct { // RFC 5280, 4.1; what follows the key is not looked at
			Version   int `asn1:"optional,explicit,default:0,tag:0"`
			Serial    *big.Int
			Algorithm pkix.AlgorithmIdentifier
			Issuer    asn1.RawValue
			Validity  struct{ NotBefore, NotAfter time.Time }
			Subject   asn1.RawValue
			Key       struct {
				Algorithm struct {
					Kind  asn1.ObjectIdentifier
					Curve asn1.RawValue `asn1:"optional"`
				}
				Point asn1.BitString
			}
		}
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &c); err != nil || len(rest) > 0 {
		return nil, errNone
	}
	key := c.Body.Key
	var named asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(key.Algorithm.Curve.FullBytes, &named); err != nil || !key.Algorithm.Kind.Equal(ecPublicKey) ||
		len(named) != len(namedCurves)+1 || !named[:len(namedCurves)].Equal(namedCurves) {
		return nil, errNone
	}
	on := byOID(named[len(namedCurves)])
	if on == nil {
		return nil, errNone
	}
	at, ok := on.point(key.Point.RightAlign())
	if !ok || key.Point.BitLength%8 != 0 {
		return nil, errors.New("binarycurve: the certificate's key is no point of " + on.name)
	}
	return &Certificate{&Key{on.name, on, at}, c.Body.Validity.NotBefore, c.Body.Validity.NotAfter}, nil
}

// Verify reports whether signature, in DER, is the key's of a digest (FIPS 186-5,
// 6.4.2).
func (k *Key) Verify(digest, signature []byte) bool {
	var parts struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(signature, &parts); err != nil || len(rest) > 0 {
		return false
	}
	c := k.curve
	for _, part := range []*big.Int{parts.R, parts.S} {
		if part.Sign() <= 0 || part.Cmp(c.n) >= 0 {
			return false
		}
	}
	e := new(big.Int).SetBytes(digest)
	if more := 8*len(digest) - c.n.BitLen(); more > 0 {
		e.Rsh(e, uint(more))
	}
	w := new(big.Int).ModInverse(parts.S, c.n)
	j, l := e.Mul(e, w), w.Mul(parts.R, w)
	at := c.combine(j.Mod(j, c.n), c.base, l.Mod(l, c.n), k.at)
	if !at.finite {
		return false
	}
	x := new(big.Int).SetBytes(c.bytes(at.x))
	return x.Mod(x, c.n).Cmp(parts.R) == 0
}
