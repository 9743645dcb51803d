package api

import (
	"context"
	"strings"

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
	return versionView{ID: "v2.0", Status: "SUPPORTED", Updated: "2011-01-21T11:33:21Z", Links: []link{{Rel: "self", Href: r.Link("/v2/")}}}
}

func (a *api) listVersions(_ context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.OK(map[string]any{"versions": []versionView{version20(r), version21(r)}}), nil
}

func (a *api) showVersion(_ context.Context, r *rest.Request) (*rest.Response, error) {
	v, media := version21(r), "application/vnd.openstack.compute+json;version=2.1"
	if strings.TrimSuffix(r.URL.Path, "/") == "/v2" {
		v, media = version20(r), "application/vnd.openstack.compute+json;version=2"
	}
	v.Links = append(v.Links, link{Rel: "describedby", Type: "text/html", Href: "https://docs.openstack.org/"})
	v.MediaTypes = []mediaType{{"application/json", media}}
	return rest.OK(map[string]any{"version": v}), nil
}
