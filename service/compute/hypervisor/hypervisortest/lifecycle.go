package hypervisortest

import (
	"slices"
	"sync"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

func (b *bench) createStarts() {
	g := b.create(b.Guest(b.t), true)
	b.want(g.ID, hypervisor.Running)
	all, err := b.d.List(b.ctx)
	b.must(err)
	if want := []hypervisor.Observed{{ID: g.ID, Name: g.Name, State: hypervisor.Running}}; !slices.Equal(all, want) {
		b.t.Errorf("listed %v, want %v", all, want)
	}
}

func (b *bench) createWithoutPower() {
	g := b.create(b.Guest(b.t), false)
	b.want(g.ID, hypervisor.Shutdown)
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
	b.want(g.ID, hypervisor.Running)
}

// createAgain is what an agent does that crashed before it heard the answer.
func (b *bench) createAgain() {
	g := b.create(b.Guest(b.t), true)
	b.must(b.d.Create(b.ctx, g))
	b.want(g.ID, hypervisor.Running)
	all, err := b.d.List(b.ctx)
	b.must(err)
	if len(all) != 1 {
		b.t.Errorf("one guest was created twice and %d are listed", len(all))
	}
}

// createAfterPowerOff is a hard reboot, here with a change of the description.
func (b *bench) createAfterPowerOff() {
	g := b.create(b.Guest(b.t), true)
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
	b.want(g.ID, hypervisor.Shutdown)
	g.MemoryMB += 16
	g.Title = "a <new> & \"better\" name"
	b.must(b.d.Create(b.ctx, g))
	b.want(g.ID, hypervisor.Running)
}

func (b *bench) createRefusesNonsense() {
	for name, spoil := range map[string]func(*hypervisor.Guest){
		"id":     func(g *hypervisor.Guest) { g.ID = "../../../../../../../../../../tmp/xxxxx" },
		"name":   func(g *hypervisor.Guest) { g.Name = "a/b" },
		"vcpus":  func(g *hypervisor.Guest) { g.VCPUs = 0 },
		"memory": func(g *hypervisor.Guest) { g.MemoryMB = -1 },
		"boot":   func(g *hypervisor.Guest) { g.Image = hypervisor.Image{} },
	} {
		g := b.Guest(b.t)
		spoil(&g)
		if err := b.d.Create(b.ctx, g); !fault.Is(err, fault.Invalid) {
			b.t.Errorf("a guest with a wrong %s: got %v, want a fault of kind invalid", name, err)
		}
	}
	b.wantNone()
}

func (b *bench) wantNone() {
	b.t.Helper()
	all, err := b.d.List(b.ctx)
	b.must(err)
	if len(all) != 0 {
		b.t.Errorf("listed %v, want none", all)
	}
}

func (b *bench) createRefusesNameTwice() {
	first := b.create(b.Guest(b.t), false)
	second := b.Guest(b.t)
	second.Name = first.Name
	if err := b.d.Create(b.ctx, second); !fault.Is(err, fault.Conflict) {
		b.t.Errorf("a second guest of the same name: got %v, want a fault of kind conflict", err)
	}
	b.must(b.d.Destroy(b.ctx, second.ID))
	b.want(first.ID, hypervisor.Shutdown)
}

func (b *bench) destroy() {
	g := b.create(b.Guest(b.t), true)
	for range 2 {
		b.must(b.d.Destroy(b.ctx, g.ID))
		if _, err := b.d.State(b.ctx, g.ID); !fault.Is(err, fault.NotFound) {
			b.t.Errorf("state of a destroyed guest: got %v, want a fault of kind not found", err)
		}
		b.wantNone()
	}
	off := b.create(b.Guest(b.t), false)
	b.must(b.d.Destroy(b.ctx, off.ID))
	b.wantNone()
	b.create(g, true)
	b.want(g.ID, hypervisor.Running)
}

func (b *bench) power() {
	g := b.create(b.Guest(b.t), true)
	for _, step := range []struct {
		action hypervisor.PowerAction
		state  hypervisor.State
	}{
		{hypervisor.PowerOn, hypervisor.Running}, {hypervisor.PowerOff, hypervisor.Shutdown},
		{hypervisor.PowerOff, hypervisor.Shutdown}, {hypervisor.PowerShutdown, hypervisor.Shutdown},
		{hypervisor.PowerOn, hypervisor.Running}, {hypervisor.PowerOn, hypervisor.Running},
	} {
		if err := b.d.Power(b.ctx, g.ID, step.action); err != nil {
			b.t.Fatalf("power %s: %v", step.action, err)
		}
		b.want(g.ID, step.state)
	}
	if err := b.d.Power(b.ctx, g.ID, "sideways"); !fault.Is(err, fault.Invalid) {
		b.t.Errorf("an unknown action: got %v, want a fault of kind invalid", err)
	}
}

func (b *bench) unknownGuest() {
	there := b.create(b.Guest(b.t), false)
	id, nic, volume := NewID(), b.NIC(b.t), b.Volume(b.t)
	b.plug(nic)
	_, stateErr := b.d.State(b.ctx, id)
	for verb, err := range map[string]error{
		"state":            stateErr,
		"power on":         b.d.Power(b.ctx, id, hypervisor.PowerOn),
		"power off":        b.d.Power(b.ctx, id, hypervisor.PowerOff),
		"shutdown":         b.d.Power(b.ctx, id, hypervisor.PowerShutdown),
		"attach volume":    b.d.AttachVolume(b.ctx, id, volume),
		"detach volume":    b.d.DetachVolume(b.ctx, id, volume.ID),
		"attach interface": b.d.AttachInterface(b.ctx, id, nic),
		"detach interface": b.d.DetachInterface(b.ctx, id, nic.PortID),
	} {
		if !fault.Is(err, fault.NotFound) {
			b.t.Errorf("%s: got %v, want a fault of kind not found", verb, err)
		}
	}
	for _, id := range []string{id, "", "..", "no-such-guest"} {
		if err := b.d.Destroy(b.ctx, id); err != nil {
			b.t.Errorf("destroy %q: %v", id, err)
		}
	}
	b.want(there.ID, hypervisor.Shutdown)
}

// crowd handles different guests at once: each gets its own, and all are listed.
func (b *bench) crowd() {
	guests := make([]hypervisor.Guest, b.Crowd)
	for i := range guests {
		guests[i] = b.Guest(b.t)
		guests[i].PowerOn = true
		b.plug(guests[i].NICs...)
	}
	b.together(guests, func(g hypervisor.Guest) error { return b.d.Create(b.ctx, g) })
	all, err := b.d.List(b.ctx)
	b.must(err)
	if len(all) != len(guests) {
		b.t.Errorf("%d guests are listed, want %d", len(all), len(guests))
	}
	for i, g := range guests {
		if i%2 == 0 {
			b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
		}
	}
	for i, g := range guests {
		b.want(g.ID, map[bool]hypervisor.State{true: hypervisor.Shutdown, false: hypervisor.Running}[i%2 == 0])
	}
	b.together(guests, func(g hypervisor.Guest) error { return b.d.Destroy(b.ctx, g.ID) })
	b.wantNone()
}

func (b *bench) together(guests []hypervisor.Guest, verb func(hypervisor.Guest) error) {
	b.t.Helper()
	var wait sync.WaitGroup
	for _, g := range guests {
		wait.Go(func() {
			if err := verb(g); err != nil {
				b.t.Error(err)
			}
		})
	}
	wait.Wait()
}

// agentRestarts: guests outlive the agent, and a new one can do all with them.
func (b *bench) agentRestarts() {
	if b.Restart == nil {
		b.t.Skip("this harness cannot restart its driver")
	}
	on, off := b.create(b.Guest(b.t), true), b.create(b.Guest(b.t), false)
	volume := b.Volume(b.t)
	b.must(b.d.AttachVolume(b.ctx, on.ID, volume))
	b.d = b.Restart(b.t, b.d)
	b.want(on.ID, hypervisor.Running)
	b.want(off.ID, hypervisor.Shutdown)
	b.must(b.d.Create(b.ctx, on))
	b.must(b.d.AttachVolume(b.ctx, on.ID, volume))
	b.must(b.d.DetachVolume(b.ctx, on.ID, volume.ID))
	b.must(b.d.Power(b.ctx, off.ID, hypervisor.PowerOn))
	b.want(off.ID, hypervisor.Running)
	b.must(b.d.Destroy(b.ctx, on.ID))
	b.must(b.d.Destroy(b.ctx, off.ID))
	b.wantNone()
}
