package api

import (
	"fmt"
	"net/http"
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

// TestLinesTellOfAll: a group that takes nothing can be of a tree that gives nothing, of
// which lines, as the summaries of JSON, say nothing. The answer is JSON then.
func TestLinesTellOfAll(t *testing.T) {
	h := furnished(t)
	const zone = "44444444-4444-4444-8444-444444444444"
	for _, step := range [][3]string{
		{"POST", "/resource_providers", `{"name": "pool", "uuid": "` + other + `"}`},
		{"PUT", "/resource_providers/" + other + "/inventories", `{"resource_provider_generation": 0, "inventories": {"DISK_GB": {"total": 8}}}`},
		{"PUT", "/resource_providers/" + other + "/traits", `{"resource_provider_generation": 1, "traits": ["MISC_SHARES_VIA_AGGREGATE"]}`},
		{"PUT", "/resource_providers/" + other + "/aggregates", `{"resource_provider_generation": 2, "aggregates": ["` + zone + `"]}`},
		{"PUT", "/resource_providers/" + one + "/aggregates", `{"resource_provider_generation": 3, "aggregates": ["` + zone + `"]}`},
	} {
		if w := call(h, step[0], step[1], step[2]); w.Code >= 300 {
			t.Fatal(step, w.Code, w.Body)
		}
	}
	r := httptest.NewRequest("GET", "/allocation_candidates?resources=DISK_GB:1&required_R=HW_CPU_X86_AVX&same_subtree=_R", nil)
	r.Header.Set("X-Auth-Token", "admin")
	r.Header.Set("OpenStack-API-Version", "placement 1.39")
	r.Header.Set("Accept", linesType+", application/json;q=0.9")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	want := `"allocations": {"` + other + `": {"resources": {"DISK_GB": 1}}}, "mappings": {"": ["` + other + `"], "_R": ["` + one + `"]}`
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || !strings.Contains(w.Body.String(), want) {
		t.Errorf("%d %s %s, want %s", w.Code, w.Header().Get("Content-Type"), w.Body, want)
	}
}

// TestCandidatesSince: who has had an answer and says so is told what has changed, as
// RFC 3229 has it; who does not know how to read that gets all.
func TestCandidatesSince(t *testing.T) {
	h := furnished(t)
	put := func(generation int, total string) {
		t.Helper()
		body := fmt.Sprintf(`{"resource_provider_generation": %d, "inventories": {"VCPU": {"total": %s}}}`, generation, total)
		if w := call(h, "PUT", "/resource_providers/"+one+"/inventories", body); w.Code >= 300 {
			t.Fatal(w.Code, w.Body)
		}
	}
	ask := func(query string, header http.Header) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/allocation_candidates?"+query, nil)
		r.Header = header.Clone()
		r.Header.Set("X-Auth-Token", "admin")
		r.Header.Set("OpenStack-API-Version", "placement 1.39")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	const query = "resources=VCPU:2"
	put(3, "8")
	whole := func(total string) string { return "C VCPU\nP " + one + " 0 0=" + total + "/3\nR 0:0=2\nE\n" }
	lines := http.Header{"Accept": {linesType + ", application/json;q=0.9"}}
	if w := ask(query, lines); w.Code != 200 || w.Header().Get("ETag") != "" || w.Body.String() != whole("8") {
		t.Errorf("without A-IM: %d %v %s", w.Code, w.Header(), w.Body)
	}
	able := lines.Clone()
	able.Set("A-IM", linesDelta)
	first := ask(query, able)
	tag := first.Header().Get("ETag")
	if first.Code != 200 || tag == "" || first.Header().Get("IM") != "" || first.Body.String() != whole("8") {
		t.Errorf("the first answer: %d %v %s", first.Code, first.Header(), first.Body)
	}
	since := able.Clone()
	since.Set("If-None-Match", tag)
	if w := ask(query, since); w.Code != 226 || w.Header().Get("ETag") != tag || w.Body.String() != "C\nD 1 0 0\nE\n" {
		t.Errorf("when nothing has changed: %d %v %s", w.Code, w.Header(), w.Body)
	}
	put(4, "9")
	w := ask(query, since)
	next := w.Header().Get("ETag")
	if w.Code != 226 || w.Header().Get("IM") != linesDelta || w.Header().Get("Delta-Base") != tag || next == "" || next == tag ||
		w.Header().Get("Content-Type") != linesType || w.Body.String() != "C VCPU\nD 0 1 1\nP "+one+" 0 0=9/3\nR 0:0=2\nE\n" {
		t.Errorf("after a change: %d %v %s", w.Code, w.Header(), w.Body)
	}
	since.Set("If-None-Match", next)
	put(5, "4") // there is no room any more
	if w := ask(query, since); w.Code != 226 || w.Body.String() != "C\nD 0 1 0\nE\n" {
		t.Errorf("when nobody has room: %d %v %s", w.Code, w.Header(), w.Body)
	}
	put(6, "9")
	for _, wrong := range []string{tag, `"0"`, `""`, "*", `"nonsense"`, `W/"1"`} {
		since.Set("If-None-Match", wrong)
		if w := ask(query, since); w.Code != 200 || w.Header().Get("ETag") == "" || w.Body.String() != whole("9") {
			t.Errorf("with the tag %s: %d %v %s", wrong, w.Code, w.Header(), w.Body)
		}
	}
	since.Set("If-None-Match", ask(query, able).Header().Get("ETag"))
	if w := ask("resources=VCPU:3", since); w.Code != 200 || !strings.HasSuffix(w.Body.String(), "R 0:0=3\nE\n") {
		t.Errorf("another question with this one's tag: %d %v %s", w.Code, w.Header(), w.Body)
	}
	since.Set("Accept", "application/json")
	if w := ask(query, since); w.Code != 200 || w.Header().Get("ETag") != "" || !strings.HasPrefix(w.Body.String(), "{") {
		t.Errorf("JSON: %d %v %s", w.Code, w.Header(), w.Body)
	}
}
