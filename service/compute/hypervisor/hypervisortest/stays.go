package hypervisortest

import (
	"context"
	"os"
	"path/filepath"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// kind holds an error against the law.
func (b *bench) kind(what string, err error, kind fault.Kind) {
	b.t.Helper()
	if !fault.Is(err, kind) {
		b.t.Errorf("%s: got %v, want a fault of kind %v", what, err, kind)
	}
}

func (b *bench) pause() {
	p := optional[hypervisor.Pauser](b)
	b.kind("pause of an unknown guest", p.Pause(b.ctx, NewID()), fault.NotFound)
	b.kind("unpause of an unknown guest", p.Unpause(b.ctx, NewID()), fault.NotFound)
	off := b.create(b.Guest(b.t), false)
	b.kind("pause of a stopped guest", p.Pause(b.ctx, off.ID), fault.Conflict)
	b.kind("unpause of a stopped guest", p.Unpause(b.ctx, off.ID), fault.Conflict)
	b.want(off.ID, hypervisor.Shutdown)
	g := b.create(b.Guest(b.t), true)
	for range 2 {
		b.must(p.Pause(b.ctx, g.ID))
		b.want(g.ID, hypervisor.Paused)
	}
	for range 2 {
		b.must(p.Unpause(b.ctx, g.ID))
		b.want(g.ID, hypervisor.Running)
	}
	b.must(p.Pause(b.ctx, g.ID)) // and a paused guest can be ended and started
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
	b.want(g.ID, hypervisor.Shutdown)
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOn))
	b.want(g.ID, hypervisor.Running)
}

func (b *bench) suspend() {
	s := optional[hypervisor.Suspender](b)
	b.kind("suspend of an unknown guest", s.Suspend(b.ctx, NewID()), fault.NotFound)
	b.kind("resume of an unknown guest", s.Resume(b.ctx, NewID()), fault.NotFound)
	off := b.create(b.Guest(b.t), false)
	b.kind("suspend of a stopped guest", s.Suspend(b.ctx, off.ID), fault.Conflict)
	g := b.create(b.Guest(b.t), true)
	for range 2 {
		b.must(s.Suspend(b.ctx, g.ID))
		if got, err := b.d.State(b.ctx, g.ID); err != nil || got != hypervisor.Suspended && got != hypervisor.Shutdown {
			b.t.Errorf("a suspended guest is in state %d, %v", got, err)
		}
	}
	for range 2 {
		b.must(s.Resume(b.ctx, g.ID))
		b.want(g.ID, hypervisor.Running)
	}
	b.must(s.Suspend(b.ctx, g.ID))
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff)) // drops the memory
	b.must(s.Resume(b.ctx, g.ID))
	b.want(g.ID, hypervisor.Running)
	b.must(s.Suspend(b.ctx, g.ID))
	b.must(b.d.Destroy(b.ctx, g.ID))
	b.must(b.d.Destroy(b.ctx, off.ID))
	b.wantNone()
}

func (b *bench) rescue() {
	r := optional[hypervisor.Rescuer](b)
	with := func(g hypervisor.Guest) hypervisor.Rescue {
		image := g.Image
		return hypervisor.Rescue{Image: image}
	}
	stranger := b.Guest(b.t)
	b.kind("rescue of an unknown guest", r.Rescue(b.ctx, stranger, with(stranger)), fault.NotFound)
	b.kind("unrescue of an unknown guest", r.Unrescue(b.ctx, stranger), fault.NotFound)
	g := b.create(b.Guest(b.t), true)
	g.PowerOn = true
	for _, rescue := range []hypervisor.Rescue{with(g), {Image: g.Image, Device: "disk", Bus: "virtio"}} {
		for range 2 {
			b.must(r.Rescue(b.ctx, g, rescue))
			b.want(g.ID, hypervisor.Running)
		}
		for range 2 {
			b.must(r.Unrescue(b.ctx, g))
			b.want(g.ID, hypervisor.Running)
		}
	}
	b.must(r.Rescue(b.ctx, g, with(g)))
	b.must(b.d.Destroy(b.ctx, g.ID))
	if v, ok := b.d.(hypervisor.VolumeRescuer); ok {
		b.rescueVolume(v)
	}
	b.wantNone()
}

// rescueVolume rescues a guest whose root disk is a volume.
func (b *bench) rescueVolume(r hypervisor.VolumeRescuer) {
	g := b.Guest(b.t)
	image, root := g.Image, b.Volume(b.t)
	root.Boot, root.Device = true, "/dev/vda"
	g.Image, g.Volumes = hypervisor.Image{}, []hypervisor.Volume{root}
	g = b.create(g, true)
	g.PowerOn = true
	b.kind("rescue in place of a volume", r.Rescue(b.ctx, g, hypervisor.Rescue{Image: image}), fault.Unsupported)
	for range 2 {
		b.must(r.Rescue(b.ctx, g, hypervisor.Rescue{Image: image, Device: "disk", Bus: "virtio"}))
		b.want(g.ID, hypervisor.Running)
	}
	for range 2 {
		b.must(r.Unrescue(b.ctx, g))
		b.want(g.ID, hypervisor.Running)
	}
	b.must(b.d.Destroy(b.ctx, g.ID))
}

