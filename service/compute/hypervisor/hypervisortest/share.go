package hypervisortest

import (
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// shares come to the host before their guest and go after it.
func (b *bench) shares() {
	s := optional[hypervisor.Sharer](b)
	g := b.Guest(b.t)
	share := hypervisor.Share{ID: NewID(), Tag: "data", Protocol: "NFS", Location: "192.0.2.1:/data"}
	for _, spoil := range []func(*hypervisor.Share){func(s *hypervisor.Share) { s.ID = "../x" }, func(s *hypervisor.Share) { s.Tag = "" },
		func(s *hypervisor.Share) { s.Location = "a\nb" }} {
		bad := share
		spoil(&bad)
		b.kind("a share that is nonsense", s.MountShare(b.ctx, g.ID, bad), fault.Invalid)
	}
	bad := share
	bad.Protocol = "HDFS"
	b.kind("a share of another protocol", s.MountShare(b.ctx, g.ID, bad), fault.Unsupported)
	g.Shares = []hypervisor.Share{share}
	g.PowerOn = true
	b.plug(g.NICs...)
	b.kind("a guest whose share is not here", b.d.Create(b.ctx, g), fault.Conflict)
	for range 2 {
		b.must(s.MountShare(b.ctx, g.ID, share))
	}
	b.mounted(s, g.ID, share.ID)
	b.must(b.d.Create(b.ctx, g))
	b.want(g.ID, hypervisor.Running)
	b.kind("the share of a guest that runs", s.UnmountShare(b.ctx, g.ID, share.ID), fault.Conflict)
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
	for range 2 {
		b.must(s.UnmountShare(b.ctx, g.ID, share.ID))
	}
	b.mounted(s, g.ID)
	b.must(b.d.Destroy(b.ctx, g.ID))
	b.must(s.UnmountShare(b.ctx, g.ID, share.ID)) // also without the guest
}

func (b *bench) mounted(s hypervisor.Sharer, id string, want ...string) {
	b.t.Helper()
	got, err := s.MountedShares(b.ctx, id)
	if err != nil || !slices.Equal(got, want) {
		b.t.Errorf("mounted for %s are %v, %v; want %v", id, got, err, want)
	}
}

func (b *bench) volumeSnapshots() {
	s := optional[hypervisor.VolumeSnapshotter](b)
	snapshot := hypervisor.VolumeSnapshot{ID: NewID(), File: "volume.snapshot"}
	b.kind("snapshot of an unknown guest", s.SnapshotVolume(b.ctx, NewID(), NewID(), snapshot), fault.NotFound)
	b.kind("end of a snapshot of an unknown guest", s.DropVolumeSnapshot(b.ctx, NewID(), NewID(), snapshot), fault.NotFound)
	g := b.Guest(b.t)
	v := b.Volume(b.t)
	g.Volumes = []hypervisor.Volume{v}
	g = b.create(g, true)
	b.must(s.DropVolumeSnapshot(b.ctx, g.ID, v.ID, snapshot)) // there is none
	b.kind("snapshot of a volume that the guest has not", s.SnapshotVolume(b.ctx, g.ID, NewID(), snapshot), fault.NotFound)
	for range 2 {
		b.must(s.SnapshotVolume(b.ctx, g.ID, v.ID, snapshot))
	}
	b.want(g.ID, hypervisor.Running)
	for range 2 {
		b.must(s.DropVolumeSnapshot(b.ctx, g.ID, v.ID, snapshot))
	}
	b.must(b.d.DetachVolume(b.ctx, g.ID, v.ID))
	b.must(b.d.Destroy(b.ctx, g.ID))
}
