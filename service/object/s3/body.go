package s3

import (
	"bufio"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"

	"kilonova/internal/fault"
)

// The bodies that come in chunks, by what x-amz-content-sha256 says.
const (
	streaming        = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamingTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	unsignedTrailer  = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// checksums are the sums that a client may send of what it sends, in headers or
// behind the last chunk.
var checksums = map[string]func() hash.Hash{
	"x-amz-checksum-crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"x-amz-checksum-crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"x-amz-checksum-crc64nvme": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	"x-amz-checksum-sha1":      sha1.New,
	"x-amz-checksum-sha256":    sha256.New,
}

// body returns what a request brings, and how many bytes that is, -1 if it does not
// say. Reading it fails where it is not what was signed, or does not have the sums
// that it says.
func (h *Handler) body(r *http.Request, s *signed) (io.Reader, int64, error) {
	size := r.ContentLength
	var from io.Reader = r.Body
	v := &verified{}
	switch s.payload {
	case unsigned:
	case streaming, streamingTrailer, unsignedTrailer:
		text := r.Header.Get("X-Amz-Decoded-Content-Length")
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return nil, 0, fault.New(fault.Invalid, "You must provide the Content-Length HTTP header.").WithCode("MissingContentLength")
		}
		size = n
		c := &chunked{from: bufio.NewReaderSize(r.Body, 64<<10), signed: s.payload != unsignedTrailer, trailer: s.payload != streaming, sum: sha256.New()}
		if c.signed {
			if s.who.Secret == "" {
				return nil, 0, fault.New(fault.Unsupported, "Chunks that are signed one by one cannot be verified: the identity service does not show this service the secret.").WithCode("NotImplemented")
			}
			c.key, c.last, c.date, c.scope = s.key(), s.value, s.at.Format(timeForm), s.scope
		}
		from, v.trailers = c, c
	default:
		want, err := hex.DecodeString(s.payload)
		if err != nil || len(want) != sha256.Size {
			return nil, 0, invalid("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING value or a valid sha256 value.")
		}
		v.add(sha256.New(), want, "XAmzContentSHA256Mismatch")
	}
	if text := r.Header.Get("Content-Md5"); text != "" {
		want, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(want) != md5.Size {
			return nil, 0, invalid("InvalidDigest", "The Content-MD5 you specified is not valid.")
		}
		v.add(md5.New(), want, "BadDigest")
	}
	for name, make := range checksums {
		if text := r.Header.Get(name); text != "" {
			want, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return nil, 0, invalid("InvalidRequest", "Value for %s header is invalid.", name)
			}
			v.add(make(), want, "BadDigest")
		}
		if strings.EqualFold(strings.TrimSpace(r.Header.Get("X-Amz-Trailer")), name) && v.trailers != nil {
			v.trailing, v.trailingName = make(), name
		}
	}
	v.from = from
	return v, size, nil
}

// verified reads a body and compares its sums at its end.
type verified struct {
	from   io.Reader
	sums   []sumOf
	failed error

	trailers     *chunked
	trailing     hash.Hash // nil: there is none behind the last chunk
	trailingName string
}

type sumOf struct {
	hash.Hash
	want []byte
	code string
}

func (v *verified) add(h hash.Hash, want []byte, code string) {
	v.sums = append(v.sums, sumOf{h, want, code})
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	if v.failed != nil {
		return 0, v.failed
	}
	n, err := v.from.Read(p)
	for _, s := range v.sums {
		s.Write(p[:n])
	}
	if v.trailing != nil {
		v.trailing.Write(p[:n])
	}
	if err == io.EOF { //nolint:errorlint // a Reader's end is not wrapped
		err = v.end()
	}
	v.failed = err
	return n, err
}

func (v *verified) end() error {
	for _, s := range v.sums {
		if !hmac.Equal(s.Sum(nil), s.want) {
			return invalid(s.code, "The data received do not have the sum that was sent with them.")
		}
	}
	if v.trailing != nil {
		want, err := base64.StdEncoding.DecodeString(v.trailers.found[v.trailingName])
		if err != nil || !hmac.Equal(v.trailing.Sum(nil), want) {
			return invalid("BadDigest", "The data received do not have the %s that was sent behind them.", v.trailingName)
		}
	}
	return io.EOF
}

