package rest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
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
	// CutProject has an optional project id right after the root cut before
	// routing: /v2.1/{project_id}/servers.
	CutProject bool
	Envelope   Envelope
	Validator  auth.Validator
	// AuthURL is where the WWW-Authenticate header of a 401 points.
	AuthURL func() string
	// MaxBody bounds a JSON body in bytes; 0: 112 KiB, upstream's default.
	MaxBody int64
	// Lenient services ignore unknown fields of bodies.
	Lenient bool
	// StrictSlash services take a path that ends with a slash, below a version's
	// root, as one whose last part is empty: DELETE /v2/images/ is about an image
	// without a name, and not about the list.
	StrictSlash bool
	Log         *slog.Logger
	Now         func() time.Time
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

func (s *Service) serve(w http.ResponseWriter, hr *http.Request) {
	started := s.Now()
	id := requestID(hr)
	r := &Request{Request: hr, ID: id, service: s}
	out := &recorder{ResponseWriter: w}
	w.Header().Set("X-Openstack-Request-Id", id)
	if s.Name == "compute" {
		w.Header().Set("X-Compute-Request-Id", id)
	}
	resp, err := s.answer(w, r)
	if err == nil {
		err = s.write(out, r, resp)
	}
	if err != nil {
		s.refuse(out, r, err)
	}
	took := s.Now().Sub(started)
	name := "none"
	if r.route != nil {
		name = r.route.Method + " " + r.route.Path + " " + r.route.Action
	}
	if s.Observe != nil {
		s.Observe(s.Name, strings.TrimSpace(name), out.status, took)
	}
	s.Log.Debug("request", "service", s.Name, "method", hr.Method, "path", hr.URL.Path, "status", out.status,
		"took", took, "version", r.Version, "request_id", id)
}

// requestID takes over a caller's global id only where it has the right form.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Openstack-Request-Id"); len(id) == 40 && strings.HasPrefix(id, "req-") && IsUUID(id[4:]) {
		return id
	}
	var b [16]byte
	rand.Read(b[:])
	u, _ := uuid.FromBytes(b[:])
	return "req-" + u.String()
}

