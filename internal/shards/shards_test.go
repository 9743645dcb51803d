package shards

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var (
	errFull  = errors.New("full")
	errNoKey = errors.New("no key")
	errDisk  = errors.New("the disk")
)

func folder(t *testing.T, free int64) *Folder {
	t.Helper()
	return &Folder{Dir: t.TempDir(), Width: 2, Free: free, Full: errFull,
		Valid: func(key string) error {
			if len(key) != 6 || strings.ContainsAny(key, "./") {
				return errNoKey
			}
			return nil
		},
		Told: func(err error) error {
			if err == nil {
				return nil
			}
			return errors.Join(errDisk, err)
		}}
}

// finish writes a file and gives it its place.
func finish(t *testing.T, d *Folder, key, text string) {
	t.Helper()
	f, err := d.Begin(key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close(), os.Rename(d.Part(key), d.Path(key)), d.Sync(key)); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, d *Folder) string {
	t.Helper()
	var all []string
	err := d.Each(t.Context(), func(key string, info fs.FileInfo, whole bool) error {
		all = append(all, fmt.Sprint(key, " ", info.Size(), " ", whole))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// TestWholeOrBegun: what is begun is nobody's yet but is found, what is whole can be
// read, also once it is removed, and of neither anything is left.
func TestWholeOrBegun(t *testing.T) {
	d := folder(t, 0)
	finish(t, d, "aa0001", "one")
	if _, err := d.Begin("aa0002"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Begin("aa0002"); err != fs.ErrExist {
		t.Errorf("begun twice: %v", err)
	}
	if _, err := d.Open("aa0002"); err != fs.ErrNotExist {
		t.Errorf("what is begun: %v", err)
	}
	for _, stranger := range []string{"lost+found", "aa/.aa0003.other", "aa/bb0001", "aa/README", "bb/aa"} {
		path := filepath.Join(d.Dir, stranger)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(d.Dir, "aa", "aa0009"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := list(t, d); got != "aa0001 3 true, aa0002 0 false" {
		t.Errorf("there are %s", got)
	}
	f, err := d.Open("aa0001")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, key := range []string{"aa0001", "aa0002", "aa0002", "cc0001"} {
		if err := d.Remove(key); err != nil {
			t.Error(err)
		}
	}
	if text, err := io.ReadAll(f); string(text) != "one" || f.Size() != 3 || err != nil {
		t.Errorf("what is open reads %q of %d, %v", text, f.Size(), err)
	}
	if got := list(t, d); got != "" {
		t.Errorf("left are %s", got)
	}
}

// TestRefusals: what is no key, no room, no folder, and nobody's wish any more.
func TestRefusals(t *testing.T) {
	d := folder(t, 0)
	if _, err := d.Open("../x"); err != errNoKey {
		t.Error(err)
	}
	if err := d.Remove("../x"); err != errNoKey {
		t.Error(err)
	}
	if system, err := d.Room(-1); system == 0 || err != nil {
		t.Error(system, err)
	}
	for _, x := range []struct{ free, size int64 }{{1 << 60, -1}, {0, 1 << 60}} {
		if _, err := folder(t, x.free).Room(x.size); !errors.Is(err, errFull) || !strings.Contains(err.Error(), "bytes are free") {
			t.Errorf("%+v: %v", x, err)
		}
	}
	finish(t, d, "aa0001", "")
	stop := errors.New("stop")
	if err := d.Each(t.Context(), func(string, fs.FileInfo, bool) error { return stop }); err != stop {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Each(ctx, func(string, fs.FileInfo, bool) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	d.Dir = filepath.Join(d.Dir, "gone")
	_, begin := d.Begin("aa0001")
	_, room := d.Room(1)
	for _, err := range []error{begin, room, d.Each(t.Context(), nil)} {
		if !errors.Is(err, errDisk) {
			t.Errorf("without a folder: %v", err)
		}
	}
	if err := d.Sync("aa0001"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDisk) {
		t.Errorf("without a folder: %v", err)
	}
}

// TestFlusher: the kernel is told of large parts only, each once.
func TestFlusher(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var w Flusher
	for _, x := range []struct {
		size int64
		want bool
	}{{1, false}, {flushEvery, true}, {2*flushEvery - 1, false}, {2 * flushEvery, true}} {
		if w.Wrote(f, x.size) != x.want {
			t.Errorf("after %d bytes", x.size)
		}
	}
	w.Skip(5 * flushEvery)
	if w.Wrote(f, 6*flushEvery-1) {
		t.Error("what has gone to the disk was flushed")
	}
}
