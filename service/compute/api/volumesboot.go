package api

import (
	"slices"
	"strings"

	"kilonova/internal/rest"
)

// bootActions are the actions that /os-volumes_boot shares with /servers.
var bootActions = []string{"", "confirmResize", "revertResize", "reboot", "resize", "rebuild", "createImage", "os-start", "os-stop", "trigger_crash_dump"}

// bootedFromVolumes are the operations of /servers under the name that they had
// for servers that boot from volumes, until 2.102. They differ in nothing else.
func bootedFromVolumes(all []rest.Route) []rest.Route {
	var routes []rest.Route
	for _, r := range all {
		tail, ok := strings.CutPrefix(r.Path, "/servers")
		if !ok || !slices.Contains([]string{"", "/detail", "/{id}", "/{id}/action"}, tail) || !slices.Contains(bootActions, r.Action) {
			continue
		}
		low, _, _ := strings.Cut(r.Versions, "-")
		r.Path, r.Versions = "/os-volumes_boot"+tail, low+"-2.102"
		routes = append(routes, r)
	}
	return routes
}
