package hypervisortest

import (
	"context"
	"errors"
	"io"
	"sync"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// optional asserts an optional interface, or skips the test.
func optional[T any](b *bench) T {
	b.t.Helper()
	able, ok := b.d.(T)
	if !ok {
		b.t.Skipf("%T does not implement %T", b.d, (*T)(nil))
	}
	return able
}

func (b *bench) reboot() {
	rebooter := optional[hypervisor.Rebooter](b)
	if err := rebooter.Reboot(b.ctx, NewID()); !fault.Is(err, fault.NotFound) {
		b.t.Errorf("reboot of an unknown guest: got %v, want a fault of kind not found", err)
	}
	off := b.create(b.Guest(b.t), false)
	if err := rebooter.Reboot(b.ctx, off.ID); !fault.Is(err, fault.Conflict) {
		b.t.Errorf("reboot of a stopped guest: got %v, want a fault of kind conflict", err)
	}
	if b.Obedient == nil {
		b.t.Skip("this harness has no guest that obeys; the reboot itself was not tried")
	}
	g := b.create(b.Obedient(b.t), true)
	b.booted(g.ID)
	b.must(rebooter.Reboot(b.ctx, g.ID))
	b.want(g.ID, hypervisor.Running)
}

func (b *bench) rebootIgnored() {
	rebooter := optional[hypervisor.Rebooter](b)
	if b.Deaf == nil {
		b.t.Skip("this harness has no guest that ignores the power button")
	}
	g := b.create(b.Deaf(b.t), true)
	ctx, cancel := context.WithTimeout(b.ctx, b.Patience/10)
	defer cancel()
	if err := rebooter.Reboot(ctx, g.ID); !errors.Is(err, context.DeadlineExceeded) {
		b.t.Errorf("reboot of a deaf guest: got %v, want context.DeadlineExceeded", err)
	}
	b.want(g.ID, hypervisor.Running)
}

// consoleLog: what the guest wrote is there while it runs, after it stopped and
// before it ever ran.
func (b *bench) consoleLog() {
	logger := optional[hypervisor.ConsoleLogger](b)
	if _, _, err := logger.ConsoleLog(b.ctx, NewID()); !fault.Is(err, fault.NotFound) {
		b.t.Errorf("console of an unknown guest: got %v, want a fault of kind not found", err)
	}
	g := b.create(b.Guest(b.t), false)
	if text := b.readConsole(logger, g.ID); text != "" {
		b.t.Errorf("a guest that never ran has said %q", text)
	}
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
	b.eventually("the guest says something on its console", func() bool { return b.readConsole(logger, g.ID) != "" })
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
	if b.readConsole(logger, g.ID) == "" {
		b.t.Error("the console of a stopped guest is empty")
	}
	b.must(b.d.Destroy(b.ctx, g.ID))
	if _, _, err := logger.ConsoleLog(b.ctx, g.ID); !fault.Is(err, fault.NotFound) {
		b.t.Errorf("console of a destroyed guest: got %v, want a fault of kind not found", err)
	}
}

// readConsole reads the log, twice: it must be the same after a seek.
func (b *bench) readConsole(logger hypervisor.ConsoleLogger, id string) string {
	b.t.Helper()
	log, size, err := logger.ConsoleLog(b.ctx, id)
	b.must(err)
	defer log.Close()
	text, err := io.ReadAll(io.LimitReader(log, size))
	b.must(err)
	if int64(len(text)) != size {
		b.t.Errorf("a console log of %d bytes said that it has %d", len(text), size)
	}
	if _, err := log.Seek(0, io.SeekStart); err != nil {
		b.t.Fatal(err)
	}
	again, err := io.ReadAll(io.LimitReader(log, size))
	b.must(err)
	if string(again) != string(text) {
		b.t.Error("a console log read twice differs")
	}
	return string(text)
}

func (b *bench) plugTwice() {
	plugger := optional[hypervisor.Plugger](b)
	nic := b.NIC(b.t)
	for range 2 {
		b.must(plugger.Plug(b.ctx, nic))
	}
	for range 2 {
		b.must(plugger.Unplug(b.ctx, nic))
	}
	bad := b.NIC(b.t)
	bad.PortID = "eth0"
	if err := plugger.Plug(b.ctx, bad); !fault.Is(err, fault.Invalid) {
		b.t.Errorf("a port without a UUID: got %v, want a fault of kind invalid", err)
	}
}

// watching runs Watch and collects what it tells, until stop.
func (b *bench) watching() (seen func(id string) bool, stop func() error) {
	watcher := optional[hypervisor.Watcher](b)
	var mu sync.Mutex
	ids := make(map[string]bool)
	ctx, cancel := context.WithCancel(b.ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- watcher.Watch(ctx, func(id string) {
			mu.Lock()
			defer mu.Unlock()
			ids[id] = true
		})
	}()
	seen = func(id string) bool {
		mu.Lock()
		defer mu.Unlock()
		was := ids[id]
		delete(ids, id)
		return was
	}
	stop = func() error {
		cancel()
		return <-ended
	}
	return seen, stop
}

func (b *bench) watch() {
	seen, stop := b.watching()
	g := b.create(b.Guest(b.t), true)
	// Watch begins at an unknown moment: power cycles until one is seen.
	b.eventually("a change of the guest is reported", func() bool {
		b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
		b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
		return seen(g.ID)
	})
	if err := stop(); !errors.Is(err, context.Canceled) {
		b.t.Errorf("Watch ended with %v, want context.Canceled", err)
	}
	seen(g.ID) // what was told until then
	b.must(b.d.Destroy(b.ctx, g.ID))
	if seen(g.ID) {
		b.t.Error("Watch reported a change after it had returned")
	}
}

// watchSeesAccident: what happens without a verb is reported too.
func (b *bench) watchSeesAccident() {
	if b.Kill == nil {
		b.t.Skip("this harness cannot make a guest stop by itself")
	}
	seen, stop := b.watching()
	g := b.create(b.Guest(b.t), true)
	b.eventually("the start of the guest is reported", func() bool {
		if seen(g.ID) {
			return true
		}
		b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
		b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
		return false
	})
	b.Kill(b.t, b.d, g.ID)
	b.eventually("the end of the guest is reported", func() bool {
		state, err := b.d.State(b.ctx, g.ID)
		b.must(err)
		return state != hypervisor.Running && seen(g.ID)
	})
	if err := stop(); !errors.Is(err, context.Canceled) {
		b.t.Errorf("Watch ended with %v, want context.Canceled", err)
	}
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
	b.want(g.ID, hypervisor.Running)
}
