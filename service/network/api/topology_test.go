package api

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestTopologies: a project without a network gets one that leads outside, once,
// whole, and gives it back whole.
func TestTopologies(t *testing.T) {
	c := newCloud(t, nil)
	at := "/v2.0/auto-allocated-topology/"
	ext := c.outside()
	if ext["is_default"] != false {
		t.Errorf("a new external network %v", ext)
	}
	c.fails(409, "AutoAllocationFailure", "alice", "GET", at+"alice?fields=dry-run", nil)
	c.create("admin", "subnetpools", "subnetpool", object{"name": "v4", "prefixes": []any{"10.8.0.0/22"}, "default_prefixlen": 24, "is_default": true})
	before := c.rows()
	c.fails(409, "AutoAllocationFailure", "alice", "GET", at+"alice", nil)
	if after := c.rows(); after != before {
		t.Errorf("left over: %s, before %s", after, before)
	}
	c.fails(403, "PolicyNotAuthorized", "alice", "POST", "/v2.0/networks", object{"network": object{"is_default": true}})
	c.want(200, "admin", "PUT", path("networks", ext["id"]), object{"network": object{"is_default": true}}, "network")
	c.fails(409, "DefaultExternalNetworkExists", "admin", "POST", "/v2.0/networks", object{"network": object{"is_default": true, "router:external": true}})
	if n := c.network("admin", object{"is_default": true}); n["is_default"] != nil { // of no account where nothing leads outside
		t.Errorf("an internal network %v", n)
	}
	if got := c.list("alice", "networks?is_default=true", "networks"); len(got) != 1 || got[0]["is_default"] != true {
		t.Errorf("default networks %v", got)
	}
	c.create("admin", "subnetpools", "subnetpool", object{"name": "v6", "prefixes": []any{"fd00:8::/56"}, "default_prefixlen": 64, "is_default": true})

	before = c.rows()
	if got := c.want(200, "alice", "GET", at+"alice?fields=dry-run", nil, "auto_allocated_topology").(object); got["id"] != "dry-run=pass" || got["project_id"] != "alice" {
		t.Errorf("asked about %v", got)
	}
	if after := c.rows(); after != before {
		t.Errorf("made by asking: %s, before %s", after, before)
	}
	ids := make([]any, 4)
	var asking sync.WaitGroup
	for i := range ids {
		asking.Go(func() {
			if _, out := c.do("alice", "GET", at+"None", nil); out["auto_allocated_topology"] != nil {
				ids[i] = out["auto_allocated_topology"].(object)["id"]
			}
		})
	}
	asking.Wait()
	for _, id := range ids {
		if id != ids[0] || id == nil {
			t.Fatalf("laid out are %v", ids)
		}
	}
	n := c.want(200, "alice", "GET", path("networks", ids[0]), nil, "network").(object)
	r := c.list("alice", "routers", "routers")
	if n["project_id"] != "alice" || len(n["subnets"].([]any)) != 2 || len(r) != 1 || r[0]["external_gateway_info"].(object)["network_id"] != ext["id"] {
		t.Errorf("laid out are %v and %v", n, r)
	}
	if got := c.list("alice", "ports?device_owner=network:router_interface&network_id="+ids[0].(string), "ports"); len(got) != 2 {
		t.Errorf("the router's interfaces: %v", got)
	}
	c.fails(403, "PolicyNotAuthorized", "bob", "GET", at+"alice", nil)
	c.fails(400, "BadRequest", "admin", "GET", at+strings.Repeat("p", 256), nil) // which is no project's
	if got := c.list("alice", "auto-allocated-topology", "auto_allocated_topologies"); len(got) != 1 || got[0]["id"] != ids[0] {
		t.Errorf("listed are %v", got)
	}
	if got := c.list("bob", "auto-allocated-topology?project_id=alice", "auto_allocated_topologies"); len(got) != 0 {
		t.Errorf("bob sees %v", got)
	}
	p := c.port("alice", n, nil)
	c.fails(409, "NetworkInUse", "alice", "DELETE", at+"alice", nil)
	if got := c.list("alice", "routers", "routers"); len(got) != 1 {
		t.Errorf("after a refusal there are %v", got)
	}
	c.want(204, "alice", "DELETE", path("ports", p["id"]), nil, "")
	c.fails(403, "PolicyNotAuthorized", "reader", "DELETE", at+"alice", nil)
	c.want(http.StatusNoContent, "alice", "DELETE", at+"alice", nil, "")
	c.fails(404, "AutoAllocatedTopologyNotFound", "alice", "DELETE", at+"alice", nil)
	if got := len(c.list("alice", "routers", "routers")) + len(c.list("alice", "networks?name=auto_allocated_network", "networks")); got != 0 {
		t.Errorf("%d things are left", got)
	}
	again := c.want(200, "alice", "GET", at+"alice", nil, "auto_allocated_topology").(object)
	if again["id"] == ids[0] {
		t.Error("the same network again")
	}
}
