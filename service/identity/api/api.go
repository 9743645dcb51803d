package api

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
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

// guard refuses what no database takes as text, and tells caches that the answer
// depends on the token.
func (a *api) guard(next rest.Handler) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		if err := checkText(r); err != nil {
			return nil, err
		}
		resp, err := next(ctx, r)
		if resp != nil {
			resp = resp.With("Vary", "X-Auth-Token")
		}
		return resp, err
	}
}

// checkText refuses zero characters, and bytes in addresses that are no UTF-8.
func checkText(r *rest.Request) error {
	bad := func(s string) bool { return strings.ContainsRune(s, 0) || !utf8.ValidString(s) }
	if bad(r.URL.Path) {
		return fault.NotFoundf("The resource could not be found.")
	}
	for name, values := range r.Query {
		if bad(name) || slices.ContainsFunc(values, bad) {
			return fault.Invalidf("The query string has characters that are not allowed.")
		}
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	data, err := r.Bytes()
	if err == nil && bytes.Contains(data, []byte(`\u0000`)) {
		err = fault.Invalidf("The request body has the character U+0000, which is not allowed.")
	}
	return err
}
