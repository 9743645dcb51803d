package hypervisortest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"kilonova/service/compute/hypervisor"
)

// Harness says how the suite gets at a driver. A field that may be nil leaves
// out the tests that need it, which then say so.
type Harness struct {
	// New returns a driver on a host without guests of this cloud, and removes
	// with t.Cleanup whatever a test leaves.
	New func(t *testing.T) hypervisor.Driver
	// Guest describes a guest that does not exist yet and may stay deaf to the
	// power button. It is small: many are made at once.
	Guest func(t *testing.T) hypervisor.Guest
	// Volume and NIC describe what can be attached to it.
	Volume func(t *testing.T) hypervisor.Volume
	NIC    func(t *testing.T) hypervisor.NIC

	// Obedient describes a guest that obeys the power button; Booted returns
	// when it listens. Obedient may be nil; a nil Booted means at once.
	Obedient func(t *testing.T) hypervisor.Guest
	Booted   func(t *testing.T, d hypervisor.Driver, id string)
	// Deaf describes a guest that never obeys it; may be nil.
	Deaf func(t *testing.T) hypervisor.Guest
	// Restart returns a driver on the same host as d, as after a crash of the
	// agent; d is not used any more. May be nil.
	Restart func(t *testing.T, d hypervisor.Driver) hypervisor.Driver
	// Kill makes a running guest stop without the driver being asked; may be nil.
	Kill func(t *testing.T, d hypervisor.Driver, id string)

	// Patience is how long one verb may take on this host; 0: 5 s.
	Patience time.Duration
	// Crowd is how many guests are handled at once; 0: 8.
	Crowd int
}

// bench is one test's view of the harness.
type bench struct {
	Harness
	t   *testing.T
	ctx context.Context
	d   hypervisor.Driver
}

// start makes a driver for one test.
func (h Harness) start(t *testing.T) *bench {
	t.Helper()
	if h.Patience == 0 {
		h.Patience = 5 * time.Second
	}
	if h.Crowd == 0 {
		h.Crowd = 8
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*h.Patience)
	t.Cleanup(cancel)
	return &bench{Harness: h, t: t, ctx: ctx, d: h.New(t)}
}

// must ends the test if a verb fails.
func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// create makes a guest that runs, or not.
func (b *bench) create(g hypervisor.Guest, on bool) hypervisor.Guest {
	b.t.Helper()
	g.PowerOn = on
	b.plug(g.NICs...)
	b.must(b.d.Create(b.ctx, g))
	return g
}

// plug makes the host's side of interfaces, where there is such a thing.
func (b *bench) plug(nics ...hypervisor.NIC) {
	b.t.Helper()
	p, ok := b.d.(hypervisor.Plugger)
	if !ok {
		return
	}
	for _, nic := range nics {
		b.must(p.Plug(b.ctx, nic))
		b.t.Cleanup(func() {
			if err := p.Unplug(context.WithoutCancel(b.ctx), nic); err != nil {
				b.t.Error(err)
			}
		})
	}
}

// want holds a guest's state against the law, in State and in List.
func (b *bench) want(id string, state hypervisor.State) {
	b.t.Helper()
	got, err := b.d.State(b.ctx, id)
	b.must(err)
	if got != state {
		b.t.Errorf("guest %s has the state %d, want %d", id, got, state)
	}
	all, err := b.d.List(b.ctx)
	b.must(err)
	i := slices.IndexFunc(all, func(o hypervisor.Observed) bool { return o.ID == id })
	if i < 0 {
		b.t.Fatalf("guest %s is not in the list %v", id, all)
	}
	if all[i].State != state {
		b.t.Errorf("guest %s is listed with the state %d, want %d", id, all[i].State, state)
	}
}

// eventually repeats ask, a hundred times in the harness's patience.
func (b *bench) eventually(what string, ask func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, b.Patience)
	defer cancel()
	tick := time.NewTicker(b.Patience / 100)
	defer tick.Stop()
	for !ask() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.t.Fatalf("not within %v: %s", b.Patience, what)
		}
	}
}

// NewID returns a random UUID in lower case.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return fmt.Sprintf("%s-%s-%s-%s-%s", s[:8], s[8:12], s[12:16], s[16:20], s[20:])
}

// NewMAC returns a random address of the range that upstream uses.
func NewMAC() string {
	var b [3]byte
	rand.Read(b[:])
	return fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", b[0], b[1], b[2])
}
