package diskimage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stream feeds data in pieces of odd sizes.
func stream(data []byte) *Info {
	in := &Inspector{}
	r := rand.New(rand.NewPCG(1, 2))
	for len(data) > 0 {
		n := min(len(data), 1+r.IntN(70000))
		in.Write(data[:n])
		data = data[n:]
	}
	return in.Info()
}

func write(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// both inspects data as a stream and as a file, which must agree.
func both(t testing.TB, data []byte) *Info {
	t.Helper()
	s := stream(data)
	f, err := File(write(t, data))
	if err != nil {
		t.Fatal(err)
	}
	for _, claim := range []string{"", "raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "gpt"} {
		if s.Format != f.Format || s.VirtualSize != f.VirtualSize || s.Size != f.Size || fmt.Sprint(s.Verify(claim)) != fmt.Sprint(f.Verify(claim)) {
			t.Fatalf("as stream %+v %v, as file %+v %v", s, s.Verify(claim), f, f.Verify(claim))
		}
	}
	return s
}

// qcowHeader is a valid qcow2 of version 3 with a disk of 1 GiB and no data.
func qcowHeader(change func(h []byte)) []byte {
	h := make([]byte, 64<<10)
	copy(h, "QFI\xfb")
	big.PutUint32(h[4:], 3)
	big.PutUint32(h[20:], 16)
	big.PutUint64(h[24:], 1<<30)
	big.PutUint32(h[96:], 4)
	big.PutUint32(h[100:], 104)
	if change != nil {
		change(h)
	}
	return h
}

func vmdkImage(descriptor string, change func(h []byte)) []byte {
	h := make([]byte, 32<<10)
	copy(h, "KDMV")
	little.PutUint32(h[4:], 1)
	little.PutUint64(h[12:], 2048)
	little.PutUint64(h[28:], 1)
	little.PutUint64(h[36:], 20)
	copy(h[512:], descriptor)
	if change != nil {
		change(h)
	}
	return h
}

const descriptor = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\n\nRW 2048 SPARSE \"x.vmdk\"\nddb.adapterType = \"ide\"\n"

func mbr(kind byte) []byte {
	d := make([]byte, 64<<10)
	d[446+4], d[446+8] = kind, 1
	d[510], d[511] = 0x55, 0xaa
	return d
}

func TestVerify(t *testing.T) {
	isoImage := make([]byte, 64<<10)
	copy(isoImage[32<<10:], "\x01CD001\x01")
	hybrid := mbr(0x83)
	copy(hybrid[32<<10:], "\x01CD001\x01")
	polyglot := qcowHeader(func(h []byte) { copy(h[32<<10:], "\x01CD001\x01") })
	fixed := append(make([]byte, 1<<20), vhdFooter(2)...)
	kernel := mbr(0)
	tests := []struct {
		name, claim string
		data        []byte
		want        string // part of the refusal; "" none
	}{
		{"empty", "raw", nil, ""},
		{"noise", "raw", []byte("just some text"), ""},
		{"noise as qcow2", "qcow2", []byte("just some text"), "does not match"},
		{"noise as iso", "iso", make([]byte, 1<<20), "does not match"},
		{"qcow2", "qcow2", qcowHeader(nil), ""},
		{"qcow2 as raw", "raw", qcowHeader(nil), "does not match stream data qcow2"},
		{"qcow2 as kernel", "aki", qcowHeader(nil), "does not match"},
		{"qcow2 as vmdk", "vmdk", qcowHeader(nil), "does not match"},
		{"CVE-2015-5163: backing file", "qcow2", qcowHeader(func(h []byte) { big.PutUint64(h[8:], 512) }), "backing file"},
		{"CVE-2015-5163: backing file as raw", "raw", qcowHeader(func(h []byte) { big.PutUint64(h[8:], 512) }), "does not match"},
		{"CVE-2024-32498: external data", "qcow2", qcowHeader(func(h []byte) { h[79] = 4 }), "external data file"},
		{"CVE-2024-32498: name of data file", "qcow2", qcowHeader(func(h []byte) {
			big.PutUint32(h[104:], 0x6803f857) // feature names, before it
			big.PutUint32(h[108:], 13)
			big.PutUint32(h[128:], qcowDataFileName)
			big.PutUint32(h[132:], 11)
		}), "names an external data file"},
		{"qcow2 with unknown feature", "qcow2", qcowHeader(func(h []byte) { h[72] = 1 }), "unknown features"},
		{"qcow2 marked corrupt", "qcow2", qcowHeader(func(h []byte) { h[79] = 2 }), "corrupt"},
		{"qcow version 1", "qcow2", qcowHeader(func(h []byte) { h[7] = 1 }), "Version 1"},
		{"qcow2 cut off", "qcow2", qcowHeader(nil)[:50], "cut off"},
		{"qcow2 and iso", "qcow2", polyglot, "more than one format"},
		{"qed", "", append([]byte("QED\x00"), make([]byte, 100)...), "not allowed"},
		{"vmdk", "vmdk", vmdkImage(descriptor, nil), ""},
		{"CVE-2022-47951: flat extent", "vmdk", []byte(strings.Replace(descriptor, `SPARSE "x.vmdk"`, `FLAT "/etc/passwd" 0`, 1)), "Only monolithicSparse"},
		{"CVE-2022-47951: flat extent as raw", "raw", []byte("version=1\n" + descriptor), "does not match"},
		{"CVE-2022-47951: path", "vmdk", vmdkImage(strings.Replace(descriptor, "x.vmdk", "/etc/passwd", 1), nil), "another file"},
		{"CVE-2022-47951: monolithicFlat", "vmdk", vmdkImage(strings.Replace(descriptor, "monolithicSparse", "monolithicFlat", 1), nil), "Only monolithicSparse"},
		{"CVE-2022-47951: no capacity", "vmdk", vmdkImage(descriptor, func(h []byte) { h[13] = 0 }), "0 sectors"},
		{"vmdk with parent", "vmdk", vmdkImage(strings.Replace(descriptor, "ffffffff", "12345678", 1), nil), "difference"},
		{"vmdk with two extents", "vmdk", vmdkImage(descriptor+"RW 1 SPARSE \"y\"\n", nil), "2 extents"},
		{"vmdk with strange line", "vmdk", vmdkImage(descriptor+"include something\n", nil), "not understood"},
		{"vmdk whose footer is missing", "vmdk", vmdkImage(descriptor, func(h []byte) { little.PutUint64(h[56:], vmdkFooter) }), "footer"},
		{"vhd fixed", "vhd", fixed, ""},
		{"vhd fixed as raw", "raw", fixed, ""},
		{"vhd difference", "vhd", append(vhdFooter(4), make([]byte, 4096)...), "difference"},
		{"vhdx without metadata", "vhdx", append([]byte("vhdxfile"), make([]byte, 1<<20)...), "metadata"},
		{"iso", "iso", isoImage, ""},
		{"iso as raw", "raw", isoImage, ""},
		{"iso hybrid", "iso", hybrid, ""},
		{"disk as raw", "raw", mbr(0x83), ""},
		{"disk as gpt", "gpt", mbr(0xee), ""},
		{"boot sector as gpt", "gpt", kernel, "no partitions"},
		{"boot sector as kernel", "aki", kernel, ""},
		{"boot sector as anything", "", kernel, ""},
		{"backing file as anything", "", qcowHeader(func(h []byte) { big.PutUint64(h[8:], 512) }), "backing file"},
		{"disk as qcow2", "qcow2", mbr(0x83), "does not match"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := both(t, tt.data).Verify(tt.claim)
			if tt.want == "" && err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				return
			}
			r, ok := errors.AsType[*Refusal](err)
			if !ok || !strings.Contains(r.Reason, tt.want) || r.Mismatch != strings.Contains(tt.want, "match") {
				t.Fatalf("got %v, want mention of %q", err, tt.want)
			}
		})
	}
}

