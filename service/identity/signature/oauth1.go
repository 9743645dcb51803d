package signature

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"net/url"
	"slices"
	"strings"
)

// maxOAuth1 bounds an Authorization header, in bytes.
const maxOAuth1 = 8192

// OAuth1 is the Authorization header of a request after RFC 5849: its parameters,
// without the realm.
type OAuth1 map[string]string

// ParseOAuth1 reads a header `OAuth oauth_consumer_key="…", …`.
func ParseOAuth1(header string) (OAuth1, error) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	if !strings.EqualFold(scheme, "OAuth") || len(header) > maxOAuth1 {
		return nil, fmt.Errorf("there is no Authorization header of OAuth 1")
	}
	p := OAuth1{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		value, err := url.PathUnescape(strings.Trim(value, `"`))
		if !ok || err != nil {
			return nil, fmt.Errorf("the Authorization header has a parameter that is none: %.40q", part)
		}
		if name, err = url.PathUnescape(name); err != nil {
			return nil, fmt.Errorf("the Authorization header has a parameter that is none: %.40q", part)
		}
		if _, twice := p[name]; twice {
			return nil, fmt.Errorf("the Authorization header has %.40q twice", name)
		}
		if name != "realm" {
			p[name] = value
		}
	}
	return p, nil
}

// Sign is the signature that the request must have: of the method, the address
// with its query, and the header's parameters, with the two secrets.
func (p OAuth1) Sign(method, address, consumerSecret, tokenSecret string) (string, error) {
	var sum func() hash.Hash
	key := escape(consumerSecret) + "&" + escape(tokenSecret)
	switch p["oauth_signature_method"] {
	case "HMAC-SHA1":
		sum = sha1.New
	case "HMAC-SHA256":
		sum = sha256.New
	case "PLAINTEXT": // the secrets themselves; RFC 5849, section 3.4.4, wants TLS for it
		return key, nil
	default:
		return "", fmt.Errorf("the signature method %.40q is not supported", p["oauth_signature_method"])
	}
	base, err := p.base(method, address)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sum, []byte(key))
	mac.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// base is the text that is signed, RFC 5849 section 3.4.1.
func (p OAuth1) base(method, address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", err
	}
	var pairs []string
	for name, value := range p {
		if name != "oauth_signature" {
			pairs = append(pairs, escape(name)+"="+escape(value))
		}
	}
	for name, values := range query {
		for _, value := range values {
			pairs = append(pairs, escape(name)+"="+escape(value))
		}
	}
	slices.Sort(pairs)
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return strings.ToUpper(method) + "&" + escape(scheme+"://"+host+path) + "&" + escape(strings.Join(pairs, "&")), nil
}
