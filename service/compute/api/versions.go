package api

import (
	"context"
	"net/http"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
)

// newest is the last microversion of upstream's compute API that this one speaks.
const newest = 104

// versions are 2.1 to 2.104. What changed in each is listed in upstream's
// rest_api_version_history; here it stands in the mv tags and in AtLeast.
func versions() []rest.Version {
	var all []rest.Version
	for minor := 1; minor <= newest; minor++ {
		all = append(all, rest.Version{Major: 2, Minor: minor})
	}
	return all
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
	Type string `json:"type,omitempty"`
}

type versionView struct {
	ID         string      `json:"id"`
	Status     string      `json:"status"`
	Version    string      `json:"version"`
	MinVersion string      `json:"min_version"`
	Updated    string      `json:"updated"`
	Links      []link      `json:"links"`
	MediaTypes []mediaType `json:"media-types,omitempty"`
}

type mediaType struct {
	Base string `json:"base"`
	Type string `json:"type"`
}

func version21(r *rest.Request) versionView {
	return versionView{ID: "v2.1", Status: "CURRENT", Version: rest.Version{Major: 2, Minor: newest}.String(), MinVersion: "2.1",
		Updated: "2013-07-23T11:33:21Z", Links: []link{{Rel: "self", Href: r.Link("/v2.1/")}}}
}

// version20 is the API from before microversions: v2.1 at its first version.
func version20(r *rest.Request) versionView {
	return versionView{ID: "v2.0", Status: "DEPRECATED", Updated: "2025-07-04T12:00:00Z", Links: []link{{Rel: "self", Href: r.Link("/v2/")}}}
}

// mediaOf is what an API's answers are by their media type.
func mediaOf(v versionView) []mediaType {
	number := strings.TrimSuffix(strings.TrimPrefix(v.ID, "v"), ".0")
	return []mediaType{{"application/json", "application/vnd.openstack.compute+json;version=" + number}}
}

// root answers both / and /v2.1/: the list of versions, and the version itself.
func (a *api) root(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if p := r.URL.Path; p == "/" || p == "" {
		return rest.OK(map[string]any{"versions": []versionView{version20(r), version21(r)}}), nil
	}
	return a.showVersion(ctx, r)
}

// showVersion shows the API that the request came by, by whatever name it asks.
func (a *api) showVersion(_ context.Context, r *rest.Request) (*rest.Response, error) {
	if id := r.Path("id"); id != "" && id != "v2.0" && id != "v2.1" && !r.Legacy {
		return nil, fault.NotFoundf("There is no version %.64s of this API.", id)
	}
	v := version21(r)
	if r.Legacy || r.Path("id") == "v2.0" {
		v = version20(r)
	}
	v.Links = append(v.Links, link{Rel: "describedby", Type: "text/html", Href: "http://docs.openstack.org/"})
	v.MediaTypes = mediaOf(v)
	return rest.OK(map[string]any{"version": v}), nil
}

// choices answers a path that names no version with where it would be in each.
func (a *api) choices(_ context.Context, r *rest.Request) (*rest.Response, error) {
	views := []map[string]any{}
	for _, v := range []versionView{version20(r), version21(r)} {
		href := strings.TrimSuffix(v.Links[0].Href, "/") + r.URL.EscapedPath()
		views = append(views, map[string]any{"id": v.ID, "status": v.Status, "links": []link{{Rel: "self", Href: href}}, "media-types": mediaOf(v)})
	}
	return &rest.Response{Status: http.StatusMultipleChoices, Body: map[string]any{"choices": views}}, nil
}
