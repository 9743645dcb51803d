package api

import (
	"context"
	"net/http"
	"slices"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/network/control"
)

func (a *api) tagRoutes() []rest.Route {
	var routes []rest.Route
	for _, collection := range []string{"networks", "subnets", "subnetpools", "ports", "routers", "floatingips", "security-groups", "policies"} {
		t := tags{a.control, collection}
		all := "/v2.0/" + collection + "/{id}/tags"
		routes = append(routes,
			rest.Route{Method: http.MethodGet, Path: all, Handle: t.list, Doc: "List tags"},
			rest.Route{Method: http.MethodPut, Path: all, Handle: t.replace, Doc: "Replace all tags"},
			rest.Route{Method: http.MethodDelete, Path: all, Handle: t.clear, Doc: "Remove all tags"},
			rest.Route{Method: http.MethodGet, Path: all + "/{tag}", Handle: t.check, Doc: "Check for a tag"},
			rest.Route{Method: http.MethodPut, Path: all + "/{tag}", Handle: t.add, Doc: "Add a tag"},
			rest.Route{Method: http.MethodDelete, Path: all + "/{tag}", Handle: t.remove, Doc: "Remove a tag"})
	}
	return routes
}

// tags are the tags of one collection's resources.
type tags struct {
	control    *control.Control
	collection string
}

func (t tags) list(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := t.control.Tags(ctx, t.collection, r.Path("id"))
	return rest.OK(map[string]any{"tags": list}), err
}

func (t tags) replace(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in struct {
		Tags []string `json:"tags"`
	}
	if err := lenient(r, &in); err != nil {
		return nil, err
	}
	if in.Tags == nil {
		return nil, badRequest("Invalid tags body")
	}
	list, err := t.control.ChangeTags(ctx, t.collection, r.Path("id"), func([]string) ([]string, error) { return slices.Clone(in.Tags), nil })
	return rest.OK(map[string]any{"tags": list}), err
}

func (t tags) clear(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	_, err := t.control.ChangeTags(ctx, t.collection, r.Path("id"), func([]string) ([]string, error) { return nil, nil })
	return rest.NoContent(), err
}

func tagNotFound(tag string) error {
	return fault.NotFoundf("Tag %.64s could not be found.", tag).WithCode("TagNotFound")
}

func (t tags) check(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := t.control.Tags(ctx, t.collection, r.Path("id"))
	if err == nil && !slices.Contains(list, r.Path("tag")) {
		err = tagNotFound(r.Path("tag"))
	}
	return rest.NoContent(), err
}

func (t tags) add(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	_, err := t.control.ChangeTags(ctx, t.collection, r.Path("id"), func(had []string) ([]string, error) { return append(had, r.Path("tag")), nil })
	return &rest.Response{Status: http.StatusCreated}, err
}

func (t tags) remove(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	_, err := t.control.ChangeTags(ctx, t.collection, r.Path("id"), func(had []string) ([]string, error) {
		i := slices.Index(had, r.Path("tag"))
		if i < 0 {
			return nil, tagNotFound(r.Path("tag"))
		}
		return slices.Delete(had, i, i+1), nil
	})
	return rest.NoContent(), err
}
