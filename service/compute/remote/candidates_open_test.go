package remote

import (
	"fmt"
	"testing"

	"kilonova/service/compute"
)

// TestOpenGroups: what is open is not in what would be claimed, and all providers of a
// host's tree say what they have left beside that.
func TestOpenGroups(t *testing.T) {
	text := []byte(`{"allocation_requests": [
		{"allocations": {"h1": {"resources": {"VCPU": 2}}, "pf1": {"resources": {"VF": 2}}, "pf2": {"resources": {"VF": 1}}}, "mappings": {"": ["h1"], "_d0": ["pf1"], "_d1": ["pf2"], "_own": ["pf1"]}},
		{"allocations": {"h1": {"resources": {"VCPU": 2}}, "pf1": {"resources": {"VF": 3}}}, "mappings": {"": ["h1"], "_d0": ["pf1"], "_d1": ["pf1"], "_own": ["pf1"]}},
		{"allocations": {"h2": {"resources": {"VCPU": 2, "VF": 3}}}, "mappings": {"": ["h2"], "_d0": ["h2"], "_d1": ["h2"], "_own": ["h2"]}}],
		"provider_summaries": {
		"h1": {"root_provider_uuid": "h1", "resources": {"VCPU": {"capacity": 8, "used": 1}}},
		"pf1": {"root_provider_uuid": "h1", "resources": {"VF": {"capacity": 4, "used": 0}}},
		"pf2": {"root_provider_uuid": "h1", "resources": {"VF": {"capacity": 4, "used": 3}}},
		"pf3": {"root_provider_uuid": "h1", "resources": {"VF": {"capacity": 4, "used": 4}}},
		"h2": {"root_provider_uuid": "h2", "resources": {"VCPU": {"capacity": 8, "used": 0}, "VF": {"capacity": 9, "used": 0}}}}}`)
	open := openGroups(compute.CandidateQuery{Groups: []compute.RequestGroup{{Suffix: "_d0", Resources: map[string]int{"VF": 1}, Open: true},
		{Suffix: "_d1", Resources: map[string]int{"VF": 1}, Open: true}, {Suffix: "_own", Resources: map[string]int{"VF": 1}}}})
	want := []string{"h1 map[h1:map[VCPU:2] pf1:map[VF:1]] map[pf1:map[VF:3] pf2:map[VF:1] pf3:map[VF:0]]",
		"h2 map[h2:map[VCPU:2 VF:1]] map[h2:map[VF:8]]"}
	lines := []byte(`C VCPU VF
P h1 0 0=8/1
P pf1 0 1=4/0
P pf2 0 1=4/3
P pf3 0 1=4/4
P h2 4 0=8/0 1=9/0
R 0:0=2 1:1=2 2:1=1
M _d0 1
M _d1 2
M _own 1
R 0:0=2 1:1=3
M _d0 1
M _d1 1
M _own 1
R 4:0=2,1=3
M _d0 4
M _d1 4
M _own 4
E
`)
	for _, text := range [][]byte{text, lines} {
		r, err := readCandidates(text)
		if err != nil {
			t.Fatal(err)
		}
		got := r.openCandidates(open, nil)
		r.release()
		if len(got) != len(want) {
			t.Fatalf("%d candidates, want one a host: %+v", len(got), got)
		}
		for i, c := range got {
			if now := fmt.Sprint(c.ProviderID, " ", c.Allocations, " ", c.Free); now != want[i] {
				t.Errorf("%s\nwant %s", now, want[i])
			}
		}
	}
}
