package api

import (
	"slices"

	"kilonova/internal/rest"
)

// aged are the operations that only clients of before 2.36 know, and what else has
// come down from then.
func (a *api) aged() []rest.Route {
	return slices.Concat(a.usages(), a.oldImages(), a.oldNetworks(), a.oldSecurityGroups(), a.oldHosts(), a.bareMetal(), a.volumeAttachments(), a.oldVolumes(), a.sharesAndSnapshots())
}
