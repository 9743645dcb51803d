package api

import (
	"testing"

	"kilonova/service/network/control"
)

func TestDefaultGroup(t *testing.T) {
	c := newCloud(t, nil)
	groups := c.list("alice", "security-groups", "security_groups")
	if len(groups) != 1 || groups[0]["name"] != "default" || groups[0]["stateful"] != true {
		t.Fatalf("groups %v", groups)
	}
	d := groups[0]
	var in, out int
	for _, r := range d["security_group_rules"].([]any) {
		rule := r.(object)
		if rule["direction"] == "egress" && rule["remote_group_id"] == nil {
			out++
		}
		if rule["direction"] == "ingress" && rule["remote_group_id"] == d["id"] {
			in++
		}
	}
	if in != 2 || out != 2 {
		t.Errorf("rules %v", d["security_group_rules"])
	}
	c.fails(409, "SecurityGroupDefaultAlreadyExists", "alice", "POST", "/v2.0/security-groups", object{"security_group": object{"name": "default"}})
	c.fails(409, "SecurityGroupCannotRemoveDefault", "alice", "DELETE", path("security-groups", d["id"]), nil)
	c.fails(409, "SecurityGroupCannotUpdateDefault", "alice", "PUT", path("security-groups", d["id"]), object{"security_group": object{"name": "x"}})
	c.fails(404, "SecurityGroupNotFound", "bob", "GET", path("security-groups", d["id"]), nil)
	if again := c.list("alice", "security-groups", "security_groups"); len(again) != 1 {
		t.Errorf("%d default groups", len(again))
	}
}

