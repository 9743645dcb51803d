package control

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"kilonova/internal/diskimage"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
)

// remoteImage is what glance-download fetches.
type remoteImage struct {
	image.OtherRegion
	ID string
}

// readRemote reads what a client says of an image in another region.
func (c *Control) readRemote(method map[string]any, token string) (*remoteImage, error) {
	r := &remoteImage{OtherRegion: image.OtherRegion{Interface: "public", Token: token}}
	for name, into := range map[string]*string{"glance_image_id": &r.ID, "glance_region": &r.Region, "glance_service_interface": &r.Interface} {
		v, has := method[name]
		if !has {
			continue
		}
		text, ok := v.(string)
		if !ok || len(text) > 255 {
			return nil, fault.Invalidf("'%s' must be a string of at most 255 characters", name)
		}
		*into = text
	}
	if r.Region == "" || r.ID == "" {
		return nil, fault.Invalidf("'glance_region' and 'glance_image_id' are needed for the glance-download import")
	}
	if !rest.IsUUID(r.ID) {
		return nil, fault.Invalidf("Remote image id does not look like a UUID")
	}
	return r, nil
}

// fetchRemote brings an image of another region into the staging area, and notes
// in the payload what it is and which of its properties come along.
func (c *Control) fetchRemote(ctx context.Context, i *image.Image, p *importPayload, most limit) error {
	there, err := c.others.Show(ctx, p.Remote.OtherRegion, p.Remote.ID)
	if err != nil {
		return about(err)
	}
	if there["status"] != string(image.Active) {
		return fault.Invalidf("Source image status should be active instead of %v", there["status"])
	}
	for name, into := range map[string]*string{"disk_format": &p.DiskFormat, "container_format": &p.ContainerFormat} {
		if *into, _ = there[name].(string); *into == "" {
			return fault.Invalidf("Source image has no %s.", name)
		}
	}
	probe := *i
	probe.Status = image.Queued
	for name, format := range map[string]string{"disk_format": p.DiskFormat, "container_format": p.ContainerFormat} {
		if err := c.set(&probe, name, format); err != nil {
			return err
		}
	}
	p.Properties = map[string]string{}
	for name, v := range there {
		text, ok := v.(string)
		for _, prefix := range c.o.DownloadProperties.Extra {
			if ok && strings.HasPrefix(name, prefix) && settable(name) == nil && !isBase(name) {
				p.Properties[name] = text
			}
		}
	}
	size := int64(-1)
	if n, ok := there["size"].(float64); ok {
		size = int64(n)
	} else if n, ok := there["size"].(json.Number); ok {
		size, _ = n.Int64()
	}
	if size > most.bytes {
		return most.err
	}
	body, err := c.others.Open(ctx, p.Remote.OtherRegion, p.Remote.ID)
	if err != nil {
		return about(err)
	}
	defer body.Close()
	if err := c.noteBlob(ctx, i.ID, stagingID, p.Stage); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stall := time.AfterFunc(fetchStall, cancel)
	defer stall.Stop()
	got, err := c.take(ctx, i, c.staging, p.Stage, Upload{Data: &watched{body, stall}, Size: size, again: true}, most, func(*diskimage.Info) error { return nil })
	if err != nil {
		return fmt.Errorf("glance-download: %w", err)
	}
	if sum, _ := there["os_hash_value"].(string); sum != "" && there["os_hash_algo"] == c.o.HashingAlgorithm && sum != got.hashValue {
		return fault.Invalidf("The image of region %.64s came with another hash than it has there.", p.Remote.Region)
	}
	return nil
}

// about keeps what another service says of the image apart from what is said of
// ours.
func about(err error) error {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) || fault.Is(err, fault.Unauthenticated) {
		return fault.Wrap(err, fault.Invalid, "%v", err)
	}
	return err
}
