package control

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/notify"
	"kilonova/service/compute/store"
)

// rescueState is what a rescue remembers.
type rescueState struct {
	ImageID  string            `json:"image_id,omitempty"`
	Meta     compute.ImageMeta `json:"meta"`
	Password string            `json:"password,omitempty"`
	Undo     bool              `json:"undo,omitempty"`
}

// RescueServer begins to boot a server from an image that may repair it: the one
// named, else the configured one, else its own. It returns the password that the
// rescued guest gets. volumes says whether the caller knows that servers that boot
// from volumes may be rescued.
func (c *Control) RescueServer(ctx context.Context, id, imageID, password string, volumes bool) (string, error) {
	s, err := c.ownServer(ctx, "os_compute_api:os-rescue", id)
	if err != nil {
		return "", err
	}
	if password == "" {
		password = randomText(12)
	}
	state := rescueState{ImageID: imageID, Password: password}
	if state.ImageID == "" {
		state.ImageID = cmp.Or(c.Options.RescueImage, s.ImageID)
	}
	if state.ImageID == s.ImageID {
		state.Meta = s.ImageMeta
	} else {
		image, err := c.Images.Image(ctx, state.ImageID)
		if fault.Is(err, fault.NotFound) || err == nil && image.Status != "active" || image.Properties[imageMapping] != "" {
			return "", fault.Invalidf("Requested rescue image '%s' is not supported", state.ImageID)
		}
		if err != nil {
			return "", err
		}
		state.Meta = metaOf(image)
	}
	if err := c.rescuable(ctx, s, state, volumes); err != nil {
		return "", err
	}
	_, err = c.begins(ctx, id, order{rule: "os_compute_api:os-rescue", verb: compute.Rescue, action: "rescue", call: compute.RescueCall.Name, kind: taskRescue, payload: state,
		about: notify.About{notify.AboutImage: state.ImageID}})
	return password, err
}

// rescuable refuses what cannot be rescued because of its volumes.
func (c *Control) rescuable(ctx context.Context, s *compute.Server, state rescueState, volumes bool) error {
	for _, d := range attachedDevices(s) {
		v, err := c.Volumes.Volume(ctx, d.VolumeID)
		if err != nil {
			return err
		}
		if v.Status != "in-use" {
			return fault.Conflictf("Invalid volume: volume '%s' status must be 'in-use'. Currently in '%s' status", d.VolumeID, v.Status)
		}
	}
	if !s.BootsFromVolume() {
		return nil
	}
	why := func(reason string) error {
		return fault.Invalidf("Instance %s cannot be rescued: %s", s.ID, reason)
	}
	p := state.Meta.Properties
	if !volumes || p["hw_rescue_device"] == "" && p["hw_rescue_bus"] == "" {
		return why("Cannot rescue a volume-backed instance")
	}
	if state.ImageID == "" || state.ImageID == s.ImageID { // which says what its volumes were made from
		return why("No rescue image is named, and it has none of its own")
	}
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, s.Host)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if h == nil || !slices.Contains(h.Traits, compute.TraitRescueVolumes) {
		return why("Host unable to rescue a volume-backed instance")
	}
	return nil
}

// UnrescueServer begins to boot a server from its own disk again.
func (c *Control) UnrescueServer(ctx context.Context, id string) error {
	_, err := c.begins(ctx, id, order{rule: "os_compute_api:os-unrescue", verb: compute.Unrescue, action: "unrescue", call: compute.RescueCall.Name,
		kind: taskRescue, payload: rescueState{Undo: true}})
	return err
}

// metaOf is what is kept of an image. Disks that it describes are a server's own
// once it is made.
func metaOf(image compute.Image) compute.ImageMeta {
	properties := maps.Clone(image.Properties)
	maps.DeleteFunc(properties, func(name, _ string) bool { return name == imageMapping || name == imageBDMv2 || name == imageRoot })
	return compute.ImageMeta{Name: image.Name, DiskFormat: image.DiskFormat, ContainerFormat: image.ContainerFormat, Checksum: image.Checksum,
		MinDiskGB: image.MinDiskGB, MinRAMMB: image.MinRAMMB, Properties: properties}
}

func (c *Control) rescue(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state rescueState
	if err := run.Payload(&state); err != nil {
		return err
	}
	verb, event := compute.Rescue, "compute_rescue_instance"
	done := store.ServerPatch{State: ptr(compute.Rescued), System: &s.System}
	s.System.RescueImage = state.ImageID
	if state.Undo {
		verb, event, done.State = compute.Unrescue, "compute_unrescue_instance", ptr(compute.Active)
	}
	if s.Task != compute.TaskOf(verb) {
		return nil // something stronger came in between
	}
	request := compute.RescueRequest{Server: *s, ImageID: state.ImageID, Meta: state.Meta, Grace: c.Options.ShutdownTimeout, Undo: state.Undo}
	request.Server.AdminPass = state.Password
	deadline := c.deadline(run, time.Duration(c.Options.ShutdownTimeout)*time.Second)
	progress, err := work(ctx, c, compute.RescueCall, s.Host, workID(run), request, deadline, c.still(ctx, s))
	done.Power = &progress.Power
	return c.ends(ctx, run, s, ended{event: event, cause: err, done: done, failed: unlessBroken(err)})
}