func TestRules(t *testing.T) {
	c := newCloud(t, nil)
	g := c.create("alice", "security-groups", "security_group", object{"name": "web"})
	if len(g["security_group_rules"].([]any)) != 2 {
		t.Errorf("a new group has %v", g["security_group_rules"])
	}
	rule := func(more object) object {
		body := object{"security_group_id": g["id"], "direction": "ingress"}
		for k, v := range more {
			body[k] = v
		}
		return object{"security_group_rule": body}
	}
	good := []object{
		{"protocol": "tcp", "port_range_min": 80, "port_range_max": 80, "remote_ip_prefix": "10.0.0.1"},
		{"protocol": 17, "port_range_min": "53", "port_range_max": 53},
		{"protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
		{"protocol": "ipv6-icmp", "ethertype": "IPv6", "port_range_min": 128},
		{"protocol": "vrrp"},
		{"ethertype": "IPv6", "remote_ip_prefix": "2001:db8::/32"},
		{"remote_group_id": g["id"]},
	}
	for _, r := range good {
		c.want(201, "alice", "POST", "/v2.0/security-group-rules", rule(r), "security_group_rule")
	}
	bad := []struct {
		status int
		kind   string
		rule   object
	}{
		{409, "SecurityGroupRuleExists", object{"protocol": "6", "port_range_min": 80, "port_range_max": 80, "remote_ip_prefix": "10.0.0.1/32"}},
		{400, "SecurityGroupInvalidPortRange", object{"protocol": "tcp", "port_range_min": 80}},
		{400, "SecurityGroupInvalidPortRange", object{"protocol": "tcp", "port_range_min": 80, "port_range_max": 79}},
		{400, "SecurityGroupInvalidPortValue", object{"protocol": "tcp", "port_range_min": 80, "port_range_max": 70000}},
		{400, "SecurityGroupProtocolRequiredWithPorts", object{"port_range_min": 80, "port_range_max": 80}},
		{400, "SecurityGroupInvalidIcmpValue", object{"protocol": "icmp", "port_range_min": 300}},
		{400, "SecurityGroupMissingIcmpType", object{"protocol": "icmp", "port_range_max": 3}},
		{400, "SecurityGroupInvalidProtocolForPort", object{"protocol": "gre", "port_range_min": 1, "port_range_max": 2}},
		{400, "SecurityGroupRuleInvalidProtocol", object{"protocol": "carrier-pigeon"}},
		{400, "SecurityGroupRuleInvalidProtocol", object{"protocol": 256}},
		{400, "SecurityGroupRuleInvalidEtherType", object{"ethertype": "IPX"}},
		{400, "SecurityGroupRuleParameterConflict", object{"ethertype": "IPv6", "remote_ip_prefix": "10.0.0.0/8"}},
		{400, "SecurityGroupEthertypeConflictWithProtocol", object{"protocol": "ipv6-icmp"}},
		{400, "SecurityGroupRemoteGroupAndRemoteIpPrefix", object{"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": g["id"]}},
		{404, "SecurityGroupNotFound", object{"remote_group_id": "x"}},
		{400, "HTTPBadRequest", object{"direction": "up"}},
		{400, "HTTPBadRequest", object{"remote_ip_prefix": "x"}},
	}
	before := c.rows()
	for _, b := range bad {
		c.fails(b.status, b.kind, "alice", "POST", "/v2.0/security-group-rules", rule(b.rule))
	}
	if c.rows() != before {
		t.Error("a refused rule left something")
	}
	n := c.network("alice", object{})
	c.port("alice", n, object{"security_groups": []any{g["id"]}})
	c.fails(409, "SecurityGroupInUse", "alice", "DELETE", path("security-groups", g["id"]), nil)
	c.fails(404, "SecurityGroupNotFound", "bob", "POST", "/v2.0/ports", object{"port": object{"network_id": c.network("bob", object{})["id"], "security_groups": []any{g["id"]}}})
}

func TestQuotas(t *testing.T) {
	c := newCloud(t, func(cfg *control.Config) { cfg.Options.Quotas.Subnet = 3 })
	q := c.want(200, "alice", "GET", "/v2.0/quotas/alice", nil, "quota").(object)
	if q["network"] != 100.0 || q["subnet"] != 3.0 {
		t.Errorf("quota %v", q)
	}
	c.fails(403, "PolicyNotAuthorized", "alice", "GET", "/v2.0/quotas/bob", nil)
	c.fails(403, "PolicyNotAuthorized", "alice", "PUT", "/v2.0/quotas/alice", object{"quota": object{"network": 1000}})
	c.fails(400, "HTTPBadRequest", "admin", "PUT", "/v2.0/quotas/alice", object{"quota": object{"network": -2}})
	c.fails(400, "HTTPBadRequest", "admin", "PUT", "/v2.0/quotas/alice", object{"quota": object{"nets": 1}})
	c.want(200, "admin", "PUT", "/v2.0/quotas/alice", object{"quota": object{"network": 1}}, "quota")
	c.network("alice", object{})
	c.fails(409, "OverQuota", "alice", "POST", "/v2.0/networks", object{"network": object{}})
	details := c.want(200, "alice", "GET", "/v2.0/quotas/alice/details", nil, "quota").(object)["network"].(object)
	if details["limit"] != 1.0 || details["used"] != 1.0 {
		t.Errorf("details %v", details)
	}
	if all := c.list("admin", "quotas", "quotas"); len(all) != 1 || all[0]["project_id"] != "alice" {
		t.Errorf("quotas %v", all)
	}
	c.want(204, "admin", "DELETE", "/v2.0/quotas/alice", nil, "")
	c.fails(404, "TenantQuotaNotFound", "admin", "DELETE", "/v2.0/quotas/alice", nil)
	c.network("alice", object{})
	c.fails(409, "OverQuota", "alice", "POST", "/v2.0/networks", object{"networks": func() (many []any) {
		for range 99 {
			many = append(many, object{})
		}
		return many
	}()})
}

func TestSharing(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{})
	c.subnet("alice", n, "10.0.0.0/24", nil)
	share := object{"rbac_policy": object{"object_type": "network", "object_id": n["id"], "action": "access_as_shared", "target_tenant": "bob"}}
	c.fails(404, "NetworkNotFound", "bob", "POST", "/v2.0/rbac-policies", share)
	policy := c.want(201, "alice", "POST", "/v2.0/rbac-policies", share, "rbac_policy").(object)
	c.fails(409, "DuplicateRbacPolicy", "alice", "POST", "/v2.0/rbac-policies", share)
	c.fails(403, "PolicyNotAuthorized", "alice", "POST", "/v2.0/rbac-policies", object{"rbac_policy": object{"object_type": "network", "object_id": n["id"],
		"action": "access_as_shared", "target_tenant": "*"}})
	seen := c.want(200, "bob", "GET", path("networks", n["id"]), nil, "network").(object)
	if seen["shared"] != true {
		t.Errorf("bob sees %v", seen)
	}
	if subnets := c.list("bob", "subnets", "subnets"); len(subnets) != 1 {
		t.Errorf("bob sees subnets %v", subnets)
	}
	p := c.port("bob", n, nil)
	c.fails(403, "PolicyNotAuthorized", "bob", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "fixed_ips": []any{object{"ip_address": "10.0.0.77"}}}})
	c.fails(403, "PolicyNotAuthorized", "bob", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "mac_address": "fa:16:3e:00:00:01"}})
	c.fails(409, "RbacPolicyInUse", "alice", "DELETE", path("rbac-policies", policy["id"]), nil)
	c.want(204, "bob", "DELETE", path("ports", p["id"]), nil, "")
	c.want(204, "alice", "DELETE", path("rbac-policies", policy["id"]), nil, "")
	c.fails(404, "NetworkNotFound", "bob", "GET", path("networks", n["id"]), nil)
}
