package api

import (
	"fmt"
	"testing"
)

// outside makes the external network "public" with its subnet.
func (c *cloud) outside() object {
	c.t.Helper()
	ext := c.network("admin", object{"name": "public", "router:external": true, "provider:network_type": "flat", "provider:physical_network": "public"})
	c.subnet("admin", ext, "172.24.4.0/24", object{"enable_dhcp": false})
	return ext
}

func TestProviderNetworks(t *testing.T) {
	c := newCloud(t, nil)
	ext := c.outside()
	if ext["provider:physical_network"] != "public" || ext["router:external"] != true {
		t.Errorf("network %v", ext)
	}
	c.fails(409, "FlatNetworkInUse", "admin", "POST", "/v2.0/networks", object{"network": object{"provider:network_type": "flat", "provider:physical_network": "public"}})
	c.fails(400, "InvalidInput", "admin", "POST", "/v2.0/networks", object{"network": object{"provider:network_type": "geneve"}})
	seen := c.list("bob", "networks?router:external=True", "networks")
	if len(seen) != 1 || seen[0]["id"] != ext["id"] {
		t.Errorf("bob sees %v", seen)
	}
	if subnets := c.list("bob", "subnets", "subnets"); len(subnets) != 0 {
		t.Errorf("bob sees subnets of the external network: %v", subnets)
	}
	c.fails(403, "PolicyNotAuthorized", "bob", "DELETE", path("networks", ext["id"]), nil)
}

func TestRouters(t *testing.T) {
	c := newCloud(t, nil)
	ext := c.outside()
	n := c.network("alice", object{})
	s := c.subnet("alice", n, "10.0.0.0/24", nil)
	c.fails(403, "PolicyNotAuthorized", "alice", "POST", "/v2.0/routers", object{"router": object{"external_gateway_info": object{"network_id": ext["id"], "enable_snat": false}}})
	r := c.create("alice", "routers", "router", object{"name": "r", "external_gateway_info": object{"network_id": ext["id"]}})
	gateway := r["external_gateway_info"].(object)
	if gateway["enable_snat"] != true || len(gateway["external_fixed_ips"].([]any)) != 1 || r["status"] != "ACTIVE" {
		t.Errorf("router %v", r)
	}
	if _, ok := r["ha"]; ok {
		t.Error("a user sees how a router is made")
	}
	router := path("routers", r["id"])
	c.fails(400, "BadRequest", "alice", "PUT", router+"/add_router_interface", object{})
	_, info := c.do("alice", "PUT", router+"/add_router_interface", object{"subnet_id": s["id"]})
	if info["subnet_id"] != s["id"] || info["id"] != r["id"] || info["port_id"] == "" {
		t.Fatalf("interface %v", info)
	}
	p := c.want(200, "alice", "GET", path("ports", info["port_id"]), nil, "port").(object)
	if p["device_owner"] != "network:router_interface" || p["device_id"] != r["id"] || firstIP(p) != "10.0.0.1" {
		t.Errorf("interface's port %v", p)
	}
	c.fails(400, "BadRequest", "alice", "PUT", router+"/add_router_interface", object{"subnet_id": s["id"]})
	twin := c.network("alice", object{})
	overlapping := c.subnet("alice", twin, "10.0.0.0/25", nil)
	c.fails(400, "BadRequest", "alice", "PUT", router+"/add_router_interface", object{"subnet_id": overlapping["id"]})
	c.fails(409, "RouterInUse", "alice", "DELETE", router, nil)
	c.fails(409, "ServicePortInUse", "alice", "DELETE", path("ports", info["port_id"]), nil)
	c.fails(409, "GatewayIpInUse", "alice", "PUT", path("subnets", s["id"]), object{"subnet": object{"gateway_ip": "10.0.0.254"}})

	c.fails(400, "InvalidRoutes", "alice", "PUT", router, object{"router": object{"routes": []any{object{"destination": "10.5.0.0/16", "nexthop": "10.9.0.1"}}}})
	r = c.want(200, "alice", "PUT", router+"/add_extraroutes", object{"router": object{"routes": []any{object{"destination": "10.5.0.0/16", "nexthop": "10.0.0.9"}}}}, "router").(object)
	if fmt.Sprint(r["routes"]) != "[map[destination:10.5.0.0/16 nexthop:10.0.0.9]]" {
		t.Errorf("routes %v", r["routes"])
	}
	c.fails(409, "RouterInterfaceInUseByRoute", "alice", "PUT", router+"/remove_router_interface", object{"subnet_id": s["id"]})
	c.want(200, "alice", "PUT", router, object{"router": object{"routes": nil}}, "router")
	c.fails(404, "RouterInterfaceNotFoundForSubnet", "alice", "PUT", router+"/remove_router_interface", object{"subnet_id": overlapping["id"]})
	c.want(200, "alice", "PUT", router+"/remove_router_interface", object{"port_id": info["port_id"]}, "port_id")
	r = c.want(200, "alice", "PUT", router, object{"router": object{"external_gateway_info": nil}}, "router").(object)
	if r["external_gateway_info"] != nil {
		t.Errorf("gateway is still there: %v", r)
	}
	c.want(204, "alice", "DELETE", router, nil, "")
	mine := c.port("alice", n, nil)
	r2 := c.create("alice", "routers", "router", object{})
	c.want(200, "alice", "PUT", path("routers", r2["id"], "add_router_interface"), object{"port_id": mine["id"]}, "port_id")
	c.fails(409, "PortInUse", "alice", "PUT", path("routers", r2["id"], "add_router_interface"), object{"port_id": mine["id"]})
}

