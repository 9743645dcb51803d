package remote

import (
	"context"
	"encoding/json"
	"io"
	"net/url"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

// Images is the image service.
type Images struct{ Client *peer.Client }

var _ compute.Images = (*Images)(nil)

// known are the members of an image that are no properties of the user's.
var known = map[string]bool{"id": true, "name": true, "status": true, "owner": true, "disk_format": true, "container_format": true, "checksum": true,
	"os_hash_algo": true, "os_hash_value": true, "size": true, "virtual_size": true, "min_disk": true, "min_ram": true, "created_at": true, "updated_at": true,
	"visibility": true, "protected": true, "tags": true, "file": true, "self": true, "schema": true, "os_hidden": true, "locations": true, "direct_url": true, "stores": true}

// Image implements compute.Images. It asks as the caller when there is one.
func (i *Images) Image(ctx context.Context, id string) (compute.Image, error) {
	var out map[string]json.RawMessage
	err := i.Client.Do(ctx, peer.Call{Method: "GET", Path: "/v2/images/" + url.PathEscape(id), Out: &out, AsCaller: auth.From(ctx) != nil})
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return compute.Image{}, fault.NotFoundf("Image %s could not be found.", id)
	}
	if err != nil {
		return compute.Image{}, err
	}
	return imageOf(out)
}

func imageOf(out map[string]json.RawMessage) (compute.Image, error) {
	image := compute.Image{Properties: map[string]string{}}
	for member, into := range map[string]any{"id": &image.ID, "name": &image.Name, "status": &image.Status, "owner": &image.Owner, "disk_format": &image.DiskFormat,
		"container_format": &image.ContainerFormat, "checksum": &image.Checksum, "size": &image.Size, "min_disk": &image.MinDiskGB, "min_ram": &image.MinRAMMB,
		"os_hash_algo": &image.HashAlgo, "os_hash_value": &image.HashValue, "created_at": &image.CreatedAt, "updated_at": &image.UpdatedAt} {
		if raw, ok := out[member]; ok && json.Unmarshal(raw, into) != nil {
			return image, fault.New(fault.Unavailable, "The image service gave an image whose %s cannot be read.", member)
		}
	}
	for member, raw := range out {
		if known[member] {
			continue
		}
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = strings.TrimSpace(string(raw))
		}
		if text != "null" {
			image.Properties[member] = text
		}
	}
	return image, nil
}

// Open implements compute.Images.
func (i *Images) Open(ctx context.Context, id string) (io.ReadCloser, error) {
	resp, err := i.Client.Open(ctx, peer.Call{Method: "GET", Path: "/v2/images/" + url.PathEscape(id) + "/file"})
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == 204 {
		resp.Body.Close()
		return nil, fault.Invalidf("Image %s has no data.", id)
	}
	return resp.Body, nil
}
