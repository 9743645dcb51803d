package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/network"
)

// collection is a resource of the API: T is what is shown, In what is asked. A
// nil function has no route.
type collection[T, In any] struct {
	path      string // below /v2.0/
	one, many string // the keys of a single resource and of a list
	id        func(*T) string
	list      func(context.Context, network.Query) ([]T, error)
	show      func(context.Context, string) (T, error)
	create    func(context.Context, []In) ([]T, error)
	update    func(context.Context, string, In, network.Match) (T, error)
	remove    func(context.Context, string, network.Match) error
}

// single makes a create function for resources that are made one by one.
func single[T, In any](create func(context.Context, In) (T, error)) func(context.Context, []In) ([]T, error) {
	return func(ctx context.Context, inputs []In) ([]T, error) {
		if len(inputs) != 1 {
			return nil, fault.Invalidf("Bulk operation not supported").WithCode("HTTPBadRequest")
		}
		v, err := create(ctx, inputs[0])
		return []T{v}, err
	}
}

// unmatched and unmatchedRemove are for resources without revisions.
func unmatched[T, In any](update func(context.Context, string, In) (T, error)) func(context.Context, string, In, network.Match) (T, error) {
	return func(ctx context.Context, id string, in In, _ network.Match) (T, error) { return update(ctx, id, in) }
}

func unmatchedRemove(remove func(context.Context, string) error) func(context.Context, string, network.Match) error {
	return func(ctx context.Context, id string, _ network.Match) error { return remove(ctx, id) }
}

func (c collection[T, In]) routes() []rest.Route {
	all, one := "/v2.0/"+c.path, "/v2.0/"+c.path+"/{id}"
	name := strings.ReplaceAll(c.one, "_", " ")
	routes := []rest.Route{
		{Method: http.MethodGet, Path: all, Handle: c.handleList, Doc: "List " + strings.ReplaceAll(c.many, "_", " ")},
		{Method: http.MethodGet, Path: one, Handle: c.handleShow, Doc: "Show a " + name},
	}
	if c.create != nil {
		routes = append(routes, rest.Route{Method: http.MethodPost, Path: all, Handle: c.handleCreate, Doc: "Make a " + name + ", or several"})
	}
	if c.update != nil {
		routes = append(routes, rest.Route{Method: http.MethodPut, Path: one, Handle: c.handleUpdate, Doc: "Change a " + name})
	}
	if c.remove != nil {
		routes = append(routes, rest.Route{Method: http.MethodDelete, Path: one, Handle: c.handleRemove, Doc: "Delete a " + name})
	}
	return routes
}

func (c collection[T, In]) handleList(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, fields, err := query(r)
	if err != nil {
		return nil, err
	}
	list, err := c.list(ctx, q)
	if err != nil {
		return nil, err
	}
	return c.listed(r, list, q, fields), nil
}

// listed writes a list with the links to the pages around it.
func (c collection[T, In]) listed(r *rest.Request, list []T, q network.Query, fields []string) *rest.Response {
	items := &rest.Items{Key: c.many, Each: func(yield func(any) error) error {
		for i := range list {
			item, err := pick(&list[i], fields)
			if err == nil {
				err = yield(item)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}}
	items.Tail = func() map[string]any {
		links := c.pageLinks(r, list, q)
		if len(links) == 0 {
			return nil
		}
		return map[string]any{c.many + "_links": links}
	}
	return &rest.Response{Status: http.StatusOK, Items: items}
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// pageLinks are the addresses of the pages after and before a list, as far as
// there may be any.
func (c collection[T, In]) pageLinks(r *rest.Request, list []T, q network.Query) []link {
	if q.Limit == 0 {
		return nil
	}
	page := func(rel, marker string, reverse bool) link {
		r.Query.Del("page_reverse")
		if reverse {
			r.Query.Set("page_reverse", "True")
		}
		return link{rel, r.NextLink("/v2.0/"+c.path, marker)}
	}
	var links []link
	full := len(list) == q.Limit
	if len(list) == 0 {
		if q.Marker != "" && q.Reverse {
			return []link{page("next", q.Marker, false)}
		} else if q.Marker != "" {
			return []link{page("previous", q.Marker, true)}
		}
		return nil
	}
	if !q.Reverse && full || q.Reverse && q.Marker != "" {
		links = append(links, page("next", c.id(&list[len(list)-1]), false))
	}
	if !q.Reverse && q.Marker != "" || q.Reverse && full {
		links = append(links, page("previous", c.id(&list[0]), true))
	}
	return links
}

func (c collection[T, In]) handleShow(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	v, err := c.show(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	item, err := pick(&v, r.Query["fields"])
	return rest.OK(map[string]any{c.one: item}), err
}

func (c collection[T, In]) handleCreate(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	inputs, bulk, err := decodeMany[T, In](r, c.one, c.many, "post")
	if err != nil {
		return nil, err
	}
	made, err := c.create(ctx, inputs)
	if err != nil {
		return nil, err
	}
	if bulk {
		return rest.Created(map[string]any{c.many: made}), nil
	}
	return rest.Created(map[string]any{c.one: &made[0]}), nil
}

func (c collection[T, In]) handleUpdate(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	inputs, bulk, err := decodeMany[T, In](r, c.one, "", "put")
	if err != nil {
		return nil, err
	}
	if bulk {
		return nil, fault.Invalidf("Bulk operation not supported").WithCode("HTTPBadRequest")
	}
	match, err := ifMatch(r)
	if err != nil {
		return nil, err
	}
	v, err := c.update(ctx, r.Path("id"), inputs[0], match)
	return rest.OK(map[string]any{c.one: &v}), err
}

func (c collection[T, In]) handleRemove(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	match, err := ifMatch(r)
	if err != nil {
		return nil, err
	}
	return rest.NoContent(), c.remove(ctx, r.Path("id"), match)
}

// ifMatch reads "If-Match: revision_number=5".
func ifMatch(r *rest.Request) (network.Match, error) {
	text := strings.TrimSpace(r.Header.Get("If-Match"))
	if text == "" {
		return network.Match{}, nil
	}
	number, ok := strings.CutPrefix(text, "revision_number=")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return network.Match{}, fault.Invalidf("Invalid value in If-Match header: %.64q; it must be revision_number=NUMBER.", text).WithCode("HTTPBadRequest")
	}
	return network.Match{Set: true, Revision: n}, nil
}
