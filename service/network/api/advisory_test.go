package api

import (
	"fmt"
	"testing"
)

// The tests of this file carry the numbers of upstream's published advisories.

// CVE-2014-0056: a port must not become a leg of another project's router.
// CVE-2015-5240: a device owner of the service itself must not take a port past
// its filters.
func TestDeviceOwnersOfTheServiceAreItsOwn(t *testing.T) {
	c := newCloud(t, nil)
	r := c.create("alice", "routers", "router", object{})
	n := c.network("bob", object{})
	c.subnet("bob", n, "10.0.0.0/24", nil)
	p := c.port("bob", n, nil)
	for _, owner := range []string{"network:router_interface", "network:router_gateway", "network:dhcp", "network:floatingip"} {
		leg := object{"device_owner": owner, "device_id": r["id"]}
		c.fails(403, "PolicyNotAuthorized", "bob", "PUT", path("ports", p["id"]), object{"port": leg})
		leg["network_id"] = n["id"]
		c.fails(403, "PolicyNotAuthorized", "bob", "POST", "/v2.0/ports", object{"port": leg})
	}
	c.fails(404, "RouterNotFound", "bob", "PUT", path("routers", r["id"], "add_router_interface"), object{"port_id": p["id"]})
	c.fails(404, "PortNotFound", "alice", "PUT", path("routers", r["id"], "add_router_interface"), object{"port_id": p["id"]})
}

// CVE-2024-53916: who only sees a network must not set its tags.
func TestTagsOfSharedNetworks(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("admin", object{"shared": true})
	c.want(200, "bob", "GET", path("networks", n["id"]), nil, "network")
	c.fails(403, "PolicyNotAuthorized", "bob", "PUT", path("networks", n["id"], "tags"), object{"tags": []any{"x"}})
	c.fails(403, "PolicyNotAuthorized", "bob", "PUT", path("networks", n["id"], "tags", "x"), nil)
	c.fails(403, "PolicyNotAuthorized", "bob", "DELETE", path("networks", n["id"], "tags"), nil)
}

// CVE-2014-6414: attributes for administrators must not be set back to their
// defaults by others.
func TestAdministratorsAttributesStay(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{})
	c.want(200, "admin", "PUT", path("networks", n["id"]), object{"network": object{"shared": true, "router:external": true}}, "network")
	for _, attribute := range []string{"shared", "router:external"} {
		c.fails(403, "PolicyNotAuthorized", "alice", "PUT", path("networks", n["id"]), object{"network": object{attribute: false}})
	}
	seen := c.want(200, "alice", "PUT", path("networks", n["id"]), object{"network": object{"name": "x"}}, "network").(object)
	if seen["shared"] != true || seen["router:external"] != true {
		t.Errorf("network %v", seen)
	}
}

// CVE-2021-40085: DHCP options must not carry lines of their own into a
// configuration. CVE-2014-7821: nor name servers.
func TestNothingReachesTheDHCPConfiguration(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{})
	for _, option := range []object{{"opt_name": "a", "opt_value": "x\ndhcp-script=/bin/sh"}, {"opt_name": "a\nb", "opt_value": "x"},
		{"opt_name": "a", "opt_value": "x\r"}, {"opt_name": "a,b", "opt_value": "x"}, {"opt_name": "", "opt_value": "x"}} {
		c.fails(400, "HTTPBadRequest", "alice", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "extra_dhcp_opts": []any{option}}})
	}
	for _, server := range []string{"8.8.8.8\n", "example.org", "8.8.8.8 ", "fe80::1%eth0", "::ffff:8.8.8.8x"} {
		c.fails(400, "HTTPBadRequest", "alice", "POST", "/v2.0/subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 4,
			"cidr": "10.0.0.0/24", "dns_nameservers": []any{server}}})
	}
	for _, name := range []string{"a\nb", "a b", "-a", "a..b"} {
		c.fails(400, "HTTPBadRequest", "alice", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "dns_name": name}})
	}
}

// CVE-2014-3555 and CVE-2015-3221: address pairs are few and are prefixes.
// CVE-2014-0187: remote prefixes are prefixes. CVE-2019-9735: ports belong to
// protocols that have some.
func TestWhatFiltersAreMadeOf(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{})
	var many []any
	for i := range 11 {
		many = append(many, object{"ip_address": fmt.Sprintf("10.0.0.%d", i)})
	}
	c.fails(400, "AllowedAddressPairExhausted", "alice", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "allowed_address_pairs": many}})
	for _, ip := range []string{"10.0.0.0/33", "10.0.0.0/-1", "10.0.0", "fe80::1%eth0", "x"} {
		c.fails(400, "HTTPBadRequest", "alice", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "allowed_address_pairs": []any{object{"ip_address": ip}}}})
	}
	g := c.list("alice", "security-groups", "security_groups")[0]
	for _, prefix := range []string{"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "/8", "10.0.0.0/8\n"} {
		c.fails(400, "HTTPBadRequest", "alice", "POST", "/v2.0/security-group-rules", object{"security_group_rule": object{"security_group_id": g["id"],
			"direction": "ingress", "remote_ip_prefix": prefix}})
	}
	for _, protocol := range []string{"vrrp", "ah", "112", "igmp"} {
		c.fails(400, "SecurityGroupInvalidProtocolForPort", "alice", "POST", "/v2.0/security-group-rules", object{"security_group_rule": object{
			"security_group_id": g["id"], "direction": "ingress", "protocol": protocol, "port_range_min": 1, "port_range_max": 2}})
	}
}
