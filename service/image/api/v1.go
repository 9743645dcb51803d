package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
	"kilonova/service/image/control"
)

// v1Routes are what is left of version 1, for those who still read by it: no
// writing. What the registry answered, a service of its own then, stands at the
// root.
func (a *api) v1Routes() []rest.Route {
	var routes []rest.Route
	for _, root := range []string{"/v1", ""} {
		routes = append(routes,
			rest.Route{Method: "GET", Path: root + "/images", Handle: a.v1List(false), Doc: "list images by version 1"},
			rest.Route{Method: "GET", Path: root + "/images/detail", Handle: a.v1List(true), Doc: "list images whole by version 1"},
			rest.Route{Method: "GET", Path: root + "/images/{id}/members", Handle: a.v1Members, Doc: "list whom an image is shared with by version 1"})
	}
	return append(routes,
		rest.Route{Method: "GET", Path: "/v1/images/{id}", Handle: a.v1Show, Doc: "show and download an image by version 1"},
		rest.Route{Method: "GET", Path: "/images/{id}", Handle: a.registryShow, Doc: "show an image by the registry's version 1"})
}

const v1Stamp = "2006-01-02T15:04:05.000000"

type v1Brief struct {
	ID              string  `json:"id"`
	Name            *string `json:"name"`
	ContainerFormat *string `json:"container_format"`
	DiskFormat      *string `json:"disk_format"`
	Checksum        *string `json:"checksum"`
	Size            int64   `json:"size"`
}

type v1Whole struct {
	v1Brief
	Status      image.Status      `json:"status"`
	IsPublic    bool              `json:"is_public"`
	Protected   bool              `json:"protected"`
	MinRAM      int64             `json:"min_ram"`
	MinDisk     int64             `json:"min_disk"`
	Owner       *string           `json:"owner"`
	VirtualSize *int64            `json:"virtual_size"`
	CreatedAt   string            `json:"created_at"`
	UpdatedAt   string            `json:"updated_at"`
	DeletedAt   *string           `json:"deleted_at"`
	Deleted     bool              `json:"deleted"`
	Properties  map[string]string `json:"properties"`
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func v1View(i *image.Image) v1Whole {
	v := v1Whole{v1Brief: v1Brief{ID: i.ID, Name: i.Name, ContainerFormat: orNil(i.ContainerFormat), DiskFormat: orNil(i.DiskFormat), Checksum: orNil(i.Checksum)},
		Status: i.Status, IsPublic: i.Visibility == image.Public, Protected: i.Protected, MinRAM: i.MinRAM, MinDisk: i.MinDisk, Owner: orNil(i.Owner),
		VirtualSize: i.VirtualSize, CreatedAt: i.CreatedAt.UTC().Format(v1Stamp), UpdatedAt: i.UpdatedAt.UTC().Format(v1Stamp), Properties: i.Properties}
	if i.Size != nil {
		v.Size = *i.Size
	}
	switch i.Status { // what version 1 did not know
	case image.Uploading, image.Importing:
		v.Status = image.Queued
	case image.Deactivated:
		v.Status = image.Active
	}
	return v
}

func (a *api) v1List(whole bool) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		l, err := a.v1Query(r.Query)
		if err != nil {
			return nil, err
		}
		list, err := a.c.List(ctx, l)
		if err != nil {
			return nil, err
		}
		views := make([]any, len(list))
		for i := range list {
			v := v1View(&list[i])
			if views[i] = v; !whole {
				views[i] = v.v1Brief
			}
		}
		return rest.OK(map[string]any{"images": views}), nil
	}
}

// v1Query puts version 1's words for a list into those of version 2.
func (a *api) v1Query(q url.Values) (control.List, error) {
	next := url.Values{}
	for name, values := range q {
		switch value := values[0]; {
		case name == "is_public":
			public, err := strconv.ParseBool(strings.ToLower(value))
			if err != nil && !strings.EqualFold(value, "none") {
				return control.List{}, fault.Invalidf("is_public must be None, or a boolean value.")
			}
			if err == nil && public {
				next.Set("visibility", "public")
			}
		case strings.HasPrefix(name, "property-"):
			next.Set(strings.TrimPrefix(name, "property-"), value)
		case slices.Contains([]string{"name", "container_format", "disk_format", "status", "size_min", "size_max", "protected", "min_ram", "min_disk",
			"limit", "marker", "sort_key", "sort_dir"}, name):
			next.Set(name, value)
		case name == "changes-since":
			next.Set("updated_at", "gte:"+value)
		default:
			return control.List{}, fault.Invalidf("Unsupported filter: %.64s", name)
		}
	}
	return a.list(next)
}

func (a *api) registryShow(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	i, err := a.c.Get(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"image": v1View(i)}), nil
}

// v1Show says in headers what an image is; GET also has its data.
func (a *api) v1Show(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if r.Method == http.MethodHead {
		i, err := a.c.Get(ctx, r.Path("id"))
		if err != nil {
			return nil, err
		}
		return v1Headers(&rest.Response{Status: http.StatusOK, Stream: func(context.Context, io.Writer) error { return nil }}, i), nil
	}
	i, data, err := a.c.Open(ctx, r.Path("id"), nil)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fault.NotFoundf("Image %s has no data.", i.ID)
	}
	resp := v1Headers(&rest.Response{}, i).With("Content-Type", "application/octet-stream").With("Content-Length", strconv.FormatInt(data.Size(), 10))
	resp.Stream = func(_ context.Context, w io.Writer) error { return send(w, data, part{length: data.Size()}) }
	return resp, nil
}

func v1Headers(resp *rest.Response, i *image.Image) *rest.Response {
	v := v1View(i)
	python := func(b bool) string { return strings.ToUpper(strconv.FormatBool(b)[:1]) + strconv.FormatBool(b)[1:] }
	for name, value := range map[string]string{"id": v.ID, "status": string(v.Status), "is_public": python(v.IsPublic), "protected": python(v.Protected),
		"deleted": "False", "min_ram": strconv.FormatInt(v.MinRAM, 10), "min_disk": strconv.FormatInt(v.MinDisk, 10), "size": strconv.FormatInt(v.Size, 10),
		"created_at": v.CreatedAt, "updated_at": v.UpdatedAt, "owner": i.Owner, "checksum": i.Checksum, "disk_format": i.DiskFormat, "container_format": i.ContainerFormat} {
		if value != "" {
			resp.With("X-Image-Meta-"+name, value)
		}
	}
	if i.Name != nil {
		resp.With("X-Image-Meta-Name", oneLine(*i.Name))
	}
	for name, value := range i.Properties {
		if !strings.ContainsAny(name, " :()<>@,;\\\"/[]?={}\t\r\n") {
			resp.With("X-Image-Meta-Property-"+name, oneLine(value))
		}
	}
	if i.Checksum != "" {
		resp.With("Etag", i.Checksum)
	}
	return resp
}

// oneLine keeps what a user wrote from being more than a header's value.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

func (a *api) v1Members(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.Members(ctx, r.Path("id"))
	if fault.Is(err, fault.Forbidden) { // there were no images without members
		list, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	type member struct {
		MemberID string `json:"member_id"`
		CanShare bool   `json:"can_share"`
	}
	views := []member{}
	for _, m := range list {
		views = append(views, member{MemberID: m.ProjectID})
	}
	return rest.OK(map[string]any{"members": views}), nil
}
