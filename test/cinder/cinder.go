package cinder

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"kilonova/internal/auth"
)

type object = map[string]any

// Service is the stand-in. Its fields are set before it serves.
type Service struct {
	// Tokens says who a token stands for; then callers see what is their project's
	// only, unless they are admins. nil believes every token and shows all to all.
	Tokens auth.Validator
	// Image describes an image that a volume is made from, as the image API does;
	// nil makes volumes of images that nobody has.
	Image func(ctx context.Context, id string) (map[string]any, error)

	// Dir is a folder in which volumes are files, sparse and of their size; "" has them
	// nowhere.
	Dir string

	mu          sync.Mutex
	volumes     map[string]object
	snapshots   map[string]object
	attachments map[string]object
	types       map[string]object
	owners      map[string]string // project by id
	hosts       map[string]string // that are let in, by attachment
	order       []string          // ids, oldest first
	faults      []*armedFault
	mux         *http.ServeMux
}

// New returns an empty service; URL/v3 is where its API begins.
func New() *Service {
	s := &Service{volumes: map[string]object{}, snapshots: map[string]object{}, attachments: map[string]object{}, types: map[string]object{},
		owners: map[string]string{}, hosts: map[string]string{}, mux: http.NewServeMux()}
	s.addType("memory", nil)
	s.addType("multiattach", object{"multiattach": "<is> True"})
	for pattern, h := range map[string]handle{
		"GET /volumes": s.list("volumes", brief), "GET /volumes/detail": s.list("volumes", s.whole), "POST /volumes": s.createVolume,
		"GET /volumes/{id}": s.show("volume"), "DELETE /volumes/{id}": s.deleteVolume, "PUT /volumes/{id}": s.updateVolume, "POST /volumes/{id}/action": s.volumeAction,
		"GET /volumes/{id}/metadata": s.metadata, "POST /volumes/{id}/metadata": s.metadata, "PUT /volumes/{id}/metadata": s.metadata,
		"GET /snapshots": s.list("snapshots", s.whole), "GET /snapshots/detail": s.list("snapshots", s.whole), "POST /snapshots": s.createSnapshot,
		"GET /snapshots/{id}": s.show("snapshot"), "DELETE /snapshots/{id}": s.deleteSnapshot, "POST /snapshots/{id}/action": s.updateSnapshot,
		"GET /attachments": s.listAttachments, "POST /attachments": s.createAttachment, "GET /attachments/{id}": s.show("attachment"),
		"PUT /attachments/{id}": s.connect, "DELETE /attachments/{id}": s.deleteAttachment, "POST /attachments/{id}/action": s.complete,
		"GET /types": s.listTypes, "POST /types": s.createType, "GET /types/{id}": s.showType, "DELETE /types/{id}": s.deleteType,
		"GET /limits": s.limits, "GET /os-quota-sets/{id}": s.quota,
	} {
		s.mux.HandleFunc(pattern, s.handler(s.faulty(pattern, h)))
	}
	return s
}

// handle answers one operation with a status and a body, under the lock.
type handle func(r *http.Request, body object) (int, any)

var project = regexp.MustCompile(`^/v3/[0-9a-f]{32}(/|$)`)

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := strings.TrimSuffix(r.URL.Path, "/"); p == "" || p == "/v3" {
		write(w, 200, object{"versions": []object{{"id": "v3.0", "status": "CURRENT", "version": newest, "min_version": "3.0", "updated": "2023-08-31T00:00:00Z",
			"links": []object{{"rel": "self", "href": "http://" + r.Host + "/v3/"}}}}})
		return
	}
	version, ok := versionOf(r.Header.Get("OpenStack-API-Version"))
	if !ok {
		write(w, 406, refusal(406, "Version "+version+" is not supported by the API. Minimum is 3.0 and maximum is "+newest+"."))
		return
	}
	w.Header().Set("OpenStack-API-Version", "volume "+version)
	w.Header().Set("Vary", "OpenStack-API-Version")
	if s.Tokens != nil {
		caller, err := s.Tokens.Validate(r.Context(), r.Header.Get("X-Auth-Token"))
		if err != nil {
			write(w, 401, refusal(401, err.Error()))
			return
		}
		r = r.WithContext(auth.With(r.Context(), caller))
	}
	r.URL.Path = strings.TrimPrefix(project.ReplaceAllString(r.URL.Path, "/v3/"), "/v3")
	s.mux.ServeHTTP(w, r)
}

