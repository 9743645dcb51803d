package api

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// absent lists attributes of upstream's samples that come with extensions which
// are not there, by the extensions' aliases.
var absent = map[string]string{
	"vlan_transparent": "vlan-transparent", "qinq": "qinq", "pvlan": "pvlan",
	"pvlan_type": "pvlan", "pvlan_community": "pvlan", "l2_adjacency": "l2_adjacency",
	"data_plane_status": "data-plane-status", "ip_allocation": "ip_allocation", "propagate_uplink_status": "uplink-status-propagation",
	"hardware_offload_type": "port-hardware-offload-type", "dns_domain": "dns-domain-ports", "segment_id": "segment",
	"dns_publish_fixed_ip": "subnet-dns-publish-fixed-ip", "router:external": "subnet-external-network", "service_type_id": "l3-flavors",
	"conntrack_helpers": "l3-conntrack-helper", "port_forwardings": "floating-ip-port-forwarding", "belongs_to_default_sg": "security-groups-rules-belongs-to-default-sg",
	"enable_ndp_proxy": "l3-ndp-proxy", "remote_address_group_id": "security-groups-remote-address-group", "device_profile": "port-device-profile",
	"numa_affinity_policy": "port-numa-affinity-policy", "hints": "port-hints",
	"floatingips/floatingip-show-response.json.qos_policy_id": "qos-fip", "floatingips/floatingip-show-response.json.qos_network_policy_id": "qos-fip-network-policy",
	"trusted": "port-trusted-vif", "mac_learning_enabled": "mac-learning",
}

// TestShapesAreUpstreams compares what is shown with upstream's samples: every
// attribute of a sample is there and of the same kind.
func TestShapesAreUpstreams(t *testing.T) {
	root := os.Getenv("KILONOVA_CONTRACTS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "contracts")
	}
	samples := filepath.Join(root, "neutron", "api_samples", "v2", "samples")
	if _, err := os.Stat(samples); err != nil {
		t.Skipf("There are no samples of upstream's API in %s; KILONOVA_CONTRACTS names where they are.", samples)
	}
	for _, e := range extensions {
		for attribute, alias := range absent {
			if e.Alias == alias {
				t.Errorf("%s is listed as absent, but the extension %s is there", attribute, alias)
			}
		}
	}
	c := newCloud(t, nil)
	c.beat("h1")
	ext := c.outside()
	n := c.network("alice", object{"name": "n"})
	s := c.subnet("alice", n, "10.0.0.0/24", nil)
	p := c.port("alice", n, nil)
	r := c.create("alice", "routers", "router", object{"external_gateway_info": object{"network_id": ext["id"]}})
	c.want(200, "alice", "PUT", path("routers", r["id"], "add_router_interface"), object{"subnet_id": s["id"]}, "id")
	f := c.create("alice", "floatingips", "floatingip", object{"floating_network_id": ext["id"], "port_id": p["id"]})
	q := c.create("admin", "qos/policies", "policy", object{"name": "q"})
	bandwidth := path("qos/policies", q["id"], "minimum_bandwidth_rules")
	b := c.want(201, "admin", "POST", bandwidth, object{"minimum_bandwidth_rule": object{"min_kbps": 1}}, "minimum_bandwidth_rule").(object)
	packets := path("qos/policies", q["id"], "minimum_packet_rate_rules")
	k := c.want(201, "admin", "POST", packets, object{"minimum_packet_rate_rule": object{"min_kpps": 1}}, "minimum_packet_rate_rule").(object)
	g := c.list("alice", "security-groups", "security_groups")[0]
	for _, x := range []struct{ file, key, token, path string }{
		{"networks/network-show-response.json", "network", "admin", path("networks", ext["id"])}, // external ones alone have is_default
		{"networks/network-provider-show-response.json", "network", "admin", path("networks", ext["id"])},
		{"subnets/subnet-show-response.json", "subnet", "alice", path("subnets", s["id"])},
		{"ports/port-show-response.json", "port", "alice", path("ports", p["id"])},
		{"ports/port-bind-show-response.json", "port", "admin", path("ports", p["id"])},
		{"routers/router-show-response.json", "router", "admin", path("routers", r["id"])},
		{"floatingips/floatingip-show-response.json", "floatingip", "alice", path("floatingips", f["id"])},
		{"security-groups/security-group-show-response.json", "security_group", "alice", path("security-groups", g["id"])},
		{"qos/minimum_bandwidth_rule-show-response.json", "minimum_bandwidth_rule", "admin", bandwidth + "/" + b["id"].(string)},
		{"qos/minimum_packet_rate_rule-show-response.json", "minimum_packet_rate_rule", "admin", packets + "/" + k["id"].(string)},
		{"agents/agent-show-response.json", "agent", "admin", "/v2.0/agents/L3%20agenth1"},
	} {
		data, err := os.ReadFile(filepath.Join(samples, x.file))
		if err != nil {
			t.Errorf("%s: %v", x.file, err)
			continue
		}
		var sample object
		if err := json.Unmarshal(data, &sample); err != nil {
			t.Errorf("%s: %v", x.file, err)
			continue
		}
		sameShape(t, x.file, sample[x.key], c.want(200, x.token, "GET", x.path, nil, x.key))
	}
}

func sameShape(t *testing.T, where string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case object:
		got, ok := got.(object)
		if !ok {
			t.Errorf("%s is no object", where)
			return
		}
		if slices.Contains([]string{".configurations", ".binding:vif_details", ".binding:profile"}, filepath.Ext(where)) {
			return
		}
		for key, value := range want {
			if _, ok := got[key]; !ok {
				if absent[key] == "" && absent[where+"."+key] == "" {
					t.Errorf("%s has no %s", where, key)
				}
				continue
			}
			if value != nil && got[key] != nil {
				sameShape(t, where+"."+key, value, got[key])
			}
		}
	case []any:
		got, ok := got.([]any)
		if !ok {
			t.Errorf("%s is no list", where)
		} else if len(want) > 0 && len(got) > 0 {
			sameShape(t, where+"[0]", want[0], got[0])
		}
	default:
		if kind(want) != kind(got) {
			t.Errorf("%s is %v where upstream has %v", where, got, want)
		}
	}
}

func kind(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	}
	return "other"
}
