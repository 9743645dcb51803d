package network

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
)

func TestExpandGivesPortsTheRulesOfTheirGroups(t *testing.T) {
	in := HostState{
		Ports: []HostPort{{ID: "both", Groups: []string{"web", "ssh"}}, {ID: "again", Groups: []string{"web", "ssh"}}, {ID: "none"},
			{ID: "own", Rules: []SecurityRule{{Direction: "egress"}}}, {ID: "empty", Groups: []string{"nothing"}}},
		Groups: map[string][]SecurityRule{
			"web": {{Direction: "ingress", EtherType: "IPv4", RemoteGroup: true, Remote: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}},
			"ssh": {{Direction: "ingress", EtherType: "IPv4", Protocol: 6}}, "nothing": nil},
	}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var s HostState
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	s.Expand()
	protocols := func(i int) (all []int) {
		for _, r := range s.Ports[i].Rules {
			all = append(all, r.Protocol)
		}
		return all
	}
	for i, want := range [][]int{{0, 6}, {0, 6}, nil, {0}, nil} {
		if got := protocols(i); !slices.Equal(got, want) {
			t.Errorf("port %s has rules for protocols %v, and not %v", s.Ports[i].ID, got, want)
		}
	}
	if r := s.Ports[0].Rules[0]; !r.RemoteGroup || len(r.Remote) != 1 || s.Ports[3].Rules[0].Direction != "egress" {
		t.Errorf("%+v", s.Ports)
	}
}