// chunked reads aws-chunked bodies: SIZE;chunk-signature=SIGNATURE, the bytes, and so
// on to a chunk of no bytes, behind which trailers may follow.
type chunked struct {
	from    *bufio.Reader
	signed  bool
	trailer bool

	key               []byte
	last, date, scope string // last: the signature before
	want              string // of the chunk that is being read
	left              int64
	sum               hash.Hash
	begun, over       bool
	found             map[string]string // trailers
}

const (
	maxLine  = 4096
	maxChunk = 1 << 40
)

func malformed() error {
	return invalid("IncompleteBody", "The request body is not in chunks as it says.")
}

// line reads up to CR LF.
func (c *chunked) line() (string, error) {
	var b []byte
	for {
		part, err := c.from.ReadSlice('\n')
		if b = append(b, part...); len(b) > maxLine {
			return "", malformed()
		}
		if err == nil {
			return strings.TrimRight(string(b), "\r\n"), nil
		}
		if err != bufio.ErrBufferFull { //nolint:errorlint // bufio's own
			return "", malformed()
		}
	}
}

// Read implements io.Reader.
func (c *chunked) Read(p []byte) (int, error) {
	for !c.over && c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if c.over {
		return 0, io.EOF
	}
	n, err := c.from.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if c.signed {
		c.sum.Write(p[:n])
	}
	if err == io.EOF { //nolint:errorlint // a Reader's end is not wrapped
		err = malformed()
	}
	return n, err
}

// next ends a chunk and begins the one behind it.
func (c *chunked) next() error {
	if c.begun {
		if text, err := c.line(); err != nil || text != "" {
			return malformed()
		}
		if err := c.check(); err != nil {
			return err
		}
	}
	text, err := c.line()
	if err != nil {
		return err
	}
	size, ext, _ := strings.Cut(text, ";")
	n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
	if err != nil || n < 0 || n > maxChunk {
		return malformed()
	}
	_, c.want, _ = strings.Cut(ext, "chunk-signature=")
	c.begun, c.left = true, n
	if n > 0 {
		return nil
	}
	if err := c.check(); err != nil {
		return err
	}
	return c.end()
}

// check compares a chunk's signature, which is made over the one before.
func (c *chunked) check() error {
	if !c.signed {
		return nil
	}
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	sum := hex.EncodeToString(c.sum.Sum(nil))
	c.sum.Reset()
	got := hex.EncodeToString(mac(c.key, "AWS4-HMAC-SHA256-PAYLOAD\n"+c.date+"\n"+c.scope+"\n"+c.last+"\n"+empty+"\n"+sum))
	if !hmac.Equal([]byte(got), []byte(c.want)) {
		return fault.Forbiddenf("The signature of a chunk of the body is not right.").WithCode("SignatureDoesNotMatch")
	}
	c.last = got
	return nil
}

// end reads what follows the last chunk.
func (c *chunked) end() error {
	c.over, c.found = true, map[string]string{}
	var text strings.Builder
	for range 16 {
		line, err := c.line()
		if err != nil && !c.trailer {
			return nil // some leave the empty line at the end away
		}
		if err != nil {
			return err
		}
		if line == "" {
			if !c.trailer || !c.signed {
				return nil
			}
			continue // what is signed ends with its signature
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.ToLower(strings.TrimSpace(name)); !ok {
			return malformed()
		}
		value = strings.TrimSpace(value)
		if name == "x-amz-trailer-signature" {
			sum := sha256.Sum256([]byte(text.String()))
			got := hex.EncodeToString(mac(c.key, "AWS4-HMAC-SHA256-TRAILER\n"+c.date+"\n"+c.scope+"\n"+c.last+"\n"+hex.EncodeToString(sum[:])))
			if c.signed && !hmac.Equal([]byte(got), []byte(value)) {
				return fault.Forbiddenf("The signature of the trailer is not right.").WithCode("SignatureDoesNotMatch")
			}
			return nil
		}
		c.found[name] = value
		text.WriteString(name + ":" + value + "\n")
	}
	return malformed()
}
