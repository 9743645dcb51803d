// Package blobtest is the law that every store of blobs obeys, as tests. A
// driver's own test calls Run with a way to make an empty store.
package blobtest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
)

const key = "0f1e2d3c-0000-4000-8000-000000000001.aa"

// Run tests a driver. open returns the same store each time it is called within
// one test, as a process would find it that starts anew.
func Run(t *testing.T, fresh func(t *testing.T) (open func() blob.Store)) { run(t, fresh, false) }

// RunRemote tests a driver whose store is behind a network, and in which an open
// blob may fail once it is deleted.
func RunRemote(t *testing.T, fresh func(t *testing.T) (open func() blob.Store)) { run(t, fresh, true) }

func run(t *testing.T, fresh func(t *testing.T) (open func() blob.Store), remote bool) {
	for name, law := range map[string]func(*testing.T, func() blob.Store){
		"a blob comes back as it went in":         roundTrip,
		"nothing is seen before the commit":       unseen,
		"what is aborted leaves nothing":          aborted,
		"what a dead writer left can be replaced": takenOver,
		"a later blob replaces an earlier":        func(t *testing.T, open func() blob.Store) { replaced(t, open, remote) },
		"what is open outlives its deletion":      func(t *testing.T, open func() blob.Store) { deletedWhileOpen(t, open, remote) },
		"a large blob comes in parts":             large,
		"much is written at the same time":        manyAtOnce,
		"deleting twice is deleting once":         deletedTwice,
		"what was begun can be deleted":           begunDeleted,
		"all blobs are listed":                    listed,
		"bad keys are refused everywhere":         badKeys,
		"too much is refused at once":             tooMuch,
	} {
		t.Run(name, func(t *testing.T) { law(t, fresh(t)) })
	}
}

func put(t *testing.T, s blob.Store, key, content string) {
	t.Helper()
	w := create(t, s, key)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil { // as a deferred call would
		t.Fatal(err)
	}
}

