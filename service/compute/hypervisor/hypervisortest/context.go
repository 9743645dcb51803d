package hypervisortest

import (
	"context"
	"errors"
	"time"

	"kilonova/service/compute/hypervisor"
)

// cancelledContext: no verb does anything for a caller who has gone.
func (b *bench) cancelledContext() {
	g := b.create(b.Guest(b.t), true)
	other, nic, volume := b.Guest(b.t), b.NIC(b.t), b.Volume(b.t)
	b.plug(nic)
	gone, cancel := context.WithCancel(b.ctx)
	cancel()
	_, stateErr := b.d.State(gone, g.ID)
	_, listErr := b.d.List(gone)
	_, resourcesErr := b.d.Resources(gone)
	for verb, err := range map[string]error{
		"state": stateErr, "list": listErr, "resources": resourcesErr,
		"create":           b.d.Create(gone, other),
		"destroy":          b.d.Destroy(gone, g.ID),
		"power off":        b.d.Power(gone, g.ID, hypervisor.PowerOff),
		"shutdown":         b.d.Power(gone, g.ID, hypervisor.PowerShutdown),
		"attach volume":    b.d.AttachVolume(gone, g.ID, volume),
		"attach interface": b.d.AttachInterface(gone, g.ID, nic),
	} {
		if !errors.Is(err, context.Canceled) {
			b.t.Errorf("%s: got %v, want context.Canceled", verb, err)
		}
	}
	b.want(g.ID, hypervisor.Running)
	b.must(b.d.Destroy(b.ctx, other.ID))
}

// createInterrupted: wherever Create was cut off, Create finishes and Destroy
// leaves nothing.
func (b *bench) createInterrupted() {
	g := b.Guest(b.t)
	g.PowerOn = true
	b.plug(g.NICs...)
	for wait := time.Microsecond; wait < b.Patience; wait *= 4 {
		ctx, cancel := context.WithTimeout(b.ctx, wait)
		err := b.d.Create(ctx, g)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			b.t.Errorf("a create with %v to live: got %v, want context.DeadlineExceeded", wait, err)
		}
	}
	b.must(b.d.Create(b.ctx, g))
	b.want(g.ID, hypervisor.Running)
	b.must(b.d.Destroy(b.ctx, g.ID))
	b.wantNone()

	ctx, cancel := context.WithTimeout(b.ctx, time.Millisecond)
	defer cancel()
	_ = b.d.Create(ctx, g) // whether it got through does not matter here
	b.must(b.d.Destroy(b.ctx, g.ID))
	b.wantNone()
}

func (b *bench) shutdownObeyed() {
	if b.Obedient == nil {
		b.t.Skip("this harness has no guest that obeys the power button")
	}
	g := b.create(b.Obedient(b.t), true)
	b.booted(g.ID)
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerShutdown))
	b.want(g.ID, hypervisor.Shutdown)
}

func (b *bench) booted(id string) {
	if b.Booted != nil {
		b.Booted(b.t, b.d, id)
	}
}

func (b *bench) shutdownIgnored() {
	if b.Deaf == nil {
		b.t.Skip("this harness has no guest that ignores the power button")
	}
	g := b.create(b.Deaf(b.t), true)
	ctx, cancel := context.WithTimeout(b.ctx, b.Patience/10)
	defer cancel()
	if err := b.d.Power(ctx, g.ID, hypervisor.PowerShutdown); err != nil {
		b.t.Errorf("shutdown of a deaf guest: got %v, want nil after the deadline", err)
	}
	if ctx.Err() == nil {
		b.t.Error("the shutdown of a deaf guest returned before the deadline")
	}
	b.want(g.ID, hypervisor.Running)

	gone, leave := context.WithCancel(b.ctx)
	timer := time.AfterFunc(b.Patience/10, leave)
	defer timer.Stop()
	if err := b.d.Power(gone, g.ID, hypervisor.PowerShutdown); !errors.Is(err, context.Canceled) {
		b.t.Errorf("shutdown of a deaf guest, cancelled: got %v, want context.Canceled", err)
	}
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
	b.want(g.ID, hypervisor.Shutdown)
}
