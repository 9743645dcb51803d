package fake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
	"kilonova/service/compute/hypervisor/hypervisortest"
)

func tiny(t *testing.T) hypervisor.Guest {
	id := hypervisortest.NewID()
	return hypervisor.Guest{
		ID: id, Name: "instance-" + id[:8], Title: "tiny", ProjectID: "p", UserID: "u", VCPUs: 1, MemoryMB: 64,
		Image: hypervisor.Image{ID: "i", Path: "/cache/i", Format: "raw"}, Root: hypervisor.Disk{SizeGB: 1},
	}
}

func TestLaw(t *testing.T) {
	configs := map[string]func(t *testing.T) Config{
		"memory": func(*testing.T) Config { return Config{} },
		"file":   func(t *testing.T) Config { return Config{StateFile: filepath.Join(t.TempDir(), "host", "state.json")} },
		"slow": func(*testing.T) Config {
			return Config{Delays: map[Verb]time.Duration{Create: 5 * time.Millisecond, Power: time.Millisecond, Destroy: time.Millisecond}}
		},
	}
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			h := hypervisortest.Harness{
				New: func(t *testing.T) hypervisor.Driver {
					cfg := config(t)
					cfg.Deaf = func(g hypervisor.Guest) bool { return g.Title == "deaf" }
					return New(cfg)
				},
				Guest:    tiny,
				Obedient: tiny,
				Deaf: func(t *testing.T) hypervisor.Guest {
					g := tiny(t)
					g.Title = "deaf"
					return g
				},
				NIC: func(t *testing.T) hypervisor.NIC {
					return hypervisor.NIC{PortID: hypervisortest.NewID(), MAC: hypervisortest.NewMAC(), MTU: 1450}
				},
				Volume: func(t *testing.T) hypervisor.Volume {
					return hypervisor.Volume{ID: hypervisortest.NewID(), Kind: "file", Path: "/volumes/v", Format: "raw"}
				},
				Kill: func(t *testing.T, d hypervisor.Driver, id string) {
					if err := d.(*Driver).Crash(id); err != nil {
						t.Fatal(err)
					}
				},
				Patience: time.Second,
				Crowd:    64,
			}
			if name == "file" {
				h.Restart = func(t *testing.T, d hypervisor.Driver) hypervisor.Driver { return New(d.(*Driver).cfg) }
			}
			hypervisortest.Test(t, h)
		})
	}
}

