package remote

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

// Create implements compute.Images.
func (i *Images) Create(ctx context.Context, n compute.NewImage) error {
	body := map[string]any{"id": n.ID, "name": n.Name, "min_disk": n.MinDiskGB, "min_ram": n.MinRAMMB, "visibility": "private"}
	if n.SharedWith != "" {
		body["visibility"] = "shared"
	}
	for k, v := range n.Properties {
		if !known[k] && !strings.HasPrefix(k, "os_glance_") {
			body[k] = v
		}
	}
	err := i.Client.Do(ctx, peer.Call{Method: "POST", Path: "/v2/images", In: body, AsCaller: true})
	if fault.Is(err, fault.TooLarge) { // which is 413 there; compute's API has 403 for quotas
		return fault.Wrap(err, fault.OverLimit, "Quota exceeded or out of space for image %s in the image service: %v", n.ID, err)
	}
	if err != nil || n.SharedWith == "" {
		return err
	}
	return i.Client.Do(ctx, peer.Call{Method: "POST", Path: "/v2/images/" + n.ID + "/members", In: map[string]string{"member": n.SharedWith}, AsCaller: true})
}

// Fill implements compute.Images.
func (i *Images) Fill(ctx context.Context, id, format string, data io.Reader) error {
	path := "/v2/images/" + url.PathEscape(id)
	status, err := i.notSaving(ctx, path)
	if err != nil {
		return err
	}
	switch status {
	case "active":
		return nil
	case "deleted", "pending_delete", "killed":
		return fault.NotFoundf("Image %s could not be found.", id)
	}
	patch, err := json.Marshal([]map[string]string{{"op": "add", "path": "/disk_format", "value": format}, {"op": "add", "path": "/container_format", "value": "bare"}})
	if err != nil {
		return err
	}
	err = i.Client.Do(ctx, peer.Call{Method: "PATCH", Path: path, In: strings.NewReader(string(patch)),
		Header: http.Header{"Content-Type": {"application/openstack-images-v2.1-json-patch"}}})
	if err != nil {
		return err
	}
	return i.Client.Do(ctx, peer.Call{Method: "PUT", Path: path + "/file", In: data})
}

// savingEnds bounds the waiting for an upload whose sender has died: the image
// service notices when a lease runs out.
const savingEnds = 2 * time.Minute

// notSaving returns an image's status once nobody sends data to it.
func (i *Images) notSaving(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, savingEnds)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		var image struct {
			Status string `json:"status"`
		}
		if err := i.Client.Do(ctx, peer.Call{Method: "GET", Path: path, Out: &image}); err != nil || image.Status != "saving" {
			return image.Status, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", fault.New(fault.Unavailable, "The image is being filled by somebody else: %w", ctx.Err())
		}
	}
}

// Drop implements compute.Images.
func (i *Images) Drop(ctx context.Context, id string) error {
	err := i.Client.Do(ctx, peer.Call{Method: "DELETE", Path: "/v2/images/" + url.PathEscape(id)})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// maxBackups bounds the images that are looked at for a rotation.
const maxBackups = 1000

// Backups implements compute.Images.
func (i *Images) Backups(ctx context.Context, serverID, kind string) ([]string, error) {
	q := url.Values{"instance_uuid": {serverID}, "backup_type": {kind}, "image_type": {"backup"}, "sort_key": {"created_at"}, "sort_dir": {"desc"}, "limit": {"100"}}
	next := "/v2/images?" + q.Encode()
	var ids []string
	for next != "" && len(ids) < maxBackups {
		var page struct {
			Images []struct {
				ID string `json:"id"`
			} `json:"images"`
			Next string `json:"next"`
		}
		if err := i.Client.Do(ctx, peer.Call{Method: "GET", Path: next, Out: &page}); err != nil {
			return nil, err
		}
		for _, image := range page.Images {
			ids = append(ids, image.ID)
		}
		next = page.Next
	}
	return ids, nil
}
