package api

import (
	"context"
	"log/slog"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/rest"
	"kilonova/service/identity/control"
)

// Options are what the API stands on.
type Options struct {
	Validator auth.Validator // nil: the control's own
	Log       *slog.Logger
	Now       func() time.Time
	AuthURL   func() string
	Observe   func(service, route string, status int, took time.Duration)
}

type api struct{ c *control.Control }

// New returns the service.
func New(c *control.Control, o Options) *rest.Service {
	a := &api{c}
	if o.Validator == nil {
		o.Validator = c.Validator()
	}
	routes := a.routes()
	for i := range routes {
		routes[i].Handle = a.guard(routes[i].Handle)
	}
	return &rest.Service{Name: "identity", Routes: routes, Envelope: rest.IdentityEnvelope, Lenient: true,
		Validator: o.Validator, Log: o.Log, Now: o.Now, AuthURL: o.AuthURL, Observe: o.Observe}
}

// guard holds a call against the access rules of its token, and tells caches
// that the answer depends on it.
func (a *api) guard(next rest.Handler) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		if r.Caller != nil && len(r.Caller.Methods) > 0 {
			for _, m := range r.Caller.Methods {
				if m != "application_credential" {
					continue
				}
				if err := a.c.AllowedByAccessRules(ctx, r.Method, r.URL.Path); err != nil {
					return nil, err
				}
			}
		}
		resp, err := next(ctx, r)
		if resp != nil {
			resp = resp.With("Vary", "X-Auth-Token")
		}
		return resp, err
	}
}
