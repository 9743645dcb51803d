package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

// Volumes is the Block Storage service, at a version that knows attachments (3.44
// and newer). What a user asks for is asked as that user; what is done to attach a
// volume to a host is done as this service's own user, who may.
type Volumes struct{ Client *peer.Client }

var (
	_ compute.Volumes    = (*Volumes)(nil)
	_ compute.OldVolumes = (*Volumes)(nil)
)

const volumeVersion = "volume 3.48"

func (v *Volumes) do(ctx context.Context, method, path string, in, out any) error {
	return v.Client.Do(ctx, peer.Call{Method: method, Path: path, In: in, Out: out, AsCaller: auth.From(ctx) != nil, Version: volumeVersion})
}

type cinderTime struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler: the service gives no zone and means UTC.
func (t *cinderTime) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil || text == "" {
		return err
	}
	at, err := time.Parse("2006-01-02T15:04:05.999999", text)
	if err != nil {
		at, err = time.Parse(time.RFC3339, text)
	}
	t.Time = at
	return err
}

type volume struct {
	ID          string            `json:"id"`
	Name        *string           `json:"name"`
	Description *string           `json:"description"`
	Status      string            `json:"status"`
	Zone        *string           `json:"availability_zone"`
	Type        *string           `json:"volume_type"`
	Size        int               `json:"size"`
	Bootable    string            `json:"bootable"`
	Multiattach bool              `json:"multiattach"`
	SnapshotID  *string           `json:"snapshot_id"`
	Metadata    map[string]string `json:"metadata"`
	Image       map[string]string `json:"volume_image_metadata"`
	CreatedAt   cinderTime        `json:"created_at"`
	Attachments []struct {
		ServerID     string  `json:"server_id"`
		Device       *string `json:"device"`
		AttachmentID string  `json:"attachment_id"`
	} `json:"attachments"`
}

