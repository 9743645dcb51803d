package api

import (
	"context"
	"maps"
	"slices"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

// images are the image service's under the names that they had when compute had
// images.
func (a *api) oldImages() []rest.Route {
	const until, meta = "2.1-2.35", "2.1-2.38"
	return []rest.Route{
		{Method: "GET", Path: "/images", Versions: until, Handle: a.listImages, Doc: "list images"},
		{Method: "GET", Path: "/images/detail", Versions: until, Handle: a.listImagesDetailed, Doc: "list images detailed"},
		{Method: "GET", Path: "/images/{id}", Versions: until, Handle: a.showImage, Doc: "show image"},
		{Method: "DELETE", Path: "/images/{id}", Versions: until, Handle: a.deleteImage, Doc: "delete image"},
		{Method: "GET", Path: "/images/{id}/metadata", Versions: meta, Handle: a.listImageMetadata, Doc: "list image metadata"},
		{Method: "POST", Path: "/images/{id}/metadata", Versions: meta, Handle: a.mergeImageMetadata, Doc: "create or update image metadata"},
		{Method: "PUT", Path: "/images/{id}/metadata", Versions: meta, Handle: a.replaceImageMetadata, Doc: "replace image metadata"},
		{Method: "GET", Path: "/images/{id}/metadata/{key}", Versions: meta, Handle: a.showImageMetadata, Doc: "show image metadata item"},
		{Method: "PUT", Path: "/images/{id}/metadata/{key}", Versions: meta, Handle: a.setImageMetadata, Doc: "set image metadata item"},
		{Method: "DELETE", Path: "/images/{id}/metadata/{key}", Versions: meta, Handle: a.deleteImageMetadata, Doc: "delete image metadata item"},
	}
}

type imageBrief struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Links []link `json:"links"`
}

type catalogImage struct {
	imageBrief
	MinRAM     int               `json:"minRam"`
	MinDisk    int               `json:"minDisk"`
	Metadata   map[string]string `json:"metadata"`
	Created    rest.Time         `json:"created"`
	Updated    rest.Time         `json:"updated"`
	Status     string            `json:"status"`
	Progress   int               `json:"progress"`
	Size       int64             `json:"OS-EXT-IMG-SIZE:size"`
	Server     *catalogServer    `json:"server,omitempty"`
	DiskConfig string            `json:"OS-DCF:diskConfig,omitempty"`
}

type catalogServer struct {
	ID    string `json:"id"`
	Links []link `json:"links"`
}

// imageStates are the words of compute's old face for those of images.
var imageStates = map[string]struct {
	status   string
	progress int
}{"active": {"ACTIVE", 100}, "queued": {"SAVING", 25}, "saving": {"SAVING", 50}, "deleted": {"DELETED", 0}, "pending_delete": {"DELETED", 0}, "killed": {"ERROR", 0}}

func (a *api) briefImage(ctx context.Context, r *rest.Request, i compute.Image) imageBrief {
	tail := "/images/" + i.ID
	return imageBrief{ID: i.ID, Name: i.Name, Links: []link{{Rel: "self", Href: r.Link("/v2.1" + tail)}, {Rel: "bookmark", Href: r.Link(tail)},
		{Rel: "alternate", Type: "application/vnd.openstack.image", Href: a.images(ctx) + tail}}}
}

func (a *api) viewImage(ctx context.Context, r *rest.Request, i compute.Image) *catalogImage {
	view := &catalogImage{imageBrief: a.briefImage(ctx, r, i), MinRAM: i.MinRAMMB, MinDisk: i.MinDiskGB, Metadata: orEmpty(i.Properties), Size: i.Size,
		Created: rest.Time{Time: i.CreatedAt}, Updated: rest.Time{Time: i.UpdatedAt}, Status: "UNKNOWN"}
	if s, ok := imageStates[i.Status]; ok {
		view.Status, view.Progress = s.status, s.progress
	}
	if id := i.Properties["instance_uuid"]; id != "" {
		tail := "/servers/" + id
		view.Server = &catalogServer{id, []link{{Rel: "self", Href: r.Link("/v2.1" + tail)}, {Rel: "bookmark", Href: r.Link(tail)}}}
	}
	if text, ok := i.Properties["auto_disk_config"]; ok {
		view.DiskConfig = "MANUAL"
		if yes, err := rest.ParseBool(text); err == nil && yes {
			view.DiskConfig = "AUTO"
		}
	}
	return view
}

func (a *api) listImages(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.imageList(ctx, r, "/v2.1/images", func(i compute.Image) any { return a.briefImage(ctx, r, i) })
}

func (a *api) listImagesDetailed(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.imageList(ctx, r, "/v2.1/images/detail", func(i compute.Image) any { return a.viewImage(ctx, r, i) })
}