func (b *bench) quiesce() {
	q := optional[hypervisor.Quiescer](b)
	b.kind("quiesce of an unknown guest", q.Quiesce(b.ctx, NewID()), fault.NotFound)
	off := b.create(b.Guest(b.t), false)
	b.kind("quiesce of a stopped guest", q.Quiesce(b.ctx, off.ID), fault.Conflict)
	g := b.create(b.Guest(b.t), true)
	b.kind("quiesce of a guest without an agent", q.Quiesce(b.ctx, g.ID), fault.Unsupported)
	b.kind("thaw of a guest without an agent", q.Thaw(b.ctx, g.ID), fault.Unsupported)
}

func (b *bench) snapshot() {
	s := optional[hypervisor.Snapshotter](b)
	dir := b.t.TempDir()
	_, err := s.Snapshot(b.ctx, NewID(), filepath.Join(dir, "none"))
	b.kind("snapshot of an unknown guest", err, fault.NotFound)
	g := b.create(b.Guest(b.t), true)
	for i, state := range []hypervisor.State{hypervisor.Running, hypervisor.Shutdown} {
		if state == hypervisor.Shutdown {
			b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
		}
		path := filepath.Join(dir, string(rune('a'+i)))
		format, err := s.Snapshot(b.ctx, g.ID, path)
		b.must(err)
		if info, err := os.Stat(path); err != nil || info.Size() == 0 || format != "qcow2" && format != "raw" {
			b.t.Errorf("a snapshot in format %q: %v, %v", format, info, err)
		}
		b.want(g.ID, state)
	}
}

func (b *bench) signals() {
	type verb struct {
		name string
		do   func(ctx context.Context, id string) error
	}
	var verbs []verb
	if d, ok := b.d.(hypervisor.CrashDumper); ok {
		verbs = append(verbs, verb{"crash dump", d.CrashDump})
	}
	if d, ok := b.d.(hypervisor.PasswordSetter); ok {
		verbs = append(verbs, verb{"set password", func(ctx context.Context, id string) error { return d.SetPassword(ctx, id, "secret") }})
	}
	if len(verbs) == 0 {
		b.t.Skip("this driver cannot signal its guests")
	}
	on, off := b.create(b.Guest(b.t), true), b.create(b.Guest(b.t), false)
	for _, v := range verbs {
		b.kind(v.name+" of an unknown guest", v.do(b.ctx, NewID()), fault.NotFound)
		if err := v.do(b.ctx, off.ID); !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Unsupported) {
			b.t.Errorf("%s of a stopped guest: got %v, want a fault of kind conflict", v.name, err)
		}
		if err := v.do(b.ctx, on.ID); err != nil && !fault.Is(err, fault.Unsupported) {
			b.t.Errorf("%s: %v", v.name, err)
		}
		b.want(on.ID, hypervisor.Running)
	}
}

func (b *bench) diagnose() {
	d := optional[hypervisor.Diagnoser](b)
	_, err := d.Diagnose(b.ctx, NewID())
	b.kind("diagnostics of an unknown guest", err, fault.NotFound)
	off := b.create(b.Guest(b.t), false)
	_, err = d.Diagnose(b.ctx, off.ID)
	b.kind("diagnostics of a stopped guest", err, fault.Conflict)
	g := b.create(b.Guest(b.t), true)
	got, err := d.Diagnose(b.ctx, g.ID)
	b.must(err)
	if got.State != "running" || len(got.CPUs) != g.VCPUs || len(got.NICs) != len(g.NICs) || len(got.Disks) == 0 || got.MemoryMB == nil || *got.MemoryMB != int64(g.MemoryMB) {
		b.t.Errorf("diagnostics of %+v: %+v", g, got)
	}
}

func (b *bench) console() {
	c := optional[hypervisor.Consoler](b)
	_, err := c.Console(b.ctx, NewID(), compute.VNC)
	b.kind("console of an unknown guest", err, fault.NotFound)
	off := b.create(b.Guest(b.t), false)
	_, err = c.Console(b.ctx, off.ID, compute.VNC)
	b.kind("console of a stopped guest", err, fault.Conflict)
	g := b.create(b.Guest(b.t), true)
	_, err = c.Console(b.ctx, g.ID, "carrier pigeon")
	b.kind("a console that is not there", err, fault.Unsupported)
	at, err := c.Console(b.ctx, g.ID, compute.VNC)
	b.must(err)
	greeting, err := greetingOf(b.ctx, at)
	b.must(err)
	if greeting != "RFB 003.008\n" {
		b.t.Errorf("the console says %q", greeting)
	}
}
