package fake

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

var _ hypervisor.LiveMigrator = (*Driver)(nil)

// carry is a live migration under way, until it can no longer be ended.
type carry struct {
	once     sync.Once
	aborted  bool
	end      chan struct{} // closed when it shall end
	progress hypervisor.Transfer
}

func (c *carry) finish(abort bool) {
	c.once.Do(func() {
		c.aborted = abort
		close(c.end)
	})
}

// expected is what of its new host a guest will have.
type expected struct {
	Volumes []hypervisor.Volume
	Hold    *compute.Hold
}

// Expect implements hypervisor.LiveMigrator.
func (d *Driver) Expect(ctx context.Context, g hypervisor.Guest) (ticket []byte, err error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	err = d.do(ctx, Expect, g.ID, func() error {
		for id, other := range d.state.Guests {
			if other.Spec.Name == g.Name && id != g.ID {
				return fault.Conflictf("The name %s belongs to guest %s already.", g.Name, id)
			}
		}
		if d.state.Expected == nil {
			d.state.Expected = map[string]expected{}
		}
		kept := keep(g)
		d.state.Expected[g.ID] = expected{kept.Volumes, kept.Hold}
		d.dirty = true
		return nil
	})
	return []byte(d.cfg.Host), err
}

// MigrateLive implements hypervisor.LiveMigrator. It takes as long as its verb's
// delay; half of everything is copied when it begins.
func (d *Driver) MigrateLive(ctx context.Context, id string, _ []byte, hand func(context.Context, []byte) error, tell func(hypervisor.Transfer)) error {
	f, met := d.meet(MigrateLive, id)
	run := &carry{end: make(chan struct{})}
	err := d.change(func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		if g.State != hypervisor.Running && g.State != hypervisor.Paused {
			return fault.Conflictf("Guest %s does not run, so it cannot be carried while it does.", id)
		}
		memory, disk := int64(g.Spec.MemoryMB)<<20, int64(g.Spec.Root.SizeGB)<<30
		run.progress = hypervisor.Transfer{MemoryTotal: memory, MemoryProcessed: memory / 2, MemoryRemaining: memory - memory/2,
			DiskTotal: disk, DiskProcessed: disk / 2, DiskRemaining: disk - disk/2}
		if d.carries == nil {
			d.carries = map[string]*carry{}
		}
		d.carries[id] = run
		return nil
	})
	if err != nil {
		return err
	}
	tell(run.progress)
	err = d.copying(ctx, run, d.cfg.Delays[MigrateLive]+f.Delay)
	d.mu.Lock()
	delete(d.carries, id)
	d.mu.Unlock()
	if run.finish(false); run.aborted {
		return fault.Conflictf("The migration of guest %s was aborted.", id)
	}
	if err != nil {
		return err
	}
	if met && f.Err != nil && !f.After {
		return f.Err
	}
	var load []byte
	err = d.change(func() error {
		g, err := d.find(id)
		if err == nil {
			load, err = json.Marshal(g)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := hand(ctx, load); err != nil {
		return err
	}
	if err := d.change(func() error {
		delete(d.state.Guests, id)
		d.touched(id)
		return nil
	}); err != nil {
		return err
	}
	if met {
		return f.Err
	}
	return nil
}

// copying waits for the time that a migration takes, or its end.
func (d *Driver) copying(ctx context.Context, run *carry, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-run.end:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Arrive implements hypervisor.LiveMigrator: the guest goes on as it was, and has
// its volumes, processors and pages as it was said to Expect.
func (d *Driver) Arrive(ctx context.Context, id string, load []byte) error {
	return d.do(ctx, Arrive, id, func() error {
		if err := d.receive(id, load, nil); err != nil {
			return err
		}
		if e, ok := d.state.Expected[id]; ok {
			d.state.Guests[id].Spec.Volumes, d.state.Guests[id].Spec.Hold = e.Volumes, e.Hold
			delete(d.state.Expected, id)
		}
		return nil
	})
}

func (d *Driver) steer(id string, abort bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	run := d.carries[id]
	if run == nil {
		return fault.NotFoundf("There is no migration of guest %s that could be ended.", id)
	}
	run.finish(abort)
	return nil
}

// AbortLive implements hypervisor.LiveMigrator.
func (d *Driver) AbortLive(_ context.Context, id string) error { return d.steer(id, true) }

// CompleteLive implements hypervisor.LiveMigrator.
func (d *Driver) CompleteLive(_ context.Context, id string) error { return d.steer(id, false) }
