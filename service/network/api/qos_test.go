package api

import (
	"testing"

	"kilonova/service/network/control"
)

// qosCloud has a physical network with VLANs.
func qosCloud(t *testing.T) *cloud {
	return newCloud(t, func(cfg *control.Config) { cfg.Options.VLANRanges = []string{"trunk:100:200"} })
}

func (c *cloud) vlan(more object) object {
	body := object{"provider:network_type": "vlan", "provider:physical_network": "trunk", "shared": true}
	for k, v := range more {
		body[k] = v
	}
	return c.create("admin", "networks", "network", body)
}

// policy makes a shared QoS policy with rules, each a kind with a body.
func (c *cloud) policy(rules ...object) object {
	c.t.Helper()
	p := c.create("admin", "qos/policies", "policy", object{"name": "q", "shared": true})
	for _, r := range rules {
		for kind, body := range r {
			c.want(201, "admin", "POST", path("qos/policies", p["id"], kind+"_rules"), object{kind + "_rule": body}, kind+"_rule")
		}
	}
	return c.want(200, "alice", "GET", path("qos/policies", p["id"]), nil, "policy").(object)
}

func kbps(n int, direction string) object {
	return object{"minimum_bandwidth": object{"min_kbps": n, "direction": direction}}
}

func kpps(n int, direction string) object {
	return object{"minimum_packet_rate": object{"min_kpps": n, "direction": direction}}
}

func TestQoSRules(t *testing.T) {
	c := qosCloud(t)
	p := c.policy(kbps(1000, "ingress"), kbps(500, "egress"), kpps(7, "any"))
	rules := p["rules"].([]any)
	if len(rules) != 3 || p["shared"] != true || p["is_default"] != false {
		t.Fatalf("policy %v", p)
	}
	first := rules[0].(object)
	if first["type"] != "minimum_bandwidth" || first["direction"] != "egress" || first["min_kbps"] != 500.0 || first["qos_policy_id"] != p["id"] {
		t.Errorf("rule %v", first)
	}
	at := path("qos/policies", p["id"], "minimum_bandwidth_rules")
	one := at + "/" + first["id"].(string)
	if got := c.list("alice", at[len("/v2.0/"):], "minimum_bandwidth_rules"); len(got) != 2 {
		t.Errorf("%v", got)
	}
	if got := c.list("alice", at[len("/v2.0/"):]+"?direction=egress&fields=min_kbps", "minimum_bandwidth_rules"); len(got) != 1 || len(got[0]) != 1 {
		t.Errorf("%v", got)
	}
	before := c.rows()
	body := func(b object) object { return object{"minimum_bandwidth_rule": b} }
	c.fails(409, "QoSRulesConflict", "admin", "POST", at, body(object{"min_kbps": 1}))
	c.fails(409, "QoSRulesConflict", "admin", "PUT", one, body(object{"direction": "ingress"}))
	for _, bad := range []object{{}, {"min_kbps": -1}, {"min_kbps": 1 << 31}, {"min_kbps": 1, "direction": "any"}, {"min_kbps": "x"}, {"min_kpps": 1}, {"min_kbps": 1, "colour": 1}} {
		if code, out := c.do("admin", "POST", at, body(bad)); code != 400 {
			t.Errorf("%v: %d %v", bad, code, out)
		}
	}
	c.fails(409, "QoSRulesConflict", "admin", "POST", path("qos/policies", p["id"], "minimum_packet_rate_rules"),
		object{"minimum_packet_rate_rule": object{"min_kpps": 1, "direction": "egress"}})
	for _, who := range []string{"alice", "bob", "reader"} {
		c.fails(403, "PolicyNotAuthorized", who, "POST", at, body(object{"min_kbps": 1}))
		c.fails(403, "PolicyNotAuthorized", who, "PUT", one, body(object{"min_kbps": 1}))
		c.fails(403, "PolicyNotAuthorized", who, "DELETE", one, nil)
		c.fails(403, "PolicyNotAuthorized", who, "POST", "/v2.0/qos/policies", object{"policy": object{"name": "x"}})
	}
	c.fails(404, "QosRuleNotFound", "admin", "GET", at+"/none", nil)
	c.fails(404, "QosPolicyNotFound", "admin", "GET", path("qos/policies", "none", "minimum_bandwidth_rules"), nil)
	if after := c.rows(); after != before {
		t.Errorf("left over: %s, before %s", after, before)
	}
	if got := c.want(200, "admin", "PUT", one, body(object{"min_kbps": 600}), "minimum_bandwidth_rule").(object); got["min_kbps"] != 600.0 || got["direction"] != "egress" {
		t.Errorf("%v", got)
	}
	// The same by the rule's id alone.
	alias := "/v2.0/qos/alias_minimum_bandwidth_rules/" + first["id"].(string)
	if got := c.want(200, "admin", "PUT", alias, object{"alias_minimum_bandwidth_rule": object{"min_kbps": 700}}, "alias_minimum_bandwidth_rule").(object); got["min_kbps"] != 700.0 {
		t.Errorf("%v", got)
	}
	c.fails(404, "QosRuleNotFound", "admin", "GET", "/v2.0/qos/alias_minimum_packet_rate_rules/"+first["id"].(string), nil)
	c.want(204, "admin", "DELETE", alias, nil, "")
	c.fails(404, "QosRuleNotFound", "admin", "DELETE", one, nil)
	if got := c.want(200, "admin", "GET", path("qos/policies", p["id"]), nil, "policy").(object); got["revision_number"].(float64) <= p["revision_number"].(float64) {
		t.Errorf("revision %v after %v", got["revision_number"], p["revision_number"])
	}
	if types := c.list("reader", "qos/rule-types", "rule_types"); len(types) != 2 {
		t.Errorf("types %v", types)
	}
	c.want(200, "admin", "GET", "/v2.0/qos/rule-types/minimum_bandwidth", nil, "rule_type")
	c.fails(404, "QosRuleTypeNotFound", "admin", "GET", "/v2.0/qos/rule-types/dscp_marking", nil)
	c.fails(403, "PolicyNotAuthorized", "alice", "GET", "/v2.0/qos/rule-types/minimum_bandwidth", nil)
}

