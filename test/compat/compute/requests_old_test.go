package compute

import (
	"fmt"
	"strings"

	"kilonova/internal/rest"
)

// oldRequests are those for what only old clients ask, and for versions and
// extensions.
var oldRequests = map[string]func(*walker, rest.Version) request{
	"GET /versions/{id}":   get("/versions/v2.1"),
	"GET /extensions/{id}": get("/extensions/os-agents"),

	"GET /os-volumes_boot":                                 get("/os-volumes_boot"),
	"GET /os-volumes_boot/detail":                          get("/os-volumes_boot/detail"),
	"GET /os-volumes_boot/{id}":                            get("/os-volumes_boot/<server>"),
	"POST /os-volumes_boot":                                as("POST /servers"),
	"PUT /os-volumes_boot/{id}":                            as("PUT /servers/{id}"),
	"DELETE /os-volumes_boot/{id}":                         as("DELETE /servers/{id}"),
	"POST /os-volumes_boot/{id}/action confirmResize":      as("POST /servers/{id}/action confirmResize"),
	"POST /os-volumes_boot/{id}/action revertResize":       as("POST /servers/{id}/action revertResize"),
	"POST /os-volumes_boot/{id}/action reboot":             as("POST /servers/{id}/action reboot"),
	"POST /os-volumes_boot/{id}/action resize":             as("POST /servers/{id}/action resize"),
	"POST /os-volumes_boot/{id}/action rebuild":            as("POST /servers/{id}/action rebuild"),
	"POST /os-volumes_boot/{id}/action createImage":        as("POST /servers/{id}/action createImage"),
	"POST /os-volumes_boot/{id}/action os-start":           as("POST /servers/{id}/action os-start"),
	"POST /os-volumes_boot/{id}/action os-stop":            as("POST /servers/{id}/action os-stop"),
	"POST /os-volumes_boot/{id}/action trigger_crash_dump": as("POST /servers/{id}/action trigger_crash_dump"),

	"GET /os-security-groups": get("/os-security-groups"),
	"GET /os-security-groups/{id}": func(w *walker, _ rest.Version) request {
		return request{path: "/os-security-groups/" + w.first("/os-security-groups", "security_groups", "id")}
	},

	"GET /os-hypervisors/{id}/uptime": func(w *walker, v rest.Version) request {
		_, data := w.call("GET", w.url+"/os-hypervisors", v, nil)
		return request{path: "/os-hypervisors/" + firstID(w, data, "hypervisors") + "/uptime"}
	},
	"GET /os-hypervisors/{id}/search":  get("/os-hypervisors/dev/search"),
	"GET /os-hypervisors/{id}/servers": get("/os-hypervisors/dev/servers"),
}

// as makes the request of another operation, below the name of the old one.
func as(key string) func(*walker, rest.Version) request {
	return func(w *walker, v rest.Version) request {
		w.t.Helper()
		make := w.makers[alike(key)]
		if make == nil {
			w.t.Fatalf("%s has no request", key)
		}
		r := make(w, v)
		r.path = strings.Replace(r.path, "/servers", "/os-volumes_boot", 1)
		return r
	}
}

// first reads a member of a list's first element.
func (w *walker) first(path, list, member string) string {
	w.t.Helper()
	all := w.must("GET", path, "2.1", nil)[list].([]any)
	if len(all) == 0 {
		w.t.Fatalf("%s is empty", path)
	}
	return fmt.Sprint(all[0].(obj)[member])
}
