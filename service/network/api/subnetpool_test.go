package api

import "testing"

func TestSubnetPools(t *testing.T) {
	c := newCloud(t, nil)
	pool := c.create("alice", "subnetpools", "subnetpool", object{"name": "p", "prefixes": []any{"10.8.0.0/22"}, "default_prefixlen": 24, "default_quota": 1024})
	if pool["min_prefixlen"] != "8" || pool["default_prefixlen"] != "24" || pool["max_prefixlen"] != "32" || pool["ip_version"] != 4.0 {
		t.Errorf("pool %v", pool)
	}
	at := path("subnetpools", pool["id"])
	n := c.network("alice", object{})
	from := func(more object) object {
		body := object{"network_id": n["id"], "ip_version": 4, "subnetpool_id": pool["id"]}
		for k, v := range more {
			body[k] = v
		}
		return object{"subnet": body}
	}
	cut := func(more object) string {
		t.Helper()
		s := c.want(201, "alice", "POST", "/v2.0/subnets", from(more), "subnet").(object)
		if s["subnetpool_id"] != pool["id"] {
			t.Errorf("subnet %v", s)
		}
		return s["cidr"].(string)
	}
	if got := cut(nil) + " " + cut(object{"prefixlen": 26}) + " " + cut(object{"cidr": "10.8.3.0/24"}) + " " + cut(nil); got != "10.8.0.0/24 10.8.1.0/26 10.8.3.0/24 10.8.2.0/24" {
		t.Errorf("cut %s", got)
	}
	before := c.rows()
	c.fails(409, "SubnetAllocationError", "alice", "POST", "/v2.0/subnets", from(nil))
	c.fails(409, "SubnetAllocationError", "alice", "POST", "/v2.0/subnets", from(object{"cidr": "10.8.3.128/25"}))
	c.fails(409, "SubnetAllocationError", "alice", "POST", "/v2.0/subnets", from(object{"cidr": "10.9.0.0/24"}))
	c.fails(400, "MinPrefixSubnetAllocationError", "alice", "POST", "/v2.0/subnets", from(object{"prefixlen": 7}))
	c.fails(404, "SubnetPoolNotFound", "alice", "POST", "/v2.0/subnets", from(object{"subnetpool_id": "x"}))
	if after := c.rows(); after != before {
		t.Errorf("left over: %s, before %s", after, before)
	}
	c.fails(400, "SubnetPoolDeleteError", "alice", "DELETE", at, nil)
	c.fails(400, "IllegalSubnetPoolPrefixUpdate", "alice", "PUT", at, object{"subnetpool": object{"prefixes": []any{"10.8.0.0/23"}}})
	c.want(200, "alice", "PUT", at, object{"subnetpool": object{"prefixes": []any{"10.8.0.0/21"}}}, "subnetpool")
	c.fails(409, "SubnetPoolQuotaExceeded", "alice", "POST", "/v2.0/subnets", from(nil))
	c.fails(404, "SubnetPoolNotFound", "bob", "GET", at, nil)
	c.fails(403, "PolicyNotAuthorized", "alice", "POST", "/v2.0/subnetpools", object{"subnetpool": object{"prefixes": []any{"10.0.0.0/8"}, "shared": true}})
	for _, bad := range []object{{}, {"prefixes": []any{}}, {"prefixes": []any{"x"}}, {"prefixes": []any{"10.0.0.0/8", "2001:db8::/32"}},
		{"prefixes": []any{"10.0.0.0/8"}, "min_prefixlen": 30, "default_prefixlen": 20}, {"prefixes": []any{"10.0.0.0/8"}, "max_prefixlen": 33},
		{"prefixes": []any{"10.0.0.0/8", "10.1.0.0/16"}}} {
		if code, out := c.do("alice", "POST", "/v2.0/subnetpools", object{"subnetpool": bad}); code != 400 {
			t.Errorf("%v: %d %v", bad, code, out)
		}
	}
	if got := c.list("alice", "subnets?subnetpool_id="+pool["id"].(string), "subnets"); len(got) != 4 {
		t.Errorf("%d subnets of the pool", len(got))
	}
	c.want(204, "alice", "DELETE", path("networks", n["id"]), nil, "")
	c.want(204, "alice", "DELETE", at, nil, "")
}
