package remote

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

// TestClaimsOnWhatIsGone: a host that was removed between its choice and the claim is
// refused as a full one is; what is wrong with a claim in itself stays an error.
func TestClaimsOnWhatIsGone(t *testing.T) {
	detail := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"errors": [{"status": 400, "title": "Bad Request", "detail": "` + detail + `"}]}`))
	}))
	defer server.Close()
	client, err := peer.Table{"placement": {URL: server.URL, Transport: peer.Network(nil)}}.Client("placement", someone{})
	if err != nil {
		t.Fatal(err)
	}
	p, c := NewPlacement(client), compute.Claim{ServerID: "s", Resources: map[string]int{"VCPU": 1}}
	for text, want := range map[string]fault.Kind{
		"Allocation for resource provider 'h' that does not exist.": fault.Conflict,
		"No such resource class in allocations NOPE":                fault.Invalid,
	} {
		detail = text
		one, all := p.Claim(t.Context(), "h", c), p.ClaimAll(t.Context(), []compute.PlacedClaim{{Claim: c, ProviderID: "h"}})
		if !fault.Is(one, want) || !fault.Is(all, want) {
			t.Errorf("%s: %v and %v", text, one, all)
		}
	}
}
