package ironic

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/google/uuid"
)

type object = map[string]any

// page is how many nodes a list has at most: few, so that clients have to go on.
const page = 2

// Service is the stand-in.
type Service struct {
	mu    sync.Mutex
	nodes []object
	ports []object
	mux   *http.ServeMux
}

// New returns a service without nodes; the URL of its API has no version.
func New() *Service {
	s := &Service{mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /v1/nodes/detail", s.list)
	s.mux.HandleFunc("GET /v1/nodes/{id}", s.show)
	s.mux.HandleFunc("GET /v1/ports", s.listPorts)
	return s
}

// Add makes a node that is "active", with a port, and returns its id. properties
// are what its operators have noted.
func (s *Service) Add(name, server, mac string, properties map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := uuid.NewString()
	node := object{"uuid": id, "name": name, "instance_uuid": nil, "provision_state": "active", "power_state": "power on", "maintenance": false, "driver": "fake-hardware",
		"properties": properties}
	if server != "" {
		node["instance_uuid"] = server
	}
	s.nodes = append(s.nodes, node)
	s.ports = append(s.ports, object{"uuid": uuid.NewString(), "address": mac, "node": id})
	return id
}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("X-OpenStack-Ironic-API-Version") == "" { // as at 1.1, which tells less
		write(w, 406, object{"error_message": "this stand-in wants to know the version"})
		return
	}
	s.mux.ServeHTTP(w, r)
}

func write(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func (s *Service) list(w http.ResponseWriter, r *http.Request) {
	from, marker := 0, r.FormValue("marker")
	for i, n := range s.nodes {
		if marker != "" && n["uuid"] == marker {
			from = i + 1
		}
	}
	to := min(from+page, len(s.nodes))
	body := object{"nodes": s.nodes[from:to]}
	if to < len(s.nodes) {
		body["next"] = "http://" + r.Host + "/v1/nodes/detail?marker=" + s.nodes[to-1]["uuid"].(string)
	}
	write(w, 200, body)
}

func (s *Service) show(w http.ResponseWriter, r *http.Request) {
	for _, n := range s.nodes {
		if id := r.PathValue("id"); n["uuid"] == id || n["name"] == id {
			write(w, 200, n)
			return
		}
	}
	write(w, 404, object{"error_message": `{"faultcode": "Client", "faultstring": "Node ` + r.PathValue("id") + ` could not be found.", "debuginfo": null}`})
}

func (s *Service) listPorts(w http.ResponseWriter, r *http.Request) {
	found := []object{}
	for _, p := range s.ports {
		if p["node"] == r.FormValue("node") {
			found = append(found, object{"uuid": p["uuid"], "address": p["address"]})
		}
	}
	write(w, 200, object{"ports": found})
}
