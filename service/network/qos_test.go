package network_test

import (
	"testing"

	"kilonova/service/network"
)

// TestRequestGroupsHaveUpstreamsNames holds the ids of request groups to those that
// Neutron gives: compute may be upstream's and has noted them in a port's binding.
func TestRequestGroupsHaveUpstreamsNames(t *testing.T) {
	n := 1000
	rules := []network.QoSRule{{ID: "5f126d84-551a-4dcf-bb01-0e9c0df0c793", Kind: network.MinimumBandwidth, Direction: network.Egress, Kbps: &n}}
	r := network.RequestOf("7b6b4b5e-0000-4000-8000-1234567890ab", "normal", "data centre-1", rules)
	if len(r.Groups) != 1 || r.Groups[0].ID != "df638f23-cb80-5427-8776-15ca56a93f04" || r.SameSubtree[0] != r.Groups[0].ID {
		t.Errorf("%+v", r)
	}
	if got := r.Groups[0].Required[0]; got != "CUSTOM_PHYSNET_DATA_CENTRE_1" {
		t.Error(got)
	}
	if network.RequestOf("7b6b4b5e-0000-4000-8000-1234567890ab", "normal", "", nil) != nil {
		t.Error("a port without rules takes something")
	}
}
