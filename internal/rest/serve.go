package rest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"

	"github.com/google/uuid"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
)

func (s *Service) serve(w http.ResponseWriter, hr *http.Request) {
	started := s.Now()
	id := requestID(hr)
	r := &Request{Request: hr, ID: id, service: s, writer: w}
	out := &recorder{ResponseWriter: w}
	w.Header().Set("X-Openstack-Request-Id", id)
	if s.Name == "compute" {
		w.Header().Set("X-Compute-Request-Id", id)
	}
	if s.Head != nil {
		s.Head(w.Header(), id)
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
	root, below := s.rootOf(r.URL.Path)
	if s.Elsewhere != nil && !below && r.URL.Path != "/" {
		return s.Elsewhere(r.Context(), r)
	}
	r.Legacy = below && root == s.LegacyRoot
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
	if s.Query != nil {
		if err := s.Query(*r.route, r); err != nil {
			return nil, err
		}
	}
	ctx := WithRequestID(r.Context(), r.ID)
	if r.Caller != nil {
		ctx = auth.With(ctx, r.Caller)
	}
	if s.Overrides != nil {
		ctx = auth.WithOverrides(ctx, s.Overrides)
	}
	return r.route.Handle(ctx, r)
}

// negotiate finds the version that the client asks for and says which it is.
func (s *Service) negotiate(w http.ResponseWriter, r *Request) error {
	if len(s.Versions) == 0 {
		return nil
	}
	if r.Legacy {
		r.Version = s.Versions[0]
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

// rootOf returns the one of Roots that a path is below.
func (s *Service) rootOf(p string) (root string, below bool) {
	for _, root := range s.Roots {
		if rest, ok := strings.CutPrefix(p, root); ok && (rest == "" || rest[0] == '/') && root != "" {
			return root, true
		}
	}
	return "", false
}

// find returns the routes of the request's path and method.
func (s *Service) find(r *Request) ([]*Route, error) {
	notFound := fault.NotFoundf("The resource could not be found.")
	p := r.URL.Path
	root, below := s.rootOf(p)
	if below {
		p = strings.TrimPrefix(p, root)
		if s.CutProject {
			p = cutProject(p)
		}
	}
	if s.StrictSlash && strings.HasSuffix(p, "/") && (strings.Count(p, "/") > 2 || below && len(p) > 1) {
		return nil, notFound
	}
	if len(p) > 1 && (s.NameAfter == 0 || strings.Count(p, "/") <= s.NameAfter) {
		p = strings.TrimSuffix(p, "/")
	}
	if p == "" {
		p = "/"
	}
	probed := p
	if s.NameAfter > 0 {
		probed = s.nameless(p)
	}
	if path.Clean(probed) != probed || len(p) > 2048 {
		return nil, notFound
	}
	probe := &http.Request{Method: r.Method, Host: r.Host, URL: &url.URL{Path: probed}}
	_, pattern := s.mux.Handler(probe)
	if pattern == "/{$}" {
		pattern = "/"
	}
	routes := s.paths[pattern]
	if routes == nil {
		return nil, notFound
	}
	setPathValues(r.Request, pattern, p)
	r.methods = routes.byMethod
	list := routes.byMethod[r.Method]
	if list == nil && r.Method == http.MethodHead {
		list = routes.byMethod[http.MethodGet]
	}
	if list == nil {
		return nil, fault.New(fault.MethodNotAllowed, "The method %s is not allowed for this resource.", printableMethod(r.Method))
	}
	return list, nil
}

// nameless is p with something in place of the parts that clients choose: what they
// say must not lead to another route.
func (s *Service) nameless(p string) string {
	parts := strings.SplitN(strings.TrimPrefix(p, "/"), "/", s.NameAfter+1)
	for i := range parts {
		if i > 0 && parts[i] != "" {
			parts[i] = "name"
		}
	}
	if len(parts) > s.NameAfter && parts[s.NameAfter] == "" {
		parts = parts[:s.NameAfter]
	}
	return "/" + strings.Join(parts, "/")
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
	if scheme, bearer, ok := strings.Cut(r.Header.Get("Authorization"), " "); token == "" && ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(bearer) // as OAuth 2 clients send it
	}
	if token == "" || s.Validator == nil {
		if public {
			return nil
		}
		return fault.New(fault.Unauthenticated, "The request you have made requires authentication.")
	}
	ctx := WithRequestID(r.Context(), r.ID)
	caller, err := s.Validator.Validate(ctx, token)
	if late, ok := s.Validator.(auth.LateValidator); ok && fault.Is(err, fault.Unauthenticated) && s.fromService(ctx, r) {
		caller, err = late.ValidateLate(ctx, token)
	}
	if err != nil {
		if public && fault.Is(err, fault.Unauthenticated) {
			return nil
		}
		return err
	}
	if err := s.mayUse(ctx, r, caller); err != nil && !public {
		return err
	} else if err == nil {
		r.Caller = caller
	}
	return nil
}

// serviceRole is what makes a user a service, whose token may stand beside that of
// somebody it works for.
const serviceRole = "service"

// fromService reports whether a request shows the token of a service beside its
// user's. It then is part of work that the user was let begin: the token may have run
// out since, and its limits were held where the work began.
func (s *Service) fromService(ctx context.Context, r *Request) bool {
	own := r.Header.Get("X-Service-Token")
	if own == "" {
		return false
	}
	service, err := s.Validator.Validate(ctx, own)
	return err == nil && service.HasRole(serviceRole)
}

// mayUse refuses tokens that are not for this request, or not for who sends it.
func (s *Service) mayUse(ctx context.Context, r *Request, c *auth.Caller) error {
	bound := c.Thumbprint != "" && c.Thumbprint != Thumbprint(r.Request)
	barred := !c.MayCall(s.Name, r.Method, r.URL.Path, s.prefix(r.Request)+r.URL.Path)
	switch {
	case (bound || barred) && s.fromService(ctx, r):
	case bound:
		return fault.New(fault.Unauthenticated, "The request you have made requires authentication: the token is bound to a certificate that this client has not shown.")
	case barred:
		return fault.New(fault.Unauthenticated, "The request you have made requires authentication: the access rules of the application credential do not allow %s %.255s of %s.", printableMethod(r.Method), r.URL.Path, s.Name)
	}
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
