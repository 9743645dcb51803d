package auth

import "strings"

// AccessRule allows one method on paths of one service, by its type. In a path *
// and {name} stand for one part, ** for any number of them.
type AccessRule struct{ Service, Method, Path string }

// MayCall reports whether the caller's token may be used for a request at all:
// one that is restricted to access rules only for what one of them allows. paths
// are the names by which the request's path is known.
func (c *Caller) MayCall(service, method string, paths ...string) bool {
	if len(c.AccessRules) == 0 {
		return true
	}
	for _, r := range c.AccessRules {
		if r.Service != service || r.Method != method {
			continue
		}
		for _, p := range paths {
			if matchParts(strings.Split(r.Path, "/"), strings.Split(p, "/")) {
				return true
			}
		}
	}
	return false
}

func matchParts(pattern, path []string) bool {
	for i, p := range pattern {
		if p == "**" {
			for j := i; j <= len(path); j++ {
				if matchParts(pattern[i+1:], path[j:]) {
					return true
				}
			}
			return false
		}
		if i >= len(path) {
			return false
		}
		wild := p == "*" || strings.HasPrefix(p, "{") && strings.HasSuffix(p, "}")
		if wild && path[i] == "" || !wild && p != path[i] {
			return false
		}
	}
	return len(path) == len(pattern)
}
