package libvirt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
	"kilonova/internal/host"
)

func TestConfig(t *testing.T) {
	if err := (Config{}).withDefaults().check(); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"remote host":         {ConnectionURI: "qemu+ssh://host/system"},
		"another hypervisor":  {ConnectionURI: "xen:///system"},
		"unknown virt_type":   {VirtType: "lxc"},
		"unknown cpu_mode":    {CPUMode: "fast"},
		"custom and no model": {CPUMode: "custom"},
		"model and no custom": {CPUModel: "Nehalem"},
		"relative path":       {InstancesPath: "instances"},
		"name for an address": {ServerListen: "localhost"},
		"too many ports":      {NumPCIePorts: 40},
	} {
		if err := cfg.withDefaults().check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, want a fault of kind invalid", name, err)
		}
	}
	socket, name, err := Config{ConnectionURI: "qemu+unix:///session?socket=/x/y"}.address()
	if socket != "/x/y" || name != "qemu:///session" || err != nil {
		t.Errorf("got %s, %s, %v", socket, name, err)
	}
}

func TestNewWithoutLibvirt(t *testing.T) {
	dir := t.TempDir()
	_, err := New(t.Context(), Config{ConnectionURI: "qemu:///system?socket=" + dir + "/none", VirtType: "qemu", InstancesPath: dir}, nil, time.Now)
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want a fault of kind unavailable", err)
	}
}

