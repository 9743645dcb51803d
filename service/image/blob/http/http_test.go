package http

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
)

func serve(t *testing.T, h http.HandlerFunc) (*Store, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	u, _ := url.Parse(srv.URL)
	port, _ := strconv.Atoi(u.Port())
	return New(blob.Filter{AllowedSchemes: []string{"http"}, AllowedHosts: []string{"127.0.0.1"}, AllowedPorts: []int{port}}), srv.URL
}

func TestReads(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 50000)
	s, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/disk" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Etag", `"one"`)
		http.ServeContent(w, r, "disk", time.Time{}, bytes.NewReader(content))
	})
	r, err := s.OpenURL(t.Context(), base+"/disk#new")
	if err != nil || r.Size() != int64(len(content)) {
		t.Fatal(err)
	}
	defer r.Close()
	part := make([]byte, 5)
	if _, err := r.ReadAt(part, 123); err != nil || string(part) != "34567" {
		t.Errorf("%q, %v", part, err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := r.Seek(-2, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(r); string(got) != "89" {
		t.Errorf("%q at the end", got)
	}
	if _, err := s.OpenURL(t.Context(), base+"/none"); !errors.Is(err, blob.ErrNotFound) {
		t.Error(err)
	}
}

func TestChangedMeanwhile(t *testing.T) {
	n := 0
	s, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("Etag", strconv.Quote(strconv.Itoa(n)))
		http.ServeContent(w, r, "disk", time.Time{}, bytes.NewReader([]byte("some data")))
	})
	r, err := s.OpenURL(t.Context(), base+"/disk")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); !fault.Is(err, fault.Unavailable) || len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
}

// A user's address must not lead the service to where only it can go, neither at
// once nor by a redirection (OSSA-2026-004, CVE-2026-34881), nor to files (OSSA-2015-002,
// OSSA-2014-041).
func TestRefusals(t *testing.T) {
	s, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
	})
	if _, err := s.OpenURL(t.Context(), base+"/redirected"); !fault.Is(err, fault.Invalid) {
		t.Error("redirected:", err)
	}
	for _, address := range []string{"file:///etc/passwd", "http://169.254.169.254/", "gopher://127.0.0.1/", "http://user:pw@127.0.0.1/", "", "::", "http://127.0.0.1:22/", "swift+config://x/y/z", "filesystem:///etc/passwd"} {
		if _, err := s.OpenURL(t.Context(), address); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", address, err)
		}
	}
	open := New(blob.Filter{AllowedSchemes: []string{"http"}})
	for _, address := range []string{"http://127.0.0.1/", "http://[::1]/", "http://[::ffff:10.0.0.1]/", "http://10.0.0.1/", "http://169.254.169.254/", "http://0x7f000001/"} {
		if _, err := open.OpenURL(t.Context(), address); err == nil || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := s.Create(t.Context(), "aaaa.1", 1); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// TestSilentServer reads from a server that stops sending. What it takes the reader
// between two reads does not count.
func TestSilentServer(t *testing.T) {
	ended := make(chan struct{})
	s, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		if r.Method == http.MethodHead {
			return
		}
		w.Write([]byte("begun"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(ended)
	})
	s.silence = 50 * time.Millisecond
	r, err := s.OpenURL(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if string(data) != "begun" || !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "nothing for 50ms") {
		t.Errorf("%q, %v", data, err)
	}
	<-ended // the request is over there too
}
