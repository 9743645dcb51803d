package api

import (
	"context"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/config"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/object"
	"kilonova/service/object/control"
)

// Options are what the API needs besides control.
type Options struct {
	Validator auth.Validator
	AuthURL   func() string
	Observe   func(service, route string, status int, took time.Duration)
	// Stall is how long an upload may be silent; 0 for ever.
	Stall config.Duration
	Log   *slog.Logger
	Now   func() time.Time
}

type api struct {
	c     *control.Control
	o     control.Options
	stall time.Duration
}

// New returns the service; its Handler may be mounted anywhere.
func New(c *control.Control, o Options) *rest.Service {
	a := &api{c, c.Options(), o.Stall.D()}
	return &rest.Service{Name: "object-store", Routes: a.routes(), NameAfter: 3, MaxBody: a.o.SLO.MaxSize, Envelope: envelope, Validator: o.Validator, AuthURL: o.AuthURL,
		Observe: o.Observe, Log: o.Log, Now: o.Now,
		Head: func(h http.Header, id string) {
			// As upstream numbers transactions, made of the request's id.
			digits := strings.ReplaceAll(strings.TrimPrefix(id, "req-"), "-", "")
			h.Set("X-Trans-Id", fmt.Sprintf("tx%.21s-%010x", digits, o.Now().Unix()))
		}}
}

func (a *api) routes() []rest.Route {
	const account, container, name = "/v1/{account}", "/v1/{account}/{container}", "/v1/{account}/{container}/{object...}"
	routes := []rest.Route{
		{Method: "GET", Path: "/info", Public: true, Handle: a.info, Doc: "tell what this object store can do"},
		{Method: "GET", Path: "/healthcheck", Public: true, Handle: text("text/plain", "OK"), Doc: "say OK"},
		{Method: "GET", Path: "/crossdomain.xml", Public: true, Handle: text("application/xml", crossDomain), Doc: "tell Flash which pages may come"},
	}
	// Public: the container's access list, a key or the token decides, in control.
	for _, r := range []rest.Route{
		{Method: "HEAD", Path: account, Handle: a.headAccount, Doc: "show an account's metadata"},
		{Method: "GET", Path: account, Handle: a.listAccount, Doc: "list an account's containers"},
		{Method: "POST", Path: account, Handle: a.postAccount, Doc: "change an account's metadata, or delete much at once"},
		{Method: "PUT", Path: account, Handle: a.putAccount, Doc: "make an account, or unpack an archive into it"},
		{Method: "DELETE", Path: account, Handle: a.deleteAccount, Doc: "delete an account, or much at once"},
		{Method: "HEAD", Path: container, Handle: a.headContainer, Doc: "show a container's metadata"},
		{Method: "GET", Path: container, Handle: a.listContainer, Doc: "list a container's objects"},
		{Method: "POST", Path: container, Handle: a.postContainer, Doc: "change a container's metadata, or take a form"},
		{Method: "PUT", Path: container, Handle: a.putContainer, Doc: "make a container, or unpack an archive into it"},
		{Method: "DELETE", Path: container, Handle: a.deleteContainer, Doc: "delete a container"},
		{Method: "OPTIONS", Path: container, Handle: a.options, Doc: "tell pages of other origins what they may"},
		{Method: "HEAD", Path: name, Handle: a.getObject, Doc: "show an object's metadata"},
		{Method: "GET", Path: name, Handle: a.getObject, Doc: "read an object"},
		{Method: "PUT", Path: name, Handle: a.putObject, Doc: "write, copy or assemble an object"},
		{Method: "POST", Path: name, Handle: a.postObject, Doc: "change an object's metadata, or take a form"},
		{Method: "COPY", Path: name, Handle: a.copyObject, Doc: "copy an object"},
		{Method: "DELETE", Path: name, Handle: a.deleteObject, Doc: "delete an object"},
		{Method: "OPTIONS", Path: name, Handle: a.options, Doc: "tell pages of other origins what they may"},
	} {
		r.Public, r.Handle = true, a.visited(r.Handle)
		routes = append(routes, r)
	}
	return routes
}

// visited puts before a handler what counts for all: how the caller comes, keys that
// stand in place of a token, and what pages of other origins may read.
func (a *api) visited(h rest.Handler) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		ctx = control.WithVisit(ctx, control.Visit{Referrer: r.Referer()})
		if r.Query.Has("temp_url_sig") || r.Query.Has("temp_url_expires") {
			signed, err := a.tempURL(ctx, r)
			if err != nil {
				return nil, err
			}
			ctx = signed
		}
		resp, err := h(ctx, r)
		if err == nil {
			a.admitOrigin(ctx, r, resp)
		}
		return resp, err
	}
}

// pathOf is what a request is about.
func pathOf(r *rest.Request) object.Path {
	return object.Path{Account: r.Path("account"), Container: r.Path("container"), Object: r.Path("object")}
}

// headersOf are the request's headers as control takes them: the first value of each.
// An underscore counts as a hyphen, which is all that upstream's servers see of one.
// Those that are this service's own are nobody's to send.
func headersOf(r *rest.Request) object.Headers {
	out := object.Headers{}
	for name, values := range r.Header {
		name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if !strings.HasPrefix(name, object.Sys) {
			out[name] = strings.TrimSpace(values[0])
		}
	}
	return out
}

// envelope is Swift's: a little page.
func envelope(_ *http.Request, status int, f *fault.Error, _ string) ([]byte, string) {
	title := http.StatusText(status)
	return []byte("<html><h1>" + title + "</h1><p>" + html.EscapeString(f.Message) + "</p></html>"), "text/html; charset=UTF-8"
}

// page is a refusal that has a status of its own.
func page(status int, message string) *rest.Response {
	body, mediaType := envelope(nil, status, &fault.Error{Message: message}, "")
	return bytesOf(status, mediaType, body)
}

// answer is a response without a body.
func answer(status int) *rest.Response {
	return (&rest.Response{Status: status}).With("Content-Type", "text/html; charset=UTF-8")
}

// with adds remembered headers to an answer.
func with(resp *rest.Response, h object.Headers) *rest.Response {
	for name, value := range h {
		if !strings.HasPrefix(name, object.Sys) {
			resp.With(name, value)
		}
	}
	return resp
}

func text(mediaType, body string) rest.Handler {
	return func(context.Context, *rest.Request) (*rest.Response, error) {
		return bytesOf(200, mediaType, []byte(body)), nil
	}
}

// lastModified is a time as the header Last-Modified has it. Swift rounds up, so that
// nobody who asks "since then?" misses a change of the same second.
func lastModified(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		return whole.Add(time.Second)
	}
	return t
}

func httpTime(t time.Time) string { return lastModified(t).UTC().Format(http.TimeFormat) }

func isTrue(s string) bool {
	b, err := strconv.ParseBool(strings.ToLower(s))
	return err == nil && b || strings.EqualFold(s, "yes") || strings.EqualFold(s, "on") || strings.EqualFold(s, "y")
}