const newest = "3.70"

// versionOf reads the version that a client asks of this service: 3.0 if none.
// Nothing that is here differs by version.
func versionOf(header string) (version string, ok bool) {
	for asked := range strings.SplitSeq(header, ",") {
		kind, v, _ := strings.Cut(strings.TrimSpace(asked), " ")
		switch minor, err := strconv.Atoi(strings.TrimPrefix(v, "3.")); {
		case kind != "volume":
		case v == "latest":
			return newest, true
		default:
			return v, err == nil && strings.HasPrefix(v, "3.") && minor >= 0 && minor <= 70
		}
	}
	return "3.0", true
}

func (s *Service) handler(h handle) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body object
		if r.Method != http.MethodGet && r.ContentLength != 0 {
			if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&body); err != nil {
				write(w, 400, refusal(400, "The body is not JSON."))
				return
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		status, out := h(r, body)
		write(w, status, out)
	}
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body != nil {
		json.NewEncoder(w).Encode(body)
	}
}

func refusal(status int, message string) object {
	name := map[int]string{400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 406: "computeFault", 409: "conflictingRequest", 500: "computeFault", 503: "serviceUnavailable"}[status]
	return object{name: object{"code": status, "message": message}}
}

func (s *Service) table(kind string) map[string]object {
	return map[string]map[string]object{"volume": s.volumes, "snapshot": s.snapshots, "attachment": s.attachments}[strings.TrimSuffix(kind, "s")]
}

// sees reports whether what has this id is there for whoever asks.
func (s *Service) sees(r *http.Request, id string) bool {
	c := auth.From(r.Context())
	return c == nil || c.IsAdmin() || s.owners[id] == c.ProjectID
}

// find is what a request's path names; nil where that is not there for its caller.
func (s *Service) find(r *http.Request, kind, id string) object {
	if x := s.table(kind)[id]; x != nil && s.sees(r, id) {
		return x
	}
	return nil
}

// missing is the refusal that names what find did not find.
func missing(kind, id string) (int, any) {
	if kind == "attachment" {
		return 404, refusal(404, "Volume attachment could not be found with filter: attachment_id = "+id+".")
	}
	return 404, refusal(404, strings.ToUpper(kind[:1])+kind[1:]+" "+id+" could not be found.")
}

// listed reports whether something belongs in the caller's list: all projects' things
// are for admins that ask for them.
func (s *Service) listed(r *http.Request, id string) bool {
	c := auth.From(r.Context())
	all := r.FormValue("all_tenants")
	return c == nil || s.owners[id] == c.ProjectID || c.IsAdmin() && all != "" && all != "0"
}

func (s *Service) list(kind string, view func(object) object) handle {
	return func(r *http.Request, _ object) (int, any) {
		all := []object{}
		for _, id := range s.order {
			if x := s.table(kind)[id]; x != nil && s.listed(r, id) && (r.FormValue("name") == "" || r.FormValue("name") == x["name"]) {
				all = append(all, view(x))
			}
		}
		return 200, object{kind: all}
	}
}

func (s *Service) show(kind string) handle {
	return func(r *http.Request, _ object) (int, any) {
		if x := s.find(r, kind, r.PathValue("id")); x != nil {
			return 200, object{kind: s.whole(x)}
		}
		return missing(kind, r.PathValue("id"))
	}
}

func (s *Service) add(r *http.Request, kind string, x object) object {
	id := uuid.NewString()
	x["id"], x["created_at"] = id, now()
	s.table(kind)[id] = x
	s.order = append(s.order, id)
	if r != nil {
		if c := auth.From(r.Context()); c != nil {
			s.owners[id] = c.ProjectID
		}
	}
	return x
}

func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000000") }

func part(body object, name string) object {
	p, _ := body[name].(object)
	if p == nil {
		p = object{}
	}
	return p
}

// first is a member of a body under any of its names.
func first(spec object, names ...string) any {
	for _, name := range names {
		if x, ok := spec[name]; ok {
			return x
		}
	}
	return nil
}
