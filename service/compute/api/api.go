package api

import (
	"context"
	"log/slog"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/rest"
	"kilonova/service/compute/control"
)

// Options are what the API needs besides control.
type Options struct {
	Validator auth.Validator
	Log       *slog.Logger
	Now       func() time.Time
	AuthURL   func() string
	Observe   func(service, route string, status int, took time.Duration)
	MaxLimit  int // the longest page
	// ImageURL is where clients reach the image service; "" while nobody knows.
	ImageURL func(ctx context.Context) string
}

type api struct {
	control *control.Control
	now     func() time.Time
	most    int
	images  func(ctx context.Context) string
}

// New returns the compute API over control.
func New(c *control.Control, o Options) *rest.Service {
	a := &api{control: c, now: o.Now, most: o.MaxLimit, images: o.ImageURL}
	if a.images == nil {
		a.images = func(context.Context) string { return "" }
	}
	if a.most == 0 {
		a.most = 1000
	}
	return &rest.Service{Name: "compute", Routes: a.routes(), Versions: versions(), LegacyHeader: "X-OpenStack-Nova-API-Version",
		Roots: []string{"/v2.1", "/v2"}, LegacyRoot: "/v2", Elsewhere: a.choices, Query: mayQuery, StrictSlash: true, Exact: true, CutProject: true, Envelope: rest.ComputeEnvelope, Validator: o.Validator, AuthURL: o.AuthURL,
		Log: o.Log, Now: o.Now, Observe: o.Observe}
}
