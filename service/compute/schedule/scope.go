package schedule

import (
	"maps"
	"slices"
)

// Scope is which hosts a list has to have to be of use for a request, if it cannot have
// all.
type Scope struct {
	// Only are the hosts that a request can have, and Why what all others are refused
	// for; without any, the request is not bound to some.
	Only []Place
	Why  string
	// All: the best hosts may be anywhere.
	All bool
	// Avoid is on how many hosts there are servers that the request's shall not be
	// beside.
	Avoid int
}

// Scope looks at where a request was bound to go before any host is looked at: to the
// destination that was asked for, and to or away from servers that have a host already.
func (s *Scheduler) Scope(r *Request) Scope {
	if r.Destination != (Place{}) {
		return Scope{Only: []Place{r.Destination}, Why: notDestination}
	}
	var members map[string]int
	policy := ""
	if r.Group != nil {
		policy, members = r.Group.Policy, r.serversOn(r.Group.Members, r.ServerID)
	}
	if policy == Affinity && len(members) > 0 {
		return Scope{Only: placesOf(members), Why: notOfGroup}
	}
	if same := r.serversOn(r.Hints.SameHost, ""); len(same) > 0 && s.Enabled("SameHostFilter") {
		return Scope{Only: placesOf(same), Why: notSameHost}
	}
	out := Scope{All: policy == SoftAffinity && len(members) > 0, Avoid: len(r.serversOn(r.Hints.DifferentHost, ""))}
	if policy == AntiAffinity || policy == SoftAntiAffinity {
		out.Avoid += len(members)
	}
	return out
}

// Limit is how many of so many hosts a list is to have, where it has at most limit for
// other requests.
func (s Scope) Limit(limit, hosts int) int {
	switch {
	case limit >= hosts:
	case len(s.Only) > 1 || s.All:
		return hosts
	case s.Avoid > limit/2:
		return min(limit+s.Avoid, hosts)
	}
	return limit
}

func placesOf(hosts map[string]int) []Place {
	var all []Place
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		all = append(all, Place{Host: host})
	}
	return all
}
