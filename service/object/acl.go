package object

import (
	"net/url"
	"strings"

	"kilonova/internal/fault"
)

// ACL is a container's access list, as upstream's middleware.acl reads it.
type ACL struct {
	Referrers []string // hosts; "*" all, ".example.org" all below it, "-host" not this one
	Listings  bool     // .rlistings: those who come by referrer may also list
	Names     []string // "project:user", "project:*", "*:*", role names
}

// ParseACL reads an access list. In one for writing, referrers are refused.
func ParseACL(text string, write bool) (ACL, error) {
	var a ACL
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		kind, value, colon := strings.Cut(item, ":")
		kind, value = strings.TrimSpace(kind), strings.TrimSpace(value)
		switch {
		case !strings.HasPrefix(kind, "."):
			a.Names = append(a.Names, item)
		case kind == ".rlistings" && !colon:
			a.Listings = true
		case kind == ".r" || kind == ".ref" || kind == ".referer" || kind == ".referrer":
			if write {
				return a, fault.Invalidf("Referrers not allowed in write ACL: %.128q", item)
			}
			negate := strings.HasPrefix(value, "-")
			host := strings.TrimSpace(strings.TrimPrefix(value, "-"))
			if host != "*" {
				host = strings.TrimPrefix(host, "*")
			}
			if host == "" || host == "." {
				return a, fault.Invalidf("No host/domain value after referrer designation in ACL: %.128q", item)
			}
			if negate {
				host = "-" + host
			}
			a.Referrers = append(a.Referrers, host)
		default:
			return a, fault.Invalidf("Unknown designator %.64q in ACL: %.128q", kind, item)
		}
	}
	return a, nil
}

// AllowsReferrer reports whether a page at an address may lead here: the last of
// the list that fits it decides.
func (a *ACL) AllowsReferrer(referrer string) bool {
	host := "unknown"
	if u, err := url.Parse(referrer); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	allowed := false
	for _, r := range a.Referrers {
		name, negate := strings.CutPrefix(r, "-")
		if name == "*" || name == host || strings.HasPrefix(name, ".") && strings.HasSuffix(host, name) {
			allowed = !negate
		}
	}
	return allowed
}

// AllowsUser reports whether a name of the list is the user's on the project. Names
// are of no use here, since those of other domains may be the same: ids are, and *.
func (a *ACL) AllowsUser(projectID, userID string) bool {
	for _, n := range a.Names {
		project, user, ok := strings.Cut(n, ":")
		if ok && (project == projectID || project == "*") && (user == userID || user == "*") {
			return true
		}
	}
	return false
}

// AllowsRole reports whether a role is in the list; both are compared in lower case.
func (a *ACL) AllowsRole(roles []string) bool {
	for _, n := range a.Names {
		for _, r := range roles {
			if strings.EqualFold(n, r) {
				return true
			}
		}
	}
	return false
}
