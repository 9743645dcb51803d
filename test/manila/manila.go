package manila

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
)

type object = map[string]any

// Service is the stand-in. Its methods are for tests that look behind it.
type Service struct {
	mu     sync.Mutex
	shares map[string]*share
	mux    *http.ServeMux
}

type share struct {
	status, protocol string
	exports          []object
	rules            []*rule
}

type rule struct {
	id, kind, to, level, state string
	asked                      int // how often it was looked at
	locked                     bool
}

// New returns a service without shares; URL/v2 is where its API begins.
func New() *Service {
	s := &Service{shares: map[string]*share{}, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /v2/shares/{id}", s.with(s.show))
	s.mux.HandleFunc("GET /v2/shares/{id}/export_locations", s.with(s.exports))
	s.mux.HandleFunc("POST /v2/shares/{id}/action", s.with(s.act))
	s.mux.HandleFunc("GET /v2/share-access-rules", s.with(s.rules))
	return s
}

// Add makes a share that is available and returns its id.
func (s *Service) Add(protocol, location string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := uuid.NewString()
	x := &share{status: "available", protocol: protocol}
	if location != "" {
		x.exports = []object{{"id": uuid.NewString(), "path": "198.51.100.1:/second", "preferred": false, "share_instance_id": uuid.NewString(), "is_admin_only": false},
			{"id": uuid.NewString(), "path": location, "preferred": true, "share_instance_id": uuid.NewString(), "is_admin_only": false}}
	}
	s.shares[id] = x
	return id
}

// SetStatus has a share be in a status.
func (s *Service) SetStatus(id, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shares[id].status = status
}

// Allowed lists who may use a share: "ip 192.0.2.1 locked".
func (s *Service) Allowed(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, r := range s.shares[id].rules {
		text := r.kind + " " + r.to
		if r.locked {
			text += " locked"
		}
		all = append(all, text)
	}
	return all
}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-OpenStack-Manila-API-Version") != "2.82" { // locks are of this one
		refuse(w, 404, "this stand-in knows version 2.82")
		return
	}
	s.mux.ServeHTTP(w, r)
}

// with finds the share that is asked about.
func (s *Service) with(h func(http.ResponseWriter, *http.Request, string, *share)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		id := r.PathValue("id")
		if id == "" {
			id = r.FormValue("share_id")
		}
		x := s.shares[id]
		if x == nil {
			refuse(w, 404, "Share "+id+" could not be found.")
			return
		}
		h(w, r, id, x)
	}
}

func write(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body != nil {
		json.NewEncoder(w).Encode(body)
	}
}

func refuse(w http.ResponseWriter, status int, message string) {
	name := map[int]string{400: "badRequest", 403: "forbidden", 404: "itemNotFound"}[status]
	write(w, status, object{name: object{"code": status, "message": message}})
}

func (s *Service) show(w http.ResponseWriter, _ *http.Request, id string, x *share) {
	write(w, 200, object{"share": object{"id": id, "status": x.status, "share_proto": x.protocol, "size": 1, "name": "share", "metadata": object{}, "is_public": false,
		"access_rules_status": "active", "export_locations": []any{}, "export_location": nil}})
}

func (s *Service) exports(w http.ResponseWriter, _ *http.Request, _ string, x *share) {
	write(w, 200, object{"export_locations": append([]object{}, x.exports...)})
}

func (r *rule) view() object {
	view := object{"id": r.id, "access_type": r.kind, "access_to": r.to, "access_level": r.level, "state": r.state, "access_key": nil, "metadata": object{}}
	if r.kind == "cephx" {
		view["access_key"] = "key of " + r.to
	}
	return view
}

// rules shows a new rule as upstream does: it holds after a while.
func (s *Service) rules(w http.ResponseWriter, _ *http.Request, _ string, x *share) {
	all := []object{}
	for _, r := range x.rules {
		if r.asked++; r.asked > 1 {
			r.state = "active"
		}
		all = append(all, r.view())
	}
	write(w, 200, object{"access_list": all})
}

func text(v any) string { t, _ := v.(string); return t }

func (s *Service) act(w http.ResponseWriter, r *http.Request, id string, x *share) {
	var body struct {
		Allow object `json:"allow_access"`
		Deny  object `json:"deny_access"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		refuse(w, 400, "The body is not JSON.")
		return
	}
	switch {
	case body.Allow != nil:
		kind, to := text(body.Allow["access_type"]), text(body.Allow["access_to"])
		if !slices.Contains([]string{"ip", "cephx", "user", "cert"}, kind) || to == "" || strings.Contains(to, " ") {
			refuse(w, 400, "Invalid access type or access_to.")
			return
		}
		if slices.ContainsFunc(x.rules, func(r *rule) bool { return r.kind == kind && r.to == to }) {
			refuse(w, 400, "Share access "+kind+":"+to+" exists.")
			return
		}
		made := &rule{id: uuid.NewString(), kind: kind, to: to, level: text(body.Allow["access_level"]), state: "queued_to_apply", locked: body.Allow["lock_deletion"] == true}
		x.rules = append(x.rules, made)
		view := made.view()
		view["share_id"] = id
		write(w, 200, object{"access": view})
	case body.Deny != nil:
		i := slices.IndexFunc(x.rules, func(r *rule) bool { return r.id == text(body.Deny["access_id"]) })
		switch {
		case i < 0:
			refuse(w, 404, "Share access rule could not be found.")
		case x.rules[i].locked && body.Deny["unrestrict"] != true:
			refuse(w, 403, "Cannot deny access for share "+id+" since it has been locked.")
		default:
			x.rules = slices.Delete(x.rules, i, i+1)
			write(w, 202, nil)
		}
	default:
		refuse(w, 400, "There is no such action.")
	}
}