func TestQoSPolicies(t *testing.T) {
	c := qosCloud(t)
	own := c.create("admin", "qos/policies", "policy", object{"name": "own", "is_default": true})
	c.fails(404, "QosPolicyNotFound", "alice", "GET", path("qos/policies", own["id"]), nil)
	c.fails(409, "QoSPolicyDefaultAlreadyExists", "admin", "POST", "/v2.0/qos/policies", object{"policy": object{"name": "x", "is_default": true}})
	n := c.vlan(object{"shared": false})
	if n["qos_policy_id"] != own["id"] {
		t.Errorf("a project's default policy is not its network's: %v", n)
	}
	if n := c.vlan(object{"qos_policy_id": nil}); n["qos_policy_id"] != nil {
		t.Errorf("%v", n)
	}
	c.fails(409, "QosPolicyInUse", "admin", "DELETE", path("qos/policies", own["id"]), nil)
	if got := c.list("admin", "networks?qos_policy_id="+own["id"].(string), "networks"); len(got) != 1 {
		t.Errorf("%v", got)
	}
	c.want(200, "admin", "PUT", path("networks", n["id"]), object{"network": object{"qos_policy_id": nil}}, "network")
	c.want(204, "admin", "DELETE", path("qos/policies", own["id"]), nil, "")

	shared := c.policy(kbps(1, "egress"))
	p := c.port("alice", c.vlan(nil), object{"qos_policy_id": shared["id"]})
	c.fails(409, "InvalidSharedSetting", "admin", "PUT", path("qos/policies", shared["id"]), object{"policy": object{"shared": false}})
	c.fails(409, "QosPolicyInUse", "admin", "DELETE", path("qos/policies", shared["id"]), nil)
	c.want(204, "alice", "DELETE", path("ports", p["id"]), nil, "")
	c.want(200, "admin", "PUT", path("qos/policies", shared["id"]), object{"policy": object{"shared": false, "name": "hidden"}}, "policy")
	c.fails(404, "QosPolicyNotFound", "alice", "POST", "/v2.0/ports", object{"port": object{"network_id": c.vlan(nil)["id"], "qos_policy_id": shared["id"]}})
	c.want(201, "admin", "PUT", "/v2.0/policies/"+shared["id"].(string)+"/tags/red", nil, "")
	if got := c.list("admin", "qos/policies?tags=red&name=hidden&is_default=false", "policies"); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestPortsShowWhatTheyTake(t *testing.T) {
	c := qosCloud(t)
	policy := c.policy(kbps(1000, "ingress"), kbps(500, "egress"), kpps(7, "any"))
	n := c.vlan(nil)
	c.subnet("admin", n, "10.0.0.0/24", nil)
	p := c.port("alice", n, object{"qos_policy_id": policy["id"]})
	if _, shown := p["resource_request"]; shown || p["qos_policy_id"] != policy["id"] || p["qos_network_policy_id"] != nil {
		t.Errorf("%v", p)
	}
	seen := func(id any) object {
		t.Helper()
		request, _ := c.want(200, "service", "GET", path("ports", id), nil, "port").(object)["resource_request"].(object)
		return request
	}
	request := seen(p["id"])
	groups := request["request_groups"].([]any)
	if len(groups) != 2 || len(request["same_subtree"].([]any)) != 2 {
		t.Fatalf("%v", request)
	}
	bandwidth, packets := groups[0].(object), groups[1].(object)
	if r := bandwidth["resources"].(object); r["NET_BW_IGR_KILOBIT_PER_SEC"] != 1000.0 || r["NET_BW_EGR_KILOBIT_PER_SEC"] != 500.0 || len(r) != 2 {
		t.Errorf("%v", bandwidth)
	}
	if r := packets["resources"].(object); r["NET_PACKET_RATE_KILOPACKET_PER_SEC"] != 7.0 || len(r) != 1 {
		t.Errorf("%v", packets)
	}
	if got := list(bandwidth["required"].([]any)); got != "CUSTOM_PHYSNET_TRUNK CUSTOM_VNIC_TYPE_NORMAL" {
		t.Errorf("bandwidth of %s", got)
	}
	if got := list(packets["required"].([]any)); got != "CUSTOM_VNIC_TYPE_NORMAL" {
		t.Errorf("packets of %s", got)
	}
	if other := seen(c.port("alice", n, object{"qos_policy_id": policy["id"]})["id"]); other["same_subtree"].([]any)[0] == bandwidth["id"] {
		t.Error("two ports have one group")
	}

	// The network's policy holds for ports without their own.
	byNet := c.vlan(object{"qos_policy_id": c.policy(kbps(3, "egress"))["id"]})
	q := c.port("alice", byNet, nil)
	if q["qos_policy_id"] != nil || q["qos_network_policy_id"] != byNet["qos_policy_id"] {
		t.Errorf("%v", q)
	}
	if got := seen(q["id"]); len(got["request_groups"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
	c.want(200, "alice", "PUT", path("ports", q["id"]), object{"port": object{"qos_policy_id": policy["id"]}}, "port")
	if got := seen(q["id"]); len(got["request_groups"].([]any)) != 2 {
		t.Errorf("%v", got)
	}
	c.want(200, "alice", "PUT", path("ports", q["id"]), object{"port": object{"qos_policy_id": nil}}, "port")
	if got := seen(q["id"]); len(got["request_groups"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
	plain := c.port("alice", c.vlan(nil), nil)
	if got := seen(plain["id"]); got != nil {
		t.Errorf("%v", got)
	}

	// A rule of a server's port stays as it was claimed.
	c.want(200, "service", "PUT", path("ports", p["id"]), object{"port": object{"device_id": "s", "device_owner": "compute:nova"}}, "port")
	rule := policy["rules"].([]any)[0].(object)
	at := path("qos/policies", policy["id"], "minimum_bandwidth_rules") + "/" + rule["id"].(string)
	c.fails(501, "HTTPNotImplemented", "admin", "PUT", at, object{"minimum_bandwidth_rule": object{"min_kbps": 1}})
	c.fails(501, "HTTPNotImplemented", "admin", "DELETE", at, nil)

	// Bandwidth is promised only where a physical network is reached.
	local := c.network("alice", object{})
	c.fails(409, "QosRuleNotSupportedByNetwork", "alice", "POST", "/v2.0/ports", object{"port": object{"network_id": local["id"], "qos_policy_id": policy["id"]}})
	c.fails(409, "QosRuleNotSupportedByNetwork", "alice", "PUT", path("networks", local["id"]), object{"network": object{"qos_policy_id": policy["id"]}})
	c.fails(409, "QosRuleNotSupported", "alice", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "qos_policy_id": policy["id"], "binding:vnic_type": "direct"}})
	empty := c.policy()
	c.port("alice", local, object{"qos_policy_id": empty["id"]})
	c.fails(409, "QosRuleNotSupportedByNetwork", "admin", "POST", path("qos/policies", empty["id"], "minimum_bandwidth_rules"), object{"minimum_bandwidth_rule": object{"min_kbps": 1}})
}

func list(all []any) string {
	text := ""
	for i, x := range all {
		if i > 0 {
			text += " "
		}
		text += x.(string)
	}
	return text
}
