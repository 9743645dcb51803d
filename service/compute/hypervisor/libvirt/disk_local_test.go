package libvirt

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/compute/hypervisor"
)

// TestLocalDisks makes disks with the programs of this host: what is in them is
// kept, swap space is made anew at another size, and nothing becomes shorter.
func TestLocalDisks(t *testing.T) {
	dir := t.TempDir()
	d := &Driver{cfg: Config{Run: host.Local{}}}
	d.static.uid = -1
	g := hypervisor.Guest{ID: "0d5ea1de-0000-4000-8000-00000000002a", Disks: []hypervisor.LocalDisk{{SizeMB: 16}, {Swap: true, SizeMB: 4}}}
	make := func() error {
		for i, disk := range g.Disks {
			if err := d.makeLocal(t.Context(), g, disk, localPath(dir, g.Disks, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := make(); err != nil {
		t.Fatal(err)
	}
	ephemeral, swap := filepath.Join(dir, "disk.eph0"), filepath.Join(dir, "disk.swap")
	for path, marks := range map[string]map[int64]string{ephemeral: {1024 + 56: "\x53\xef", 1024 + 120: "ephemeral0\x00"}, swap: {4096 - 10: "SWAPSPACE2"}} {
		for at, mark := range marks {
			if got := peek(t, path, at, len(mark)); got != mark {
				t.Errorf("%s has %q at %d, want %q", filepath.Base(path), got, at, mark)
			}
		}
	}
	const note = "the guest's own"
	poke(t, ephemeral, 10<<20, note)
	g.Disks[0].SizeMB, g.Disks[1].SizeMB = 24, 8
	for range 2 {
		if err := make(); err != nil {
			t.Fatal(err)
		}
	}
	if got := peek(t, ephemeral, 10<<20, len(note)); got != note {
		t.Errorf("an ephemeral disk that became longer has lost what was in it: %q", got)
	}
	for path, size := range map[string]int64{ephemeral: 24 << 20, swap: 8 << 20} {
		if info, err := os.Stat(path); err != nil || info.Size() != size {
			t.Errorf("%s: %v, %v, want %d bytes", filepath.Base(path), info, err, size)
		}
	}
	g.Disks[0].SizeMB = 16
	if err := make(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "Unable to resize disk down") {
		t.Errorf("a shorter ephemeral disk: %v", err)
	}
}

func TestFormatter(t *testing.T) {
	for _, tt := range []struct {
		disk  hypervisor.LocalDisk
		name  string
		wants []string
	}{
		{hypervisor.LocalDisk{Swap: true}, "disk.swap", []string{"mkswap"}},
		{hypervisor.LocalDisk{}, "disk.eph0", []string{"mkfs.ext4", "-q", "-F", "-L", "ephemeral0"}},
		{hypervisor.LocalDisk{Format: "xfs"}, "disk.eph1", []string{"mkfs.xfs", "-q", "-f", "-L", "ephemeral1"}},
		{hypervisor.LocalDisk{Format: "vfat"}, "disk.eph11", []string{"mkfs.vfat", "-I", "-n", "ephemeral11"}},
		{hypervisor.LocalDisk{Format: "ntfs"}, "disk.eph0", []string{"mkfs.ntfs", "-q", "--fast", "--force", "-L", "ephemeral0"}},
	} {
		if got := formatter(tt.disk, "ext4", tt.name); !slices.Equal(got, tt.wants) {
			t.Errorf("formatter(%+v) = %q, want %q", tt.disk, got, tt.wants)
		}
	}
}

func peek(t *testing.T, path string, at int64, n int) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func poke(t *testing.T, path string, at int64, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), at); err != nil {
		t.Fatal(err)
	}
}
