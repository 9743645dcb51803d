package hypervisortest

import (
	"context"
	"io"
	"slices"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// absent: a guest is neither in State nor in List.
func (b *bench) absent(id string) {
	b.t.Helper()
	if _, err := b.d.State(b.ctx, id); !fault.Is(err, fault.NotFound) {
		b.t.Errorf("state of a guest that is not here: %v, want a fault of kind not found", err)
	}
	all, err := b.d.List(b.ctx)
	b.must(err)
	if slices.ContainsFunc(all, func(o hypervisor.Observed) bool { return o.ID == id }) {
		b.t.Errorf("a guest that is not here is listed: %v", all)
	}
}

func (b *bench) isParked(m hypervisor.ColdMigrator, id string, want bool) {
	b.t.Helper()
	parked, err := m.Parked(b.ctx)
	b.must(err)
	if slices.Contains(parked, id) != want {
		b.t.Errorf("parked are %v; that %s is among them shall be %v", parked, id, want)
	}
}

// park: a guest that is put aside is not here, and comes back as it was.
func (b *bench) park() {
	m := optional[hypervisor.ColdMigrator](b)
	if err := m.Park(b.ctx, NewID()); !fault.Is(err, fault.NotFound) {
		b.t.Errorf("park of an unknown guest: got %v, want a fault of kind not found", err)
	}
	if err := m.Unpark(b.ctx, NewID()); !fault.Is(err, fault.NotFound) {
		b.t.Errorf("unpark of an unknown guest: got %v, want a fault of kind not found", err)
	}
	b.must(m.Drop(b.ctx, NewID()))
	g := b.create(b.Guest(b.t), true)
	for range 2 {
		b.must(m.Park(b.ctx, g.ID))
		b.absent(g.ID)
		b.isParked(m, g.ID, true)
	}
	for range 2 {
		b.must(m.Unpark(b.ctx, g.ID))
		b.want(g.ID, hypervisor.Shutdown)
		b.isParked(m, g.ID, false)
	}
	b.create(g, true)
	b.want(g.ID, hypervisor.Running)
	b.must(m.Park(b.ctx, g.ID))
	for range 2 {
		b.must(m.Drop(b.ctx, g.ID))
		b.absent(g.ID)
		b.isParked(m, g.ID, false)
	}
}

// receive: a guest is made from its parcel, here in the place of the parked one.
func (b *bench) receive() {
	m := optional[hypervisor.ColdMigrator](b)
	g := b.Guest(b.t)
	g.Disks = []hypervisor.LocalDisk{{SizeMB: 16, Device: "/dev/vdb"}, {Swap: true, SizeMB: 4, Device: "/dev/vdc"}}
	b.create(g, true)
	if _, err := m.Parcel(b.ctx, g.ID); !fault.Is(err, fault.NotFound) {
		b.t.Errorf("parcel of a guest that is not parked: got %v, want a fault of kind not found", err)
	}
	b.must(m.Park(b.ctx, g.ID))
	parcel, err := m.Parcel(b.ctx, g.ID)
	b.must(err)
	if len(parcel) == 0 {
		b.t.Fatal("the parcel of a guest is empty")
	}
	read := 0
	open := func(ctx context.Context, name string) (io.ReadCloser, error) {
		i := slices.IndexFunc(parcel, func(f hypervisor.ParcelFile) bool { return f.Name == name })
		if i < 0 {
			return nil, fault.NotFoundf("The parcel has no %s.", name)
		}
		f, err := m.OpenParcel(ctx, g.ID, name)
		if err != nil {
			return nil, err
		}
		read++
		return struct {
			io.Reader
			io.Closer
		}{io.NewSectionReader(f, 0, parcel[i].Size), f}, nil
	}
	without := g
	without.Disks = nil
	if err := m.Receive(b.ctx, without, parcel, open); !fault.Is(err, fault.Invalid) {
		b.t.Errorf("receive a guest without its ephemeral disk: got %v, want a fault of kind invalid", err)
	}
	b.must(b.d.Destroy(b.ctx, g.ID)) // what had come before it was refused
	larger := g
	larger.Root.SizeGB, larger.MemoryMB = g.Root.SizeGB+1, g.MemoryMB*2
	larger.Disks = []hypervisor.LocalDisk{{SizeMB: 24}, {Swap: true, SizeMB: 8}}
	for range 2 {
		b.must(m.Receive(b.ctx, larger, parcel, open))
	}
	if read == 0 {
		b.t.Error("a guest was received without its parcel being read")
	}
	b.create(larger, true)
	b.want(g.ID, hypervisor.Running)
	if err := m.Unpark(b.ctx, g.ID); !fault.Is(err, fault.Conflict) {
		b.t.Errorf("unpark beside a guest that is here: got %v, want a fault of kind conflict", err)
	}
	b.isParked(m, g.ID, true)
	b.must(b.d.Destroy(b.ctx, g.ID))
	b.absent(g.ID)
	b.isParked(m, g.ID, true)
	b.must(m.Unpark(b.ctx, g.ID))
	b.create(g, true)
	b.want(g.ID, hypervisor.Running)
}

// live: a guest that is carried runs on the other host, and only there.
func (b *bench) live() {
	m := optional[hypervisor.LiveMigrator](b)
	other := b.New(b.t)
	there := other.(hypervisor.LiveMigrator)
	g := b.create(b.Guest(b.t), true)
	if err := m.AbortLive(b.ctx, g.ID); !fault.Is(err, fault.NotFound) {
		b.t.Errorf("abort of no migration: got %v, want a fault of kind not found", err)
	}
	hand := func(ctx context.Context, load []byte) error { return there.Arrive(ctx, g.ID, load) }
	tell := func(hypervisor.Transfer) {}
	for range 2 {
		_, err := there.Expect(b.ctx, g)
		b.must(err)
	}
	ticket, err := there.Expect(b.ctx, g)
	b.must(err)
	lost := func(context.Context, []byte) error {
		return fault.New(fault.Unavailable, "The other host does not answer.")
	}
	if err := m.MigrateLive(b.ctx, g.ID, ticket, lost, tell); !fault.Is(err, fault.Unavailable) {
		b.t.Errorf("a migration whose other end is lost: got %v, want a fault of kind unavailable", err)
	}
	b.want(g.ID, hypervisor.Running)
	b.must(m.MigrateLive(b.ctx, g.ID, ticket, hand, tell))
	b.absent(g.ID)
	if state, err := other.State(b.ctx, g.ID); err != nil || state != hypervisor.Running {
		b.t.Errorf("on the other host the guest is %d, %v", state, err)
	}
	if err := m.MigrateLive(b.ctx, g.ID, ticket, hand, tell); !fault.Is(err, fault.NotFound) {
		b.t.Errorf("a migration of a guest that has gone: got %v, want a fault of kind not found", err)
	}
	off := b.create(b.Guest(b.t), false)
	if err := m.MigrateLive(b.ctx, off.ID, ticket, hand, tell); !fault.Is(err, fault.Conflict) {
		b.t.Errorf("a live migration of a stopped guest: got %v, want a fault of kind conflict", err)
	}
}

// moveInterrupted: a cancelled context ends a move's verbs, and nothing is lost.
func (b *bench) moveInterrupted() {
	m := optional[hypervisor.ColdMigrator](b)
	g := b.create(b.Guest(b.t), false)
	ctx, cancel := context.WithDeadline(b.ctx, time.Unix(0, 0))
	defer cancel()
	if err := m.Park(ctx, g.ID); err == nil {
		b.t.Error("a guest was parked after the deadline")
	}
	b.want(g.ID, hypervisor.Shutdown)
}