func vhdFooter(kind byte) []byte {
	f := make([]byte, 512)
	copy(f, "conectix")
	big.PutUint64(f[48:], 1<<20)
	f[63] = kind
	return f
}

// TestAgainstQEMU has the real tool make each format and each danger.
func TestAgainstQEMU(t *testing.T) {
	tool, err := exec.LookPath("qemu-img")
	if err != nil {
		t.Skip("qemu-img is not installed; Debian has it in qemu-utils")
	}
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(tool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("qemu-img %v: %v: %s", args, err, out)
		}
	}
	run("create", "-f", "raw", "base.raw", "3M")
	run("create", "-f", "qcow2", "base.qcow2", "64M")
	tests := []struct {
		claim, want string
		size        int64
		args        []string
	}{
		{"raw", "", 3 << 20, []string{"create", "-f", "raw", "x", "3M"}},
		{"qcow2", "", 64 << 20, []string{"create", "-f", "qcow2", "x", "64M"}},
		{"qcow2", "", 64 << 20, []string{"create", "-f", "qcow2", "-o", "compat=0.10", "x", "64M"}},
		{"qcow2", "", 64 << 20, []string{"create", "-f", "qcow2", "-o", "extended_l2=on", "x", "64M"}},
		{"qcow2", "backing file", 64 << 20, []string{"create", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "x"}},
		{"qcow2", "external data file", 64 << 20, []string{"create", "-f", "qcow2", "-o", "data_file=data.raw", "x", "64M"}},
		{"qcow2", "external data file", 64 << 20, []string{"create", "-f", "qcow2", "-o", "data_file=data2.raw,data_file_raw=on", "x", "64M"}},
		{"vmdk", "", 64 << 20, []string{"create", "-f", "vmdk", "x", "64M"}},
		{"vmdk", "", 3 << 20, []string{"convert", "-O", "vmdk", "-o", "subformat=streamOptimized", "base.raw", "x"}},
		{"vmdk", "Only monolithicSparse", 0, []string{"create", "-f", "vmdk", "-o", "subformat=monolithicFlat", "x", "64M"}},
		{"vmdk", "difference", 64 << 20, []string{"create", "-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk", "x"}},
		{"vdi", "", 64 << 20, []string{"create", "-f", "vdi", "x", "64M"}},
		{"vhdx", "", 64 << 20, []string{"create", "-f", "vhdx", "x", "64M"}},
		{"vhd", "", 64 << 20, []string{"create", "-f", "vpc", "-o", "force_size=on", "x", "64M"}},
		{"vhd", "", 3 << 20, []string{"convert", "-O", "vpc", "-o", "subformat=fixed,force_size=on", "base.raw", "x"}},
		{"qed", "not allowed", 0, []string{"create", "-f", "qed", "x", "64M"}},
		{"ploop", "", 64 << 20, []string{"create", "-f", "parallels", "x", "64M"}},
	}
	run("create", "-f", "vmdk", "base.vmdk", "64M")
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			os.Remove(filepath.Join(dir, "x"))
			run(tt.args...)
			data, err := os.ReadFile(filepath.Join(dir, "x"))
			if err != nil {
				t.Fatal(err)
			}
			info := both(t, data)
			err = info.Verify(tt.claim)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if tt.size > 0 && info.SizeAs(tt.claim) != tt.size {
				t.Errorf("size %d, want %d", info.SizeAs(tt.claim), tt.size)
			}
			if tt.claim != "raw" && !strings.HasPrefix(strings.Join(tt.args, " "), "convert -O vpc") && info.Verify("raw") == nil {
				t.Error("accepted as raw")
			}
		})
	}
}

