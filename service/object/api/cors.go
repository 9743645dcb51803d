package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/object"
)

// originPrefix begins a container's metadata about pages of other origins.
const originPrefix = "X-Container-Meta-Access-Control-"

// admits reports whether a container lets pages of an origin in.
func admits(h object.Headers, origin string) bool {
	allowed := strings.Fields(h[originPrefix+"Allow-Origin"])
	return origin != "" && (slices.Contains(allowed, origin) || slices.Contains(allowed, "*"))
}

// options answers a browser that asks before it asks.
func (a *api) options(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	const methods = "HEAD, GET, PUT, POST, COPY, OPTIONS, DELETE"
	origin, method := r.Header.Get("Origin"), r.Header.Get("Access-Control-Request-Method")
	if origin == "" {
		return answer(200).With("Allow", methods), nil
	}
	h, err := a.c.Shown(ctx, pathOf(r), originPrefix)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if !admits(h, origin) || !slices.Contains(strings.Split(methods, ", "), method) {
		return page(http.StatusUnauthorized, "Pages of this origin may not do this.").With("Allow", methods), nil
	}
	resp := answer(200).With("Allow", methods).With("Access-Control-Allow-Methods", methods).With("Access-Control-Allow-Origin", origin).With("Vary", "Origin, Access-Control-Request-Headers")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		resp.With("Access-Control-Allow-Headers", asked)
	}
	if age := h[originPrefix+"Max-Age"]; age != "" {
		resp.With("Access-Control-Max-Age", age)
	}
	return resp, nil
}

// admitOrigin tells a browser that a page of another origin may read an answer.
func (a *api) admitOrigin(ctx context.Context, r *rest.Request, resp *rest.Response) {
	origin := r.Header.Get("Origin")
	if origin == "" || r.Path("container") == "" || r.Method == http.MethodOptions || resp == nil {
		return
	}
	h, err := a.c.Shown(ctx, pathOf(r), originPrefix)
	if err != nil || !admits(h, origin) {
		return
	}
	expose := []string{"cache-control", "content-language", "content-type", "expires", "last-modified", "pragma", "etag", "x-timestamp", "x-trans-id", "x-openstack-request-id"}
	expose = append(expose, strings.Fields(h[originPrefix+"Expose-Headers"])...)
	for name := range resp.Header {
		if strings.HasPrefix(name, "X-Object-Meta-") || strings.HasPrefix(name, "X-Container-Meta-") {
			expose = append(expose, strings.ToLower(name))
		}
	}
	resp.With("Access-Control-Allow-Origin", origin).With("Access-Control-Expose-Headers", strings.Join(expose, ", "))
}
