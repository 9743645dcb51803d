package api

import (
	"log/slog"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/rest"
	"kilonova/service/image/control"
)

// Options are what the API needs besides control.
type Options struct {
	Validator auth.Validator
	AuthURL   func() string
	Observe   func(service, route string, status int, took time.Duration)
	Log       *slog.Logger
	Now       func() time.Time
}

type api struct {
	c *control.Control
	o control.Options
}

// New returns the service; its Handler may be mounted anywhere.
func New(c *control.Control, o Options) *rest.Service {
	a := &api{c, c.Options()}
	return &rest.Service{Name: "image", Routes: a.routes(), StrictSlash: true, Lenient: true, Envelope: rest.ImageEnvelope,
		Validator: o.Validator, AuthURL: o.AuthURL, Observe: o.Observe, Log: o.Log, Now: o.Now}
}

func (a *api) routes() []rest.Route {
	routes := []rest.Route{
		{Method: "GET", Path: "/", Public: true, Handle: a.versions(300), Doc: "list the versions"},
		{Method: "GET", Path: "/v2", Public: true, Handle: a.versions(300), Doc: "list the versions"},
		{Method: "GET", Path: "/versions", Public: true, Handle: a.versions(200), Doc: "list the versions"},

		{Method: "GET", Path: "/v2/images", Handle: a.listImages, Doc: "list images"},
		{Method: "POST", Path: "/v2/images", Handle: a.createImage, Doc: "register an image"},
		{Method: "GET", Path: "/v2/images/{id}", Handle: a.showImage, Doc: "show an image"},
		{Method: "PATCH", Path: "/v2/images/{id}", Handle: a.updateImage, Doc: "change an image"},
		{Method: "DELETE", Path: "/v2/images/{id}", Handle: a.deleteImage, Doc: "delete an image"},
		{Method: "POST", Path: "/v2/images/{id}/actions/deactivate", Handle: a.deactivate, Doc: "keep an image's data from its users"},
		{Method: "POST", Path: "/v2/images/{id}/actions/reactivate", Handle: a.reactivate, Doc: "undo a deactivation"},
		{Method: "PUT", Path: "/v2/images/{id}/tags/{tag}", Handle: a.addTag, Doc: "tag an image"},
		{Method: "DELETE", Path: "/v2/images/{id}/tags/{tag}", Handle: a.removeTag, Doc: "remove a tag"},

		{Method: "PUT", Path: "/v2/images/{id}/file", Handle: a.upload, Doc: "upload an image's data"},
		{Method: "GET", Path: "/v2/images/{id}/file", Handle: a.download, Doc: "download an image's data"},
		{Method: "PUT", Path: "/v2/images/{id}/stage", Handle: a.stage, Doc: "stage data for an import"},
		{Method: "POST", Path: "/v2/images/{id}/import", Handle: a.importImage, Doc: "import staged or foreign data"},
		{Method: "GET", Path: "/v2/images/{id}/tasks", Handle: a.imageTasks, Doc: "list an image's tasks"},
		{Method: "GET", Path: "/v2/images/{id}/locations", Handle: a.listLocations, Doc: "show where an image's data lies"},
		{Method: "POST", Path: "/v2/images/{id}/locations", Handle: a.addLocation, Doc: "make what lies somewhere a queued image's data"},
		{Method: "DELETE", Path: "/v2/stores/{store}/{id}", Handle: a.deleteFromStore, Doc: "remove an image's data from a store"},

		{Method: "GET", Path: "/v2/images/{id}/members", Handle: a.listMembers, Doc: "list whom an image is shared with"},
		{Method: "POST", Path: "/v2/images/{id}/members", Handle: a.addMember, Doc: "share an image"},
		{Method: "GET", Path: "/v2/images/{id}/members/{member}", Handle: a.showMember, Doc: "show a member"},
		{Method: "PUT", Path: "/v2/images/{id}/members/{member}", Handle: a.updateMember, Doc: "accept or reject a shared image"},
		{Method: "DELETE", Path: "/v2/images/{id}/members/{member}", Handle: a.removeMember, Doc: "stop sharing an image"},

		{Method: "GET", Path: "/v2/tasks", Handle: a.listTasks, Doc: "list tasks"},
		{Method: "POST", Path: "/v2/tasks", Handle: a.createTask, Doc: "import an image by a task"},
		{Method: "DELETE", Path: "/v2/tasks/{task}", Handle: a.deleteTask, Doc: "refuse: tasks go by themselves"},
		{Method: "GET", Path: "/v2/tasks/{task}", Handle: a.showTask, Doc: "show a task"},

		{Method: "GET", Path: "/v2/cache", Handle: a.showCache, Doc: "list what is in the cache and what is to come"},
		{Method: "DELETE", Path: "/v2/cache", Handle: a.clearCache, Doc: "empty the cache and its queue"},
		{Method: "PUT", Path: "/v2/cache/{id}", Handle: a.cacheImage, Doc: "have an image fetched into the cache"},
		{Method: "DELETE", Path: "/v2/cache/{id}", Handle: a.uncacheImage, Doc: "remove an image from the cache"},
		{Method: "GET", Path: "/v2/cached_images", Handle: a.cachedImages, Doc: "list what is in the cache"},
		{Method: "DELETE", Path: "/v2/cached_images", Handle: a.emptyCache("cache"), Doc: "empty the cache"},
		{Method: "DELETE", Path: "/v2/cached_images/{id}", Handle: a.uncacheImage, Doc: "remove an image from the cache"},
		{Method: "GET", Path: "/v2/queued_images", Handle: a.queuedImages, Doc: "list what is to be fetched into the cache"},
		{Method: "PUT", Path: "/v2/queued_images/{id}", Handle: a.cacheImage, Doc: "have an image fetched into the cache"},
		{Method: "DELETE", Path: "/v2/queued_images", Handle: a.emptyCache("queue"), Doc: "empty the cache's queue"},
		{Method: "DELETE", Path: "/v2/queued_images/{id}", Handle: a.uncacheImage, Doc: "remove an image from the cache's queue"},

		{Method: "GET", Path: "/v2/info/import", Handle: a.infoImport, Doc: "tell the import methods"},
		{Method: "GET", Path: "/v2/info/stores", Handle: a.infoStores, Doc: "tell the stores"},
		{Method: "GET", Path: "/v2/info/stores/detail", Handle: a.infoStoresDetail, Doc: "tell the stores with their details"},
		{Method: "GET", Path: "/v2/info/usage", Handle: a.infoUsage, Doc: "tell what the project's images take"},
	}
	routes = append(append(routes, a.metadefRoutes()...), a.v1Routes()...)
	for _, s := range append(schemas(a.o), metadefSchemas()...) {
		routes = append(routes, rest.Route{Method: "GET", Path: "/v2/schemas/" + s.name, Handle: constant(s.body), Doc: "describe the resource " + s.name})
	}
	return routes
}
