// Package signature computes what an EC2 or S3 client signs a request with, so
// that identity, which alone knows the secret, can compare it: AWS signature
// versions 0, 1, 2 and 4 of EC2 requests, 1 and 4 of S3's. It is pure; time
// limits and look-ups are for service/identity/control.
package signature

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"slices"
	"strings"
)

// Request is a signed request as the EC2 face of the cloud tells of it.
type Request struct {
	Verb, Host, Path string
	Params           map[string]string
	Headers          map[string]string
	BodyHash         string // hexadecimal SHA-256, for version 4
}

// ErrForm is a request that is not signed in any form that is known here.
var ErrForm = errors.New("the request is not signed in a known form")

func sum(h func() hash.Hash, key, data string) []byte {
	m := hmac.New(h, []byte(key))
	m.Write([]byte(data))
	return m.Sum(nil)
}

// EC2 is the signature of a request made with secret.
func EC2(secret string, r Request) (string, error) {
	switch version := r.Params["SignatureVersion"]; {
	case version == "0":
		return base64.StdEncoding.EncodeToString(sum(sha1.New, secret, r.Params["Action"]+r.Params["Timestamp"])), nil
	case version == "1":
		return base64.StdEncoding.EncodeToString(sum(sha1.New, secret, concatenated(r.Params))), nil
	case version == "2":
		return version2(secret, r), nil
	case version == "" && r.isVersion4():
		return version4(secret, r)
	}
	return "", ErrForm
}

func concatenated(params map[string]string) string {
	keys := sortedKeys(params)
	slices.SortStableFunc(keys, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(k + params[k])
	}
	return b.String()
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// escape is RFC 3986's: all but unreserved characters.
func escape(s string) string {
	return strings.NewReplacer("+", "%20", "%7E", "~").Replace(url.QueryEscape(s))
}

// canonical is a query string in the order and spelling that is signed.
func canonical(params map[string]string) string {
	var pairs []string
	for _, k := range sortedKeys(params) {
		pairs = append(pairs, escape(k)+"="+escape(params[k]))
	}
	return strings.Join(pairs, "&")
}

func version2(secret string, r Request) string {
	params := map[string]string{"SignatureMethod": "HmacSHA256"}
	for k, v := range r.Params {
		if k != "SignatureMethod" {
			params[k] = v
		}
	}
	text := r.Verb + "\n" + r.Host + "\n" + r.Path + "\n" + canonical(params)
	return base64.StdEncoding.EncodeToString(sum(sha256.New, secret, text))
}

const algorithm4 = "AWS4-HMAC-SHA256"

// header returns a header whatever its letters' case.
func (r Request) header(name string) string {
	for k, v := range r.Headers {
		if strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (r Request) isVersion4() bool {
	return strings.HasPrefix(r.header("Authorization"), algorithm4) || r.Params["X-Amz-Algorithm"] == algorithm4
}

// parameter is one of the parts of version 4's Authorization header, or of the
// query string.
func (r Request) parameter(name string) string {
	if h := r.header("Authorization"); h != "" {
		_, after, _ := strings.Cut(h, name+"=")
		value, _, _ := strings.Cut(after, ",")
		return strings.TrimSpace(value)
	}
	return r.Params["X-Amz-"+name]
}

// Date is X-Amz-Date, or the Timestamp of older versions; "" when neither is
// given.
func (r Request) Date() string {
	for _, d := range []string{r.Params["Timestamp"], r.header("X-Amz-Date"), r.Params["X-Amz-Date"]} {
		if d != "" {
			return d
		}
	}
	return ""
}

func version4(secret string, r Request) (string, error) {
	scope := strings.Split(r.parameter("Credential"), "/") // access/date/region/service/aws4_request
	date := r.header("X-Amz-Date")
	if date == "" {
		date = r.Params["X-Amz-Date"]
	}
	if len(scope) != 5 || scope[4] != "aws4_request" || scope[1] == "" || !strings.HasPrefix(date, scope[1]) {
		return "", fmt.Errorf("%w: the date of the request and its credential scope do not agree", ErrForm)
	}
	signed := r.parameter("SignedHeaders")
	var headers strings.Builder
	for name := range strings.SplitSeq(signed, ";") {
		if v := r.header(name); v != "" {
			headers.WriteString(name + ":" + v + "\n")
		}
	}
	query := ""
	if !strings.EqualFold(r.Verb, "POST") {
		query = canonical(r.Params)
	}
	request := strings.Join([]string{strings.ToUpper(r.Verb), r.Path, query, headers.String(), signed, r.BodyHash}, "\n")
	hashed := sha256.Sum256([]byte(request))
	text := strings.Join([]string{algorithm4, date, strings.Join(scope[1:], "/"), hex.EncodeToString(hashed[:])}, "\n")
	return hex.EncodeToString(sum(sha256.New, key4(secret, scope[1], scope[2], scope[3]), text)), nil
}

func key4(secret, date, region, service string) string {
	key := "AWS4" + secret
	for _, part := range []string{date, region, service, "aws4_request"} {
		key = string(sum(sha256.New, key, part))
	}
	return key
}

// S3 is the signature of a text to sign, as an S3 server puts it together.
func S3(secret string, text []byte) (string, error) {
	if !strings.HasPrefix(string(text), "AWS4") {
		return base64.StdEncoding.EncodeToString(sum(sha1.New, secret, string(text))), nil
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) != 4 || lines[0] != algorithm4 {
		return "", ErrForm
	}
	scope := strings.Split(lines[2], "/")
	if len(scope) != 4 || scope[3] != "aws4_request" || !slices.Contains([]string{"s3", "iam", "sts"}, scope[2]) {
		return "", ErrForm
	}
	return hex.EncodeToString(sum(sha256.New, key4(secret, scope[0], scope[1], scope[2]), string(text))), nil
}

// S3Date is the date in a text of version 4; "" in older ones.
func S3Date(text []byte) string {
	lines := strings.Split(string(text), "\n")
	if len(lines) < 2 || lines[0] != algorithm4 {
		return ""
	}
	return lines[1]
}

// Same compares signatures in constant time.
func Same(a, b string) bool { return a != "" && hmac.Equal([]byte(a), []byte(b)) }
