package cloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"kilonova/internal/peer"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
	"kilonova/stack"
)

// process is a cloud of its own operating-system process, which can be killed
// and started again on what it has left.
type process struct {
	*cloud
	binary, data string
	cmd          *exec.Cmd
	ended        chan struct{} // closed when cmd has ended
	log          *os.File
}

// processConfig is a cloud on fake drivers whose guests take a while, so that a
// kill finds them half made.
const processConfig = `
host = "killed"
data = %q
[listen]
address = %q
[database]
synchronous = "off"
[log]
debug = true
[DEFAULT]
compute_driver = "fake"
report_interval = "200ms"
[network]
dataplane = "fake"
[identity.identity]
password_hash_rounds = 4
[fake]
hosts = 2
delay = "12ms"
[quota]
instances = -1
cores = -1
ram = -1
[secrets]
admin_password = "admin-pw"
demo_password = "demo-pw"
`

// newProcess builds the binary and writes a configuration; start starts it.
func newProcess(t *testing.T) *process {
	t.Helper()
	return newProcessWith(t, "")
}

// newProcessWith has more in its configuration.
func newProcessWith(t *testing.T, more string) *process {
	t.Helper()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go tool is missing, which builds the program that is killed here")
	}
	dir := t.TempDir()
	p := &process{binary: filepath.Join(dir, "kilonova"), data: filepath.Join(dir, "data"), cloud: &cloud{}}
	build := exec.Command(goTool, "build", "-o", p.binary, "kilonova/cmd/kilonova")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	address := freeAddresses(t, 1)[0]
	p.url = "http://" + address
	p.config.Data = p.data
	p.config.Secrets = stack.Secrets{AdminPassword: "admin-pw", DemoPassword: "demo-pw"}
	if err := os.WriteFile(filepath.Join(dir, "kilonova.toml"), fmt.Appendf(nil, processConfig+more, p.data, address), 0o600); err != nil {
		t.Fatal(err)
	}
	if p.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill(t)
		if keep := os.Getenv("KILONOVA_TEST_LOG"); keep != "" && t.Failed() {
			data, err := os.ReadFile(p.log.Name())
			t.Logf("the log is in %s: %v, %v", keep, err, os.WriteFile(keep, data, 0o600))
		}
	})
	return p
}

// begin starts the process and does not wait for it.
func (p *process) begin(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(p.binary, "serve", "--config", filepath.Join(filepath.Dir(p.binary), "kilonova.toml"))
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) { cmd.Wait(); close(ended) }(p.cmd, p.ended)
}

// start starts the process and waits until it is ready.
func (p *process) start(t *testing.T) {
	t.Helper()
	p.begin(t)
	eventually(t, "the process", func() string {
		select {
		case <-p.ended:
			log, _ := os.ReadFile(p.log.Name())
			t.Fatalf("it ended: %s", log[max(0, len(log)-2000):])
		default:
		}
		resp, err := http.Get(p.url + "/healthz")
		if err != nil {
			return err.Error()
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return resp.Status
		}
		return ""
	})
}

// kill ends the process as kill -9 does and waits until it is gone.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Kill()
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the process does not end")
	}
	p.cmd = nil
}

// fillAndLogIn makes of a running process a cloud like those of the other tests.
func (p *process) fillAndLogIn(t *testing.T) {
	t.Helper()
	seeder, err := stack.NewSeeder(p.url, "admin-pw", stack.Seed{DemoPassword: "demo-pw", ImageName: "cirros", PublicCIDR: "172.24.4.0/24", PrivateCIDR: "10.0.0.0/24"}, peer.Network(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := seeder.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.admin = p.login(t, "admin", "admin-pw", "admin")
	p.demo = p.login(t, "demo", "demo-pw", "demo")
}

// hostState is what a fake hypervisor keeps of its host.
type hostState struct {
	Guests map[string]struct {
		State   int
		Boots   []struct{ End string }
		Lost    int
		Frozen  bool
		Freezes int
		Sizes   map[string]int
		Spec    struct {
			Volumes []struct{ ID, Path string }
			Disks   []hypervisor.LocalDisk
			Hold    *compute.Hold
		}
	}
	Taps   map[string]any
	Parked map[string]any
}

// hosts reads the state files of the fake hypervisors.
func (p *process) hosts(t *testing.T) []hostState {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.data, "fake", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []hostState
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var h hostState
		if err := json.Unmarshal(data, &h); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, h)
	}
	return all
}

// boots says how often a server's guest has begun to run, and whether it runs.
func (p *process) boots(t *testing.T, id string) (times int, running bool) {
	t.Helper()
	for _, h := range p.hosts(t) {
		if g, ok := h.Guests[id]; ok {
			times, running = times+len(g.Boots)+g.Lost, running || g.State == 1
		}
	}
	return times, running
}
