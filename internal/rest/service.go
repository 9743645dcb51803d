package rest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"kilonova/internal/auth"
)

// Handler answers a request.
type Handler func(ctx context.Context, r *Request) (*Response, error)

// Route is one row of a service's table: an operation.
type Route struct {
	Method string
	Path   string // below the service's root, e.g. /servers/{id}
	// Action is the one key of the body that selects this row among those with
	// the same method and path: POST /servers/{id}/action.
	Action string
	// Versions is the window in which the operation exists, "" always.
	Versions string
	// Public routes are answered without a token.
	Public bool
	Handle Handler
	// Doc says in a few words what the operation does, for the table of what is
	// supported.
	Doc string
}

// Service is one API: its routes and its manners.
type Service struct {
	Name   string // "compute": in headers and logs
	Routes []Route
	// Versions lists every microversion, oldest first; nil: the service has none.
	Versions []Version
	// VersionType is the service type of OpenStack-API-Version, usually Name.
	VersionType string
	// LegacyHeader is the older header of microversions, may be "".
	LegacyHeader string
	// Roots are where the API's paths may begin: with "/v2.1" among them a
	// request for /v2.1/servers matches the route /servers. A path without any
	// of them is matched as it comes.
	Roots []string
	// LegacyRoot is one of Roots: who comes that way knows no microversions, gets
	// the lowest, and may send more in a body than is read.
	LegacyRoot string
	// Elsewhere answers requests below none of Roots, without a token. nil: their
	// paths are matched as they come.
	Elsewhere Handler
	// Query checks a request's query string before its handler sees it, and may
	// take from it. nil: whatever comes is handed on.
	Query func(route Route, r *Request) error
	// CutProject has an optional project id right after the root cut before
	// routing: /v2.1/{project_id}/servers.
	CutProject bool
	Envelope   Envelope
	Validator  auth.Validator
	// Overrides are rules above those of the service's own policy; nil: none.
	Overrides *auth.Overrides
	// AuthURL is where the WWW-Authenticate header of a 401 points.
	AuthURL func() string
	// MaxBody bounds a JSON body in bytes; 0: 112 KiB, upstream's default.
	MaxBody int64
	// Lenient services ignore unknown fields of bodies.
	Lenient bool
	// Exact services tell null and "" in a body from what is missing, and names of
	// members by their case: see DecodeExact.
	Exact bool
	// StrictSlash services take a path that ends with a slash, below a version's
	// root, as one whose last part is empty: DELETE /v2/images/ is about an image
	// without a name, and not about the list.
	StrictSlash bool
	// NameAfter services take all of a path after so many parts as one name that
	// clients choose freely, with slashes, dots and whatever else is in it: 3 for
	// /v1/{account}/{container}/{object...}. 0: paths have no such end.
	NameAfter int
	// Head, if not nil, adds to the head of every answer; id is the request's.
	Head func(h http.Header, id string)
	Log  *slog.Logger
	Now  func() time.Time
	// CORS lets pages of other origins in; nil: none.
	CORS *CORS
	// Observe is told of every request that ended, for metrics. May be nil.
	Observe func(service, route string, status int, took time.Duration)

	mux     *http.ServeMux
	paths   map[string]*pathRoutes
	windows map[*Route]Window
}

const defaultMaxBody = 114688

// pathRoutes are the routes of one path, by method.
type pathRoutes struct{ byMethod map[string][]*Route }

// Handler compiles the table. A wrong row panics: it is part of the program.
func (s *Service) Handler() http.Handler {
	s.mux, s.paths, s.windows = http.NewServeMux(), map[string]*pathRoutes{}, map[*Route]Window{}
	for i := range s.Routes {
		r := &s.Routes[i]
		w, err := ParseWindow(r.Versions)
		if err != nil {
			panic(fmt.Sprintf("rest: %s %s: %v", r.Method, r.Path, err))
		}
		s.windows[r] = w
		p := s.paths[r.Path]
		if p == nil {
			p = &pathRoutes{byMethod: map[string][]*Route{}}
			s.paths[r.Path] = p
			pattern := r.Path
			if pattern == "/" {
				pattern = "/{$}"
			}
			s.mux.Handle(pattern, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) // only its pattern is used
		}
		p.byMethod[r.Method] = append(p.byMethod[r.Method], r)
	}
	if s.CORS != nil {
		return s.CORS.handler(http.HandlerFunc(s.serve))
	}
	return http.HandlerFunc(s.serve)
}

type prefixKey struct{}

// Below returns h for requests whose path starts with prefix, which h does not
// see but which its links have.
func Below(prefix string, h http.Handler) http.Handler {
	strip := http.StripPrefix(prefix, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == prefix {
			r2 := r.Clone(r.Context())
			r2.URL.Path = prefix + "/"
			r = r2
		}
		strip.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), prefixKey{}, prefix)))
	})
}

func (s *Service) prefix(r *http.Request) string {
	prefix, _ := r.Context().Value(prefixKey{}).(string)
	return prefix
}
