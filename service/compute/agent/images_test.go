package agent

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// shelf is an image service that counts how often it is asked for data.
type shelf struct {
	compute.Images // what the cache does not ask
	mu             sync.Mutex
	data           map[string][]byte
	endless        io.Reader      // all data, if not nil
	told           *compute.Image // what is said of each image; nil: its size and MD5 sum
	opened         map[string]int
}

func (s *shelf) Image(_ context.Context, id string) (compute.Image, error) {
	if s.told != nil {
		return *s.told, nil
	}
	sum := md5.Sum(s.data[id])
	return compute.Image{ID: id, Size: int64(len(s.data[id])), Checksum: hex.EncodeToString(sum[:])}, nil
}

func (s *shelf) Open(_ context.Context, id string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened[id]++
	if s.endless != nil {
		return io.NopCloser(s.endless), nil
	}
	return io.NopCloser(bytes.NewReader(s.data[id])), nil
}

func newCache(t *testing.T, data map[string][]byte) (*ImageCache, *shelf, *time.Time) {
	s := &shelf{data: data, opened: map[string]int{}}
	dir, now := t.TempDir(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &ImageCache{Dir: filepath.Join(dir, "_base"), Instances: dir, Images: s, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}, s, &now
}

func TestImagesAreFetchedOnce(t *testing.T) {
	c, s, _ := newCache(t, map[string][]byte{"disk": bytes.Repeat([]byte("x"), 1<<20), "kernel": []byte("k"), "ramdisk": []byte("r")})
	meta := compute.ImageMeta{DiskFormat: "ami", Properties: map[string]string{"kernel_id": "kernel", "ramdisk_id": "ramdisk"}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			image, err := c.Get(t.Context(), "disk", meta)
			if err != nil || image.Format != "raw" || filepath.Base(image.Kernel) != "kernel" || filepath.Base(image.Ramdisk) != "ramdisk" {
				t.Errorf("%+v, %v", image, err)
			}
		})
	}
	all.Wait()
	for id, n := range s.opened {
		if n != 1 {
			t.Errorf("%s was fetched %d times", id, n)
		}
	}
	if got, err := os.ReadFile(filepath.Join(c.Dir, "disk")); err != nil || !bytes.Equal(got, s.data["disk"]) {
		t.Error(err)
	}
	if _, err := c.Get(t.Context(), "../etc/passwd", meta); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestImagesAreVerifiedByTheirStrongestHash(t *testing.T) {
	data := []byte("disk")
	weak := md5.Sum(data)
	for algo, h := range secureHashes {
		sum := h()
		sum.Write(data)
		right := hex.EncodeToString(sum.Sum(nil))
		for value, want := range map[string]bool{right: true, strings.Repeat("0", len(right)): false} {
			c, s, _ := newCache(t, map[string][]byte{"disk": data})
			s.told = &compute.Image{ID: "disk", Size: 4, HashAlgo: algo, HashValue: value}
			if _, err := c.Get(t.Context(), "disk", compute.ImageMeta{DiskFormat: "raw"}); (err == nil) != want {
				t.Errorf("%s %s: %v", algo, value, err)
			}
		}
	}
	for checksum, want := range map[string]bool{hex.EncodeToString(weak[:]): true, strings.Repeat("0", 32): false} {
		c, s, _ := newCache(t, map[string][]byte{"disk": data})
		s.told = &compute.Image{ID: "disk", Size: 4, HashAlgo: "whirlpool", HashValue: "00", Checksum: checksum}
		if _, err := c.Get(t.Context(), "disk", compute.ImageMeta{DiskFormat: "raw"}); (err == nil) != want {
			t.Errorf("MD5 %s: %v", checksum, err)
		}
	}
}

// zeros never end, and count what is read of them.
type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += len(p)
	return len(p), nil
}

func TestImagesAreNoLongerThanPromised(t *testing.T) {
	c, s, _ := newCache(t, nil)
	data := &zeros{}
	s.endless, s.told = data, &compute.Image{ID: "disk", Size: 1000}
	_, err := c.Get(t.Context(), "disk", compute.ImageMeta{DiskFormat: "raw"})
	if !fault.Is(err, fault.Unavailable) || data.read > 64<<10 {
		t.Errorf("%v, after %d bytes", err, data.read)
	}
	if left, err := os.ReadDir(c.Dir); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
}

