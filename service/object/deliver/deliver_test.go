package deliver

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

const text = "0123456789"

var when = time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)

func content(s string) Content {
	return Content{Tag: "abc", Type: "text/plain", Modified: when, Size: int64(len(s)), Open: func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(s[offset : offset+length])), nil
	}}
}

func run(t *testing.T, h map[string]string, c Content) (*Plan, string) {
	t.Helper()
	header := http.Header{}
	for k, v := range h {
		header.Set(k, v)
	}
	p := New(header, c)
	var b strings.Builder
	first, err := p.First(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(t.Context(), &b, first); err != nil {
		t.Fatal(err)
	}
	if p.Length != int64(b.Len()) || p.Status < 300 && p.Header.Get("Content-Length") != strconv.Itoa(b.Len()) {
		t.Errorf("%v: %d bytes and not %d", h, b.Len(), p.Length)
	}
	return p, b.String()
}

func TestConditionsAndRanges(t *testing.T) {
	before, at := when.Add(-time.Hour).Format(http.TimeFormat), when.Format(http.TimeFormat)
	for _, tt := range []struct {
		header map[string]string
		status int
		body   string
	}{
		{nil, 200, text},
		{map[string]string{"Range": "bytes=2-4"}, 206, "234"},
		{map[string]string{"Range": "bytes=7-"}, 206, "789"},
		{map[string]string{"Range": "bytes=-4"}, 206, "6789"},
		{map[string]string{"Range": "bytes=-99"}, 206, text},
		{map[string]string{"Range": "bytes=8-99"}, 206, "89"},
		{map[string]string{"Range": "bytes=10-"}, 416, ""},
		{map[string]string{"Range": "bytes=-0"}, 416, ""},
		{map[string]string{"Range": "bytes=99-, 1-1"}, 206, "1"},
		{map[string]string{"Range": "bytes=x"}, 200, text},
		{map[string]string{"Range": "bytes=+1-2"}, 200, text},
		{map[string]string{"Range": "lines=1-2"}, 200, text},
		{map[string]string{"Range": "bytes=4-2"}, 200, text},
		{map[string]string{"Range": "bytes=" + strings.Repeat("1-1,", 60) + "2-2"}, 416, ""},
		{map[string]string{"If-Match": `"abc"`}, 200, text},
		{map[string]string{"If-Match": "x, abc"}, 200, text},
		{map[string]string{"If-Match": "x"}, 412, ""},
		{map[string]string{"If-None-Match": "abc"}, 304, ""},
		{map[string]string{"If-None-Match": "*"}, 304, ""},
		{map[string]string{"If-None-Match": "x"}, 200, text},
		{map[string]string{"If-Modified-Since": at}, 304, ""},
		{map[string]string{"If-Modified-Since": before}, 200, text},
		{map[string]string{"If-Unmodified-Since": before}, 412, ""},
		{map[string]string{"If-Unmodified-Since": at}, 200, text},
		{map[string]string{"If-None-Match": "x", "If-Modified-Since": at}, 200, text},
		{map[string]string{"If-Range": "abc", "Range": "bytes=1-1"}, 206, "1"},
		{map[string]string{"If-Range": "old", "Range": "bytes=1-1"}, 200, text},
		{map[string]string{"If-Range": before, "Range": "bytes=1-1"}, 200, text},
	} {
		p, body := run(t, tt.header, content(text))
		if p.Status != tt.status || body != tt.body {
			t.Errorf("%v: %d %q, not %d %q", tt.header, p.Status, body, tt.status, tt.body)
		}
	}
	if p, body := run(t, nil, content("")); p.Status != 200 || body != "" {
		t.Error(p.Status, body)
	}
	if p, _ := run(t, map[string]string{"Range": "bytes=0-"}, content("")); p.Status != 416 || p.Header.Get("Content-Range") != "bytes */0" {
		t.Error(p.Status, p.Header)
	}
}

func TestSeveralRanges(t *testing.T) {
	p, body := run(t, map[string]string{"Range": "bytes=0-1, 4-4, -2"}, content(text))
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
	if err != nil || p.Status != 206 {
		t.Fatal(err, p.Status)
	}
	r := multipart.NewReader(strings.NewReader(body), params["boundary"])
	for _, want := range [][2]string{{"01", "bytes 0-1/10"}, {"4", "bytes 4-4/10"}, {"89", "bytes 8-9/10"}} {
		part, err := r.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(part)
		if err != nil || string(data) != want[0] || part.Header.Get("Content-Range") != want[1] {
			t.Errorf("%q %v %v", data, part.Header, err)
		}
	}
	if _, err := r.NextPart(); err != io.EOF {
		t.Error(err)
	}
}

type gone struct{ after int }

func (g *gone) Write(p []byte) (int, error) {
	if g.after -= len(p); g.after < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

type counted struct {
	io.Reader
	open *int
}

func (c counted) Close() error { *c.open--; return nil }

// OSSA-2016-004: what is read for a client is closed when that has gone.
func TestOSSA2016004ClientsThatGo(t *testing.T) {
	for after := range 10 {
		open := 0
		c := content(text)
		from := c.Open
		c.Open = func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
			open++
			r, err := from(ctx, offset, length)
			return counted{r, &open}, err
		}
		p := New(http.Header{"Range": {"bytes=0-3,5-8"}}, c)
		first, err := p.First(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Write(t.Context(), &gone{after * 40}, first); after < 5 && err == nil || open != 0 {
			t.Errorf("after %d: %v, %d left open", after*40, err, open)
		}
	}
}
