package cloud

import (
	"context"
	"net/http"
	"reflect"
	"testing"

	"kilonova/internal/peer"
	"kilonova/service/compute"
	"kilonova/service/compute/remote"
)

// token is what somebody has who is logged in.
type token string

func (t token) Token(context.Context, string) (string, error)  { return string(t), nil }
func (t token) Catalog(context.Context) (*peer.Catalog, error) { return &peer.Catalog{}, nil }

// asking remembers in which form it was answered. One that asks plainly knows of no
// other than everybody's.
type asking struct {
	plainly bool
	form    string // a media type
}

func (a *asking) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.plainly {
		r = r.Clone(r.Context())
		r.Header.Set("Accept", "application/json")
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		a.form = resp.Header.Get("Content-Type")
	}
	return resp, err
}

// TestCandidatesAreTheSameInBothForms: what compute reads of candidates in lines is
// what it reads of them in JSON, of flat hosts, of trees and of what is shared.
func TestCandidatesAreTheSameInBothForms(t *testing.T) {
	c := one(t)
	hostsUp(t, c)
	p := c.admin.placement
	var nodes struct {
		List []struct{ UUID, Name string } `json:"resource_providers"`
	}
	c.get(t, p, "/resource_providers", &nodes)
	const card, share, rack = "c0000000-0000-4000-8000-000000000001", "c0000000-0000-4000-8000-000000000002", "c0000000-0000-4000-8000-000000000003"
	provider := func(id, parent string, inventories object) {
		body := object{"name": id, "uuid": id}
		if parent != "" {
			body["parent_provider_uuid"] = parent
		}
		c.must(t, p, "POST", "resource_providers", body, nil)
		c.must(t, p, "PUT", "resource_providers/"+id+"/inventories", object{"resource_provider_generation": 0, "inventories": inventories}, nil)
	}
	provider(card, nodes.List[0].UUID, object{"VGPU": object{"total": 4}})
	provider(share, "", object{"IPV4_ADDRESS": object{"total": 4}})
	c.must(t, p, "PUT", "resource_providers/"+share+"/traits", object{"resource_provider_generation": 1, "traits": []string{"MISC_SHARES_VIA_AGGREGATE"}}, nil)
	for _, id := range []string{share, nodes.List[1].UUID} {
		var now struct {
			Generation int `json:"generation"`
		}
		c.get(t, p, "/resource_providers/"+id, &now)
		c.must(t, p, "PUT", "resource_providers/"+id+"/aggregates", object{"resource_provider_generation": now.Generation, "aggregates": []string{rack}}, nil)
	}
	ask := func(transport http.RoundTripper, q compute.CandidateQuery) []compute.Candidate {
		client, err := peer.Table{"placement": {URL: c.url + "/placement", Transport: transport}}.Client("placement", token(c.admin.provider.Token()))
		if err != nil {
			t.Fatal(err)
		}
		all, err := (&remote.Placement{Client: client}).Candidates(t.Context(), q, nil)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	flat := map[string]int{"VCPU": 1, "MEMORY_MB": 64}
	for name, tt := range map[string]struct {
		want int
		compute.CandidateQuery
	}{
		"flat":   {2, compute.CandidateQuery{Resources: flat}},
		"none":   {0, compute.CandidateQuery{Resources: map[string]int{"VCPU": 1_000_000}}},
		"tree":   {1, compute.CandidateQuery{Resources: map[string]int{"VCPU": 1, "VGPU": 1}}},
		"shared": {1, compute.CandidateQuery{Resources: map[string]int{"VCPU": 1, "MEMORY_MB": 64, "IPV4_ADDRESS": 2}}},
		"groups": {1, compute.CandidateQuery{Resources: flat, GroupPolicy: "none", Groups: []compute.RequestGroup{
			{Suffix: "_A", Resources: map[string]int{"VGPU": 1}, Open: true}, {Suffix: "_B", Resources: map[string]int{"VGPU": 2}}}}},
	} {
		tt.Limit = 1000
		inJSON, inLines := &asking{plainly: true}, &asking{}
		plain, lines := ask(inJSON, tt.CandidateQuery), ask(inLines, tt.CandidateQuery)
		if inJSON.form != "application/json" || inLines.form != "application/vnd.kilonova.candidates" {
			t.Errorf("%s: answered in %s and %s", name, inJSON.form, inLines.form)
		}
		if len(plain) != tt.want || len(lines) != tt.want {
			t.Errorf("%s: %d candidates in JSON and %d in lines, want %d", name, len(plain), len(lines), tt.want)
		}
		for i := range min(len(plain), len(lines)) {
			if a, b := byClass(plain[i]), byClass(lines[i]); !reflect.DeepEqual(a, b) {
				t.Errorf("%s: in JSON %+v and in lines %+v", name, a, b)
			}
		}
	}
}

// byClass is a candidate without the order of what there is.
func byClass(c compute.Candidate) any {
	all := map[string]compute.Usage{}
	for _, u := range c.Capacity {
		all[u.Class] = u
	}
	c.Capacity = nil
	return [2]any{c, all}
}
