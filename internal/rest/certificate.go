package rest

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
)

// Thumbprint is the SHA-256 of the certificate that the client of a request has
// shown, as tokens that are bound to one name it; "" without one.
func Thumbprint(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return ""
	}
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	return base64.URLEncoding.EncodeToString(sum[:])
}
