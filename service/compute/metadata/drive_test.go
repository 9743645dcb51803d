package metadata

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/filesystem/fat16"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"kilonova/internal/fault"
)

var injected = []File{{"/etc/motd", []byte("hello\n")}, {"/root/empty", nil}, {"/opt/big", bytes.Repeat([]byte{0, 1, 255}, 10_000)}}

// open reads a drive back with the library, by its format.
func open(t *testing.T, format string, image []byte) (files fs.FS, label string) {
	t.Helper()
	if format == VFAT {
		f, err := fat16.Read(&memory{data: image}, int64(len(image)), 0, 512)
		if err != nil {
			t.Fatal(err)
		}
		return f, f.Label()
	}
	f, err := iso9660.Read(&memory{data: image}, int64(len(image)), 0, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return f, f.Label()
}

// readFile reads a file in one call: the library's FAT reader goes past the end
// in further ones.
func readFile(files fs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, err
	}
	data := make([]byte, info.Size())
	n, err := f.Read(data)
	if err == io.EOF {
		err = nil
	}
	return data[:n], err
}

// TestConfigDrive reads both formats back and compares every file with what was
// to be written.
func TestConfigDrive(t *testing.T) {
	for _, format := range []string{ISO9660, VFAT} {
		t.Run(format, func(t *testing.T) {
			image, err := ConfigDrive(sample(), format, injected...)
			if err != nil {
				t.Fatal(err)
			}
			files, label := open(t, format, image)
			if strings.TrimSpace(label) != "config-2" {
				t.Errorf("label %q", label)
			}
			want, err := (&Tree{inst: sample(), files: injected, drive: true}).driveFiles()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range want {
				got, err := readFile(files, f.path)
				if err != nil || !bytes.Equal(got, f.data) {
					t.Errorf("%s: %d bytes, %v; want %d bytes", f.path, len(got), err, len(f.data))
				}
			}
			for dir, want := range map[string][]string{
				"openstack":            append(append(slices.Clone(openstackVersions), "content"), latest),
				"ec2":                  {"2009-04-04", latest},
				"openstack/content":    {"0000", "0001", "0002"},
				"openstack/2012-08-10": {"meta_data.json", "user_data"},
				"openstack/latest":     {"meta_data.json", "network_data.json", "user_data", "vendor_data.json", "vendor_data2.json"},
				"ec2/latest":           {"meta-data.json", "user-data"},
			} {
				entries, err := fs.ReadDir(files, dir)
				var got []string
				for _, e := range entries {
					if e.Name() != "." && e.Name() != ".." {
						got = append(got, e.Name())
					}
				}
				slices.Sort(got)
				if slices.Sort(want); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s has %v, %v; want %v", dir, got, err, want)
				}
			}
			var meta struct {
				AdminPass string `json:"admin_pass"`
				Files     []struct {
					Path    string
					Content string `json:"content_path"`
				}
			}
			data, _ := readFile(files, "openstack/latest/meta_data.json")
			if err := json.Unmarshal(data, &meta); err != nil || meta.AdminPass != "hunter2" || len(meta.Files) != 3 ||
				meta.Files[1].Path != "/root/empty" || meta.Files[1].Content != "/content/0001" {
				t.Errorf("meta_data.json: %+v, %v", meta, err)
			}
		})
	}
}

func TestConfigDriveFilesAreGolden(t *testing.T) {
	files, err := (&Tree{inst: sample(), files: injected[:1], drive: true}).driveFiles()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range files {
		if strings.HasPrefix(f.path, "ec2/latest/") || strings.HasPrefix(f.path, "openstack/latest/") || strings.HasPrefix(f.path, "openstack/content/") {
			write(&b, f.path, Content{Body: f.data})
		}
	}
	golden(t, "config-drive.txt", b.Bytes())
}

// TestDriveForOtherReaders has programs read the drives that know nothing of our
// library.
func TestDriveForOtherReaders(t *testing.T) {
	if _, err := exec.LookPath("xorriso"); err != nil {
		t.Skip("xorriso is not installed (package xorriso)")
	}
	image, err := ConfigDrive(sample(), ISO9660, injected...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	iso := filepath.Join(dir, "drive.iso")
	if err := os.WriteFile(iso, image, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	run(t, "xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", out)
	data, err := os.ReadFile(filepath.Join(out, "openstack/content/0002"))
	if err != nil || !bytes.Equal(data, injected[2].Data) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	info, err := os.Stat(filepath.Join(out, "openstack/latest/vendor_data2.json"))
	if err != nil || info.Mode().Perm() != 0o444 || !info.ModTime().Equal(sample().Created) {
		t.Errorf("%v, %v", info, err)
	}
	if text := run(t, "xorriso", "-indev", iso, "-pvd_info"); !strings.Contains(text, "config-2") {
		t.Errorf("volume descriptor:\n%s", text)
	}
}

func TestFATForOtherReaders(t *testing.T) {
	fsck, err := exec.LookPath("fsck.fat")
	if err != nil {
		t.Skip("fsck.fat is not installed (package dosfstools)")
	}
	image, err := ConfigDrive(sample(), VFAT, injected...)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "drive.img")
	if err := os.WriteFile(file, image, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, fsck, "-n", "-v", file)
	if _, err := exec.LookPath("mtype"); err != nil {
		t.Skip("mtype is not installed (package mtools)")
	}
	if got := run(t, "mtype", "-i", file, "::/openstack/content/0000"); got != "hello\n" {
		t.Errorf("mtype: %q", got)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func TestConfigDriveLimits(t *testing.T) {
	private := t.TempDir()
	t.Setenv("TMPDIR", private)
	if _, err := ConfigDrive(sample(), "ext4"); !fault.Is(err, fault.Invalid) {
		t.Errorf("format: %v", err)
	}
	if _, err := ConfigDrive(sample(), ISO9660, File{"/a", make([]byte, MaxDrive)}); !fault.Is(err, fault.TooLarge) {
		t.Errorf("size: %v", err)
	}
	if _, err := ConfigDrive(sample(), ISO9660, make([]File, MaxDriveFiles+1)...); !fault.Is(err, fault.TooLarge) {
		t.Errorf("files: %v", err)
	}
	if _, err := ConfigDrive(sample(), ISO9660, injected...); err != nil {
		t.Error(err)
	}
	large := sample()
	large.UserData = bytes.Repeat([]byte("x"), 65535)
	for _, format := range []string{ISO9660, VFAT} {
		image, err := ConfigDrive(large, format, make([]File, 500)...)
		if err != nil || len(image) > 8<<20 {
			t.Errorf("%s: %d bytes, %v", format, len(image), err)
		}
	}
	if image, err := ConfigDrive(sample(), VFAT, File{"/a", make([]byte, MaxDrive-1<<20)}); err != nil || len(image) > MaxDrive+8<<20 {
		t.Errorf("largest: %d bytes, %v", len(image), err)
	}
	left, err := os.ReadDir(private)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func BenchmarkConfigDrive(b *testing.B) {
	for _, format := range []string{ISO9660, VFAT} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ConfigDrive(sample(), format); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
