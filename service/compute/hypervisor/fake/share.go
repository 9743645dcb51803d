package fake

import (
	"context"
	"maps"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

var (
	_ hypervisor.Sharer            = (*Driver)(nil)
	_ hypervisor.VolumeSnapshotter = (*Driver)(nil)
)

// MountShare implements hypervisor.Sharer.
func (d *Driver) MountShare(ctx context.Context, id string, s hypervisor.Share) error {
	if err := s.Check(); err != nil {
		return err
	}
	return d.do(ctx, MountShare, id, func() error {
		if d.state.Mounts == nil {
			d.state.Mounts = map[string]map[string]string{}
		}
		if d.state.Mounts[id] == nil {
			d.state.Mounts[id] = map[string]string{}
		}
		d.state.Mounts[id][s.ID] = s.Location
		d.dirty = true
		return nil
	})
}

// UnmountShare implements hypervisor.Sharer.
func (d *Driver) UnmountShare(ctx context.Context, id, shareID string) error {
	return d.do(ctx, UnmountShare, id, func() error {
		if g := d.state.Guests[id]; g != nil && g.State != hypervisor.Shutdown && g.State != hypervisor.Crashed && d.state.Mounts[id][shareID] != "" {
			return fault.Conflictf("Guest %s runs with share %s.", id, shareID)
		}
		delete(d.state.Mounts[id], shareID)
		if len(d.state.Mounts[id]) == 0 {
			delete(d.state.Mounts, id)
		}
		d.dirty = true
		return nil
	})
}

// MountedShares implements hypervisor.Sharer.
func (d *Driver) MountedShares(ctx context.Context, id string) (all []string, err error) {
	err = d.do(ctx, State, id, func() error {
		all = slices.Sorted(maps.Keys(d.state.Mounts[id]))
		return nil
	})
	return all, err
}

// unmounted is a share that a guest shall have and that is not on the host; d.mu
// is held.
func (d *Driver) unmounted(spec hypervisor.Guest) error {
	for _, s := range spec.Shares {
		if d.state.Mounts[spec.ID][s.ID] == "" {
			return fault.Conflictf("Share %s of guest %s is not mounted on host %s.", s.ID, spec.ID, d.cfg.Host)
		}
	}
	return nil
}

// SnapshotVolume implements hypervisor.VolumeSnapshotter: the chain is kept beside
// the guest, its files are not made.
func (d *Driver) SnapshotVolume(ctx context.Context, id, volumeID string, s hypervisor.VolumeSnapshot) error {
	return d.do(ctx, SnapshotVolume, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(g.Spec.Volumes, func(v hypervisor.Volume) bool { return v.ID == volumeID }) {
			return fault.NotFoundf("Guest %s has no volume %s.", id, volumeID)
		}
		if g.Chains == nil {
			g.Chains = map[string][]hypervisor.VolumeSnapshot{}
		}
		if !slices.ContainsFunc(g.Chains[volumeID], func(x hypervisor.VolumeSnapshot) bool { return x.ID == s.ID }) {
			g.Chains[volumeID] = append(g.Chains[volumeID], s)
			d.touched(id)
		}
		return nil
	})
}

// DropVolumeSnapshot implements hypervisor.VolumeSnapshotter.
func (d *Driver) DropVolumeSnapshot(ctx context.Context, id, volumeID string, s hypervisor.VolumeSnapshot) error {
	return d.do(ctx, DropVolumeSnapshot, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		rest := slices.DeleteFunc(g.Chains[volumeID], func(x hypervisor.VolumeSnapshot) bool { return x.ID == s.ID })
		if len(rest) == 0 {
			delete(g.Chains, volumeID)
		} else {
			g.Chains[volumeID] = rest
		}
		d.touched(id)
		return nil
	})
}
