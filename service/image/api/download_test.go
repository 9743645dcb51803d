package api

import (
	"io"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

func TestRanges(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(nil)
	cl.put(id, "0123456789").want(204)
	for header, want := range map[string]string{
		"bytes=0-3": "0123", "bytes=5-": "56789", "bytes=-2": "89", "bytes=-99": "0123456789", "bytes=8-99": "89", "bytes=9-9": "9",
	} {
		a := cl.do("demo", "GET", "/v2/images/"+id+"/file", nil, "Range", header)
		if a.want(206); string(a.body) != want || !strings.HasSuffix(a.header.Get("Content-Range"), "/10") {
			t.Errorf("%s: %q %v", header, a.body, a.header)
		}
	}
	for header, want := range map[string]int{"bytes=10-": 416, "bytes=5-2": 416, "bytes=x": 416, "bytes=-0": 416, "bytes=0-1,3-4": 200, "lines=1-2": 200} {
		a := cl.do("demo", "GET", "/v2/images/"+id+"/file", nil, "Range", header)
		if a.want(want); want == 416 && a.header.Get("Content-Range") != "bytes */10" {
			t.Errorf("%s: %v", header, a.header)
		}
	}
}

// cut is a body that breaks off after n bytes.
type cut struct{ n int }

func (c *cut) Read(p []byte) (int, error) {
	if c.n == 0 {
		return 0, io.ErrClosedPipe
	}
	n := min(c.n, len(p))
	c.n -= n
	return n, nil
}

// TestRefusedUploads sends data that must be refused: the image is queued again
// and nothing of the data stays.
// kernel is a connection that can take files by itself, and notes whether it is given any.
type kernel struct {
	*httptest.ResponseRecorder
	files int
}

func (k *kernel) ReadFrom(r io.Reader) (int64, error) {
	from := r
	if part, ok := r.(*io.LimitedReader); ok {
		from = part.R
	}
	if _, ok := from.(syscall.Conn); ok {
		k.files++
	}
	return io.Copy(k.ResponseRecorder, r)
}

// Files go out by sendfile: nothing on the way to the connection hides that it is a file, or that this is a connection.
func TestDownloadsAreLeftToTheKernel(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(nil)
	cl.put(id, strings.Repeat("0123456789", 100000)).want(204)
	for header, size := range map[string]int{"": 1000000, "bytes=5-": 999995, "bytes=5-14": 10} {
		r := httptest.NewRequest("GET", "/image/v2/images/"+id+"/file", nil)
		r.Header.Set("X-Auth-Token", "demo")
		r.Header.Set("Range", header)
		w := &kernel{ResponseRecorder: httptest.NewRecorder()}
		cl.handler.ServeHTTP(w, r)
		if w.files != 1 || w.Body.Len() != size {
			t.Errorf("%q: %d bytes, %d files", header, w.Body.Len(), w.files)
		}
	}
}
