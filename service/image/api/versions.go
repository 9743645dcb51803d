package api

import (
	"context"

	"kilonova/internal/rest"
)

// minors are the versions of the API that there are, newest first; a client
// cannot ask for one, only know what to expect.
var minors = []string{"2.18", "2.17", "2.16", "2.15", "2.14", "2.13", "2.12", "2.11", "2.10", "2.9", "2.8", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0"}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

type version struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Links  []link `json:"links"`
}

func (a *api) versions(status int) rest.Handler {
	return func(_ context.Context, r *rest.Request) (*rest.Response, error) {
		var list []version
		for _, v := range minors {
			if !a.c.HasCache() && (v == "2.14" || v == "2.16") { // these are the cache's
				continue
			}
			list = append(list, version{"v" + v, "SUPPORTED", []link{{"self", r.Link("/v2/")}}})
		}
		list[0].Status = "CURRENT"
		return &rest.Response{Status: status, Body: map[string]any{"versions": list}}, nil
	}
}

// constant answers always the same.
func constant(body any) rest.Handler {
	return func(context.Context, *rest.Request) (*rest.Response, error) { return rest.OK(body), nil }
}
