package control

import (
	"context"
	"errors"
	"maps"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/notify"
	"kilonova/service/compute/store"
)

// NewSnapshot is what a caller asks for of a server's image.
type NewSnapshot struct {
	Name       string
	Properties map[string]string
	// CheckQuota holds the properties against the quota of metadata items, as was
	// done before 2.39.
	CheckQuota bool
	// Backup is the kind of a backup, of which Rotation are kept; "" a snapshot.
	Backup   string
	Rotation int
}

// snapshotState is what a snapshot remembers.
type snapshotState struct {
	ImageID  string `json:"image_id"`
	Volumes  bool   `json:"volumes,omitempty"` // the image names snapshots of volumes
	Backup   string `json:"backup,omitempty"`
	Rotation int    `json:"rotation,omitempty"`
}

// CreateImage begins to copy a server's root disk into a new image, which is
// there, without data, when it returns the image's id. Of a server that boots from
// a volume the image names snapshots, which are made by then.
func (c *Control) CreateImage(ctx context.Context, id string, n NewSnapshot) (string, error) {
	state := snapshotState{ImageID: newID(), Backup: n.Backup, Rotation: n.Rotation}
	o := order{rule: "os_compute_api:servers:create_image", verb: compute.CreateImage, action: "createImage", call: compute.SnapshotCall.Name,
		unlocked: true, kind: taskSnapshot, payload: state, about: notify.About{notify.AboutImage: state.ImageID}} // a lock keeps from changes; this is none
	kind := "snapshot"
	if n.Backup != "" {
		o.rule, o.verb, o.action, kind = "os_compute_api:os-create-backup", compute.CreateBackup, "createBackup", "backup"
	}
	s, err := c.ownServer(ctx, o.rule, id)
	if err != nil {
		return "", err
	}
	if s.BootsFromVolume() {
		if n.Backup != "" {
			return "", fault.Invalidf("Backup is not supported for volume-backed instances.")
		}
		if err := c.mayImageVolumes(ctx, s); err != nil {
			return "", err
		}
		state.Volumes = true
		o.payload, o.call = state, ""
	}
	o.check = func(ctx context.Context, tx *db.Tx, s *compute.Server) error {
		limits, err := c.limits(ctx, tx, auth.From(ctx).ProjectID, "")
		if err != nil {
			return err
		}
		if most := limits["metadata_items"]; n.CheckQuota && most >= 0 && len(n.Properties) > most {
			return fault.New(fault.OverLimit, "Image metadata limit exceeded: %d items, where %d are allowed.", len(n.Properties), most)
		}
		return nil
	}
	if s, err = c.begins(ctx, id, o); err != nil {
		return "", err
	}
	if state.Volumes {
		return state.ImageID, c.createVolumeImage(ctx, s, state.ImageID, n)
	}
	properties := maps.Clone(n.Properties)
	if properties == nil {
		properties = map[string]string{}
	}
	if n.Backup != "" {
		properties["backup_type"] = n.Backup
	}
	return state.ImageID, c.makeImage(ctx, s, compute.TaskOf(o.verb), state.ImageID, n.Name, kind, properties)
}

// notInherited are properties of an image that are not its snapshot's.
var notInherited = []string{"cache_in_nova", "bittorrent", "img_signature_hash_method", "img_signature", "img_signature_key_type", "img_signature_certificate_uuid",
	imageMapping, imageBDMv2, imageRoot, "instance_uuid", "user_id", "image_type", "backup_type", "base_image_ref", "instance_owner"}

// makeImage makes the image that the task, which has begun, waits for. When the
// image service does not want it, the task is called off.
func (c *Control) makeImage(ctx context.Context, s *compute.Server, under compute.Task, imageID, name, kind string, more map[string]string) error {
	caller := auth.From(ctx)
	n := compute.NewImage{ID: imageID, Name: name, MinDiskGB: max(s.ImageMeta.MinDiskGB, s.Claims().RootGB), MinRAMMB: s.ImageMeta.MinRAMMB, Properties: map[string]string{}}
	maps.Copy(n.Properties, s.ImageMeta.Properties)
	for _, property := range notInherited {
		delete(n.Properties, property)
	}
	maps.Copy(n.Properties, map[string]string{"instance_uuid": s.ID, "user_id": caller.UserID, "image_type": kind})
	if s.ImageID != "" {
		n.Properties["base_image_ref"] = s.ImageID
	}
	maps.Copy(n.Properties, more)
	if caller.ProjectID != s.ProjectID {
		n.SharedWith, n.Properties["instance_owner"] = s.ProjectID, s.ProjectID
	}
	if err := c.Images.Create(ctx, n); err != nil {
		return c.callOff(ctx, s, under, imageID, err)
	}
	return nil
}

