package auth

import "strings"

// AccessRule allows one method on paths of one service, by its type. In a path *
// and {name} stand for at least one character up to the next slash, ** for any
// number of any characters, as keystonemiddleware reads them.
type AccessRule struct{ Service, Method, Path string }

// MayCall reports whether the caller's token may be used for a request at all:
// one that is restricted to access rules only for what one of them allows, and to
// have a token checked by the identity service. paths are the names by which the
// request's path is known.
func (c *Caller) MayCall(service, method string, paths ...string) bool {
	if c.AccessRules == nil {
		return true
	}
	for _, p := range paths {
		if service == "identity" && method == "GET" && strings.HasSuffix(p, "/v3/auth/tokens") {
			return true
		}
	}
	for _, r := range c.AccessRules {
		if r.Service != service || r.Method != method {
			continue
		}
		for _, p := range paths {
			if matchPath(r.Path, p) {
				return true
			}
		}
	}
	return false
}

// maxPath bounds what is compared, in bytes: no route's path is longer.
const maxPath = 4096

// matchPath reads the pattern once and notes meanwhile where in the path what it has
// read may end, so that no pattern takes long.
func matchPath(pattern, path string) bool {
	if len(path) > maxPath {
		return false
	}
	ends := make([]bool, len(path)+1)
	ends[0] = true
	for pattern != "" {
		length, wild, deep := 1, false, strings.HasPrefix(pattern, "**")
		switch close := strings.IndexByte(pattern, '}'); {
		case deep:
			length = 2
		case pattern[0] == '*':
			wild = true
		case pattern[0] == '{' && close > 0:
			length, wild = close+1, true
		}
		before := ends[0]
		ends[0] = deep && ends[0]
		for i, c := range []byte(path) {
			here := ends[i+1]
			switch {
			case deep:
				ends[i+1] = here || ends[i]
			case wild:
				ends[i+1] = c != '/' && (before || ends[i])
			default:
				ends[i+1] = before && c == pattern[0]
			}
			before = here
		}
		pattern = pattern[length:]
	}
	return ends[len(path)]
}
