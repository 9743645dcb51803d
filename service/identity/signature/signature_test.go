package signature

import (
	"errors"
	"testing"
)

// The expected values are those of keystoneclient's signer, which EC2 servers
// of OpenStack and clients are tested against.
func TestEC2(t *testing.T) {
	params := func(version string) map[string]string {
		return map[string]string{"Action": "Test", "Timestamp": "2007-01-31T23:59:59Z", "a b": "x/y~z é*", "AWSAccessKeyId": "66a1", "SignatureVersion": version}
	}
	old := func(version string) Request {
		return Request{Verb: "GET", Host: "foo:8080", Path: "/", Params: params(version)}
	}
	tests := []struct {
		name string
		r    Request
		want string
	}{
		{"0", old("0"), "apuwXOfvVZgJ1VXWJ+Gg+b1nm0I="},
		{"1", old("1"), "cespZqkJ+0ZL/zaEpBWiAkT5ijs="},
		{"2", old("2"), "8QmkdMXtU7odi6QxdrHc8BWF9dIUGvn24eXYiBLFtS0="},
		{"4 in a header", Request{Verb: "POST", Host: "iam.amazonaws.com", Path: "/", Params: map[string]string{"Action": "ListUsers"},
			BodyHash: "b6359072c78d70ebee1e81adcbab4f01bf2c23245fa365ef83fe8f1f955085e2",
			Headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "X-Amz-Date": "20110909T233600Z", "Host": "iam.amazonaws.com",
				"Authorization": "AWS4-HMAC-SHA256 Credential=66a1/20110909/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=x"}},
			"0b487e02ddb22cb2f391b0fb0881c6470abe67779e8ad0d5cfc7ddce0b001b29"},
		{"4 in the query", Request{Verb: "GET", Host: "foo", Path: "/bar", BodyHash: "e3b0", Headers: map[string]string{"host": "foo"},
			Params: map[string]string{"Action": "Test", "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": "66a1/20140110/RegionOne/ec2/aws4_request",
				"X-Amz-Date": "20140110T000000Z", "X-Amz-SignedHeaders": "host"}},
			"bd6995dd1420b47ac43c425445fdc965577f79ee6eb4abfe11fae15cdf3de152"},
	}
	for _, tt := range tests {
		got, err := EC2("44a1", tt.r)
		if err != nil || !Same(got, tt.want) {
			t.Errorf("%s: %s, want %s (%v)", tt.name, got, tt.want, err)
		}
		if other, _ := EC2("44a2", tt.r); Same(other, tt.want) {
			t.Errorf("%s: another secret signs alike", tt.name)
		}
	}
}

func TestUnknownForms(t *testing.T) {
	v4 := map[string]string{"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": "20140111T000000Z", "X-Amz-Credential": "66a1/20140110/RegionOne/ec2/aws4_request"}
	for name, r := range map[string]Request{"none": {}, "version 3": {Params: map[string]string{"SignatureVersion": "3"}}, "another day": {Params: v4}} {
		if got, err := EC2("s", r); !errors.Is(err, ErrForm) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	for _, text := range []string{"AWS4", "AWS4-HMAC-SHA256\nd\nd/r/ec2/aws4_request\nh", "AWS4-HMAC-SHA256\nd\nd/r/s3\nh", "AWS4-HMAC-SHA256\nd\nh"} {
		if got, err := S3("s", []byte(text)); !errors.Is(err, ErrForm) {
			t.Errorf("%q: %q %v", text, got, err)
		}
	}
	if Same("", "") {
		t.Error("no signature is as good as another")
	}
}

// Signed by oauthlib.
func TestOAuth1(t *testing.T) {
	for _, tt := range []struct{ header, address, consumer, token string }{
		{`OAuth oauth_nonce="abc", oauth_timestamp="1318622958", oauth_version="1.0", oauth_signature_method="HMAC-SHA1", oauth_consumer_key="xvz1evFS4wEEPTGEFPHBog", oauth_token="370773112-GmHx", oauth_signature="hLqlxp2Lw2BJ6FeKZVj9FtI9Rdc%3D"`,
			"http://Example.com:80/v3/x%20y?b=a+b&a=%C3%A4&b=1", "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw", "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE"},
		{`OAuth oauth_nonce="abc", oauth_timestamp="1318622958", oauth_version="1.0", oauth_signature_method="HMAC-SHA256", oauth_consumer_key="xvz1evFS4wEEPTGEFPHBog", oauth_callback="oob", oauth_signature="EPd2NlFa4NbWfjxzZ46JV1bvKfYJBoBNwnG8wZa2huQ%3D"`,
			"https://example.com:8443/", "k", ""},
	} {
		p, err := ParseOAuth1(tt.header)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Sign("POST", tt.address, tt.consumer, tt.token); err != nil || got != p["oauth_signature"] {
			t.Errorf("%s: %s (%v), want %s", tt.address, got, err, p["oauth_signature"])
		}
		if got, _ := p.Sign("GET", tt.address, tt.consumer, tt.token); got == p["oauth_signature"] {
			t.Error("another method has the same signature")
		}
	}
	plain := OAuth1{"oauth_signature_method": "PLAINTEXT"}
	if got, err := plain.Sign("POST", "https://example.com/", "a&b", "c"); err != nil || got != "a%26b&c" {
		t.Errorf("PLAINTEXT: %q, %v", got, err)
	}
	for _, header := range []string{"", "Basic abc", `OAuth a="1", a="2"`, `OAuth a`, `OAuth a="%zz"`} {
		if _, err := ParseOAuth1(header); err == nil {
			t.Errorf("%q was read", header)
		}
	}
}
