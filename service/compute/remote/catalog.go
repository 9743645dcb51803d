package remote

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

var _ compute.ImageCatalog = (*Images)(nil)

// List implements compute.ImageCatalog.
func (i *Images) List(ctx context.Context, q compute.ImageQuery) ([]compute.Image, error) {
	query := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	for name, value := range map[string]string{"name": q.Name, "status": q.Status, "instance_uuid": q.ServerID, "image_type": q.Type, "min_ram": q.MinRAM,
		"min_disk": q.MinDisk, "marker": q.Marker} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, value := range q.Properties {
		query.Set(name, value)
	}
	if q.ChangedSince != "" {
		query.Set("updated_at", "gte:"+q.ChangedSince)
	}
	var all []compute.Image
	for path := "/v2/images?" + query.Encode(); path != "" && len(all) < q.Limit; {
		var out struct {
			Images []map[string]json.RawMessage
			Next   string
		}
		if err := i.Client.Do(ctx, peer.Call{Method: http.MethodGet, Path: path, Out: &out, AsCaller: true}); err != nil {
			return nil, err
		}
		for _, members := range out.Images {
			image, err := imageOf(members)
			if err != nil {
				return nil, err
			}
			all = append(all, image)
		}
		path = ""
		if strings.HasPrefix(out.Next, "/v2/images?") {
			path = out.Next
		}
	}
	return all[:min(len(all), q.Limit)], nil
}

// Delete implements compute.ImageCatalog.
func (i *Images) Delete(ctx context.Context, id string) error {
	err := i.Client.Do(ctx, peer.Call{Method: http.MethodDelete, Path: "/v2/images/" + url.PathEscape(id), AsCaller: true})
	switch {
	case fault.Is(err, fault.NotFound):
		return fault.NotFoundf("Image not found.")
	case fault.Is(err, fault.Forbidden):
		return fault.Forbiddenf("You are not allowed to delete the image.")
	}
	return err
}

// SetProperties implements compute.ImageCatalog.
func (i *Images) SetProperties(ctx context.Context, id string, set map[string]string, remove []string) error {
	changes := []object{}
	pointer := strings.NewReplacer("~", "~0", "/", "~1")
	for name, value := range set {
		changes = append(changes, object{"op": "add", "path": "/" + pointer.Replace(name), "value": value})
	}
	for _, name := range slices.Sorted(slices.Values(remove)) {
		changes = append(changes, object{"op": "remove", "path": "/" + pointer.Replace(name)})
	}
	if len(changes) == 0 {
		return nil
	}
	header := http.Header{"Content-Type": {"application/openstack-images-v2.1-json-patch"}}
	err := i.Client.Do(ctx, peer.Call{Method: http.MethodPatch, Path: "/v2/images/" + url.PathEscape(id), Header: header, In: changes, AsCaller: true})
	if fault.Is(err, fault.NotFound) {
		return fault.NotFoundf("Image not found.")
	}
	return err
}