func TestImagesAreConvertedOnce(t *testing.T) {
	for _, program := range []string{"qemu-img", "prlimit"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	content, dir := bytes.Repeat([]byte("0123456789abcdef"), 4096), t.TempDir()
	data := map[string][]byte{"raw": content}
	os.WriteFile(filepath.Join(dir, "raw"), content, 0o600)
	for _, format := range []string{"vmdk", "vdi", "qcow2"} {
		args := []string{"convert", "-f", "raw", "-O", format}
		if format == "vmdk" {
			args = append(args, "-o", "subformat=streamOptimized")
		}
		path := filepath.Join(dir, format)
		if out, err := exec.Command("qemu-img", append(args, filepath.Join(dir, "raw"), path)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		data[format], _ = os.ReadFile(path)
	}
	for force, want := range map[bool]map[string]string{false: {"raw": "raw", "qcow2": "qcow2", "vmdk": "qcow2", "vdi": "qcow2"}, true: {"raw": "raw", "qcow2": "raw", "vmdk": "raw", "vdi": "raw"}} {
		c, s, _ := newCache(t, data)
		c.ForceRaw = force
		for format, kept := range want {
			for range 2 {
				image, err := c.Get(t.Context(), format, compute.ImageMeta{DiskFormat: format})
				if err != nil || image.Format != kept {
					t.Fatalf("%s: %+v, %v", format, image, err)
				}
				if out, err := exec.Command("qemu-img", "compare", "-f", kept, "-F", "raw", image.Path, filepath.Join(dir, "raw")).CombinedOutput(); err != nil {
					t.Errorf("%s: %s", format, out)
				}
			}
			if s.opened[format] != 1 {
				t.Errorf("%s was fetched %d times", format, s.opened[format])
			}
		}
		if left, _ := filepath.Glob(filepath.Join(c.Dir, "*.*ing")); len(left) > 0 {
			t.Error(left)
		}
	}
	// What reaches for other files is not even opened by a program (OSSA-2024-001,
	// OSSA-2023-002, OSSA-2015-014).
	c, _, _ := newCache(t, map[string][]byte{
		"vmdk":  []byte("# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicFlat\"\nRW 1 FLAT \"/etc/passwd\" 0\n"),
		"qcow2": append([]byte("QFI\xfb\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x50\x00\x00\x00\x0b"), make([]byte, 500)...)})
	for _, format := range []string{"vmdk", "qcow2"} {
		if image, err := c.Get(t.Context(), format, compute.ImageMeta{DiskFormat: format}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %+v, %v", format, image, err)
		}
	}
	if left, _ := os.ReadDir(c.Dir); len(left) > 0 {
		t.Error(left)
	}
}

func TestUnusedImagesAreEvicted(t *testing.T) {
	c, _, now := newCache(t, map[string][]byte{"used": []byte("a"), "unused": []byte("b"), "kernel": []byte("k"), "other-kernel": []byte("o")})
	get := func(id string, properties map[string]string) string {
		t.Helper()
		image, err := c.Get(t.Context(), id, compute.ImageMeta{DiskFormat: "raw", Properties: properties})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(image.Path, *now, *now); err != nil {
			t.Fatal(err)
		}
		return image.Path
	}
	base := get("used", map[string]string{"kernel_id": "kernel"})
	get("unused", map[string]string{"kernel_id": "other-kernel"})
	for _, id := range []string{"kernel", "other-kernel"} {
		get(id, nil)
	}
	// A disk that stands on the image, as qemu-img writes its header.
	disk := filepath.Join(c.Instances, "guest", "disk")
	head := append([]byte("QFI\xfb\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x20\x00\x00\x00"), byte(len(base)))
	head = append(append(head, make([]byte, 12)...), base...)
	if err := os.MkdirAll(filepath.Dir(disk), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(disk, head, 0o600); err != nil {
		t.Fatal(err)
	}
	evict := func() []string {
		t.Helper()
		gone, err := c.Evict(time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(gone)
		return gone
	}
	if gone := evict(); len(gone) > 0 {
		t.Error("too young: ", gone)
	}
	*now = now.Add(2 * time.Hour)
	if gone := strings.Join(evict(), " "); gone != "other-kernel unused unused.parts" {
		t.Error(gone)
	}
	*now = now.Add(30 * time.Minute)
	get("used", map[string]string{"kernel_id": "kernel"}) // is there, and is wanted
	if err := os.RemoveAll(filepath.Dir(disk)); err != nil {
		t.Fatal(err)
	}
	if gone := evict(); len(gone) > 0 {
		t.Error("its last guest has just gone: ", gone)
	}
	*now = now.Add(2 * time.Hour)
	if gone := strings.Join(evict(), " "); gone != "kernel used used.parts" {
		t.Error(gone)
	}
}