func TestFaults(t *testing.T) {
	ctx, g := t.Context(), tiny(t)
	broken := fault.New(fault.Unavailable, "The hypervisor does not answer.")
	d := New(Config{Faults: []Fault{{Verb: Create, Err: broken, Times: 2}}})
	for range 2 {
		if err := d.Create(ctx, g); !errors.Is(err, broken) {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := d.State(ctx, g.ID); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a create that failed left a guest: %v", err)
	}
	if err := d.Create(ctx, g); err != nil || !d.Fulfilled() {
		t.Fatalf("the third create: %v; fulfilled %v", err, d.Fulfilled())
	}

	d.Inject(Fault{Verb: Destroy, Guest: g.ID, Err: broken, After: true, Times: 1})
	if err := d.Destroy(ctx, "0d5ea1de-0000-4000-8000-00000000002a"); err != nil {
		t.Fatalf("another guest's fault: %v", err)
	}
	if d.Fulfilled() {
		t.Fatal("a fault that nobody met counts as met")
	}
	if err := d.Destroy(ctx, g.ID); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if _, err := d.State(ctx, g.ID); !fault.Is(err, fault.NotFound) {
		t.Fatalf("the effect of a verb with a lost answer did not happen: %v", err)
	}

	withdraw := d.Inject(Fault{Verb: List, Err: broken})
	if _, err := d.List(ctx); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	withdraw()
	withdraw()
	if _, err := d.List(ctx); err != nil {
		t.Fatal(err)
	}

	d.Inject(Fault{Verb: Create, Delay: time.Hour})
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := d.Create(short, g); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

func TestConsoleTellsOfEveryBoot(t *testing.T) {
	ctx, g, d := t.Context(), tiny(t), New(Config{})
	g.PowerOn = true
	if err := errors.Join(d.Create(ctx, g), d.Reboot(ctx, g.ID), d.Halt(g.ID), d.Power(ctx, g.ID, hypervisor.PowerOn), d.Crash(g.ID)); err != nil {
		t.Fatal(err)
	}
	text := console(t, d, g.ID)
	for _, want := range []string{"(boot 1)", "Restarting system", "(boot 2)", "Power down", "(boot 3)", "Kernel panic"} {
		before, after, ok := strings.Cut(text, want)
		if !ok {
			t.Fatalf("%q does not follow %q", want, before)
		}
		text = after
	}
	for range 3 * maxBoots {
		if err := errors.Join(d.Power(ctx, g.ID, hypervisor.PowerOn), d.Power(ctx, g.ID, hypervisor.PowerOff)); err != nil {
			t.Fatal(err)
		}
	}
	text = console(t, d, g.ID)
	if n := strings.Count(text, "Linux version"); n != maxBoots || !strings.Contains(text, fmt.Sprintf("(boot %d)", 3+3*maxBoots)) {
		t.Errorf("the console tells of %d boots, want the last %d:\n%s", n, maxBoots, text)
	}
}

func console(t *testing.T, d *Driver, id string) string {
	t.Helper()
	log, _, err := d.ConsoleLog(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	text, err := io.ReadAll(log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestShutdownOfDeafGuestEndsWithTheGuest(t *testing.T) {
	d, g := New(Config{Deaf: func(hypervisor.Guest) bool { return true }}), tiny(t)
	g.PowerOn = true
	if err := d.Create(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- d.Power(t.Context(), g.ID, hypervisor.PowerShutdown) }()
	if err := d.Halt(g.ID); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	d, g := New(Config{StateFile: path}), tiny(t)
	g.ConfigDrive = []byte("large")
	secret := hypervisor.Volume{ID: hypervisortest.NewID(), Kind: "iscsi", Portal: "p", IQN: "q", Secret: "hush"}
	if err := errors.Join(d.Create(t.Context(), g), d.AttachVolume(t.Context(), g.ID, secret)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "hush") {
		t.Fatalf("the state file holds a volume's secret (%v): %s", err, text)
	}
	if err := os.WriteFile(path, []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	d = New(Config{StateFile: path})
	if _, err := d.List(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a broken state file: got %v, want a fault of kind unavailable", err)
	}
	if err := d.Create(t.Context(), g); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a broken state file was written over: %v", err)
	}
}

func TestBlackout(t *testing.T) {
	d, g := New(Config{}), tiny(t)
	g.PowerOn = true
	if err := errors.Join(d.Create(t.Context(), g), d.Blackout()); err != nil {
		t.Fatal(err)
	}
	if state, err := d.State(t.Context(), g.ID); err != nil || state != hypervisor.Shutdown {
		t.Fatalf("got state %d, %v", state, err)
	}
}

// TestTenThousandHosts holds the promise of doc.go: an idle driver is a few
// hundred bytes and no goroutine.
func TestTenThousandHosts(t *testing.T) {
	const hosts = 10_000
	goroutines := runtime.NumGoroutine()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	all := make([]*Driver, hosts)
	for i := range all {
		all[i] = New(Config{Host: "host"})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (after.HeapAlloc - before.HeapAlloc) / hosts; each > 512 {
		t.Errorf("an idle driver holds %d bytes", each)
	}
	if n := runtime.NumGoroutine() - goroutines; n > 0 {
		t.Errorf("%d idle drivers have %d goroutines", hosts, n)
	}
	runtime.KeepAlive(all)
}
