package api

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCandidatesInLines: whoever names the type gets it, if the version has all that
// it says; nobody else does.
func TestCandidatesInLines(t *testing.T) {
	h := furnished(t)
	for _, step := range [][3]string{
		{"PUT", "/resource_providers/" + one + "/inventories", `{"resource_provider_generation": 3, "inventories": {"VCPU": {"total": 8, "allocation_ratio": 2.0}, "MEMORY_MB": {"total": 512}}}`},
		{"POST", "/resource_providers", `{"name": "card", "uuid": "` + other + `", "parent_provider_uuid": "` + one + `"}`},
		{"PUT", "/resource_providers/" + other + "/inventories", `{"resource_provider_generation": 0, "inventories": {"VGPU": {"total": 4}, "PGPU": {"total": 1}}}`},
	} {
		if w := call(h, step[0], step[1], step[2]); w.Code >= 300 {
			t.Fatal(step, w.Code, w.Body)
		}
	}
	ask := func(version, accept, query string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/allocation_candidates?"+query, nil)
		r.Header.Set("X-Auth-Token", "admin")
		r.Header.Set("OpenStack-API-Version", "placement "+version)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	const both = linesType + ", application/json;q=0.9"
	told := "C MEMORY_MB VCPU PGPU VGPU\nP " + one + " 0 0=512/0 1=16/3\nP " + other + " 0 2=1/0 3=4/0\n"
	for query, want := range map[string]string{
		"resources=VCPU:2,MEMORY_MB:8":                            told + "R 0:1=2,0=8\nE\n",
		"resources=VCPU:2,VGPU:1":                                 told + "R 0:1=2 1:3=1\nE\n",
		"resources=VCPU:2&resources_GPU=VGPU:1":                   told + "R 0:1=2 1:3=1\nM _GPU 1\nE\n",
		"resources=VCPU:99":                                       "C\nE\n",
		"resources_A=VGPU:1&resources_B=VGPU:2&group_policy=none": told + "R 1:3=3\nM _A 1\nM _B 1\nE\n",
	} {
		w := ask("1.39", both, query)
		if got := w.Body.String(); w.Code != 200 || w.Header().Get("Content-Type") != linesType || got != want {
			t.Errorf("%s: %d %s\n%s\nwant %s", query, w.Code, w.Header().Get("Content-Type"), got, want)
		}
	}
	for _, other := range [][2]string{{"1.33", both}, {"1.39", "*/*"}, {"1.39", ""}, {"1.39", "application/json"}} {
		if w := ask(other[0], other[1], "resources=VCPU:2"); w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || !strings.HasPrefix(w.Body.String(), "{") {
			t.Errorf("%q: %d %s", other, w.Code, w.Body)
		}
	}
	if w := ask("1.39", both, "resources=NOPE:1"); w.Code != 400 || !strings.Contains(w.Body.String(), "No such resource class NOPE") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
