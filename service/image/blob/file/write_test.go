package file

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// aligned is memory that a disk can fetch from.
func aligned(t *testing.T, size int) []byte {
	t.Helper()
	p, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(p) })
	rand.NewChaCha8([32]byte{}).Read(p)
	return p
}

// TestStraight writes pieces that fit the disk and pieces that do not, in turn.
func TestStraight(t *testing.T) {
	s, err := New(Options{Dir: t.TempDir(), DirectIO: true})
	if err != nil {
		t.Fatal(err)
	}
	data := aligned(t, 8<<20)
	b, err := s.Create(t.Context(), "aaaa.1", -1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Abort()
	w := b.(*writer)
	if !w.straight {
		t.Skip("the folder for temporary files is neither on ext4 nor on XFS, where pieces go straight to the disk")
	}
	var want []byte
	for _, tt := range []struct {
		from, to int
		direct   bool
	}{
		{0, 2 << 20, true}, {2 << 20, 3 << 20, true}, // they fit
		{0, leastDirect - alignment, false}, // too short
		{4 << 20, 8 << 20, true},
		{1, 1 + 2<<20, false},                          // from memory that is not aligned
		{0, 2<<20 + 5, false},                          // not a multiple
		{0, 2 << 20, false}, {0, alignment - 5, false}, // to a place that is not
		{0, 2 << 20, true}, // which is mended
		{7, 20, false},
	} {
		n, err := w.Write(data[tt.from:tt.to])
		if err != nil || n != tt.to-tt.from || w.direct != tt.direct {
			t.Fatalf("%+v: %d, %v, direct %v", tt, n, err, w.direct)
		}
		want = append(want, data[tt.from:tt.to]...)
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(s.files.Path("aaaa.1")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d came back, or others; %v", len(got), len(want), err)
	}
}

// TestStubbornDisk has the kernel refuse a piece that seemed to fit, as a disk with
// larger sectors does.
func TestStubbornDisk(t *testing.T) {
	s, err := New(Options{Dir: t.TempDir(), DirectIO: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Create(t.Context(), "aaaa.1", -1)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Abort()
	w := b.(*writer)
	if w.steer(true); !w.direct {
		t.Skip("the folder for temporary files is on a file system that does not write straight to a disk")
	}
	data := aligned(t, 2<<20)[1:]
	if n, err := w.put(data); n != len(data) || err != nil || w.direct || w.straight {
		t.Fatal(n, err, w.direct, w.straight)
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(s.files.Path("aaaa.1")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d came back, or others; %v", len(got), len(data), err)
	}
}