func (a *api) imageList(ctx context.Context, r *rest.Request, path string, view func(compute.Image) any) (*rest.Response, error) {
	page, err := r.Page(a.most)
	if err != nil {
		return nil, err
	}
	get := r.Query.Get
	q := compute.ImageQuery{Name: get("name"), Status: strings.ToLower(get("status")), Type: get("type"), MinRAM: get("minRam"), MinDisk: get("minDisk"),
		ChangedSince: get("changes-since"), Marker: page.Marker, Limit: page.Limit, Properties: map[string]string{}}
	q.ServerID = get("server")[strings.LastIndexByte(get("server"), '/')+1:] // an address is as good as an id
	for name := range r.Query {
		if property, ok := strings.CutPrefix(name, "property-"); ok {
			q.Properties[property] = get(name)
		}
	}
	all, err := a.control.Catalog.List(ctx, q)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.Invalidf("marker [%s] not found", page.Marker)
	}
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, i := range all {
		views = append(views, view(i))
	}
	body := map[string]any{"images": views}
	if get("limit") != "" && len(all) == page.Limit {
		body["images_links"] = []link{{Rel: "next", Href: r.NextLink(path, all[len(all)-1].ID)}}
	}
	return rest.OK(body), nil
}

// image finds an image for a client of then, who hears only that there is none.
func (a *api) image(ctx context.Context, r *rest.Request) (compute.Image, error) {
	i, err := a.control.Catalog.Image(ctx, r.Path("id"))
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return i, fault.NotFoundf("Image not found.")
	}
	return i, err
}

func (a *api) showImage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	i, err := a.image(ctx, r)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"image": a.viewImage(ctx, r, i)}), nil
}

func (a *api) deleteImage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.control.Catalog.Delete(ctx, r.Path("id"))
}

func (a *api) listImageMetadata(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	i, err := a.image(ctx, r)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"metadata": orEmpty(i.Properties)}), nil
}

func (a *api) showImageMetadata(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	i, err := a.image(ctx, r)
	if err != nil {
		return nil, err
	}
	value, ok := i.Properties[r.Path("key")]
	if !ok {
		return nil, fault.NotFoundf("Image %s has no metadata item %.255s.", i.ID, r.Path("key"))
	}
	return rest.OK(map[string]any{"meta": map[string]string{r.Path("key"): value}}), nil
}

// changeImage makes an image's properties what change makes of them, within the
// caller's quota of metadata items.
func (a *api) changeImage(ctx context.Context, r *rest.Request, change func(map[string]string) error) (map[string]string, error) {
	i, err := a.image(ctx, r)
	if err != nil {
		return nil, err
	}
	after := maps.Clone(orEmpty(i.Properties))
	if err := change(after); err != nil {
		return nil, err
	}
	limits, err := a.control.Limits(ctx, auth.From(ctx).ProjectID)
	if err != nil {
		return nil, err
	}
	if limit := limits["metadata_items"].Limit; limit >= 0 && len(after) > limit {
		return nil, fault.Forbiddenf("Image metadata limit exceeded: at most %d items are allowed.", limit)
	}
	var gone []string
	for name := range i.Properties {
		if _, kept := after[name]; !kept {
			gone = append(gone, name)
		}
	}
	set := maps.Clone(after)
	maps.DeleteFunc(set, func(name, value string) bool { was, had := i.Properties[name]; return had && was == value })
	slices.Sort(gone)
	return after, a.control.Catalog.SetProperties(ctx, i.ID, set, gone)
}

// metadataBody reads {"metadata": {…}}.
func metadataBody(r *rest.Request) (map[string]string, error) {
	var body struct {
		Metadata map[string]string `json:"metadata" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return body.Metadata, checkImageItems(body.Metadata)
}

func checkImageItems(items map[string]string) error {
	for key, value := range items {
		if !rest.Patterns["key"].MatchString(key) {
			return fault.Invalidf("Invalid input for field/attribute metadata. '%.255s' is no name of a metadata item.", key)
		}
		if len(value) > 255 {
			return fault.Invalidf("Invalid input for field/attribute %s. It is too long: at most 255 characters are allowed.", key)
		}
	}
	return nil
}

func (a *api) mergeImageMetadata(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	items, err := metadataBody(r)
	if err != nil {
		return nil, err
	}
	after, err := a.changeImage(ctx, r, func(now map[string]string) error { maps.Copy(now, items); return nil })
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"metadata": after}), nil
}

func (a *api) replaceImageMetadata(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	items, err := metadataBody(r)
	if err != nil {
		return nil, err
	}
	if _, err := a.changeImage(ctx, r, func(now map[string]string) error { clear(now); maps.Copy(now, items); return nil }); err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"metadata": items}), nil
}

func (a *api) setImageMetadata(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Meta map[string]string `json:"meta" check:"required len=1..1"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := checkImageItems(body.Meta); err != nil {
		return nil, err
	}
	if _, ok := body.Meta[r.Path("key")]; !ok {
		return nil, fault.Invalidf("Request body and URI mismatch")
	}
	if _, err := a.changeImage(ctx, r, func(now map[string]string) error { maps.Copy(now, body.Meta); return nil }); err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"meta": body.Meta}), nil
}

func (a *api) deleteImageMetadata(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	_, err := a.changeImage(ctx, r, func(now map[string]string) error {
		if _, ok := now[r.Path("key")]; !ok {
			return fault.NotFoundf("Invalid metadata key")
		}
		delete(now, r.Path("key"))
		return nil
	})
	return rest.NoContent(), err
}
