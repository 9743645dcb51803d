package control

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"slices"
	"testing"
	"time"
)

func TestCertificateForWindowsGuests(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	public, private, fingerprint, err := newCertificate("someone", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair([]byte(public), []byte(private)); err != nil {
		t.Errorf("the key does not fit the certificate: %v", err)
	}
	block, _ := pem.Decode([]byte(public))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if cert.Subject.CommonName != "someone" || !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || !cert.NotBefore.Equal(now) {
		t.Errorf("the certificate is for %s from %v, to be used as %v", cert.Subject.CommonName, cert.NotBefore, cert.ExtKeyUsage)
	}
	if got, err := certificateFingerprint(public); err != nil || got != fingerprint || len(got) != 59 {
		t.Errorf("fingerprint %q, then %q, %v", fingerprint, got, err)
	}
	for _, e := range cert.Extensions {
		if !e.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if _, err := asn1.Unmarshal(e.Value, &names); err != nil || len(names) != 1 {
			t.Fatalf("the alternative names are %x: %v", e.Value, err)
		}
		var other struct {
			ID   asn1.ObjectIdentifier
			Name string `asn1:"utf8,explicit,tag:0"`
		}
		if _, err := asn1.UnmarshalWithParams(names[0].FullBytes, &other, "tag:0"); err != nil || other.Name != "someone@localhost" || !other.ID.Equal(oidPrincipalName) {
			t.Errorf("the user's name is %+v, %v", other, err)
		}
		return
	}
	t.Error("the certificate does not say whose it is")
}
