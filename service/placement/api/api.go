package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/rest"
	"kilonova/service/placement/control"
)

// Options are what the API needs besides the use cases.
type Options struct {
	Validator auth.Validator
	Log       *slog.Logger
	Now       func() time.Time
	// AuthURL is where the WWW-Authenticate header of a 401 points. May be nil.
	AuthURL func() string
	// CORS lets pages of other origins in; nil: none.
	CORS *rest.CORS
	// Observe is told of every request that ended. May be nil.
	Observe func(service, route string, status int, took time.Duration)
}

// maxBody bounds a body, in bytes: a reshape names all allocations of a host.
const maxBody = 4 << 20

type api struct {
	control *control.Control
	now     func() time.Time
}

// New returns the placement API.
func New(c *control.Control, o Options) *rest.Service {
	a := &api{control: c, now: o.Now}
	s := &rest.Service{
		Name: "placement", Versions: versions, VersionType: "placement", Envelope: envelope, MaxBody: maxBody,
		Validator: o.Validator, AuthURL: o.AuthURL, Log: o.Log, Now: o.Now, Observe: o.Observe, CORS: o.CORS,
	}
	for _, r := range a.routes() {
		s.Routes = append(s.Routes, rest.Route{Method: r.method, Path: r.path, Versions: r.versions, Public: r.rule == public,
			Doc: r.doc, Handle: a.guarded(r)})
	}
	return s
}

// guarded is a row's handler behind what all handlers have in common.
func (a *api) guarded(row route) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		if err := checkMedia(r, row.body, row.answers); err != nil {
			return nil, err
		}
		if err := checkText(r); err != nil {
			return nil, err
		}
		if row.rule != public && row.rule != ownRule {
			if err := a.control.Authorize(ctx, row.rule, nil); err != nil {
				return nil, err
			}
		}
		resp, err := row.handle(ctx, r)
		if resp != nil {
			// Written as upstream does, for clients that compare it.
			resp.With("Vary", "openstack-api-version")
		}
		return resp, err
	}
}

// fresh marks an answer with the time of the last change of what it shows, as
// all have it since version 1.15; the zero time is now.
func (a *api) fresh(r *rest.Request, resp *rest.Response, changed time.Time) *rest.Response {
	if !r.Version.AtLeast("1.15") {
		return resp
	}
	if changed.IsZero() {
		changed = a.now()
	}
	return resp.With("Last-Modified", changed.UTC().Format(http.TimeFormat)).With("Cache-Control", "no-cache")
}

// latest is the later of two times, where the zero time is now.
func (a *api) latest(t, u time.Time) time.Time {
	if u.IsZero() {
		u = a.now()
	}
	if u.After(t) {
		return u
	}
	return t
}

// relative is the path of an address below the service: placement's links have
// no host, but they have the prefix that the client came by.
func relative(r *rest.Request, path string) string {
	link := r.Link(path)
	_, rest, _ := strings.Cut(link, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return path
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}