func TestExplain(t *testing.T) {
	for err, want := range map[error]fault.Kind{
		lv.Error{Code: uint32(lv.ErrNoDomain), Message: "m"}:         fault.NotFound,
		lv.Error{Code: uint32(lv.ErrOperationInvalid), Message: "m"}: fault.Conflict,
		lv.Error{Code: uint32(lv.ErrConfigUnsupported)}:              fault.Unsupported,
		lv.Error{Code: uint32(lv.ErrXMLError)}:                       fault.Internal,
		lv.ErrInterrupted:                                            fault.Unavailable,
		os.ErrPermission:                                             fault.Internal,
	} {
		if got := explain(err, "do it"); !fault.Is(got, want) || !strings.HasPrefix(got.Error(), "The hypervisor could not do it") {
			t.Errorf("%v became %v of kind %v, want %v", err, got, fault.KindOf(got), want)
		}
	}
	if err := explain(context.Canceled, "do it"); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

// qcow2 makes the header of an image.
func qcow2(version uint32, size, backing, incompatible uint64) []byte {
	h := make([]byte, 104)
	copy(h, qcow2Magic)
	binary.BigEndian.PutUint32(h[4:], version)
	binary.BigEndian.PutUint64(h[8:], backing)
	binary.BigEndian.PutUint64(h[24:], size)
	binary.BigEndian.PutUint64(h[72:], incompatible)
	return h
}

func TestImageSize(t *testing.T) {
	for _, tt := range []struct {
		name, format string
		content      []byte
		size         int64
		kind         fault.Kind
	}{
		{"raw", "raw", make([]byte, 1234), 1234, 0},
		{"version 3", "qcow2", qcow2(3, 5*gib, 0, 0), 5 * gib, 0},
		{"version 2", "qcow2", qcow2(2, gib, 0, 0xff)[:72], gib, 0},
		{"backing file", "qcow2", qcow2(3, gib, 104, 0), 0, fault.Invalid},
		{"data file", "qcow2", qcow2(3, gib, 0, 4), 0, fault.Invalid},
		{"version 9", "qcow2", qcow2(9, gib, 0, 0), 0, fault.Invalid},
		{"no size", "qcow2", qcow2(3, 0, 0, 0), 0, fault.Invalid},
		{"huge", "qcow2", qcow2(3, 1<<63, 0, 0), 0, fault.Invalid},
		{"short", "qcow2", []byte(qcow2Magic), 0, fault.Invalid},
		{"not qcow2", "qcow2", make([]byte, 4096), 0, fault.Invalid},
	} {
		path := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(path, tt.content, 0o600); err != nil {
			t.Fatal(err)
		}
		size, err := imageSize(path, tt.format)
		if size != tt.size && err == nil || (err != nil) != (tt.kind != 0) || err != nil && !fault.Is(err, tt.kind) {
			t.Errorf("%s: got %d, %v", tt.name, size, err)
		}
	}
	if _, err := imageSize(filepath.Join(t.TempDir(), "none"), "raw"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing image: got %v, want a fault of kind not found", err)
	}
}

func TestCapabilities(t *testing.T) {
	text, err := os.ReadFile("testdata/capabilities.xml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseCapabilities(string(text))
	if err != nil {
		t.Fatal(err)
	}
	cpu := c.cpu()
	if cpu.Arch != "x86_64" || cpu.Vendor != "AMD" || cpu.Topology.Cores != 2 || !slices.Contains(cpu.Features, "avx2") {
		t.Errorf("the processor was read as %+v", cpu)
	}
	if uid, gid := c.qemuUser(); uid != 64055 || gid != 64055 {
		t.Errorf("QEMU's user was read as %d:%d", uid, gid)
	}
	if !c.runs("x86_64", "kvm") || !c.runs("i686", "qemu") || c.runs("riscv64", "qemu") {
		t.Errorf("supported: %v", c.supported("kvm"))
	}
	if slices.ContainsFunc(c.supported("qemu"), func(s [3]string) bool { return s[1] == "kvm" }) {
		t.Error("KVM is supported on a host that emulates")
	}
}

func TestReadTraits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cpuinfo")
	if err := os.WriteFile(path, []byte("processor\t: 0\nflags\t\t: fpu sse2 pni svm unheard_of aes\nbugs\t: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readTraits(path)
	want := []string{"HW_CPU_X86_AESNI", "HW_CPU_X86_AMD_SVM", "HW_CPU_X86_SSE2", "HW_CPU_X86_SSE3", "HW_CPU_X86_SVM"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestConsoleTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.log")
	if text, err := lastBytes(path, 10); len(text) != 0 || err != nil {
		t.Fatalf("a guest that never ran: %q, %v", text, err)
	}
	for name, text := range map[string]string{"": "new\n", ".0": "older\n", ".1": "oldest\n"} {
		if err := os.WriteFile(path+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for limit, want := range map[int64]string{100: "oldest\nolder\nnew\n", 7: "er\nnew\n", 4: "new\n", 2: "w\n", 12: "t\nolder\nnew\n"} {
		if got, err := lastBytes(path, limit); string(got) != want || err != nil {
			t.Errorf("the last %d bytes are %q, %v; want %q", limit, got, err, want)
		}
	}
}

// TestTrial holds the reading of QEMU's exit against every way a trial can end.
func TestTrial(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"runs":        {&host.ExitError{Code: trialExit}, ""},
		"refused":     {&host.ExitError{Code: 1, Stderr: "no KVM"}, "no KVM"},
		"ends":        {nil, "without its sign"},
		"no emulator": {errors.New("not installed"), "not installed"},
		"other code":  {&host.ExitError{Code: trialByte}, "did not run"},
		"talkative":   {&host.ExitError{Code: 1, Stderr: strings.Repeat("x", 9000) + "the reason"}, "the reason"},
	} {
		run := &host.Recorder{Answer: func(string) ([]byte, error) { return nil, tt.err }}
		why, err := tryGuest(t.Context(), run, "kvm")
		if err != nil || (why == "") != (tt.want == "") || len(why) > 2*maxWhy || !strings.Contains(why, tt.want) {
			t.Errorf("%s: got %q, %v; want %q", name, why, err, tt.want)
		}
	}
}

// TestTrialGuestGivesItsSign runs the guest for real, where it surely runs.
func TestTrialGuestGivesItsSign(t *testing.T) {
	if _, err := host.Find(emulator); err != nil {
		t.Skipf("needs the program %s: %v", emulator, err)
	}
	if why, err := tryGuest(t.Context(), host.Local{}, "tcg"); why != "" || err != nil {
		t.Errorf("the trial guest under emulation: %q, %v", why, err)
	}
}

func TestClosedTo(t *testing.T) {
	device := filepath.Join(t.TempDir(), "kvm")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const stranger = 54321
	owner, group := os.Geteuid(), os.Getegid()
	for _, tt := range []struct {
		mode     os.FileMode
		uid, gid int
		open     bool
	}{
		{0o600, stranger, stranger, false}, {0o660, stranger, stranger, false}, {0o606, stranger, stranger, true},
		{0o660, stranger, group, true}, {0o640, stranger, group, false}, {0o000, 0, 0, true}, {0o000, -1, -1, true},
		{0o666, owner, group, true},
	} {
		if err := os.Chmod(device, tt.mode); err != nil {
			t.Fatal(err)
		}
		if why := closedTo(device, tt.uid, tt.gid); (why == "") != tt.open {
			t.Errorf("mode %o for %d:%d: %q", tt.mode, tt.uid, tt.gid, why)
		}
	}
	if why := closedTo(device+"-none", stranger, stranger); why != "" {
		t.Errorf("a device that is not there: %q", why)
	}
}

// TestTrialIsKept: one trial a boot of the host; another boot tries again.
func TestTrialIsKept(t *testing.T) {
	run := &host.Recorder{Answer: func(string) ([]byte, error) { return nil, &host.ExitError{Code: trialExit} }}
	cfg := Config{InstancesPath: t.TempDir(), Run: run}.withDefaults()
	first, err := chooseVirtType(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	tried := len(run.Commands())
	second, err := chooseVirtType(t.Context(), cfg)
	if err != nil || second != first || len(run.Commands()) != tried {
		t.Errorf("the second time: %+v, %v, after %d trials; want %+v after %d", second, err, len(run.Commands()), first, tried)
	}
	cache := filepath.Join(cfg.InstancesPath, ".virt_type.json")
	text, err := os.ReadFile(cache)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Replace(text, []byte(first.BootID), []byte("another-boot"), 1)
	if err := os.WriteFile(cache, bytes.Replace(other, []byte(first.Why), []byte("old news"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if third, err := chooseVirtType(t.Context(), cfg); err != nil || third != first {
		t.Errorf("after another boot: %+v, %v; want %+v", third, err, first)
	}
}

// TestTurns: a verb waits for the calls that an interrupted one has left behind.
func TestTurns(t *testing.T) {
	var s turns
	first, err := s.take(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	first.begin() // a call that goes on
	s.end("g", first)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.take(short, "g"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a turn was given while a call is under way: %v", err)
	}
	if _, err := s.take(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	first.finish()
	if _, err := s.take(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
}
