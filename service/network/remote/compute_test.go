package remote

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/network"
)

type tokens struct{}

func (tokens) Catalog(context.Context) (*peer.Catalog, error) {
	return &peer.Catalog{ProjectID: "ours"}, nil
}

func (tokens) Token(context.Context, string) (string, error) { return "ours", nil }

func TestNotify(t *testing.T) {
	status := http.StatusOK
	var seen struct {
		Events []map[string]string `json:"events"`
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/compute/v2.1/os-server-external-events" || r.Method != http.MethodPost || r.Header.Get("X-Auth-Token") != "ours" ||
			r.Header.Get("OpenStack-API-Version") != "compute 2.51" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		if err := json.NewDecoder(r.Body).Decode(&seen); err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
	})
	c, err := NewCompute(peer.Table{"compute": {URL: "http://cloud/compute", Transport: peer.Pipe(handler)}}, tokens{})
	if err != nil {
		t.Fatal(err)
	}
	e := network.Event{Name: network.EventPlugged, ServerID: "s", PortID: "p", Status: "completed"}
	for _, x := range []struct {
		status int
		want   fault.Kind
		failed bool
	}{{http.StatusOK, 0, false}, {http.StatusMultiStatus, 0, false}, {http.StatusNotFound, 0, false}, {http.StatusServiceUnavailable, fault.Unavailable, true}} {
		status = x.status
		if err := c.Notify(t.Context(), e); (err != nil) != x.failed || x.failed && !fault.Is(err, x.want) {
			t.Errorf("status %d gives %v", x.status, err)
		}
	}
	got := seen.Events[0]
	if got["name"] != "network-vif-plugged" || got["server_uuid"] != "s" || got["tag"] != "p" || got["status"] != "completed" {
		t.Errorf("compute was told %v", got)
	}
}