func textOf(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// imageBase are the members of an image that a volume made from it keeps beside
// the image's properties.
var imageBase = map[string]bool{"image_id": true, "image_name": true, "container_format": true, "disk_format": true, "checksum": true, "min_disk": true, "min_ram": true, "size": true}

func (x volume) volume() compute.Volume {
	v := compute.Volume{ID: x.ID, Name: textOf(x.Name), Description: textOf(x.Description), Status: x.Status, Zone: textOf(x.Zone), Type: textOf(x.Type),
		SizeGB: x.Size, Bootable: x.Bootable == "true", Multiattach: x.Multiattach, SnapshotID: textOf(x.SnapshotID), Metadata: x.Metadata, CreatedAt: x.CreatedAt.Time}
	for _, a := range x.Attachments {
		v.Attachments = append(v.Attachments, compute.VolumeUse{ServerID: a.ServerID, Device: textOf(a.Device), AttachmentID: a.AttachmentID})
	}
	m := compute.ImageMeta{Name: x.Image["image_name"], DiskFormat: x.Image["disk_format"], ContainerFormat: x.Image["container_format"], Checksum: x.Image["checksum"],
		Properties: map[string]string{}}
	m.MinDiskGB, _ = strconv.Atoi(x.Image["min_disk"])
	m.MinRAMMB, _ = strconv.Atoi(x.Image["min_ram"])
	for name, value := range x.Image {
		if !imageBase[name] {
			m.Properties[name] = value
		}
	}
	v.ImageID, v.ImageMeta = x.Image["image_id"], m
	return v
}

type volumeBody struct {
	Volume volume `json:"volume"`
}

// Volume implements compute.Volumes.
func (v *Volumes) Volume(ctx context.Context, id string) (compute.Volume, error) {
	var out volumeBody
	err := v.do(ctx, http.MethodGet, "/volumes/"+url.PathEscape(id), nil, &out)
	if fault.Is(err, fault.NotFound) {
		return compute.Volume{}, fault.NotFoundf("Volume %s could not be found.", id)
	}
	return out.Volume.volume(), err
}

// forServer is the metadata item of a volume that says for which new server it was
// made.
const forServer = "kilonova_server"

// Create implements compute.Volumes.
func (v *Volumes) Create(ctx context.Context, n compute.NewVolume) (compute.Volume, error) {
	spec := object{"size": n.SizeGB, "name": n.Name, "description": n.Description}
	for name, value := range map[string]string{"imageRef": n.ImageID, "snapshot_id": n.SnapshotID, "volume_type": n.Type, "availability_zone": n.Zone} {
		if value != "" {
			spec[name] = value
		}
	}
	metadata := maps.Clone(n.Metadata)
	if n.ServerID != "" {
		if metadata == nil {
			metadata = map[string]string{}
		}
		metadata[forServer] = n.ServerID
	}
	if len(metadata) > 0 {
		spec["metadata"] = metadata
	}
	var out volumeBody
	err := v.do(ctx, http.MethodPost, "/volumes", object{"volume": spec}, &out)
	return out.Volume.volume(), overLimit(err)
}

// maxVolumes bounds how many volumes are looked at, whatever the service goes on to give.
const maxVolumes = 100_000

// MadeFor implements compute.Volumes. The service is asked for those with the
// item, and not believed: one that does not know the filter shows all there are, a page
// at a time.
func (v *Volumes) MadeFor(ctx context.Context, serverID string) ([]compute.Volume, error) {
	query := url.Values{"metadata": {fmt.Sprintf("{'%s': '%s'}", forServer, serverID)}, "all_tenants": {"1"}}
	var made []compute.Volume
	for seen := 0; seen < maxVolumes; {
		var page struct {
			Volumes []volume          `json:"volumes"`
			Links   []json.RawMessage `json:"volumes_links"` // to the next page; none on the last
		}
		if err := v.do(ctx, http.MethodGet, "/volumes/detail?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		for _, x := range page.Volumes {
			if x.Metadata[forServer] == serverID {
				made = append(made, x.volume())
			}
		}
		if len(page.Links) == 0 || len(page.Volumes) == 0 {
			break
		}
		seen += len(page.Volumes)
		query.Set("marker", page.Volumes[len(page.Volumes)-1].ID)
	}
	return made, nil
}

// overLimit says of the service's 413 and of a refusal by quota what they are.
func overLimit(err error) error {
	if fault.Is(err, fault.TooLarge) || fault.Is(err, fault.OverLimit) {
		return fault.New(fault.OverLimit, "%w", err)
	}
	return err
}

// Delete implements compute.Volumes.
func (v *Volumes) Delete(ctx context.Context, id string) error {
	err := v.do(ctx, http.MethodDelete, "/volumes/"+url.PathEscape(id), nil, nil)
	if fault.Is(err, fault.NotFound) {
		return fault.NotFoundf("Volume %s could not be found.", id)
	}
	return err
}

// reimageVersion is the oldest that knows os-reimage.
const reimageVersion = "volume 3.68"

// Reimage implements compute.Volumes.
func (v *Volumes) Reimage(ctx context.Context, id, imageID string) error {
	return v.Client.Do(ctx, peer.Call{Method: http.MethodPost, Path: "/volumes/" + url.PathEscape(id) + "/action", Version: reimageVersion, AsCaller: auth.From(ctx) != nil,
		In: object{"os-reimage": object{"image_id": imageID, "reimage_reserved": true}}})
}

// List implements compute.OldVolumes.
func (v *Volumes) List(ctx context.Context) ([]compute.Volume, error) {
	var out struct {
		Volumes []volume `json:"volumes"`
	}
	err := v.do(ctx, http.MethodGet, "/volumes/detail", nil, &out)
	var all []compute.Volume
	for _, x := range out.Volumes {
		all = append(all, x.volume())
	}
	return all, err
}

// Reserve implements compute.Volumes.
func (v *Volumes) Reserve(ctx context.Context, volumeID, serverID string) (string, error) {
	var out attachmentBody
	err := v.do(ctx, http.MethodPost, "/attachments", object{"attachment": object{"volume_uuid": volumeID, "instance_uuid": serverID, "connector": nil}}, &out)
	if fault.Is(err, fault.Conflict) { // not available: upstream's face says 400
		return "", fault.New(fault.Invalid, "%w", err)
	}
	return out.Attachment.ID, err
}

type attachmentBody struct {
	Attachment struct {
		ID         string          `json:"id"`
		Connection json.RawMessage `json:"connection_info"`
		Mode       *string         `json:"attach_mode"` // "ro", "rw"; null before a host is let in
	} `json:"attachment"`
}

// Connect implements compute.Volumes.
func (v *Volumes) Connect(ctx context.Context, attachmentID string, connector map[string]any) (json.RawMessage, error) {
	var out attachmentBody
	err := v.do(ctx, http.MethodPut, "/attachments/"+url.PathEscape(attachmentID), object{"attachment": object{"connector": connector}}, &out)
	return out.Attachment.Connection, err
}

// Complete implements compute.Volumes.
func (v *Volumes) Complete(ctx context.Context, attachmentID string) error {
	return v.do(ctx, http.MethodPost, "/attachments/"+url.PathEscape(attachmentID)+"/action", object{"os-complete": attachmentID}, nil)
}

// Release implements compute.Volumes.
func (v *Volumes) Release(ctx context.Context, attachmentID string) error {
	err := v.do(ctx, http.MethodDelete, "/attachments/"+url.PathEscape(attachmentID), nil, nil)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// ReadOnly implements compute.Volumes.
func (v *Volumes) ReadOnly(ctx context.Context, attachmentID string) (bool, error) {
	var out attachmentBody
	err := v.do(ctx, http.MethodGet, "/attachments/"+url.PathEscape(attachmentID), nil, &out)
	return textOf(out.Attachment.Mode) == "ro", err
}

// Held implements compute.Volumes.
func (v *Volumes) Held(ctx context.Context, serverID string) ([]compute.Held, error) {
	var out struct {
		Attachments []struct {
			ID       string `json:"id"`
			VolumeID string `json:"volume_id"`
		} `json:"attachments"`
	}
	err := v.do(ctx, http.MethodGet, "/attachments?"+url.Values{"instance_id": {serverID}, "all_tenants": {"1"}}.Encode(), nil, &out)
	var held []compute.Held
	for _, a := range out.Attachments {
		held = append(held, compute.Held{AttachmentID: a.ID, VolumeID: a.VolumeID})
	}
	return held, err
}

// Detaching implements compute.Volumes.
func (v *Volumes) Detaching(ctx context.Context, volumeID string, begin bool) error {
	action := "os-roll_detaching"
	if begin {
		action = "os-begin_detaching"
	}
	return v.do(ctx, http.MethodPost, "/volumes/"+url.PathEscape(volumeID)+"/action", object{action: object{}}, nil)
}

// Snapshotted implements compute.Volumes.
func (v *Volumes) Snapshotted(ctx context.Context, snapshotID, status, progress string) error {
	return v.do(ctx, http.MethodPost, "/snapshots/"+url.PathEscape(snapshotID)+"/action", object{"os-update_snapshot_status": object{"status": status, "progress": progress}}, nil)
}