func TestFloatingIPs(t *testing.T) {
	c := newCloud(t, nil)
	ext := c.outside()
	n := c.network("alice", object{})
	s := c.subnet("alice", n, "10.0.0.0/24", nil)
	p := c.port("alice", n, nil)
	f := c.create("alice", "floatingips", "floatingip", object{"floating_network_id": ext["id"]})
	if f["status"] != "DOWN" || f["port_id"] != nil || f["router_id"] != nil || f["fixed_ip_address"] != nil {
		t.Errorf("floating IP %v", f)
	}
	fip := path("floatingips", f["id"])
	on := object{"floatingip": object{"port_id": p["id"]}}
	c.fails(404, "ExternalGatewayForFloatingIPNotFound", "alice", "PUT", fip, on)
	r := c.create("alice", "routers", "router", object{"external_gateway_info": object{"network_id": ext["id"]}})
	c.want(200, "alice", "PUT", path("routers", r["id"], "add_router_interface"), object{"subnet_id": s["id"]}, "id")
	f = c.want(200, "alice", "PUT", fip, on, "floatingip").(object)
	if f["fixed_ip_address"] != firstIP(p) || f["router_id"] != r["id"] || f["port_details"].(object)["network_id"] != n["id"] {
		t.Errorf("mapped %v", f)
	}
	c.fails(409, "FloatingIPPortAlreadyAssociated", "alice", "POST", "/v2.0/floatingips", object{"floatingip": object{"floating_network_id": ext["id"], "port_id": p["id"]}})
	c.fails(409, "RouterInterfaceInUseByFloatingIP", "alice", "PUT", path("routers", r["id"], "remove_router_interface"), object{"subnet_id": s["id"]})
	c.fails(409, "RouterExternalGatewayInUseByFloatingIp", "alice", "PUT", path("routers", r["id"]), object{"router": object{"external_gateway_info": object{}}})
	c.fails(404, "FloatingIPNotFound", "bob", "GET", fip, nil)

	two := c.port("alice", n, object{"fixed_ips": []any{object{"ip_address": "10.0.0.50"}, object{"ip_address": "10.0.0.51"}}})
	c.fails(400, "BadRequest", "alice", "PUT", fip, object{"floatingip": object{"port_id": two["id"]}})
	c.fails(400, "BadRequest", "alice", "PUT", fip, object{"floatingip": object{"port_id": two["id"], "fixed_ip_address": "10.0.0.52"}})
	f = c.want(200, "alice", "PUT", fip, object{"floatingip": object{"port_id": two["id"], "fixed_ip_address": "10.0.0.51"}}, "floatingip").(object)
	if f["fixed_ip_address"] != "10.0.0.51" || f["port_id"] != two["id"] {
		t.Errorf("moved %v", f)
	}
	c.want(204, "alice", "DELETE", path("ports", two["id"]), nil, "")
	f = c.want(200, "alice", "GET", fip, nil, "floatingip").(object)
	if f["port_id"] != nil || f["router_id"] != nil || f["port_details"] != nil {
		t.Errorf("the port is gone, but %v", f)
	}
	c.want(204, "alice", "DELETE", fip, nil, "")
	if left := c.list("admin", "ports?device_owner=network:floatingip", "ports"); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
	given := c.create("admin", "floatingips", "floatingip", object{"floating_network_id": ext["id"], "floating_ip_address": "172.24.4.99", "tenant_id": "bob"})
	if given["floating_ip_address"] != "172.24.4.99" || given["project_id"] != "bob" {
		t.Errorf("floating IP %v", given)
	}
	c.fails(403, "PolicyNotAuthorized", "alice", "POST", "/v2.0/floatingips", object{"floatingip": object{"floating_network_id": ext["id"], "floating_ip_address": "172.24.4.98"}})
}
