package rest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
)

// Request is a request as a handler sees it.
type Request struct {
	*http.Request
	Version Version      // of the API; zero where the service has none
	Caller  *auth.Caller // nil on public routes without a token
	ID      string       // "req-" and a UUID
	// Query holds the parsed query string.
	Query url.Values
	// Legacy requests came by the service's LegacyRoot.
	Legacy bool

	service *Service
	writer  http.ResponseWriter // nil in tests of handlers
	route   *Route
	methods map[string][]*Route // of the path, for a 405
	body    []byte
	read    bool
}

// RequestID returns the request that ctx belongs to; "" outside of any.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// WithRequestID returns a context that belongs to the request id, so that its
// calls to other services can be traced.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

type requestIDKey struct{}

// Bytes reads the whole body, once, up to the service's limit.
func (r *Request) Bytes() ([]byte, error) {
	if r.read {
		return r.body, nil
	}
	limit := r.service.MaxBody
	if limit == 0 {
		limit = defaultMaxBody
	}
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fault.New(fault.TooLarge, "The request is too large: at most %d bytes are taken.", limit)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The request body ended before its time.")
	}
	r.body, r.read = data, true
	return data, nil
}

// Decode reads the JSON body into v at the request's version, checks it and, for
// strict services, refuses unknown fields.
func (r *Request) Decode(v any) error {
	data, err := r.Bytes()
	if err != nil {
		return err
	}
	strict := !r.service.Lenient && !r.Legacy
	if r.service.Exact {
		return DecodeExact(data, r.Version, strict, v)
	}
	return Decode(data, r.Version, strict, v)
}

// Path returns the value of a wildcard of the route's path.
func (r *Request) Path(name string) string { return r.PathValue(name) }

// Link returns the address of a path below the service as the client reached it,
// for links and Location headers: scheme and host of the request, the service's
// prefix, path.
func (r *Request) Link(path string) string { return r.base() + path }

func (r *Request) base() string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host + r.service.prefix(r.Request)
}

// QueryInt reads a whole number from the query; def when it is absent.
func (r *Request) QueryInt(name string, def int) (int, error) {
	text := r.Query.Get(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fault.Invalidf("%s must be a whole number that is not negative, and not %.64q.", name, text)
	}
	return n, nil
}

// Page is the caller's wish for a part of a list.
type Page struct {
	Limit  int    // 0: the service's maximum
	Marker string // the id after which to begin; "" the beginning
}

// Page reads limit and marker. A limit above most, or none, becomes most.
func (r *Request) Page(most int) (Page, error) {
	limit, err := r.QueryInt("limit", most)
	if err != nil {
		return Page{}, err
	}
	if limit == 0 || limit > most {
		limit = most
	}
	return Page{Limit: limit, Marker: r.Query.Get("marker")}, nil
}

// NextLink is the address of the page after the item marker.
func (r *Request) NextLink(path, marker string) string {
	q := url.Values{}
	for k, v := range r.Query {
		q[k] = v
	}
	q.Set("marker", marker)
	return r.Link(path) + "?" + q.Encode()
}

// Response is a handler's answer.
type Response struct {
	Status int // 0: 200, or 204 without a body
	Header http.Header
	// Body is written as JSON at the request's version: a pointer to a struct
	// with windows, or anything that encoding/json takes. nil: no body.
	Body any
	// Stream writes a body that is not JSON, or not to be held in memory. With a
	// Content-Length in Header it must write just that much.
	Stream func(ctx context.Context, w io.Writer) error
	// Items is a JSON list that is written while it is read.
	Items *Items
}

// OK is a 200 with a body.
func OK(body any) *Response { return &Response{Status: http.StatusOK, Body: body} }

// Created is a 201 with a body.
func Created(body any) *Response { return &Response{Status: http.StatusCreated, Body: body} }

// Accepted is a 202, with or without a body.
func Accepted(body any) *Response { return &Response{Status: http.StatusAccepted, Body: body} }

// NoContent is a 204.
func NoContent() *Response { return &Response{Status: http.StatusNoContent} }

// With sets a header and returns r.
func (r *Response) With(key, value string) *Response {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(key, value)
	return r
}

// Items is a list that is written while it is read, so that memory does not grow
// with it: {"KEY": [item, …], tail…}.
type Items struct {
	Key string
	// Each calls yield with a pointer to each item until yield returns an error.
	Each func(yield func(item any) error) error
	// Tail, called after the last item, returns further members of the object,
	// e.g. "servers_links"; nil values are left out. May be nil.
	Tail func() map[string]any
}

// chunk is how much of a list is gathered before it is written.
const chunk = 64 << 10

// write writes the list to buf, and has flush empty that whenever a chunk is full.
// What is in it at the end is the list's last part.
func (it *Items) write(ver Version, buf *bytes.Buffer, flush func() error) error {
	buf.WriteString(`{"` + it.Key + `": [`)
	first := true
	err := it.Each(func(item any) error {
		if !first {
			buf.WriteString(", ")
		}
		first = false
		if err := Encode(buf, ver, item); err != nil {
			return err
		}
		if buf.Len() >= chunk {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	buf.WriteByte(']')
	if it.Tail != nil {
		for key, value := range it.Tail() {
			if value == nil {
				continue
			}
			buf.WriteString(`, "` + key + `": `)
			if err := Encode(buf, ver, value); err != nil {
				return err
			}
		}
	}
	buf.WriteByte('}')
	return nil
}
