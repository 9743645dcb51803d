package agent

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"kilonova/internal/bus"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// Config is what an agent stands on.
type Config struct {
	Host   string // its name, unique in the cloud
	Driver hypervisor.Driver
	Bus    *bus.Bus
	Images *ImageCache
	// ReportInterval is how often it says that it lives.
	ReportInterval time.Duration
	// Scratch is a folder of its own for snapshots on their way; what is in it when
	// the agent starts is removed.
	Scratch string
	// VIFTimeout bounds the waiting for ports to be wired; 0 does not wait.
	VIFTimeout time.Duration
	// Drive says how config drives are made.
	Drive Drive
	Log   *slog.Logger
	Now   func() time.Time
}

// Agent serves one host.
type Agent struct {
	Config
	works     works
	locks     locks
	waiting   waiting
	transfers transfers
	changed   chan string // servers whose guests the driver says have changed
}

// New returns an agent; Run starts it.
func New(c Config) *Agent {
	return &Agent{Config: c, changed: make(chan string, 64), works: works{now: c.Now, all: map[string]*work{}},
		locks: locks{all: map[string]*lock{}}, waiting: waiting{ports: map[string]chan struct{}{}}}
}

// Run serves until ctx ends. Guests go on without it.
func (a *Agent) Run(ctx context.Context) error {
	serves := []func() (bus.Unserve, error){
		serve(a, ctx, compute.Build, a.build),
		serve(a, ctx, compute.Destroy, a.destroy),
		serve(a, ctx, compute.PowerCall, a.power),
		serve(a, ctx, compute.AttachInterface, a.attachInterface),
		serve(a, ctx, compute.DetachInterface, a.detachInterface),
		serve(a, ctx, compute.AttachVolumeCall, a.attachVolume),
		serve(a, ctx, compute.DetachVolumeCall, a.detachVolume),
		serve(a, ctx, compute.CacheImage, a.cacheImage),
		serve(a, ctx, compute.ParkGuest, a.park),
		serve(a, ctx, compute.ArriveGuest, a.arrive),
		serve(a, ctx, compute.UnparkGuest, a.unpark),
		serve(a, ctx, compute.DropParked, a.dropParked),
		serve(a, ctx, compute.RebuildGuest, a.rebuild),
		func() (bus.Unserve, error) { return compute.Parcel.Serve(a.Bus, a.Host, a.parcel) },
		func() (bus.Unserve, error) { return compute.ReadParcel.Serve(a.Bus, a.Host, a.readParcel) },
		func() (bus.Unserve, error) { return compute.ConsoleLog.Serve(a.Bus, a.Host, a.consoleLog) },
		func() (bus.Unserve, error) { return compute.PortChanged.Listen(a.Bus, a.Host, a.portChanged) },
	}
	if err := os.RemoveAll(a.Scratch); err != nil {
		a.Log.Warn("compute agent: snapshots of an earlier process remain", "error", err)
	}
	for _, start := range slices.Concat(serves, a.servesStaying(ctx), a.liveServes(ctx)) {
		stop, err := start()
		if err != nil {
			return err
		}
		defer stop()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	if w, ok := a.Driver.(hypervisor.Watcher); ok {
		wg.Go(func() { a.watch(ctx, w) })
	}
	a.reportLoop(ctx)
	a.works.wait()
	return nil
}

// serve has the agent answer a call that is work: h runs once per work id, in
// the agent's own context, and those who ask join it.
func serve[Req any](a *Agent, ctx context.Context, call bus.Call[compute.Work[Req], compute.Progress], h func(context.Context, Req) (compute.Power, error)) func() (bus.Unserve, error) {
	return func() (bus.Unserve, error) {
		return call.Serve(a.Bus, a.Host, func(ask context.Context, w compute.Work[Req]) (compute.Progress, error) {
			patience := min(time.Duration(w.Patience)*time.Millisecond, time.Minute)
			return a.works.join(ask, ctx, call.Name+" "+w.ID, patience, func(ctx context.Context) (compute.Power, error) { return h(ctx, w.Request) }), nil
		})
	}
}

func (a *Agent) watch(ctx context.Context, w hypervisor.Watcher) {
	for ctx.Err() == nil {
		err := w.Watch(ctx, func(id string) {
			select {
			case a.changed <- id:
			default: // the regular report finds it
			}
		})
		if ctx.Err() == nil {
			a.Log.Warn("compute agent: the driver's events have ended", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
		}
	}
}

// powerOf reads a guest's state; one that is not here has none.
func (a *Agent) powerOf(ctx context.Context, id string) compute.Power {
	s, err := a.Driver.State(ctx, id)
	if err != nil {
		return compute.PowerNone
	}
	return compute.Power(s)
}
