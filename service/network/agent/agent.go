package agent

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"kilonova/internal/bus"
	"kilonova/service/network"
	"kilonova/service/network/dataplane"
)

// Config is what an agent needs. Durations that are zero have the values in
// their comments.
type Config struct {
	Host     string // as compute names it in binding:host_id
	Zone     string // availability zone; "" is "nova"
	Driver   dataplane.Driver
	Bus      *bus.Bus
	Metadata MetadataBackend
	// Physical lists the physical networks that the host reaches; nil: any.
	Physical []string
	// Wires are what QoS rules may promise here.
	Wires network.Wires
	// NoDHCP and NoL3 keep DHCP servers and routers off this host.
	NoDHCP, NoL3 bool
	Log          *slog.Logger
	Now          func() time.Time

	Resync  time.Duration // how often all is compared with the host: 1 min
	Quiet   time.Duration // how long hints are gathered after a step: 5 ms
	Retry   time.Duration // first pause after a failure, doubled up to 30 s: 250 ms
	Timeout time.Duration // of one call to the driver or to control: 1 min
}

// Agent keeps one host as control wants it.
type Agent struct {
	Config
	started time.Time

	wake chan struct{} // something may have changed: ask control

	mu      sync.Mutex
	devices map[string]bool // those that appeared or went since the last step
	counts  map[string]int
	version int64 // of the state that the agent has

	guests   guestIndex
	metadata *proxies
	now      *reality
}

// New returns an agent; Run has it work.
func New(cfg Config) *Agent {
	if cfg.Zone == "" {
		cfg.Zone = "nova"
	}
	if cfg.Physical == nil {
		cfg.Physical = []string{"*"}
	}
	for _, d := range []struct {
		field     *time.Duration
		otherwise time.Duration
	}{{&cfg.Resync, time.Minute}, {&cfg.Quiet, 5 * time.Millisecond}, {&cfg.Retry, 250 * time.Millisecond}, {&cfg.Timeout, time.Minute}} {
		if *d.field == 0 {
			*d.field = d.otherwise
		}
	}
	a := &Agent{Config: cfg, started: cfg.Now(), wake: make(chan struct{}, 1), devices: map[string]bool{}, now: newReality()}
	a.metadata = newProxies(a)
	return a
}

// Run works until ctx ends. What is on the host stays.
func (a *Agent) Run(ctx context.Context) error {
	unlisten, err := network.Changed.Listen(a.Bus, a.Host, func(context.Context, network.ChangedHint) { a.look() })
	if err != nil {
		return err
	}
	defer unlisten()
	devices, err := a.Driver.Devices(ctx)
	if err != nil {
		return fmt.Errorf("network agent: watch devices: %w", err)
	}
	var work sync.WaitGroup
	defer work.Wait()
	defer a.metadata.close()
	work.Go(func() { a.beats(ctx) })
	work.Go(func() {
		for device := range devices {
			a.mu.Lock()
			a.devices[device] = true
			a.mu.Unlock()
			a.look()
		}
	})
	a.loop(ctx)
	return nil
}

// look has the loop take a step soon.
func (a *Agent) look() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// loop takes a step at once when it is woken, and then gathers what comes within
// a short while; and it looks at everything now and then.
func (a *Agent) loop(ctx context.Context) {
	full := true
	resync := time.NewTicker(a.Resync)
	defer resync.Stop()
	for {
		again := a.step(ctx, full)
		full = false
		if again == 0 {
			again = a.Resync
		}
		retry := time.NewTimer(again)
		if !pause(ctx, a.Quiet) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-retry.C:
		case <-resync.C:
			full = true
		}
		retry.Stop()
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// beats tells control that the agent lives, and looks when its state has a
// revision that no hint has told of.
func (a *Agent) beats(ctx context.Context) {
	for {
		every := time.Second
		reply, err := network.Beat.Do(ctx, a.Bus, network.ControlName, network.BeatRequest{Host: a.Host, Zone: a.Zone, Started: a.started,
			L3: !a.NoL3, DHCP: !a.NoDHCP, Physical: a.Physical, Wires: a.Wires, Counts: a.snapshot()})
		if err == nil {
			every = max(time.Duration(reply.Every)*time.Millisecond, 100*time.Millisecond)
			a.mu.Lock()
			behind := reply.Revision != a.version
			a.mu.Unlock()
			if behind {
				a.look()
			}
		} else if ctx.Err() == nil {
			a.Log.Warn("network agent: control does not answer", "host", a.Host, "error", err)
		}
		if !pause(ctx, every) {
			return
		}
	}
}

func (a *Agent) snapshot() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts
}

// fetch asks control for the host's state. nil: it is what the agent has.
func (a *Agent) fetch(ctx context.Context, whole bool) (*network.HostState, error) {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	request := network.StateRequest{Host: a.Host}
	if !whole {
		request.Revision = a.version
	}
	reply, err := network.State.Do(ctx, a.Bus, network.ControlName, request)
	if err != nil {
		return nil, err
	}
	if reply.State != nil {
		reply.State.Expand()
		a.mu.Lock()
		a.version = reply.Revision
		a.counts = map[string]int{"networks": len(reply.State.Networks), "devices": len(reply.State.Ports), "routers": len(reply.State.Routers)}
		a.mu.Unlock()
	}
	return reply.State, nil
}
