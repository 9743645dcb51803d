package hypervisortest

import (
	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

func (b *bench) volumes() {
	g := b.create(b.obedient(), true)
	b.booted(g.ID)
	first, second := b.Volume(b.t), b.Volume(b.t)
	for range 2 {
		b.must(b.d.AttachVolume(b.ctx, g.ID, first))
	}
	b.must(b.d.AttachVolume(b.ctx, g.ID, second))
	b.want(g.ID, hypervisor.Running)
	for range 2 {
		b.must(b.d.DetachVolume(b.ctx, g.ID, first.ID))
	}
	b.must(b.d.DetachVolume(b.ctx, g.ID, NewID()))
	b.must(b.d.AttachVolume(b.ctx, g.ID, first))
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
	b.want(g.ID, hypervisor.Running)
}

// obedient is a guest that can let go of a device, where there is one: to unplug
// from a running guest takes an operating system.
func (b *bench) obedient() hypervisor.Guest {
	if b.Obedient != nil {
		return b.Obedient(b.t)
	}
	return b.Guest(b.t)
}

func (b *bench) volumesOfStoppedGuest() {
	g := b.Guest(b.t)
	born := b.Volume(b.t)
	g.Volumes = []hypervisor.Volume{born}
	b.create(g, false)
	later := b.Volume(b.t)
	for range 2 {
		b.must(b.d.AttachVolume(b.ctx, g.ID, later))
		b.must(b.d.AttachVolume(b.ctx, g.ID, born))
	}
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
	b.want(g.ID, hypervisor.Running)
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
	for range 2 {
		b.must(b.d.DetachVolume(b.ctx, g.ID, later.ID))
		b.must(b.d.DetachVolume(b.ctx, g.ID, born.ID))
	}
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
	b.want(g.ID, hypervisor.Running)
}

func (b *bench) volumeRefused() {
	g := b.create(b.Guest(b.t), false)
	v := b.Volume(b.t)
	v.ID = "vdb"
	if err := b.d.AttachVolume(b.ctx, g.ID, v); !fault.Is(err, fault.Invalid) {
		b.t.Errorf("a volume without a UUID: got %v, want a fault of kind invalid", err)
	}
	v = b.Volume(b.t)
	v.Kind = "floppy"
	if err := b.d.AttachVolume(b.ctx, g.ID, v); !fault.Is(err, fault.Unsupported) {
		b.t.Errorf("a volume of an unknown kind: got %v, want a fault of kind unsupported", err)
	}
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
}

func (b *bench) interfaces() {
	g := b.create(b.obedient(), true)
	b.booted(g.ID)
	nic := b.NIC(b.t)
	b.plug(nic)
	for range 2 {
		b.must(b.d.AttachInterface(b.ctx, g.ID, nic))
	}
	b.want(g.ID, hypervisor.Running)
	for range 2 {
		b.must(b.d.DetachInterface(b.ctx, g.ID, nic.PortID))
	}
	b.must(b.d.DetachInterface(b.ctx, g.ID, NewID()))
	b.want(g.ID, hypervisor.Running)
}

func (b *bench) interfacesOfStoppedGuest() {
	g := b.Guest(b.t)
	born := b.NIC(b.t)
	g.NICs = []hypervisor.NIC{born}
	b.create(g, false)
	later := b.NIC(b.t)
	b.plug(later)
	for range 2 {
		b.must(b.d.AttachInterface(b.ctx, g.ID, later))
	}
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
	b.want(g.ID, hypervisor.Running)
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
	for range 2 {
		b.must(b.d.DetachInterface(b.ctx, g.ID, later.PortID))
		b.must(b.d.DetachInterface(b.ctx, g.ID, born.PortID))
	}
	b.want(g.ID, hypervisor.Shutdown)
}

func (b *bench) swapVolume() {
	swapper := optional[hypervisor.VolumeSwapper](b)
	g := b.create(b.Guest(b.t), true)
	old, next := b.Volume(b.t), b.Volume(b.t)
	if err := swapper.SwapVolume(b.ctx, g.ID, old.ID, next); !fault.Is(err, fault.NotFound) {
		b.t.Errorf("swap of a volume that the guest has not: got %v, want a fault of kind not found", err)
	}
	b.must(b.d.AttachVolume(b.ctx, g.ID, old))
	for range 2 {
		b.must(swapper.SwapVolume(b.ctx, g.ID, old.ID, next))
	}
	b.must(b.d.DetachVolume(b.ctx, g.ID, next.ID))
	if err := swapper.SwapVolume(b.ctx, g.ID, next.ID, old); !fault.Is(err, fault.NotFound) {
		b.t.Errorf("swap of a volume that was detached: got %v, want a fault of kind not found", err)
	}
}

func (b *bench) extendVolume() {
	e := optional[hypervisor.VolumeExtender](b)
	g, v := b.create(b.Guest(b.t), true), b.Volume(b.t)
	b.kind("growth of a volume of an unknown guest", e.ExtendVolume(b.ctx, NewID(), v.ID, 2), fault.NotFound)
	b.kind("growth of a volume that the guest has not", e.ExtendVolume(b.ctx, g.ID, v.ID, 2), fault.NotFound)
	b.must(b.d.AttachVolume(b.ctx, g.ID, v))
	for range 2 {
		b.must(e.ExtendVolume(b.ctx, g.ID, v.ID, 2))
	}
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
	b.must(e.ExtendVolume(b.ctx, g.ID, v.ID, 3))
	b.want(g.ID, hypervisor.Shutdown)
}