// callOff ends what waits for an image that cannot be made, and returns the cause.
func (c *Control) callOff(ctx context.Context, s *compute.Server, under compute.Task, imageID string, err error) error {
	off := c.Store.Tx(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		_, err := c.Store.UpdateServer(ctx, tx, s.ID, store.ServerPatch{Task: ptr(compute.NoTask)}, store.Expect{Tasks: []compute.Task{under}, Existing: true}, c.Now())
		return err
	})
	return errors.Join(err, off, c.Images.Drop(context.WithoutCancel(ctx), imageID))
}

// imageComes is how long a task waits for the image that the request which began
// it makes: a process that dies in between leaves none.
const imageComes = 30 * time.Second

// imageThere waits until the image of a snapshot has been made.
func (c *Control) imageThere(ctx context.Context, run *task.Run, s *compute.Server, imageID string) error {
	pause, still := 10*time.Millisecond, c.still(ctx, s)
	for {
		_, err := c.Images.Image(ctx, imageID)
		if err == nil || !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Unavailable) {
			return err
		}
		if err := still(); err != nil {
			return err
		}
		if c.Now().After(run.Created.Add(imageComes)) {
			return fault.New(fault.Unavailable, "The image %s for a snapshot of instance %s was not made.", imageID, s.ID)
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// snapshotTimeout bounds the copying and sending of a disk.
const snapshotTimeout = 2 * time.Hour

// takeSnapshot fills an image with a server's disk. What cannot be filled is
// removed, unless this process is ending and another goes on.
func (c *Control) takeSnapshot(ctx context.Context, run *task.Run, s *compute.Server, imageID string) (compute.Progress, error) {
	request := compute.SnapshotRequest{ServerID: s.ID, ImageID: imageID}
	progress, err := work(ctx, c, compute.SnapshotCall, s.Host, workID(run), request, run.Created.Add(snapshotTimeout), c.still(ctx, s))
	if err != nil && ctx.Err() == nil {
		if dropErr := c.Images.Drop(ctx, imageID); dropErr != nil {
			c.Log.Warn("the image of a failed snapshot remains", "server", s.ID, "image", imageID, "error", dropErr)
		}
	}
	return progress, err
}

func (c *Control) snapshot(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state snapshotState
	if err := run.Payload(&state); err != nil {
		return err
	}
	abandon := func() error { return c.abandonImage(ctx, state.ImageID) }
	if state.Volumes {
		abandon = func() error { return c.dropVolumeImage(ctx, s, state.ImageID) }
	}
	if s.Task != compute.SnapshotWaits && s.Task != compute.Snapshotting && s.Task != compute.BackingUp {
		return abandon() // something stronger came in between
	}
	event := "compute_snapshot_instance"
	if state.Backup != "" {
		event = "compute_backup_instance"
	}
	err := c.imageThere(ctx, run, s, state.ImageID)
	if err == nil && s.Task == compute.SnapshotWaits {
		err = c.onto(ctx, run, s, store.ServerPatch{Task: ptr(compute.Snapshotting)}, "", nil)
	}
	progress := compute.Progress{Power: s.Power}
	if state.Volumes {
		err = c.fillVolumeImage(ctx, run, s, state.ImageID, err)
	} else if err == nil {
		progress, err = c.takeSnapshot(ctx, run, s, state.ImageID)
	}
	if err == nil && state.Backup != "" {
		err = c.rotate(ctx, s, state)
	}
	if errors.Is(err, errAbandoned) {
		return abandon()
	}
	return c.ends(ctx, run, s, ended{event: event, cause: err, done: store.ServerPatch{Power: &progress.Power}})
}

// abandonImage removes the image of a snapshot that is not to be finished.
func (c *Control) abandonImage(ctx context.Context, imageID string) error {
	if ctx.Err() != nil || imageID == "" {
		return ctx.Err()
	}
	return c.Images.Drop(ctx, imageID)
}

// rotate removes the oldest backups of a kind beyond the number to be kept.
func (c *Control) rotate(ctx context.Context, s *compute.Server, state snapshotState) error {
	ids, err := c.Images.Backups(ctx, s.ID, state.Backup)
	if err != nil {
		return err
	}
	for _, id := range ids[min(state.Rotation, len(ids)):] {
		if err := c.Images.Drop(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
