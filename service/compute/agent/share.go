package agent

import (
	"context"
	"errors"
	"strings"

	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// cephUser is who opens CEPHFS shares, as control lets in (upstream's name).
const cephUser = "nova"

// mount has a server's shares on the host and describes them to the driver.
func (a *Agent) mount(ctx context.Context, s *compute.Server) ([]hypervisor.Share, error) {
	var all []hypervisor.Share
	for _, share := range s.Shares {
		if share.Status == compute.ShareAttaching || share.Status == compute.ShareDetaching {
			continue // its own task brings it, or takes it away
		}
		d, err := as[hypervisor.Sharer](a, "hand shares into guests")
		if err != nil {
			return nil, err
		}
		x := hypervisor.Share{ID: strings.ToLower(share.ShareID), Tag: share.Tag, Protocol: share.Protocol, Location: share.ExportLocation}
		if share.Key != "" {
			x.User, x.Secret = cephUser, share.Key
		}
		if err := d.MountShare(ctx, s.ID, x); err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

// unmount lets go of the shares that are on the host for a guest which is off or gone.
func (a *Agent) unmount(ctx context.Context, id string) error {
	d, ok := a.Driver.(hypervisor.Sharer)
	if !ok {
		return nil
	}
	shares, err := d.MountedShares(ctx, id)
	for _, share := range shares {
		err = errors.Join(err, d.UnmountShare(ctx, id, share))
	}
	return err
}

func (a *Agent) unmountShare(ctx context.Context, r compute.ShareRequest) (compute.Power, error) {
	defer a.locks.on(r.ServerID)()
	d, err := as[hypervisor.Sharer](a, "hand shares into guests")
	if err == nil {
		err = d.UnmountShare(ctx, r.ServerID, strings.ToLower(r.ShareID))
	}
	return a.powerOf(ctx, r.ServerID), err
}

// snapshotVolume makes a snapshot of a volume, or with Undo takes it away.
func (a *Agent) snapshotVolume(ctx context.Context, r compute.VolumeSnapshotRequest) (compute.Power, error) {
	defer a.locks.on(r.ServerID)()
	d, err := as[hypervisor.VolumeSnapshotter](a, "snapshot volumes")
	if err == nil {
		do := d.SnapshotVolume
		if r.Undo {
			do = d.DropVolumeSnapshot
		}
		err = do(ctx, r.ServerID, strings.ToLower(r.VolumeID), hypervisor.VolumeSnapshot{ID: r.SnapshotID, File: r.File, Into: r.Into})
	}
	return a.powerOf(ctx, r.ServerID), err
}
