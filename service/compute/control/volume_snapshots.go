package control

import (
	"context"
	"encoding/json"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
)

// VolumeSnapshot is a snapshot of a volume whose files only the hypervisor may
// change while a guest has it.
type VolumeSnapshot struct {
	VolumeID, SnapshotID string
	File                 string // the new file, or the one that is merged
	Into                 string // into this one; "" what lies below all
}

// SnapshotVolume begins one; the volume service is told when it is made.
func (c *Control) SnapshotVolume(ctx context.Context, v VolumeSnapshot) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-assisted-volume-snapshots:create", nil); err != nil {
		return err
	}
	return c.assist(ctx, v, false)
}

// DropVolumeSnapshot begins to merge one into what lies below; info is JSON that
// names the volume and its files, as the volume service writes it.
func (c *Control) DropVolumeSnapshot(ctx context.Context, snapshotID, info string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-assisted-volume-snapshots:delete", nil); err != nil {
		return err
	}
	var about struct {
		VolumeID string  `json:"volume_id"`
		File     *string `json:"file_to_merge"`
		Into     *string `json:"merge_target_file"`
	}
	if err := json.Unmarshal([]byte(info), &about); err != nil || about.VolumeID == "" {
		return fault.Invalidf("delete_info has to be a JSON object that names the volume_id.")
	}
	v := VolumeSnapshot{VolumeID: about.VolumeID, SnapshotID: snapshotID}
	if about.File != nil {
		v.File = *about.File
	}
	if about.Into != nil {
		v.Into = *about.Into
	}
	return c.assist(ctx, v, true)
}

// assist checks and begins. All refusals are 400, as upstream's are.
func (c *Control) assist(ctx context.Context, v VolumeSnapshot, undo bool) error {
	verb := map[bool]string{false: "volume_snapshot_create", true: "volume_snapshot_delete"}[undo]
	s, err := c.Store.ServerWithVolume(ctx, c.Store.DB, v.VolumeID)
	if fault.Is(err, fault.NotFound) {
		return fault.Invalidf("No volume Block Device Mapping with id %.64s.", v.VolumeID)
	}
	if err != nil {
		return err
	}
	switch {
	case s.Host == "":
		return fault.Invalidf("Instance %s is not ready: it is on no host.", s.ID)
	case s.Task != compute.NoTask:
		return fault.Invalidf("Cannot '%s' instance %s while it is in task_state %s", verb, s.ID, s.Task)
	case v.Into != "" && s.State != compute.Active:
		return fault.Invalidf("Cannot '%s' instance %s while it is in vm_state %s", verb, s.ID, s.State)
	}
	if err := c.hostCan(ctx, c.Store.DB, s, compute.SnapshotVolumeCall.Name); fault.Is(err, fault.Unsupported) {
		return fault.Invalidf("Volume %s cannot be snapshot by the hypervisor of instance %s; have the volume service do it.", v.VolumeID, s.ID)
	} else if err != nil {
		return err
	}
	request := compute.VolumeSnapshotRequest{ServerID: s.ID, VolumeID: v.VolumeID, SnapshotID: v.SnapshotID, File: v.File, Into: v.Into, Undo: undo}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		return c.add(ctx, tx, taskSnapshotVolume, s.ID, request)
	})
}

// snapshotVolume is the task that has the host do it, and tells the volume service
// how it went: in the words in which upstream's driver does.
func (c *Control) snapshotVolume(ctx context.Context, run *task.Run, s *compute.Server) error {
	var request compute.VolumeSnapshotRequest
	if err := run.Payload(&request); err != nil {
		return err
	}
	var err error
	if slices.ContainsFunc(s.Devices, func(d compute.BlockDevice) bool { return d.VolumeID == request.VolumeID }) && s.Host != "" {
		_, err = work(ctx, c, compute.SnapshotVolumeCall, s.Host, workID(run), request, c.deadline(run, 0), func() error { return c.notDeleting(ctx, s) })
	} else {
		err = fault.Conflictf("Instance %s does not have volume %s any more.", s.ID, request.VolumeID)
	}
	if err != nil && ctx.Err() != nil {
		return err
	}
	well, ill := "creating", "error"
	if request.Undo {
		well, ill = "deleting", "error_deleting"
	}
	status := well
	if err != nil {
		status = ill
		c.Log.Error("action failed", "server", s.ID, "volume", request.VolumeID, "snapshot", request.SnapshotID, "host", s.Host, "error", err)
	}
	if c.Volumes != nil {
		if err := c.Volumes.Snapshotted(ctx, request.SnapshotID, status, "90%"); err != nil && !fault.Is(err, fault.NotFound) {
			if fault.Is(err, fault.Unavailable) {
				return err
			}
			c.Log.Warn("the volume service does not hear of a snapshot", "snapshot", request.SnapshotID, "status", status, "error", err)
		}
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error { return run.EndIn(ctx, tx) })
}
