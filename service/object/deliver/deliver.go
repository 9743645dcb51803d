// Package deliver is how content goes out over HTTP: conditions and ranges, as RFC
// 9110 has them, for both APIs of the object service. It knows no service.
package deliver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Content is what may go out.
type Content struct {
	Tag      string // entity tag without quotes
	Type     string
	Modified time.Time
	Size     int64
	// Open reads a part.
	Open func(ctx context.Context, offset, length int64) (io.ReadCloser, error)
}

// Plan is what is to be answered: Status and Header, and for 200 and 206 a body of
// Length bytes that Write sends.
type Plan struct {
	Status int
	Header http.Header
	Length int64

	c        *Content
	parts    []part
	boundary string // of several parts
}

type part struct{ offset, length int64 }

// mostParts bounds the ranges of one request, as upstream does.
const mostParts = 50

// New decides what to answer to a GET or HEAD with these headers.
func New(h http.Header, c Content) *Plan {
	p := &Plan{Status: http.StatusOK, Header: http.Header{}, c: &c, Length: c.Size, parts: []part{{0, c.Size}}}
	p.Header.Set("Accept-Ranges", "bytes")
	p.Header.Set("Content-Type", c.Type)
	if status := Precondition(h, c.Tag, c.Modified, true); status != 0 {
		return p.without(status)
	}
	spec := h.Get("Range")
	if spec == "" || !ifRange(h.Get("If-Range"), &c) {
		p.Header.Set("Content-Length", strconv.FormatInt(p.Length, 10))
		return p
	}
	parts, ok := ranges(spec, c.Size)
	switch {
	case !ok:
		p.Header.Set("Content-Range", fmt.Sprintf("bytes */%d", c.Size))
		return p.without(http.StatusRequestedRangeNotSatisfiable)
	case len(parts) == 1:
		p.Status, p.parts, p.Length = http.StatusPartialContent, parts, parts[0].length
		p.Header.Set("Content-Range", parts[0].of(c.Size))
	case len(parts) > 1:
		p.several(parts)
	}
	p.Header.Set("Content-Length", strconv.FormatInt(p.Length, 10))
	return p
}

func (p *Plan) without(status int) *Plan {
	p.Status, p.parts, p.Length = status, nil, 0
	return p
}

func (r part) of(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", r.offset, r.offset+r.length-1, size)
}

func (p *Plan) several(parts []part) {
	var b [16]byte
	rand.Read(b[:])
	p.Status, p.parts, p.boundary, p.Length = http.StatusPartialContent, parts, hex.EncodeToString(b[:]), 0
	for i, r := range parts {
		p.Length += int64(len(p.head(i))) + r.length
	}
	p.Length += int64(len(p.end()))
	p.Header.Set("Content-Type", "multipart/byteranges; boundary="+p.boundary)
}

func (p *Plan) head(i int) string {
	line := "\r\n"
	if i == 0 {
		line = ""
	}
	return line + "--" + p.boundary + "\r\nContent-Type: " + p.c.Type + "\r\nContent-Range: " + p.parts[i].of(p.c.Size) + "\r\n\r\n"
}

func (p *Plan) end() string { return "\r\n--" + p.boundary + "--" }

// Write sends the body. first, if not nil, is what Open has given for the first part.
func (p *Plan) Write(ctx context.Context, w io.Writer, first io.ReadCloser) error {
	for i, r := range p.parts {
		if p.boundary != "" {
			if _, err := io.WriteString(w, p.head(i)); err != nil {
				if first != nil {
					first.Close()
				}
				return err
			}
		}
		if err := p.send(ctx, w, r, first); err != nil {
			return err
		}
		first = nil
	}
	if p.boundary != "" {
		_, err := io.WriteString(w, p.end())
		return err
	}
	return nil
}

// First opens the first part, so that a failure can still be told.
func (p *Plan) First(ctx context.Context) (io.ReadCloser, error) {
	if len(p.parts) == 0 || p.parts[0].length == 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return p.c.Open(ctx, p.parts[0].offset, p.parts[0].length)
}

func (p *Plan) send(ctx context.Context, w io.Writer, r part, from io.ReadCloser) (err error) {
	if from == nil {
		if from, err = p.c.Open(ctx, r.offset, r.length); err != nil {
			return err
		}
	}
	defer from.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, from, make([]byte, min(r.length+1, bufferSize)))
	if err == nil && n != r.length {
		err = io.ErrUnexpectedEOF
	}
	return err
}

const bufferSize = 128 << 10

// Precondition returns 304 or 412 where a condition of the request does not hold, 0
// where all do. reading says that it is a GET or HEAD.
func Precondition(h http.Header, tag string, modified time.Time, reading bool) int {
	modified = modified.Truncate(time.Second)
	if list := h.Values("If-Match"); len(list) > 0 {
		if !matches(list, tag) {
			return http.StatusPreconditionFailed
		}
	} else if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && modified.After(t) {
		return http.StatusPreconditionFailed
	}
	if list := h.Values("If-None-Match"); len(list) > 0 {
		if matches(list, tag) {
			if reading {
				return http.StatusNotModified
			}
			return http.StatusPreconditionFailed
		}
	} else if t, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil && reading && !modified.After(t) {
		return http.StatusNotModified
	}
	return 0
}

// matches reports whether a tag is in lists of tags; clients of Swift leave the
// quotes away.
func matches(lists []string, tag string) bool {
	for _, list := range lists {
		for one := range strings.SplitSeq(list, ",") {
			one = strings.Trim(strings.TrimPrefix(textproto.TrimString(one), "W/"), `"`)
			if one == "*" || one == tag {
				return true
			}
		}
	}
	return false
}

func ifRange(text string, c *Content) bool {
	if text == "" {
		return true
	}
	if t, err := http.ParseTime(text); err == nil {
		return !c.Modified.Truncate(time.Second).After(t)
	}
	return matches([]string{text}, c.Tag)
}

// ranges reads a Range header: the parts that can be had, false if none can; no parts
// where it is no header that says anything, and the whole is to go out.
func ranges(text string, size int64) (parts []part, ok bool) {
	spec, bytes := strings.CutPrefix(text, "bytes=")
	if !bytes {
		return nil, true
	}
	list := strings.Split(spec, ",")
	if len(list) > mostParts {
		return nil, false
	}
	for _, one := range list {
		offset, length, err := Part(strings.TrimSpace(one), size)
		if errors.Is(err, errMalformed) {
			return nil, true
		}
		if err == nil {
			parts = append(parts, part{offset, length})
		}
	}
	return parts, len(parts) > 0
}

var (
	errMalformed = errors.New("this is no range")
	errBeyond    = errors.New("the range is beyond the end")
)

// Part reads what of size bytes a range means: "first-last", "first-", or "-so many"
// at the end.
func Part(text string, size int64) (offset, length int64, err error) {
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		return 0, 0, errMalformed
	}
	number := func(s string) (int64, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || s[0] == '+' {
			return 0, errMalformed
		}
		return n, nil
	}
	if first == "" {
		n, err := number(last)
		if err != nil {
			return 0, 0, err
		}
		if n == 0 || size == 0 {
			return 0, 0, errBeyond
		}
		n = min(n, size)
		return size - n, n, nil
	}
	a, err := number(first)
	if err != nil {
		return 0, 0, err
	}
	z := size - 1
	if last != "" {
		if z, err = number(last); err != nil || z < a {
			return 0, 0, errMalformed
		}
	}
	if a >= size {
		return 0, 0, errBeyond
	}
	return a, min(z, size-1) - a + 1, nil
}
