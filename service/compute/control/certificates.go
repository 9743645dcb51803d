package control

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	"kilonova/internal/fault"
)

// certificateLife is how long a certificate made here is good: as upstream, ten
// years.
const certificateLife = 10 * 365 * 24 * time.Hour

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	// oidPrincipalName is Microsoft's name of a user in a certificate, by which
	// WinRM finds the account that a client certificate logs in to.
	oidPrincipalName = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
)

// newCertificate makes a certificate signed by itself with which a user logs in
// to a Windows guest over WinRM, and its private key.
func newCertificate(userID string, now time.Time) (public, private, fingerprint string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return "", "", "", err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", "", "", err
	}
	name, err := principalName(userID + "@localhost")
	if err != nil {
		return "", "", "", err
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: userID}, NotBefore: now, NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		ExtraExtensions: []pkix.Extension{{Id: oidSubjectAltName, Value: name}}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", "", err
	}
	sum := sha1.Sum(der)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), colons(sum[:]), nil
}

// principalName encodes the extension that holds a user's name: a list with one
// "other name" (RFC 5280, 4.2.1.6).
func principalName(user string) ([]byte, error) {
	other, err := asn1.MarshalWithParams(struct {
		ID   asn1.ObjectIdentifier
		Name string `asn1:"utf8,explicit,tag:0"`
	}{oidPrincipalName, user}, "tag:0")
	if err != nil {
		return nil, err
	}
	return asn1.Marshal([]asn1.RawValue{{FullBytes: other}})
}

func certificateFingerprint(text string) (string, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return "", fault.Invalidf("Keypair data is invalid: failed to generate X509 fingerprint")
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return "", fault.Invalidf("Keypair data is invalid: failed to generate X509 fingerprint. %v", err)
	}
	sum := sha1.Sum(block.Bytes)
	return colons(sum[:]), nil
}

func colons(sum []byte) string {
	var parts []string
	for _, b := range sum {
		parts = append(parts, fmt.Sprintf("%02x", b))
	}
	return strings.Join(parts, ":")
}
