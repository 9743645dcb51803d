package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kilonova/internal/host"
)

// privateEnv names the folder of a private libvirt: the test binary, started
// with it in namespaces of its own, is then that libvirt's init.
const privateEnv = "KILONOVA_TEST_PRIVATE_LIBVIRT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(privateEnv); dir != "" {
		if err := privateInit(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// libvirtFolders are the compiled-in folders of libvirt, which a private one
// must not share with the host's.
var libvirtFolders = map[string]string{
	"run": "/run/libvirt", "lib": "/var/lib/libvirt", "etc": "/etc/libvirt", "log": "/var/log/libvirt", "cache": "/var/cache/libvirt",
}

// privateQEMU is qemu.conf: guests work with an empty one too, but would then
// leave control groups on the host. QEMU's user stays Debian's unprivileged one.
const privateQEMU = "cgroup_controllers = []\n"

// privateLog is virtlogd.conf: its bounds are small, so that a test reaches them.
const (
	logSize    = 64 << 10
	logBackups = 2
)

var privateLog = fmt.Sprintf("max_size = %d\nmax_backups = %d\n", logSize, logBackups)

// privateInit is process 1 of the private libvirt's namespaces: it puts the
// folders in place, starts the daemons and reaps every orphan, as libvirt needs
// it. When it ends, the kernel ends all guests with it.
func privateInit(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for name, path := range libvirtFolders {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, name), 0o755), os.MkdirAll(path, 0o755)); err != nil {
			return err
		}
		if err := unix.Mount(filepath.Join(dir, name), path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", path, err)
		}
	}
	for name, text := range map[string]string{"qemu.conf": privateQEMU, "virtlogd.conf": privateLog} {
		if err := os.WriteFile(filepath.Join("/etc/libvirt", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := openKVM(dir); err != nil {
		return err
	}
	daemonConf := filepath.Join(dir, "libvirtd.conf")
	if err := os.WriteFile(daemonConf, []byte("auth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\n"), 0o644); err != nil {
		return err
	}
	if _, err := spawn("virtlogd"); err != nil {
		return err
	}
	daemon, err := spawn("libvirtd", "-f", daemonConf)
	if err != nil {
		return err
	}
	restart := make(chan os.Signal, 1)
	signal.Notify(restart, syscall.SIGHUP)
	dead := make(chan int)
	go func() {
		for {
			if pid, err := syscall.Wait4(-1, nil, 0, nil); err == nil {
				dead <- pid
			}
		}
	}()
	for {
		select {
		case <-restart: // of libvirtd, as an operator does it
			if err := syscall.Kill(daemon, syscall.SIGTERM); err != nil {
				return err
			}
		case pid := <-dead:
			if pid == daemon {
				if daemon, err = spawn("libvirtd", "-f", daemonConf); err != nil {
					return err
				}
			}
		}
	}
}

// openKVM gives /dev/kvm the mode and group that udev gives it, in this mount
// namespace alone.
func openKVM(dir string) error {
	if _, err := os.Stat(kvmDevice); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	node := filepath.Join(dir, "kvm")
	if err := unix.Mknod(node, unix.S_IFCHR|0o666, int(unix.Mkdev(10, 232))); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a node for KVM: %w", err)
	}
	if err := os.Chmod(node, 0o666); err != nil {
		return err
	}
	return unix.Mount(node, kvmDevice, "", unix.MS_BIND, "")
}

// spawn starts a daemon without waiting for it: the init's loop reaps it.
func spawn(name string, args ...string) (pid int, err error) {
	path, err := host.Find(name)
	if err != nil {
		return 0, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	p, err := os.StartProcess(path, append([]string{path}, args...), &os.ProcAttr{Files: []*os.File{null, null, os.Stderr}, Env: os.Environ()})
	if err != nil {
		return 0, err
	}
	return p.Pid, nil
}

// private is a libvirt of the tests' own.
type private struct {
	dir string
	cmd *exec.Cmd
}

func (p *private) uri() string {
	return "qemu+unix:///system?socket=" + filepath.Join(p.dir, "run", "libvirt-sock")
}

// restart ends libvirtd and lets the init start it again; guests go on.
func (p *private) restart(t *testing.T) {
	t.Helper()
	socket := filepath.Join(p.dir, "run", "libvirt-sock")
	before := born(socket)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "libvirtd starts again", func() bool { return born(socket) != before && answers(socket) })
}

// born tells one socket from the next of the same name; an inode's number may be
// used again at once.
func born(path string) syscall.Timespec {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return syscall.Timespec{}
	}
	return st.Ctim
}

func answers(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// needLibvirt skips a test where there cannot be a private libvirt, and says why.
func needLibvirt(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a private libvirtd has namespaces and devices of its own")
	}
	for _, program := range []string{"libvirtd", "virtlogd", emulator, "qemu-img"} {
		if _, err := host.Find(program); err != nil {
			t.Skipf("needs the program %s: %v", program, err)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("needs tap devices: %v", err)
	}
}

// withLibvirt runs tests with a private libvirt around them.
func withLibvirt(t *testing.T, test func(t *testing.T, p *private)) {
	needLibvirt(t)
	dir, err := os.MkdirTemp("", "kilonova-libvirt-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	// The kernel sends Pdeathsig when the thread that started the child ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), privateEnv+"="+dir)
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Skipf("needs mount and PID namespaces: %v", err)
	}
	p := &private{dir: dir, cmd: cmd}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			said, _ := os.ReadFile(stderr.Name())
			t.Logf("the private libvirt said:\n%s", lastLines(string(said), 40))
		}
	})
	within(t, 20*time.Second, "the private libvirtd starts", func() bool { return answers(filepath.Join(dir, "run", "libvirt-sock")) })
	test(t, p)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// driver makes a driver on the private libvirt with a folder of its own.
func (p *private) driver(t *testing.T, change ...func(*Config)) *Driver {
	t.Helper()
	cfg := Config{ConnectionURI: p.uri(), VirtType: "qemu", InstancesPath: filepath.Join(p.dir, "instances-"+filepath.Base(t.Name()))}
	for _, c := range change {
		c(&cfg)
	}
	d, err := New(t.Context(), cfg, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer d.Close()
		if err := d.Clean(context.Background()); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return d
}

// within asks again and again until it is so.
func within(t *testing.T, limit time.Duration, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}
