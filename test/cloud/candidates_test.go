package cloud

import (
	"context"
	"fmt"
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
	status  int
}

func (a *asking) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.plainly {
		r = r.Clone(r.Context())
		r.Header.Set("Accept", "application/json")
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		a.form, a.status = resp.Header.Get("Content-Type"), resp.StatusCode
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
		return candidatesOf(t, asker(t, c, transport), q)
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

// asker is compute, asking the cloud's Placement.
func asker(t *testing.T, c *cloud, transport http.RoundTripper) *remote.Placement {
	t.Helper()
	client, err := peer.Table{"placement": {URL: c.url + "/placement", Transport: transport}}.Client("placement", token(c.admin.provider.Token()))
	if err != nil {
		t.Fatal(err)
	}
	return remote.NewPlacement(client)
}

func candidatesOf(t *testing.T, p *remote.Placement, q compute.CandidateQuery) []compute.Candidate {
	t.Helper()
	all, err := p.Candidates(t.Context(), q, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCandidatesAfterClaims: whoever asks again, and is told no more than what has
// changed, knows what somebody knows who asks for the first time.
func TestCandidatesAfterClaims(t *testing.T) {
	c := one(t)
	hostsUp(t, c)
	wire, plain := &asking{}, &asking{plainly: true}
	again := asker(t, c, wire)
	q := compute.CandidateQuery{Resources: map[string]int{"VCPU": 1, "MEMORY_MB": 64}, Limit: 1000}
	hosts := candidatesOf(t, again, q)
	if len(hosts) != 2 {
		t.Fatalf("%d hosts", len(hosts))
	}
	memory := hosts[0].Capacity.Of("MEMORY_MB")
	server := func(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }
	claim := func(n, host, megabytes int) error {
		return again.Claim(t.Context(), hosts[host].ProviderID, compute.Claim{ServerID: server(n), ProjectID: "p", UserID: "u", Resources: map[string]int{"MEMORY_MB": megabytes}})
	}
	for _, step := range []struct {
		name  string
		do    func() error
		hosts int
	}{
		{"a claim", func() error { return claim(1, 0, 64) }, 2},
		{"one on the other host", func() error { return claim(2, 1, 100) }, 2},
		{"nothing", func() error { return nil }, 2},
		{"one of all that is left", func() error { return claim(3, 0, memory.Capacity-memory.Used-64) }, 1},
		{"one that is given back", func() error { return again.Release(t.Context(), server(1)) }, 2},
	} {
		if err := step.do(); err != nil {
			t.Fatal(step.name, err)
		}
		told, want := candidatesOf(t, again, q), candidatesOf(t, asker(t, c, plain), q)
		if wire.status != http.StatusIMUsed || len(told) != step.hosts || len(want) != step.hosts {
			t.Errorf("after %s: %d hosts with the status %d, and %d in full; want %d", step.name, len(told), wire.status, len(want), step.hosts)
		}
		for i := range min(len(told), len(want)) {
			if a, b := byClass(told[i]), byClass(want[i]); !reflect.DeepEqual(a, b) {
				t.Errorf("after %s: %+v, want %+v", step.name, a, b)
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
