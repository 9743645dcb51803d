package cinder

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/image/blob"
	"kilonova/service/image/blob/blobtest"
	"kilonova/test/cinder"
)

// serve starts the stand-in of the volume service, with its volumes as files of a
// folder, and of an identity service that lists it.
func serve(t *testing.T) (Options, string) {
	volumes := cinder.New()
	volumes.Dir = t.TempDir()
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v3/auth/tokens" && r.Method == http.MethodPost:
			w.Header().Set("X-Subject-Token", "own")
			w.WriteHeader(201)
			fmt.Fprint(w, `{"token": {"expires_at": "2099-01-01T00:00:00.000000Z"}}`)
		case r.URL.Path == "/v3/auth/tokens":
			fmt.Fprintf(w, `{"token": {"project": {"id": "0123456789abcdef0123456789abcdef"}, "catalog": [{"type": "volumev3", "endpoints":
				[{"interface": "public", "region_id": "R", "url": "%s/v3/0123456789abcdef0123456789abcdef"}]}]}}`, srv.URL)
		case r.Header.Get("X-Service-Token") != "own":
			w.WriteHeader(401)
		default:
			volumes.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return Options{AuthAddress: srv.URL + "/v3", User: "glance", Password: "p", Project: "service", Region: "R"}, volumes.Dir
}

func store(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := New(o, "images-1", "192.0.2.1", host.Local{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.poll = time.Millisecond
	return s
}

func TestLaw(t *testing.T) {
	blobtest.RunRemote(t, func(t *testing.T) func() blob.Store {
		o, _ := serve(t)
		return func() blob.Store { return store(t, o) }
	})
}

func TestVolumesGrowAndGo(t *testing.T) {
	o, dir := serve(t)
	s := store(t, o)
	w, err := s.Create(t.Context(), "aaaa", -1)
	if err != nil {
		t.Fatal(err)
	}
	out := w.(*writer)
	out.size = gib - 3 // as if so much had come
	if _, err := io.WriteString(w, "across the end"); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if is, err := os.Stat(files[0]); err != nil || is.Size() != 2*gib {
		t.Errorf("the volume has %v bytes, %v", is, err)
	}
	r, err := s.Open(t.Context(), "aaaa")
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Open(t.Context(), "aaaa") // two readers, one attachment
	if err != nil {
		t.Fatal(err)
	}
	tail := make([]byte, 14)
	if _, err := r.ReadAt(tail, gib-3); err != nil || string(tail) != "across the end" || r.Size() != gib+11 {
		t.Errorf("%q of %d, %v", tail, r.Size(), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := again.ReadAt(tail, gib-3); err != nil {
		t.Error("the second reader lost what the first gave back:", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if v, err := s.whole(t.Context(), "aaaa"); err != nil || v.Status != "available" {
		t.Errorf("%+v, %v", v, err)
	}
	if err := s.Delete(t.Context(), "aaaa"); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(dir + "/*"); len(files) != 0 {
		t.Error("left over:", files)
	}
}

// TestWhatADeadReaderHeldIsTaken: a process that was killed while somebody read has
// left its attachment, and the next one of the host must not wait for it.
func TestWhatADeadReaderHeldIsTaken(t *testing.T) {
	o, _ := serve(t)
	dead := store(t, o)
	w, err := dead.Create(t.Context(), "aaaa", 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "one"); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := dead.Open(t.Context(), "aaaa")
	if err != nil {
		t.Fatal(err)
	}
	o.Patience = 1
	elsewhere, err := New(o, "images-2", "192.0.2.2", host.Local{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elsewhere.Open(t.Context(), "aaaa"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "in-use") {
		t.Errorf("another host's volume was taken: %v", err)
	}
	r, err := store(t, o).Open(t.Context(), "aaaa")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "one" {
		t.Errorf("%q, %v", got, err)
	}
	if err := errors.Join(r.Close(), left.Close()); err != nil {
		t.Error(err)
	}
}

func TestConnectionsAreOpenedOrRefused(t *testing.T) {
	dir := t.TempDir()
	s := store(t, Options{AuthAddress: "http://x", User: "u", Password: "p", Project: "s", MountPoint: dir})
	export := "192.0.2.1:/srv"
	if at, err := s.mounted(t.Context(), access{Export: export, Name: "."}); err == nil {
		t.Fatal("mounted what is not there:", at)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	share := filepath.Join(dir, entries[0].Name())
	if err := os.WriteFile(filepath.Join(share, "volume-1"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for info, want := range map[string]string{
		`{"driver_volume_type": "nfs", "data": {"export": "192.0.2.1:/srv", "name": "volume-1", "format": "raw"}}`:   "content",
		`{"driver_volume_type": "local", "device_path": "` + share + `/volume-1"}`:                                   "content",
		`{"driver_volume_type": "nfs", "data": {"export": "192.0.2.1:/srv", "name": "../x", "format": "raw"}}`:       "",
		`{"driver_volume_type": "nfs", "data": {"export": "-oremount", "name": "x"}}`:                                "",
		`{"driver_volume_type": "nfs", "data": {"export": "192.0.2.1:/srv", "name": "volume-1", "format": "qcow2"}}`: "",
		`{"driver_volume_type": "local", "device_path": "etc/passwd"}`:                                               "",
		`{"driver_volume_type": "rbd", "data": {}}`:                                                                  "",
		`[]`: "",
	} {
		f, err := s.connect(t.Context(), "1", []byte(info), "ro")
		if want == "" {
			if !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Unsupported) {
				t.Errorf("%s: %v", info, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", info, err)
			continue
		}
		if got, _ := io.ReadAll(f); string(got) != want {
			t.Errorf("%s: %q", info, got)
		}
		f.Close()
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {AuthAddress: "http://x", User: "u", Password: "p"}, {AuthAddress: "http://x", User: "u", Password: "p", Project: "s", Patience: -1}} {
		if _, err := New(o, "h", "192.0.2.1", host.Local{}, time.Now); err == nil || !strings.Contains(err.Error(), "cinder_") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
