package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
)

// TestServersAreFoundByName: whatever a name has in it, since the API takes it for a
// regular expression.
func TestServersAreFoundByName(t *testing.T) {
	names := map[string]string{"web(1)": "id-1", "a.1": "id-2", "a-1": "id-3"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("name") == "^secret$" {
			http.Error(w, "{}", http.StatusForbidden)
			return
		}
		if r.URL.Path != "/servers" {
			http.NotFound(w, r)
			return
		}
		found := ""
		for name, id := range names {
			if regexp.MustCompile(r.URL.Query().Get("name")).MatchString(name) {
				found += fmt.Sprintf(`{"id": %q, "name": %q}`, id, name)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"servers": [%s]}`, found)
	}))
	defer server.Close()
	client := &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/"}
	for name, want := range names {
		if id, err := serverID(t.Context(), client, name); err != nil || id != want {
			t.Errorf("%s: %s, %v", name, id, err)
		}
	}
	if _, err := serverID(t.Context(), client, "secret"); !strings.Contains(plainly(err).Error(), "an administrator may ask") {
		t.Errorf("a user's question: %v", err)
	}
}
