package api

import (
	"context"
	"net/http"

	"kilonova/internal/rest"
)

func version(r *rest.Request) map[string]any {
	return map[string]any{"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
		"links":       []any{map[string]any{"rel": "self", "href": r.Link("/v3/")}},
		"media-types": []any{map[string]any{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}}}
}

func (a *api) listVersions(_ context.Context, r *rest.Request) (*rest.Response, error) {
	body := map[string]any{"versions": map[string]any{"values": []any{version(r)}}}
	resp := &rest.Response{Status: http.StatusMultipleChoices, Body: body}
	return resp.With("Location", r.Link("/v3/")), nil
}

func (a *api) showVersion(_ context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.OK(map[string]any{"version": version(r)}), nil
}
