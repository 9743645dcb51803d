package remote

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"kilonova/internal/peer"
)

// TestVolumesMadeForAServer: they are found on whichever page of all volumes a service
// shows them that does not know the filter.
func TestVolumesMadeForAServer(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.URL.Query().Get("marker") {
		case "":
			fmt.Fprint(w, `{"volumes": [{"id": "a", "metadata": {}}, {"id": "b", "metadata": {"`+forServer+`": "s"}}], "volumes_links": [{"rel": "next", "href": "http://x"}]}`)
		case "b":
			fmt.Fprint(w, `{"volumes": [{"id": "c", "metadata": {"`+forServer+`": "other"}}, {"id": "d", "metadata": {"`+forServer+`": "s"}}]}`)
		default:
			t.Errorf("asked for %s", r.URL)
		}
	}))
	defer server.Close()
	client, err := peer.Table{"volume": {URL: server.URL, Transport: peer.Network(nil)}}.Client("volume", someone{})
	if err != nil {
		t.Fatal(err)
	}
	made, err := (&Volumes{Client: client}).MadeFor(t.Context(), "s")
	if err != nil || len(made) != 2 || made[0].ID != "b" || made[1].ID != "d" || asked != 2 {
		t.Errorf("%+v, %v, after %d questions", made, err, asked)
	}
}
