package api

import (
	"context"
	"strings"

	"kilonova/internal/rest"
	"kilonova/service/compute"
)

func (a *api) listServers(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	v := a.viewer(r)
	return a.streamServers(ctx, r, "/v2.1/servers", compute.Brief, func(s *compute.Server) any { return v.brief(s) })
}

func (a *api) listServersDetailed(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	v, err := a.serverViewer(ctx, r, true)
	if err != nil {
		return nil, err
	}
	var view serverView // each server is written before the next one is read
	return a.streamServers(ctx, r, "/v2.1/servers/detail", compute.Visible, func(s *compute.Server) any {
		v.describe(s, &view)
		return &view
	})
}

// streamServers writes servers as they are read. One more than the page is asked
// for, to know whether there is a next one.
func (a *api) streamServers(ctx context.Context, r *rest.Request, path string, extent compute.Extent, view func(*compute.Server) any) (*rest.Response, error) {
	q, allProjects, err := a.serverQuery(ctx, r)
	if err != nil {
		return nil, err
	}
	page, err := r.Page(a.most)
	if err != nil {
		return nil, err
	}
	if r.Query.Get("limit") == "0" { // nothing, rather than all
		return rest.OK(map[string]any{"servers": []any{}}), nil
	}
	limit := page.Limit
	q.Marker, q.Limit, q.Extent = page.Marker, limit+1, extent
	servers, err := a.control.Servers(ctx, q, allProjects, extent == compute.Visible)
	if err != nil {
		return nil, err
	}
	last, n := "", 0
	more := false
	return &rest.Response{Items: &rest.Items{Key: "servers",
		Each: func(yield func(any) error) error {
			for s, err := range ahead(servers) {
				if err != nil {
					return err
				}
				if n == limit {
					more = true
					return nil
				}
				if err := yield(view(s)); err != nil {
					return err
				}
				last, n = s.ID, n+1
			}
			return nil
		},
		Tail: func() map[string]any {
			if !more {
				return nil
			}
			return map[string]any{"servers_links": []link{{Rel: "next", Href: r.NextLink(path, last)}}}
		}}}, nil
}

func lastSegment(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
