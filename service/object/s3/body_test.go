package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/object"
)

var signer = &signed{&signature{scope: "20260102/us-east-1/s3/aws4_request", at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), value: strings.Repeat("ab", 32)}, &object.Signer{Secret: "secret"}}

// chunks writes parts as a client does that signs each.
func chunks(trailer string, parts ...string) string {
	last, key := signer.value, signer.key()
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	sign := func(kind, rest string) string {
		last = hex.EncodeToString(mac(key, kind+"\n"+signer.at.Format(timeForm)+"\n"+signer.scope+"\n"+last+"\n"+rest))
		return last
	}
	var b strings.Builder
	for _, p := range append(parts, "") {
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s", len(p), sign("AWS4-HMAC-SHA256-PAYLOAD", sum("")+"\n"+sum(p)), p)
		if p != "" {
			b.WriteString("\r\n")
		}
	}
	if trailer != "" {
		fmt.Fprintf(&b, "%s\r\nx-amz-trailer-signature:%s\r\n", trailer, sign("AWS4-HMAC-SHA256-TRAILER", sum(trailer+"\n")))
	}
	return b.String() + "\r\n"
}

func read(t *testing.T, payload, body string, headers ...string) (string, error) {
	t.Helper()
	r := httptest.NewRequest("PUT", "/b/k", strings.NewReader(body))
	r.Header.Set("X-Amz-Decoded-Content-Length", "10")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	s := *signer
	own := *signer.signature
	own.payload = payload
	s.signature = &own
	from, _, err := (&Handler{}).body(r, &s)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(from)
	return string(data), err
}

func TestBodies(t *testing.T) {
	const crc = "x-amz-checksum-crc32:pzzVrg==" // not that of "0123456789"
	const right = "x-amz-checksum-crc32:poTHxg=="
	good := chunks("", "01234", "56789")
	whole := sha256.Sum256([]byte("0123456789"))
	for _, tt := range []struct {
		name, payload, body string
		headers             []string
		code                string // "" it is taken
	}{
		{"signed chunks", streaming, good, nil, ""},
		{"a changed byte", streaming, strings.Replace(good, "01234\r\n", "01235\r\n", 1), nil, "SignatureDoesNotMatch"},
		{"a chunk left out", streaming, good[strings.Index(good, "01234\r\n")+7:], nil, "SignatureDoesNotMatch"},
		{"cut off", streaming, good[:len(good)/2], nil, "IncompleteBody"},
		{"no last chunk", streaming, good[:strings.LastIndex(good, "0;chunk")], nil, "IncompleteBody"},
		{"no chunks", streaming, "0123456789", nil, "IncompleteBody"},
		{"a line without end", streaming, strings.Repeat("1", 100000), nil, "IncompleteBody"},
		{"a trailer", streamingTrailer, chunks(right, "0123456789"), []string{"X-Amz-Trailer", "x-amz-checksum-crc32"}, ""},
		{"a wrong trailer", streamingTrailer, chunks(crc, "0123456789"), []string{"X-Amz-Trailer", "x-amz-checksum-crc32"}, "BadDigest"},
		{"a forged trailer", streamingTrailer, strings.Replace(chunks(crc, "0123456789"), crc, right, 1), []string{"X-Amz-Trailer", "x-amz-checksum-crc32"}, "SignatureDoesNotMatch"},
		{"a trailer left out", streamingTrailer, chunks("", "0123456789"), []string{"X-Amz-Trailer", "x-amz-checksum-crc32"}, "IncompleteBody"},
		{"unsigned chunks", unsignedTrailer, "a\r\n0123456789\r\n0\r\n" + right + "\r\n\r\n", []string{"X-Amz-Trailer", "x-amz-checksum-crc32"}, ""},
		{"unsigned, and wrong", unsignedTrailer, "a\r\n0123456789\r\n0\r\n" + crc + "\r\n\r\n", []string{"X-Amz-Trailer", "x-amz-checksum-crc32"}, "BadDigest"},
		{"its sum", hex.EncodeToString(whole[:]), "0123456789", nil, ""},
		{"another sum", hex.EncodeToString(whole[:]), "0123456780", nil, "XAmzContentSHA256Mismatch"},
		{"no sum", "something", "0123456789", nil, "InvalidArgument"},
		{"a sum in a header", unsigned, "0123456789", []string{"X-Amz-Checksum-Crc32", "poTHxg=="}, ""},
		{"a wrong one", unsigned, "0123456789", []string{"X-Amz-Checksum-Crc32", "pzzVrg=="}, "BadDigest"},
		{"MD5", unsigned, "0123456789", []string{"Content-Md5", "eB5eJF1ptWaXm4bijSPyxw=="}, ""},
		{"a wrong MD5", unsigned, "0123456780", []string{"Content-Md5", "eB5eJF1ptWaXm4bijSPyxw=="}, "BadDigest"},
		{"no MD5", unsigned, "0123456780", []string{"Content-Md5", "x"}, "InvalidDigest"},
	} {
		data, err := read(t, tt.payload, tt.body, tt.headers...)
		f, _ := errors.AsType[*fault.Error](err)
		switch {
		case tt.code == "" && (err != nil || data != "0123456789"):
			t.Errorf("%s: %q, %v", tt.name, data, err)
		case tt.code != "" && (f == nil || f.Code != tt.code):
			t.Errorf("%s: %v, and not %s", tt.name, err, tt.code)
		}
	}
}

// OSSA-2023-001: a document's entities lead nowhere.
func TestOSSA2023001EntitiesAreNotRead(t *testing.T) {
	own := *signer
	signature := *signer.signature
	signature.payload = unsigned
	own.signature = &signature
	for _, body := range []string{
		`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>`,
		`<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>`,
		strings.Repeat("<a>", maxXML/2),
	} {
		var in struct{ Object []struct{ Key string } }
		err := (&Handler{}).decode(&request{Request: httptest.NewRequest("POST", "/b?delete", strings.NewReader(body)), signed: &own}, &in)
		if f, _ := errors.AsType[*fault.Error](err); f == nil || f.Kind != fault.Invalid || len(in.Object) > 0 && in.Object[0].Key != "" {
			t.Errorf("%.60s: %v, %v", body, err, in)
		}
	}
}
