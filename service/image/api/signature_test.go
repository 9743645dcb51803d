package api

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kilonova/service/image"
	"kilonova/service/image/control"
	"kilonova/service/image/remote"
)

// CVE-2015-8234: no signature is by MD5.
func TestSignedImages(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir, now := t.TempDir(), time.Now()
	vouch := func(id string, public crypto.PublicKey, key crypto.Signer, until time.Time) {
		t.Helper()
		cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour * 48), NotAfter: until}
		der, err := x509.CreateCertificate(rand.Reader, cert, cert, public, key)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, id+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	issue := func(id string, key crypto.Signer, until time.Time) { vouch(id, key.Public(), key, until) }
	const rsaID, ecID, oldID, none, noiseID, hugeID = "0c9e2c1e-0000-4000-8000-000000000001", "0c9e2c1e-0000-4000-8000-000000000002", "0c9e2c1e-0000-4000-8000-000000000003", "0c9e2c1e-0000-4000-8000-000000000004", "0c9e2c1e-0000-4000-8000-000000000008", "0c9e2c1e-0000-4000-8000-000000000009"
	issue(rsaID, rsaKey, now.Add(time.Hour))
	issue(ecID, ecKey, now.Add(time.Hour))
	issue(oldID, rsaKey, now.Add(-time.Hour))
	huge := new(big.Int).Lsh(big.NewInt(3), 20000) // nobody has its factors; it takes seconds to verify with larger ones yet
	vouch(hugeID, &rsa.PublicKey{N: huge.SetBit(huge, 0, 1), E: 65537}, rsaKey, now.Add(time.Hour))
	// By python3-cryptography, of which Glance's verification is made; Go signs nothing with DSA.
	const dsaID, byDSA = "0c9e2c1e-0000-4000-8000-000000000005", "MDwCHD094KJg6gtS6bIINXkMTppVOQHzXl74+Q/terwCHF2f9dOycASFZho2sMdPeWnaKQlCJOtEJpO3m3w="
	// By the same, of a certificate that an authority's RSA key has signed.
	const k409ID, byK409 = "0c9e2c1e-0000-4000-8000-000000000006", "MGoCMwCjPf7oTNhbDrhn/jt8wkzPIK9Pm2+aHTO5WF+y/D6eUhhKonKoqUVEn/K5MnGk7FSm1AIzH7jMqVSAh2t3+bsKZ64lIhCZDq0rkGfR9CEHcs+umMthdt4WsH2pS1031iGHlXMhE8ez"
	const b571ID, byB571 = "0c9e2c1e-0000-4000-8000-000000000007", "MIGTAkcEpD5JKPvlSVKJnjDFJpRoqU7vDVWoeYHDUVOV4ulqMPe4rfCQCILreTgijPWUYcIb+kpZuOdUZBqgVTrhhSAg78RRYesFuAJIAOoC2zUacHSmoSjUYi4EB3v6DqNjvo9CzU6NXgt3TgLw2NoBoQ8vZerJc7eSW24y4yXaLKLIiYMVv2BmbUSa6jjT5yfX/jl6"
	made := func(name, id, by string) []byte {
		signature, err := base64.StdEncoding.DecodeString(by)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile("testdata/" + name + ".pem")
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, id+".pem"), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	dsaSignature, k409, b571 := made("dsa", dsaID, byDSA), made("sect409k1", k409ID, byK409), made("sect571r1", b571ID, byB571)
	if err := os.WriteFile(filepath.Join(dir, noiseID+".pem"), []byte("noise"), 0o600); err != nil {
		t.Fatal(err)
	}
	const content = "the data of the image"
	sum256, sum512 := sha256.Sum256([]byte(content)), sha512.Sum512([]byte(content))
	pss, err := rsa.SignPSS(rand.Reader, rsaKey, crypto.SHA256, sum256[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto})
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.SignASN1(rand.Reader, ecKey, sum512[:])
	if err != nil {
		t.Fatal(err)
	}
	properties := func(sig []byte, hash, kind, id string) fields {
		return fields{"img_signature": base64.StdEncoding.EncodeToString(sig), "img_signature_hash_method": hash, "img_signature_key_type": kind, "img_signature_certificate_uuid": id}
	}

	// A key manager with the same certificates, for those who have a token.
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v1/secrets/"), "/payload")
		if r.Header.Get("X-Auth-Token") != "demo" || !ok {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.ServeFile(w, r, filepath.Join(dir, filepath.Base(id)+".pem"))
	}))
	t.Cleanup(keys.Close)

	for name, certificates := range map[string]image.Certificates{"folder": control.CertificateDir(dir), "key manager": &remote.Certificates{URL: keys.URL, HTTP: keys.Client()}} {
		t.Run(name, func(t *testing.T) {
			cl := startWith(t, nil, func(c *control.Config) { c.Certificates = certificates })
			cl.run()
			for what, tt := range map[string]struct {
				more   fields
				data   string
				refuse string // "" it is taken
			}{
				"RSA-PSS":                {properties(pss, "SHA-256", "RSA-PSS", rsaID), content, ""},
				"ECDSA":                  {properties(ec, "SHA-512", "ECC_SECP384R1", ecID), content, ""},
				"DSA":                    {properties(dsaSignature, "SHA-512", "DSA", dsaID), content, ""},
				"other data, DSA":        {properties(dsaSignature, "SHA-512", "DSA", dsaID), "x", "not what was signed"},
				"DSA of another hash":    {properties(dsaSignature, "SHA-256", "DSA", dsaID), content, "not what was signed"},
				"DSA said to be RSA":     {properties(dsaSignature, "SHA-512", "RSA-PSS", dsaID), content, "key type"},
				"no numbers of DSA":      {properties([]byte("0"), "SHA-512", "DSA", dsaID), content, "not what was signed"},
				"SECT409K1":              {properties(k409, "SHA-512", "ECC_SECT409K1", k409ID), content, ""},
				"SECT571R1":              {properties(b571, "SHA-512", "ECC_SECT571R1", b571ID), content, ""},
				"other data, SECT571R1":  {properties(b571, "SHA-512", "ECC_SECT571R1", b571ID), "x", "not what was signed"},
				"SECT571R1, other hash":  {properties(b571, "SHA-384", "ECC_SECT571R1", b571ID), content, "not what was signed"},
				"SECT571R1 said to be K": {properties(b571, "SHA-512", "ECC_SECT571K1", b571ID), content, "key type"},
				"SECT571R1 said to be P": {properties(b571, "SHA-512", "ECC_SECP521R1", b571ID), content, "key type"},
				"P-384 said to be SECT":  {properties(ec, "SHA-512", "ECC_SECT409K1", ecID), content, "key type"},
				"another's certificate":  {properties(k409, "SHA-512", "ECC_SECT571R1", b571ID), content, "not what was signed"},
				"noise as certificate":   {properties(k409, "SHA-512", "ECC_SECT571R1", noiseID), content, "cannot be read"},
				"only half signed":       {fields{"img_signature": "x"}, content, ""},
				"other data":             {properties(pss, "SHA-256", "RSA-PSS", rsaID), content + "!", "not what was signed"},
				"other data, ECDSA":      {properties(ec, "SHA-512", "ECC_SECP384R1", ecID), "x", "not what was signed"},
				"another hash":           {properties(pss, "SHA-512", "RSA-PSS", rsaID), content, "not what was signed"},
				"no hash":                {properties(pss, "MD5", "RSA-PSS", rsaID), content, "hash method"},
				"another key type":       {properties(pss, "SHA-256", "ECC_SECP521R1", ecID), content, "key type"},
				"RSA said to be ECC":     {properties(pss, "SHA-256", "ECC_SECP384R1", rsaID), content, "key type"},
				"no base64":              {fields{"img_signature": "%%%", "img_signature_hash_method": "SHA-256", "img_signature_key_type": "RSA-PSS", "img_signature_certificate_uuid": rsaID}, content, "base64"},
				"an old certificate":     {properties(pss, "SHA-256", "RSA-PSS", oldID), content, "valid from"},
				"a huge key":             {properties(pss, "SHA-256", "RSA-PSS", hugeID), content, "20002 bits"},
				"no certificate":         {properties(pss, "SHA-256", "RSA-PSS", none), content, "unable to retrieve"},
				"a path for a UUID":      {properties(pss, "SHA-256", "RSA-PSS", "../../etc/passwd"), content, "no UUID"},
			} {
				id := cl.create(tt.more)
				got := cl.put(id, tt.data)
				if tt.refuse == "" {
					got.want(204)
					continue
				}
				if got.status != 400 || !strings.Contains(string(got.body), tt.refuse) || cl.show(id)["status"] != "queued" {
					t.Errorf("%s: %d %s, %v", what, got.status, got.body, cl.show(id)["status"])
				}
			}
			right, wrong := cl.create(properties(pss, "SHA-256", "RSA-PSS", rsaID)), cl.create(properties(pss, "SHA-256", "RSA-PSS", rsaID))
			cl.importing(right, []byte(content))
			if status, message := cl.ended(right); status != "success" {
				t.Error(message)
			}
			cl.importing(wrong, []byte("something else"))
			if status, message := cl.ended(wrong); status != "failure" || !strings.Contains(message, "not what was signed") {
				t.Error(status, message)
			}
		})
	}
	cl := start(t, nil)
	if got := cl.put(cl.create(properties(pss, "SHA-256", "RSA-PSS", rsaID)), content); got.status != 400 {
		t.Error("a signature that nobody can check was taken:", got.status)
	}
}