func TestSettledEarlyAndBounded(t *testing.T) {
	in := &Inspector{}
	in.Write(qcowHeader(nil))
	if !in.Settled() || in.Info().Verify("qcow2") != nil {
		t.Fatal("64 KiB should do for qcow2")
	}
	in = &Inspector{}
	chunk := append([]byte("KDMV"), make([]byte, 1<<20)...)
	for range 64 {
		in.Write(chunk)
	}
	if kept := cap(in.head) + cap(in.tail); kept > 3<<20 {
		t.Errorf("keeps %d bytes", kept)
	}
}

func FuzzInspector(f *testing.F) {
	f.Add(qcowHeader(nil)[:200])
	f.Add(vmdkImage(descriptor, nil)[:1500])
	f.Add(mbr(0xee)[:600])
	f.Add(vhdFooter(3))
	f.Add(append([]byte("vhdxfile"), make([]byte, 300<<10)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		info := stream(data)
		for _, claim := range []string{"", "raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "gpt", "luks", "ploop"} {
			info.Verify(claim)
			if info.SizeAs(claim) < 0 {
				t.Fatal(claim, info.SizeAs(claim))
			}
		}
	})
}

func BenchmarkInspector(b *testing.B) {
	chunk := make([]byte, 1<<20)
	in := &Inspector{}
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		in.Write(chunk)
	}
}
