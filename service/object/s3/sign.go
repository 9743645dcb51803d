package s3

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/object"
)

const (
	algorithm     = "AWS4-HMAC-SHA256"
	unsigned      = "UNSIGNED-PAYLOAD"
	timeForm      = "20060102T150405Z"
	maxSkew       = 15 * time.Minute
	maxExpiration = 7 * 24 * time.Hour
)

// signature is what a request says of who has signed it.
type signature struct {
	access, scope string // scope: date/region/s3/aws4_request
	headers       []string
	value         string
	at            time.Time
	payload       string // what the canonical request says of the body
	presigned     bool
}

// IsSigned reports whether a request is one for S3: signed as those are.
func IsSigned(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "AWS") || strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm=") || strings.Contains(r.URL.RawQuery, "AWSAccessKeyId=")
}

// signatureOf reads the signature of a request.
func (h *Handler) signatureOf(r *http.Request) (*signature, error) {
	s := &signature{}
	q := r.URL.Query()
	credential, signed, date := "", "", ""
	if text, ok := strings.CutPrefix(r.Header.Get("Authorization"), algorithm+" "); ok {
		for part := range strings.SplitSeq(text, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch name {
			case "Credential":
				credential = value
			case "SignedHeaders":
				signed = value
			case "Signature":
				s.value = value
			}
		}
		date, s.payload = r.Header.Get("X-Amz-Date"), r.Header.Get("X-Amz-Content-Sha256")
		if s.payload == "" {
			return nil, invalid("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
		}
	} else if q.Get("X-Amz-Algorithm") == algorithm {
		credential, signed, date, s.value, s.presigned = q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Date"), q.Get("X-Amz-Signature"), true
		if s.payload = r.Header.Get("X-Amz-Content-Sha256"); s.payload == "" {
			s.payload = unsigned
		}
	} else {
		return nil, fault.New(fault.Forbidden, "Requests are signed with AWS Signature Version 4.").WithCode("AccessDenied")
	}
	var err error
	if date == "" && !s.presigned {
		if t, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			date = t.UTC().Format(timeForm)
		}
	}
	s.access, s.scope, _ = strings.Cut(credential, "/")
	if s.at, err = time.Parse(timeForm, date); err != nil {
		return nil, fault.Forbiddenf("AWS authentication requires a valid Date or x-amz-date header").WithCode("AccessDenied")
	}
	s.headers = strings.Split(signed, ";")
	scope := strings.Split(s.scope, "/")
	if s.access == "" || len(s.access) > 255 || len(scope) != 4 || scope[0] != date[:8] || scope[2] != "s3" || scope[3] != "aws4_request" || s.value == "" || !slices.Contains(s.headers, "host") {
		return nil, invalid("AuthorizationHeaderMalformed", "The authorization header is malformed.")
	}
	// Whoever has the address of an upload must not make a copy of another object of it.
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(s.headers, name) {
			return nil, fault.Forbiddenf("There were headers present in the request which were not signed: %.64s", name).WithCode("AccessDenied")
		}
	}
	return s, h.timely(s, q)
}

// timely refuses what was signed too long ago, or for a time that is over.
func (h *Handler) timely(s *signature, q url.Values) error {
	now := h.o.Now()
	if !s.presigned {
		if d := now.Sub(s.at); d > maxSkew || d < -maxSkew {
			return fault.Forbiddenf("The difference between the request time and the current time is too large.").WithCode("RequestTimeTooSkewed")
		}
		return nil
	}
	seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
	life := time.Duration(seconds) * time.Second
	if err != nil || seconds < 1 || life > maxExpiration {
		return invalid("AuthorizationQueryParametersError", "X-Amz-Expires must be a number of seconds up to a week.")
	}
	if now.After(s.at.Add(life)) {
		return fault.Forbiddenf("Request has expired").WithCode("AccessDenied")
	}
	if now.Before(s.at.Add(-maxSkew)) {
		return fault.Forbiddenf("Request is not valid yet").WithCode("AccessDenied")
	}
	return nil
}

// text is what was signed.
func (s *signature) text(r *http.Request) string {
	sum := sha256.Sum256([]byte(s.canonical(r)))
	return algorithm + "\n" + s.at.Format(timeForm) + "\n" + s.scope + "\n" + hex.EncodeToString(sum[:])
}

// canonical is the request in the form in which everybody writes it alike.
func (s *signature) canonical(r *http.Request) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escaped(r.URL.Path, true) + "\n")
	query := r.URL.Query()
	query.Del("X-Amz-Signature")
	var pairs []string
	for name, values := range query {
		for _, v := range values {
			pairs = append(pairs, escaped(name, false)+"="+escaped(v, false))
		}
	}
	slices.Sort(pairs)
	b.WriteString(strings.Join(pairs, "&") + "\n")
	for _, name := range s.headers {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(s.headers, ";") + "\n" + s.payload)
	return b.String()
}

// headerValue is a signed header as it counts; net/http keeps some apart.
func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	case "transfer-encoding":
		return strings.Join(r.TransferEncoding, ",")
	}
	var values []string
	for _, v := range r.Header.Values(name) {
		values = append(values, strings.Join(strings.Fields(v), " "))
	}
	return strings.Join(values, ",")
}

const hexDigits = "0123456789ABCDEF"

// escaped writes all but letters, digits and -._~ as %XX.
func escaped(s string, slashes bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~', slashes && c == '/':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// authenticate finds out who has signed a request, and returns its context.
func (h *Handler) authenticate(ctx context.Context, r *http.Request) (context.Context, *signed, error) {
	s, err := h.signatureOf(r)
	if err != nil {
		return nil, nil, err
	}
	who, err := h.o.Signers.Verify(ctx, s.access, s.text(r), s.value)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, nil, fault.Forbiddenf("The AWS Access Key Id you provided does not exist in our records.").WithCode("InvalidAccessKeyId")
	case fault.Is(err, fault.Unauthenticated), fault.Is(err, fault.Forbidden), fault.Is(err, fault.Invalid):
		return nil, nil, fault.Wrap(err, fault.Forbidden, "The request signature we calculated does not match the signature you provided. Check your key and signing method.").WithCode("SignatureDoesNotMatch")
	case err != nil:
		return nil, nil, err
	}
	caller := &auth.Caller{UserID: who.UserID, UserName: who.UserName, UserDomainID: who.UserDomainID, ProjectID: who.ProjectID, ProjectName: who.ProjectName,
		ProjectDomainID: who.ProjectDomainID, Roles: who.Roles}
	return auth.With(ctx, caller), &signed{signature: s, who: who}, nil
}

// signed is a signature that is right.
type signed struct {
	*signature
	who *object.Signer
}

// key is what chunks of the body are signed with.
func (s *signed) key() []byte {
	key := []byte("AWS4" + s.who.Secret)
	for part := range strings.SplitSeq(s.scope, "/") {
		key = mac(key, part)
	}
	return key
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func invalid(code, format string, args ...any) error {
	return fault.Invalidf(format, args...).WithCode(code)
}
