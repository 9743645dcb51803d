package file

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"kilonova/service/image/blob"
	"kilonova/service/image/blob/blobtest"
)

func TestLaw(t *testing.T) {
	for name, direct := range map[string]bool{"cached": false, "direct": true} {
		t.Run(name, func(t *testing.T) {
			blobtest.Run(t, func(t *testing.T) func() blob.Store {
				dir := filepath.Join(t.TempDir(), "images")
				return func() blob.Store {
					s, err := New(Options{Dir: dir, DirectIO: direct})
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
			})
		})
	}
}

func TestKeepsSpaceFree(t *testing.T) {
	s, err := New(Options{Dir: t.TempDir(), MinFree: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), "aaaa.1", 1); !errors.Is(err, blob.ErrFull) {
		t.Error(err)
	}
}

func TestLeavesStrangersAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"lost+found/x.1234", "aa/not a key", "aa/bbbb.1", "README"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := New(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Each(t.Context(), func(e blob.Entry) error { t.Errorf("%+v", e); return nil }); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkWrite(b *testing.B) {
	s, err := New(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	b.SetBytes(64 << 20)
	for b.Loop() {
		w, err := s.Create(b.Context(), "aaaa.1", 64<<20)
		if err != nil {
			b.Fatal(err)
		}
		for range 64 {
			w.Write(chunk)
		}
		if err := w.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
