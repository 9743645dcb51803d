package remote

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
)

// A project's own limit stands before the registered one, and what is registered for this region before what is for none.
func TestLimits(t *testing.T) {
	type object = map[string]any
	list := func(name string, what ...object) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			kept := []object{}
			for _, o := range what {
				if p := r.FormValue("project_id"); (p == "" || o["project_id"] == p) && (r.FormValue("service_id") == "glance" || name == "services" && r.FormValue("type") == "image") {
					kept = append(kept, o)
				}
			}
			json.NewEncoder(w).Encode(object{name: kept})
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v3/services", list("services", object{"id": "glance"}))
	mux.HandleFunc("GET /v3/registered_limits", list("registered_limits",
		object{"region_id": "here", "resource_name": "a", "default_limit": 1}, object{"region_id": nil, "resource_name": "a", "default_limit": 2},
		object{"region_id": nil, "resource_name": "b", "default_limit": 3}, object{"region_id": "there", "resource_name": "b", "default_limit": 4},
		object{"region_id": nil, "resource_name": "c", "default_limit": 5}, object{"region_id": "here", "resource_name": "c", "default_limit": -1},
		object{"region_id": "there", "resource_name": "d", "default_limit": 6}, object{"region_id": "here", "resource_name": "e", "default_limit": 7}))
	mux.HandleFunc("GET /v3/limits", list("limits",
		object{"region_id": nil, "resource_name": "a", "resource_limit": 10, "project_id": "p"}, object{"region_id": nil, "resource_name": "b", "resource_limit": 11, "project_id": "p"},
		object{"region_id": "here", "resource_name": "e", "resource_limit": 12, "project_id": "p"}, object{"region_id": "here", "resource_name": "e", "resource_limit": 13, "project_id": "q"}))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	identity, err := peer.Table{"identity": {URL: srv.URL, Transport: http.DefaultTransport}}.Client("identity", nil)
	if err != nil {
		t.Fatal(err)
	}
	l := &Limits{Identity: identity, Region: "here"}
	for project, want := range map[string]map[string]int64{
		"p": {"a": 1, "b": 11, "c": -1, "e": 12}, "r": {"a": 1, "b": 3, "c": -1, "e": 7},
	} {
		if got, err := l.Limits(t.Context(), project); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s has %v, %v; want %v", project, got, err, want)
		}
	}
	srv.Close()
	if _, err := l.Limits(t.Context(), "p"); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}
