package remote

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

// someone has a token.
type someone struct{}

func (someone) Token(context.Context, string) (string, error)  { return "token", nil }
func (someone) Catalog(context.Context) (*peer.Catalog, error) { return &peer.Catalog{}, nil }

// script is a Placement that answers in turn, and what it was asked with.
type script struct {
	answers []scripted
	asked   []http.Header
}

type scripted struct {
	status    int
	tag, text string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.Header)
	next := s.answers[0]
	s.answers = s.answers[1:]
	if next.tag != "" {
		w.Header().Set("ETag", next.tag)
	}
	w.WriteHeader(next.status)
	fmt.Fprint(w, next.text)
}

// lines are flat hosts with so many processors in use.
func lines(edits string, hosts ...string) string {
	var providers, requests strings.Builder
	for i, h := range hosts {
		id, used, _ := strings.Cut(h, ":")
		fmt.Fprintf(&providers, "P %s %d 0=8/%s\n", id, i, used)
		fmt.Fprintf(&requests, "R %d:0=1\n", i)
	}
	return "C VCPU\n" + edits + providers.String() + requests.String() + "E\n"
}

func hostsOf(all []compute.Candidate) (hosts []string) {
	for _, c := range all {
		hosts = append(hosts, fmt.Sprintf("%s:%d", c.ProviderID, c.Capacity.Of("VCPU").Used))
	}
	return hosts
}

// TestCandidatesAgain: what Placement says has changed is brought into what it has said
// before, and whatever does not go together is asked for whole.
func TestCandidatesAgain(t *testing.T) {
	s := &script{}
	server := httptest.NewServer(s)
	defer server.Close()
	client, err := peer.Table{"placement": {URL: server.URL, Transport: peer.Network(nil)}}.Client("placement", someone{})
	if err != nil {
		t.Fatal(err)
	}
	p := NewPlacement(client)
	var memory []compute.Candidate
	ask := func(q compute.CandidateQuery) ([]string, error) {
		var err error
		s.asked = nil
		memory, err = p.Candidates(t.Context(), q, memory)
		hosts := hostsOf(memory)
		for i := range memory { // as who decides does with what it has chosen
			memory[i].Capacity[0].Used = 1000
		}
		return hosts, err
	}
	q := compute.CandidateQuery{Resources: map[string]int{"VCPU": 1}, Limit: 1000}
	for _, step := range []struct {
		name    string
		answers []scripted
		tags    []string // told with each question
		want    []string
	}{
		{"first", []scripted{{200, `"1"`, lines("", "a:1", "b:2", "c:3", "d:4")}}, []string{""}, []string{"a:1", "b:2", "c:3", "d:4"}},
		{"one changed", []scripted{{226, `"2"`, lines("D 1 1 1\nD 2 0 0\n", "b:3")}}, []string{`"1"`}, []string{"a:1", "b:3", "c:3", "d:4"}},
		{"nothing changed", []scripted{{226, `"2"`, lines("D 4 0 0\n")}}, []string{`"2"`}, []string{"a:1", "b:3", "c:3", "d:4"}},
		{"the first and the last", []scripted{{226, `"3"`, lines("D 0 1 2\nD 2 0 1\n", "x:0", "y:0", "z:0")}}, []string{`"2"`}, []string{"x:0", "y:0", "b:3", "c:3", "z:0"}},
		{"forgotten", []scripted{{200, `"9"`, lines("", "a:5", "b:5")}}, []string{`"3"`}, []string{"a:5", "b:5"}},
		{"too many stay", []scripted{{226, `"10"`, lines("D 3 0 0\n")}, {200, `"11"`, lines("", "a:6")}}, []string{`"9"`, ""}, []string{"a:6"}},
		{"too many go", []scripted{{226, `"12"`, lines("D 1 1 0\n")}, {200, `"13"`, lines("", "a:7")}}, []string{`"11"`, ""}, []string{"a:7"}},
		{"too many are new", []scripted{{226, `"14"`, lines("D 1 0 0\n", "b:1")}, {200, `"15"`, lines("", "a:8")}}, []string{`"13"`, ""}, []string{"a:8"}},
		{"too few are new", []scripted{{226, `"16"`, lines("D 1 0 2\n", "b:1")}, {200, `"17"`, lines("", "a:9")}}, []string{`"15"`, ""}, []string{"a:9"}},
		{"no edits", []scripted{{226, `"18"`, lines("")}, {200, "", lines("", "a:10")}}, []string{`"17"`, ""}, []string{"a:10"}},
		{"changes without a tag", []scripted{{226, "", lines("D 1 0 1\n", "b:1")}, {200, "", lines("", "a:11")}}, []string{`"17"`, ""}, []string{"a:11"}},
		{"the last with a tag stands", []scripted{{226, `"19"`, lines("D 1 0 1\n", "b:1")}}, []string{`"17"`}, []string{"a:9", "b:1"}},
		{"changes that are called all there is", []scripted{{200, `"19"`, lines("D 2 0 0\n")}}, []string{`"19"`}, []string{"a:9", "b:1"}},
		{"all go", []scripted{{226, `"20"`, lines("D 0 2 0\n")}}, []string{`"19"`}, nil},
		{"JSON, with a tag that is not for edits", []scripted{{200, `"json"`, `{"allocation_requests": [], "provider_summaries": {}}`}}, []string{`"20"`}, nil},
		{"after it", []scripted{{200, "", `{"allocation_requests": [], "provider_summaries": {}}`}}, []string{`"20"`}, nil},
	} {
		s.answers = step.answers
		got, err := ask(q)
		if err != nil || !slices.Equal(got, step.want) {
			t.Errorf("%s: %v, %v; want %v", step.name, got, err, step.want)
		}
		var tags []string
		for _, h := range s.asked {
			if h.Get("A-IM") != candidateDelta {
				t.Errorf("%s: asked without A-IM", step.name)
			}
			tags = append(tags, h.Get("If-None-Match"))
		}
		if !slices.Equal(tags, step.tags) {
			t.Errorf("%s: asked with the tags %q, want %q", step.name, tags, step.tags)
		}
	}
	s.answers = []scripted{{226, `"21"`, lines("D 5 0 0\n")}, {226, `"22"`, lines("D 0 0 0\n")}}
	if got, err := ask(q); !fault.Is(err, fault.Unavailable) {
		t.Errorf("changes of nothing: %v, %v", got, err)
	}
	s.answers = []scripted{{200, "", lines("", "a:0")}}
	q.InTree = "a"
	if got, err := ask(q); err != nil || len(got) != 1 || s.asked[0].Get("A-IM") != "" {
		t.Errorf("of one host: %v, %v, asked with %v", got, err, s.asked)
	}
}
