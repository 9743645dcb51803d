package control

import (
	"context"
	"encoding/json"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// Shares lists the file shares of a server. There are none: no driver of this
// cloud hands shares into guests (COMPUTE_STORAGE_VIRTIO_FS), which AttachShare says.
func (c *Control) Shares(ctx context.Context, serverID string) error {
	_, err := c.ownServer(ctx, "os_compute_api:os-server-shares:index", serverID)
	return err
}

// Share finds one of a server's shares.
func (c *Control) Share(ctx context.Context, serverID, shareID string) error {
	if _, err := c.ownServer(ctx, "os_compute_api:os-server-shares:show", serverID); err != nil {
		return err
	}
	return noShare(serverID, shareID)
}

func noShare(serverID, shareID string) error {
	return fault.NotFoundf("Share %s could not be found: instance %s has none.", shareID, serverID)
}

// AttachShare would give a stopped server a share.
func (c *Control) AttachShare(ctx context.Context, serverID, shareID string) error {
	s, err := c.ownServer(ctx, "os_compute_api:os-server-shares:create", serverID)
	if err != nil {
		return err
	}
	if s.State != compute.Stopped {
		return fault.Conflictf("Cannot 'create share' instance %s while it is in vm_state %s", serverID, s.State)
	}
	return fault.Forbiddenf("Share %s cannot be attached: the hypervisor of instance %s does not hand shares into guests.", shareID, serverID)
}

// DetachShare would take one from it.
func (c *Control) DetachShare(ctx context.Context, serverID, shareID string) error {
	s, err := c.ownServer(ctx, "os_compute_api:os-server-shares:delete", serverID)
	if err != nil {
		return err
	}
	if s.State != compute.Stopped && s.State != compute.Error {
		return fault.Conflictf("Cannot 'delete share' instance %s while it is in vm_state %s", serverID, s.State)
	}
	return noShare(serverID, shareID)
}

// SnapshotVolume is asked by volume services whose volumes are files that only the
// hypervisor may snapshot while a guest has them. No driver of this cloud can, so
// that the service is told at once instead of waiting for a snapshot.
func (c *Control) SnapshotVolume(ctx context.Context, volumeID string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-assisted-volume-snapshots:create", nil); err != nil {
		return err
	}
	return c.assisted(ctx, volumeID)
}

// DropVolumeSnapshot is asked when such a snapshot shall go; info is JSON that
// names the volume.
func (c *Control) DropVolumeSnapshot(ctx context.Context, info string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-assisted-volume-snapshots:delete", nil); err != nil {
		return err
	}
	var about struct {
		VolumeID string `json:"volume_id"`
	}
	if err := json.Unmarshal([]byte(info), &about); err != nil || about.VolumeID == "" {
		return fault.Invalidf("delete_info has to be a JSON object that names the volume_id.")
	}
	return c.assisted(ctx, about.VolumeID)
}

func (c *Control) assisted(ctx context.Context, volumeID string) error {
	s, err := c.Store.ServerWithVolume(ctx, c.Store.DB, volumeID)
	if fault.Is(err, fault.NotFound) {
		return fault.Invalidf("No volume Block Device Mapping with id %.64s.", volumeID)
	}
	if err != nil {
		return err
	}
	switch {
	case s.Host == "":
		return fault.Invalidf("Instance %s is not ready: it is on no host.", s.ID)
	case s.Task != compute.NoTask:
		return fault.Invalidf("Cannot 'volume_snapshot_create' instance %s while it is in task_state %s", s.ID, s.Task)
	}
	return fault.Invalidf("Volume %s cannot be snapshot by the hypervisor of instance %s; have the volume service do it.", volumeID, s.ID)
}
