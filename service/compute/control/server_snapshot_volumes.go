package control

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/internal/undo"
	"kilonova/service/compute"
)

// The image of a server whose root disk is a volume has no data: it names
// snapshots, which the volume service makes of the server's volumes, as the disks
// of servers to be made from it.

// Properties of images whose disks are described instead of contained, by
// upstream's names.
const (
	imageMapping = "block_device_mapping" // a list of imageDisk, as JSON
	imageBDMv2   = "bdm_v2"
	imageRoot    = "root_device_name"
)

// imageDisk is an element of imageMapping.
type imageDisk struct {
	SourceType      string  `json:"source_type"`
	DestinationType string  `json:"destination_type"`
	BootIndex       *int    `json:"boot_index"`
	DeviceName      string  `json:"device_name"`
	DeviceType      *string `json:"device_type"`
	DiskBus         *string `json:"disk_bus"`
	GuestFormat     *string `json:"guest_format"`
	SnapshotID      string  `json:"snapshot_id"`
	VolumeID        *string `json:"volume_id"`
	ImageID         *string `json:"image_id"`
	VolumeSize      int     `json:"volume_size"`
	VolumeType      *string `json:"volume_type"`
	DeleteOnEnd     bool    `json:"delete_on_termination"`
	Tag             *string `json:"tag"`
	NoDevice        *bool   `json:"no_device"`
}

// volumesSnapshotIn bounds the making of a server's snapshots, during which its
// file systems may hold still. It ends before its task stops waiting for the image.
const volumesSnapshotIn = imageComes * 2 / 3

// createVolumeImage makes, as the caller, whose they are, snapshots of a server's
// volumes and the image that names them. The task, which has begun, completes the
// image, or takes away what a request that was cut off has left.
func (c *Control) createVolumeImage(ctx context.Context, s *compute.Server, imageID string, n NewSnapshot) (err error) {
	ctx, cancel := context.WithTimeout(ctx, volumesSnapshotIn)
	defer cancel()
	var u undo.Stack
	defer u.Run(ctx, &err)
	disks, err := c.snapshotVolumes(ctx, &u, s, imageID, n.Name)
	if err != nil {
		return c.callOff(ctx, s, compute.TaskOf(compute.CreateImage), imageID, err)
	}
	mapping, err := json.Marshal(disks)
	if err != nil {
		return err
	}
	properties := map[string]string{}
	maps.Copy(properties, n.Properties)
	maps.Copy(properties, map[string]string{imageMapping: string(mapping), imageBDMv2: "True", imageRoot: s.RootDevice})
	return c.makeImage(ctx, s, compute.TaskOf(compute.CreateImage), imageID, n.Name, "snapshot", properties)
}

func (c *Control) snapshotVolumes(ctx context.Context, u *undo.Stack, s *compute.Server, imageID, name string) (disks []imageDisk, err error) {
	if err := c.quiesce(ctx, s, imageID); err != nil {
		return nil, err
	}
	defer c.thaw(context.WithoutCancel(ctx), s, imageID)
	for _, d := range attachedDevices(s) {
		v, err := c.Volumes.Volume(ctx, d.VolumeID)
		if err != nil {
			return nil, err
		}
		made, err := c.Volumes.TakeSnapshot(ctx, compute.NewVolumeSnapshot{VolumeID: d.VolumeID, Name: "snapshot for " + name, Description: v.Description, ImageID: imageID})
		if err != nil {
			return nil, err
		}
		u.Add("delete snapshot", func(ctx context.Context) error { return c.Volumes.DropSnapshot(ctx, made.ID) })
		disk := imageDisk{SourceType: "snapshot", DestinationType: "volume", DeviceName: d.Device, DeviceType: ptr("disk"), SnapshotID: made.ID, VolumeSize: v.SizeGB, DeleteOnEnd: d.DeleteOnEnd}
		if d.Boot {
			disk.BootIndex = ptr(0)
		}
		if d.Tag != "" {
			disk.Tag = ptr(d.Tag)
		}
		disks = append(disks, disk)
	}
	return disks, nil
}

// quiesceTimeout bounds the waiting for a guest's file systems.
const quiesceTimeout = 10 * time.Second

// quiesce has the file systems of a server that runs hold still, if its guest can;
// one whose image requires it is refused otherwise.
func (c *Control) quiesce(ctx context.Context, s *compute.Server, imageID string) error {
	if s.State != compute.Active {
		return nil
	}
	err := c.hostCan(ctx, c.Store.DB, s, compute.QuiesceCall.Name)
	if err == nil {
		_, err = work(ctx, c, compute.QuiesceCall, s.Host, imageID+"/quiesce", compute.GuestRequest{Server: *s}, c.Now().Add(quiesceTimeout), nil)
	}
	if err == nil {
		return nil
	}
	if compute.Yes(s.ImageMeta.Properties["os_require_quiesce"]) {
		return fault.New(fault.Invalid, "Quiescing is not supported in instance %s: %w", s.ID, err)
	}
	c.Log.Info("snapshots are taken of volumes that are being written to", "server", s.ID, "error", err)
	return nil
}

// thaw lets go of what quiesce holds; of a guest that never held still as well.
func (c *Control) thaw(ctx context.Context, s *compute.Server, imageID string) {
	if s.State != compute.Active || c.hostCan(ctx, c.Store.DB, s, compute.QuiesceCall.Name) != nil {
		return
	}
	_, err := work(ctx, c, compute.QuiesceCall, s.Host, imageID+"/thaw/"+newID(), compute.GuestRequest{Server: *s, Undo: true}, c.Now().Add(quiesceTimeout), nil)
	if err != nil && !fault.Is(err, fault.Unsupported) && !fault.Is(err, fault.Conflict) {
		c.Log.Error("the file systems of a guest may hold still for ever", "server", s.ID, "error", err)
	}
}

// fillVolumeImage completes an image without data. What cannot be completed goes
// with its snapshots.
func (c *Control) fillVolumeImage(ctx context.Context, run *task.Run, s *compute.Server, imageID string, waited error) error {
	if run.Attempt > 1 { // whoever had asked may be gone before it let go
		c.thaw(ctx, s, imageID)
	}
	err := waited
	if err == nil {
		err = c.Images.Fill(ctx, imageID, "raw", strings.NewReader(""))
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	c.thaw(ctx, s, imageID)
	if dropErr := c.dropVolumeImage(ctx, s, imageID); dropErr != nil {
		return fmt.Errorf("%w; and what is left of it: %w", err, dropErr)
	}
	return err
}

// dropVolumeImage removes an image and the snapshots that were made for it.
func (c *Control) dropVolumeImage(ctx context.Context, s *compute.Server, imageID string) error {
	if err := c.Images.Drop(ctx, imageID); err != nil {
		return err
	}
	for _, d := range attachedDevices(s) {
		ids, err := c.Volumes.SnapshotsFor(ctx, d.VolumeID, imageID)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := c.Volumes.DropSnapshot(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayImageVolumes asks the policy about images of servers that boot from volumes.
func (c *Control) mayImageVolumes(ctx context.Context, s *compute.Server) error {
	return c.Policy.Enforce(ctx, "os_compute_api:servers:create_image:allow_volume_backed", auth.Target{"project_id": s.ProjectID, "user_id": s.UserID})
}