func create(t *testing.T, s blob.Store, key string) blob.Writer {
	t.Helper()
	w, err := s.Create(t.Context(), key, -1)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// get returns a blob's content, and whether there is one.
func get(t *testing.T, s blob.Store, key string) (string, bool) {
	t.Helper()
	r, err := s.Open(t.Context(), key)
	if errors.Is(err, blob.ErrNotFound) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil || int64(len(data)) != r.Size() {
		t.Fatalf("read %d of %d: %v", len(data), r.Size(), err)
	}
	return string(data), true
}

func entries(t *testing.T, s blob.Store) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	if err := s.Each(t.Context(), func(e blob.Entry) error {
		if e.Modified.IsZero() {
			t.Errorf("%s has no time", e.Key)
		}
		all[e.Key] = all[e.Key] || e.Whole
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func roundTrip(t *testing.T, open func() blob.Store) {
	content := strings.Repeat("0123456789abcdef", 20000)
	put(t, open(), key, content)
	s := open()
	if got, ok := get(t, s, key); !ok || got != content {
		t.Fatalf("%d bytes, %v", len(got), ok)
	}
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	part := make([]byte, 10)
	if _, err := r.ReadAt(part, 160005); err != nil || string(part) != "56789abcde" {
		t.Errorf("%q, %v", part, err)
	}
	if _, err := r.Seek(-3, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "def" {
		t.Errorf("%q after seeking", rest)
	}
	put(t, s, key+"empty", "")
	if got, ok := get(t, s, key+"empty"); !ok || got != "" {
		t.Error("an empty blob is a blob")
	}
	if u := s.URL(key); !strings.Contains(u, "://") || !strings.Contains(u, key) {
		t.Error(u)
	}
}

func unseen(t *testing.T, open func() blob.Store) {
	s := open()
	w := create(t, s, key)
	defer w.Abort()
	w.Write([]byte("half"))
	if _, ok := get(t, s, key); ok {
		t.Fatal("half a blob can be read")
	}
	if all := entries(t, s); all[key] {
		t.Error(all)
	}
}

func aborted(t *testing.T, open func() blob.Store) {
	s := open()
	w := create(t, s, key)
	w.Write([]byte("half"))
	for range 2 {
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context()); err == nil {
		t.Error("committed after abort")
	}
	if all := entries(t, open()); len(all) != 0 {
		t.Error(all)
	}
}

func takenOver(t *testing.T, open func() blob.Store) {
	dead := create(t, open(), key)
	dead.Write([]byte("what the dead wrote, which is long"))
	s := open()
	w := create(t, s, key)
	w.Write([]byte("new"))
	dead.Write([]byte("; it was not dead"))
	if err := dead.Commit(t.Context()); err == nil {
		if err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	} else if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := get(t, s, key); got != "new" {
		t.Errorf("%q", got)
	}
	if all := entries(t, s); len(all) != 1 {
		t.Error(all)
	}
}

func replaced(t *testing.T, open func() blob.Store, mayFail bool) {
	s := open()
	put(t, s, key, "one")
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put(t, s, key, "second")
	if got, _ := get(t, s, key); got != "second" {
		t.Errorf("%q", got)
	}
	if old, err := io.ReadAll(r); (err != nil || string(old) != "one") && !(mayFail && err != nil && strings.HasPrefix("one", string(old))) {
		t.Errorf("the open one: %q, %v", old, err)
	}
}

func deletedWhileOpen(t *testing.T, open func() blob.Store, mayFail bool) {
	s := open()
	content := bytes.Repeat([]byte("x"), 3<<20)
	put(t, s, key, string(content))
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	io.CopyN(io.Discard, r, 100)
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r); (err != nil || len(rest) != len(content)-100) && !(mayFail && err != nil) {
		t.Errorf("%d bytes were left, %v", len(rest), err)
	}
	if _, ok := get(t, s, key); ok {
		t.Error("still there")
	}
}

func deletedTwice(t *testing.T, open func() blob.Store) {
	s := open()
	put(t, s, key, "x")
	for range 3 {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if all := entries(t, s); len(all) != 0 {
		t.Error(all)
	}
}

func begunDeleted(t *testing.T, open func() blob.Store) {
	w := create(t, open(), key)
	w.Write([]byte("half"))
	s := open()
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err == nil {
		t.Error("a writer whose blob was deleted could commit")
	}
	if all := entries(t, s); len(all) != 0 {
		t.Error(all)
	}
}

func listed(t *testing.T, open func() blob.Store) {
	s := open()
	put(t, s, "aaaa.1", "x")
	put(t, s, "bbbb.1", "x")
	w := create(t, s, "cccc.1")
	defer w.Abort()
	w.Write([]byte("half"))
	all := entries(t, s)
	if whole, ok := all["aaaa.1"]; !ok || !whole || !all["bbbb.1"] || all["cccc.1"] {
		t.Error(all)
	}
	stop := errors.New("enough")
	if err := s.Each(t.Context(), func(blob.Entry) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func badKeys(t *testing.T, open func() blob.Store) {
	s := open()
	for _, k := range []string{"", ".", "..", "ab", "../../etc/passwd", "a/b/c", "/etc/passwd", ".aaaa.part", "aaaa\x00", "AAAA", strings.Repeat("a", 201)} {
		_, openErr := s.Open(t.Context(), k)
		_, createErr := s.Create(t.Context(), k, 1)
		for _, err := range []error{openErr, createErr, s.Delete(t.Context(), k)} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", k, err)
			}
		}
	}
}

func tooMuch(t *testing.T, open func() blob.Store) {
	s := open()
	if w, err := s.Create(t.Context(), key, 1<<60); !errors.Is(err, blob.ErrFull) {
		t.Errorf("an exbibyte: %v", err)
		w.Abort()
	}
	if all := entries(t, s); len(all) != 0 {
		t.Error(all)
	}
}

// large writes more than any driver keeps in one piece, in pieces of odd sizes,
// and reads it back from odd places.
func large(t *testing.T, open func() blob.Store) {
	s := open()
	content := make([]byte, 40<<20+12345)
	for i := range content {
		content[i] = byte(i * 7919 >> 11)
	}
	w, err := s.Create(t.Context(), key, int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for at := 0; at < len(content); at += 1234567 {
		if _, err := w.Write(content[at:min(at+1234567, len(content))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Size() != int64(len(content)) {
		t.Fatalf("%d bytes", r.Size())
	}
	for _, at := range []int64{0, 16<<20 - 3, 33<<20 + 1} {
		part := make([]byte, 100000)
		if _, err := r.ReadAt(part, at); err != nil || !bytes.Equal(part, content[at:at+100000]) {
			t.Errorf("at %d: %v", at, err)
		}
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func manyAtOnce(t *testing.T, open func() blob.Store) {
	s := open()
	done := make(chan error, 8)
	for n := range 8 {
		go func() {
			w, err := s.Create(t.Context(), "many."+string(rune('a'+n)), -1)
			if err == nil {
				_, err = io.WriteString(w, strings.Repeat(string(rune('a'+n)), 100000))
			}
			if err == nil {
				err = w.Commit(t.Context())
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for n := range 8 {
		if got, _ := get(t, s, "many."+string(rune('a'+n))); got != strings.Repeat(string(rune('a'+n)), 100000) {
			t.Errorf("%d: %d bytes", n, len(got))
		}
	}
}
