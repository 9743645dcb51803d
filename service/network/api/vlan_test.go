package api

import (
	"testing"

	"kilonova/service/network/control"
)

func TestVLANs(t *testing.T) {
	c := newCloud(t, func(cfg *control.Config) {
		cfg.Options.VLANRanges = []string{"admin-only", "trunk:100:101"}
		cfg.Options.TenantTypes = []string{"vlan", "local"}
	})
	made := func(token string, body object) object {
		t.Helper()
		return c.create(token, "networks", "network", body)
	}
	vlan := func(more object) object {
		body := object{"provider:network_type": "vlan"}
		for k, v := range more {
			body[k] = v
		}
		return object{"network": body}
	}
	n := made("admin", vlan(object{"provider:physical_network": "trunk", "provider:segmentation_id": 4000})["network"].(object))
	if n["provider:physical_network"] != "trunk" || n["provider:segmentation_id"] != 4000.0 {
		t.Errorf("%v", n)
	}
	if made("admin", vlan(object{"provider:physical_network": "admin-only", "provider:segmentation_id": 4000})["network"].(object)) == nil {
		t.Error("one id on two physical networks")
	}
	c.fails(409, "VlanIdInUse", "admin", "POST", "/v2.0/networks", vlan(object{"provider:physical_network": "trunk", "provider:segmentation_id": 4000}))
	for _, bad := range []object{{"provider:segmentation_id": 5}, {"provider:physical_network": "elsewhere"},
		{"provider:physical_network": "trunk", "provider:segmentation_id": 4095}, {"provider:physical_network": "trunk", "provider:segmentation_id": -1}} {
		c.fails(400, "InvalidInput", "admin", "POST", "/v2.0/networks", vlan(bad))
	}
	c.fails(409, "NoNetworkAvailable", "admin", "POST", "/v2.0/networks", vlan(object{"provider:physical_network": "admin-only"}))
	c.fails(403, "PolicyNotAuthorized", "alice", "POST", "/v2.0/networks", vlan(nil))

	// Users get the ids of the ranges, and after them the next type.
	first := made("alice", object{})
	for _, want := range []object{{"type": "vlan", "id": 100.0}, {"type": "vlan", "id": 101.0}, {"type": "local", "id": nil}} {
		if want["id"] != 100.0 {
			first = made("alice", object{})
		}
		seen := c.want(200, "admin", "GET", path("networks", first["id"]), nil, "network").(object)
		if seen["provider:network_type"] != want["type"] || seen["provider:segmentation_id"] != want["id"] {
			t.Errorf("%v, want %v", seen, want)
		}
	}
	for _, bad := range []string{"", ":1:2", "x:1", "x:0:5", "x:5:4", "x:1:4095", "x:a:b"} {
		o := control.Defaults()
		o.VLANRanges = []string{bad}
		if _, err := control.New(control.Config{Options: o}); err == nil {
			t.Errorf("network_vlan_ranges %q is taken", bad)
		}
	}
}