func (s *Service) answer(w http.ResponseWriter, r *Request) (resp *Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := s.negotiate(w, r); err != nil {
		return nil, err
	}
	candidates, err := s.find(r)
	if err != nil && !fault.Is(err, fault.MethodNotAllowed) {
		// Who is not known learns nothing of what is there.
		if authErr := s.authenticate(r, false); authErr != nil {
			return nil, authErr
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if err := s.authenticate(r, candidates[0].Public); err != nil {
		return nil, err
	}
	if r.route, err = s.choose(r, candidates); err != nil {
		return nil, err
	}
	if r.Query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return nil, fault.Invalidf("The query string is malformed: %v.", err)
	}
	ctx := WithRequestID(r.Context(), r.ID)
	if r.Caller != nil {
		ctx = auth.With(ctx, r.Caller)
	}
	return r.route.Handle(ctx, r)
}

// negotiate finds the version that the client asks for and says which it is.
func (s *Service) negotiate(w http.ResponseWriter, r *Request) error {
	if len(s.Versions) == 0 {
		return nil
	}
	kind := s.VersionType
	if kind == "" {
		kind = s.Name
	}
	h := w.Header()
	h.Add("Vary", "OpenStack-API-Version")
	lowest, highest := s.Versions[0], s.Versions[len(s.Versions)-1]
	asked := ""
	for _, value := range r.Header.Values("OpenStack-API-Version") {
		for part := range strings.SplitSeq(value, ",") {
			if name, v, ok := strings.Cut(strings.TrimSpace(part), " "); ok && strings.EqualFold(name, kind) {
				asked = strings.TrimSpace(v)
			}
		}
	}
	if s.LegacyHeader != "" {
		h.Add("Vary", s.LegacyHeader)
		if asked == "" {
			asked = strings.TrimSpace(r.Header.Get(s.LegacyHeader))
		}
	}
	r.Version = lowest
	switch {
	case asked == "":
	case asked == "latest":
		r.Version = highest
	default:
		v, err := ParseVersion(asked)
		if err != nil {
			return fault.Invalidf("API Version String %.64q is of invalid format. It must be of format MajorNum.MinorNum.", asked)
		}
		if v.Less(lowest) || highest.Less(v) {
			return fault.New(fault.NotAcceptable, "Version %s is not supported by the API. Minimum is %s and maximum is %s.", v, lowest, highest)
		}
		r.Version = v
	}
	h.Set("OpenStack-API-Version", kind+" "+r.Version.String())
	if s.LegacyHeader != "" {
		h.Set(s.LegacyHeader, r.Version.String())
	}
	return nil
}

// find returns the routes of the request's path and method.
func (s *Service) find(r *Request) ([]*Route, error) {
	notFound := fault.NotFoundf("The resource could not be found.")
	p := r.URL.Path
	for _, root := range s.Roots {
		if rest, ok := strings.CutPrefix(p, root); ok && (rest == "" || rest[0] == '/') && root != "" {
			p = rest
			if s.CutProject {
				p = cutProject(p)
			}
			break
		}
	}
	if s.StrictSlash && strings.HasSuffix(p, "/") && strings.Count(p, "/") > 2 {
		return nil, notFound
	}
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	if p == "" {
		p = "/"
	}
	if path.Clean(p) != p || len(p) > 2048 {
		return nil, notFound
	}
	probe := &http.Request{Method: r.Method, Host: r.Host, URL: &url.URL{Path: p}}
	_, pattern := s.mux.Handler(probe)
	if pattern == "/{$}" {
		pattern = "/"
	}
	routes := s.paths[pattern]
	if routes == nil {
		return nil, notFound
	}
	setPathValues(r.Request, pattern, p)
	list := routes.byMethod[r.Method]
	if list == nil && r.Method == http.MethodHead {
		list = routes.byMethod[http.MethodGet]
	}
	if list == nil {
		r.allowed = slices.Sorted(maps.Keys(routes.byMethod))
		return nil, fault.New(fault.MethodNotAllowed, "The method %s is not allowed for this resource.", printableMethod(r.Method))
	}
	return list, nil
}

func printableMethod(m string) string { return strings.ToUpper(m[:min(len(m), 16)]) }

// cutProject takes "/6f70…/servers" to "/servers": an id is 32 hexadecimal
// digits or a UUID.
func cutProject(p string) string {
	first, rest, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	if IsUUID(first) {
		return "/" + rest
	}
	return p
}

func setPathValues(r *http.Request, pattern, p string) {
	names, values := strings.Split(pattern, "/"), strings.Split(p, "/")
	for i, n := range names {
		if !strings.HasPrefix(n, "{") || i >= len(values) {
			continue
		}
		name := strings.Trim(n, "{}")
		if rest, ok := strings.CutSuffix(name, "..."); ok {
			r.SetPathValue(rest, strings.Join(values[i:], "/"))
			return
		}
		r.SetPathValue(name, values[i])
	}
}

func (s *Service) authenticate(r *Request, public bool) error {
	token := r.Header.Get("X-Auth-Token")
	if token == "" || s.Validator == nil {
		if public {
			return nil
		}
		return fault.New(fault.Unauthenticated, "The request you have made requires authentication.")
	}
	caller, err := s.Validator.Validate(WithRequestID(r.Context(), r.ID), token)
	if err != nil {
		if public && fault.Is(err, fault.Unauthenticated) {
			return nil
		}
		return err
	}
	r.Caller = caller
	return nil
}

// choose picks the route by version and action.
func (s *Service) choose(r *Request, candidates []*Route) (*Route, error) {
	action, body := "", map[string]json.RawMessage(nil)
	exists := false
	for _, c := range candidates {
		if c.Action != "" && body == nil {
			data, err := r.Bytes()
			if err != nil {
				return nil, err
			}
			if err := json.Unmarshal(data, &body); err != nil || len(body) != 1 {
				return nil, fault.Invalidf("Malformed request body: an object with one action as its only key is needed.")
			}
			for key := range body {
				action = key
			}
		}
		if c.Action != action {
			continue
		}
		exists = true
		if s.windows[c].Contains(r.Version) {
			return c, nil
		}
	}
	if action != "" && !exists {
		return nil, fault.Invalidf("There is no such action: %.64s", action)
	}
	return nil, fault.NotFoundf("The resource could not be found.")
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (s *Service) write(w *recorder, r *Request, resp *Response) error {
	if resp == nil {
		resp = &Response{}
	}
	h := w.Header()
	for k, v := range resp.Header {
		h[k] = v
	}
	if resp.Stream != nil {
		w.WriteHeader(status(resp, http.StatusOK))
		if r.Method == http.MethodHead {
			return nil
		}
		return aborted(resp.Stream(r.Context(), w))
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		buf.Reset()
		if buf.Cap() <= 4*chunk {
			buffers.Put(buf)
		}
	}()
	if resp.Items != nil {
		flush := func() error {
			if w.status == 0 {
				h.Set("Content-Type", "application/json")
				w.WriteHeader(status(resp, http.StatusOK))
			}
			_, err := w.Write(buf.Bytes())
			buf.Reset()
			return err
		}
		err := resp.Items.write(r.Version, buf, flush)
		if w.status != 0 {
			return aborted(err)
		}
		return err
	}
	if resp.Body == nil {
		code := status(resp, http.StatusNoContent)
		if code != http.StatusNoContent {
			h.Set("Content-Length", "0")
		}
		w.WriteHeader(code)
		return nil
	}
	if err := Encode(buf, r.Version, resp.Body); err != nil {
		return err
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", fmt.Sprint(buf.Len()))
	w.WriteHeader(status(resp, http.StatusOK))
	if r.Method != http.MethodHead {
		w.Write(buf.Bytes()) // a client that has gone is not our failure
	}
	return nil
}

func status(r *Response, def int) int {
	if r.Status != 0 {
		return r.Status
	}
	return def
}

// errAborted marks a failure after the head of the answer has gone out.
var errAborted = errors.New("answer cut off")

func aborted(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errAborted, err)
}

// refuse writes err in the service's envelope.
func (s *Service) refuse(w *recorder, r *Request, err error) {
	if errors.Is(err, errAborted) {
		s.Log.Warn("answer cut off", "service", s.Name, "path", r.URL.Path, "request_id", r.ID, "error", err)
		panic(http.ErrAbortHandler) // so that the client sees that it is not whole
	}
	f, ok := errors.AsType[*fault.Error](err)
	code := Status(err)
	if !ok || f.Kind == fault.Internal {
		s.Log.Error("request failed", "service", s.Name, "method", r.Method, "path", r.URL.Path, "request_id", r.ID, "error", err)
		f = &fault.Error{Message: "Unexpected error. Please report it with the request id " + r.ID + "."}
	}
	h := w.Header()
	body, mediaType := s.Envelope(r.Request, code, f, r.ID)
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if code == http.StatusUnauthorized && s.AuthURL != nil {
		h.Set("WWW-Authenticate", `Keystone uri="`+s.AuthURL()+`"`)
	}
	if code == http.StatusMethodNotAllowed {
		h.Set("Allow", strings.Join(r.allowed, ", "))
	}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", fmt.Sprint(int(f.RetryAfter.Seconds())))
	}
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
	io.CopyN(io.Discard, r.Body, 256<<10) // so that the connection can be used again
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.ResponseWriter.WriteHeader(status)
	}
}

// ReadFrom lets a stream that is copied from a file go out by sendfile.
func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(w.ResponseWriter, r)
}

// Flush lets streams push what they have.
func (w *recorder) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}
