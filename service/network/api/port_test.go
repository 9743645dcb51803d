package api

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kilonova/service/network"
	"kilonova/service/network/control"
	"kilonova/service/network/store"

	"kilonova/internal/db"
)

func TestPortAddresses(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{})
	bare := c.port("alice", n, nil)
	if firstIP(bare) != "" || bare["status"] != "DOWN" || !strings.HasPrefix(bare["mac_address"].(string), "fa:16:3e:") {
		t.Errorf("port without subnets: %v", bare)
	}
	s := c.subnet("alice", n, "10.0.0.0/29", nil)
	if s["gateway_ip"] != "10.0.0.1" || fmt.Sprint(s["allocation_pools"]) != "[map[end:10.0.0.6 start:10.0.0.2]]" {
		t.Errorf("subnet %v", s)
	}
	got := map[string]bool{}
	for range 5 {
		got[firstIP(c.port("alice", n, nil))] = true
	}
	if len(got) != 5 || got["10.0.0.1"] || got["10.0.0.0"] || got["10.0.0.7"] {
		t.Errorf("addresses %v", got)
	}
	c.fails(409, "IpAddressGenerationFailure", "alice", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"]}})
	p := c.list("alice", "ports?fixed_ips=ip_address%3D10.0.0.4", "ports")[0]
	c.fails(409, "IpAddressInUse", "alice", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "fixed_ips": []any{object{"ip_address": "10.0.0.4"}}}})
	c.want(204, "alice", "DELETE", path("ports", p["id"]), nil, "")
	again := c.port("alice", n, nil)
	if firstIP(again) != "10.0.0.4" {
		t.Errorf("the free address was not found: %s", firstIP(again))
	}
	none := c.port("alice", n, object{"fixed_ips": []any{}})
	if firstIP(none) != "" {
		t.Errorf("port with an address that nobody wanted: %v", none)
	}
	other := c.subnet("alice", n, "10.1.0.0/24", nil)
	two := c.port("alice", n, object{"fixed_ips": []any{object{"subnet_id": other["id"]}, object{"subnet_id": other["id"], "ip_address": "10.1.0.77"}}})
	if ips := two["fixed_ips"].([]any); len(ips) != 2 {
		t.Errorf("wanted two addresses: %v", ips)
	}
	// A change keeps what is named by its subnet alone.
	moved := c.want(200, "alice", "PUT", path("ports", two["id"]), object{"port": object{"fixed_ips": []any{object{"subnet_id": other["id"]}}}}, "port").(object)
	if ips := moved["fixed_ips"].([]any); len(ips) != 1 || moved["revision_number"] != 2.0 {
		t.Errorf("after the change: %v", moved)
	}
	c.fails(409, "SubnetInUse", "alice", "DELETE", path("subnets", s["id"]), nil)
	c.fails(409, "NetworkInUse", "alice", "DELETE", path("networks", n["id"]), nil)
}

func TestAutomaticIPv6(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{})
	c.subnet("alice", n, "10.0.0.0/24", nil)
	s := c.subnet("alice", n, "2001:db8::/64", object{"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"})
	p := c.port("alice", n, object{"mac_address": "fa:16:3e:12:34:56"})
	ips := p["fixed_ips"].([]any)
	if len(ips) != 2 || ips[1].(object)["ip_address"] != "2001:db8::f816:3eff:fe12:3456" {
		t.Errorf("addresses %v", ips)
	}
	c.want(204, "alice", "DELETE", path("subnets", s["id"]), nil, "") // automatic addresses do not hold it
	p = c.want(200, "alice", "GET", path("ports", p["id"]), nil, "port").(object)
	if len(p["fixed_ips"].([]any)) != 1 {
		t.Errorf("addresses of a deleted subnet: %v", p)
	}
	c.fails(400, "InvalidInput", "alice", "POST", "/v2.0/subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 6, "cidr": "2001:db8:1::/80",
		"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}})
}

func TestAddressesAreExactUnderConcurrency(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{})
	c.subnet("alice", n, "10.0.0.0/26", nil) // 61 addresses besides the gateway
	var made, full atomic.Int32
	var seen sync.Map
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 10 {
				code, out := c.do("alice", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"]}})
				switch code {
				case 201:
					made.Add(1)
					if ip := firstIP(out["port"].(object)); ip == "" {
						t.Error("a port without an address")
					} else if _, twice := seen.LoadOrStore(ip, true); twice {
						t.Errorf("%s was given twice", ip)
					}
				case 409:
					full.Add(1)
				default:
					t.Errorf("%d %v", code, out)
				}
			}
		})
	}
	work.Wait()
	if made.Load() != 61 || full.Load() != 19 {
		t.Errorf("%d ports made and %d refused, want 61 and 19", made.Load(), full.Load())
	}
}

func TestQuotaIsStrictUnderConcurrency(t *testing.T) {
	c := newCloud(t, func(cfg *control.Config) { cfg.Options.Quotas.Network = 7 })
	var made, over atomic.Int32
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 4 {
				switch code, out := c.do("alice", "POST", "/v2.0/networks", object{"network": object{}}); code {
				case 201:
					made.Add(1)
				case 409:
					over.Add(1)
				default:
					t.Errorf("%d %v", code, out)
				}
			}
		})
	}
	work.Wait()
	if made.Load() != 7 || over.Load() != 25 {
		t.Errorf("%d made, %d refused", made.Load(), over.Load())
	}
	c.fails(409, "OverQuota", "alice", "POST", "/v2.0/networks", object{"network": object{}})
	c.network("bob", object{})
}

func TestBindingIsForAdministrators(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{})
	p := c.port("alice", n, nil)
	if _, ok := p["binding:host_id"]; ok || p["binding:vnic_type"] != "normal" {
		t.Errorf("alice sees %v", p)
	}
	c.fails(403, "PolicyNotAuthorized", "alice", "PUT", path("ports", p["id"]), object{"port": object{"binding:host_id": "h1"}})
	failed := c.want(200, "service", "PUT", path("ports", p["id"]), object{"port": object{"binding:host_id": "h1"}}, "port").(object)
	if failed["binding:vif_type"] != "binding_failed" {
		t.Errorf("bound without an agent: %v", failed)
	}
	c.beat("h1")
	bound := c.want(200, "service", "PUT", path("ports", p["id"]), object{"port": object{"binding:host_id": "h1", "device_id": "s1", "device_owner": "compute:nova",
		"binding:profile": object{"a": "b"}}}, "port").(object)
	if bound["binding:vif_type"] != "bridge" || bound["binding:host_id"] != "h1" || bound["binding:vif_details"].(object)["port_filter"] != true {
		t.Errorf("bound as %v", bound)
	}
	unbound := c.want(200, "service", "PUT", path("ports", p["id"]), object{"port": object{"binding:host_id": nil, "device_id": "", "device_owner": "", "binding:profile": object{}}}, "port").(object)
	if unbound["binding:vif_type"] != "unbound" || unbound["binding:host_id"] != "" || unbound["device_id"] != "" {
		t.Errorf("unbound as %v", unbound)
	}
	c.clock.advance(time.Hour)
	dead := c.want(200, "service", "PUT", path("ports", p["id"]), object{"port": object{"binding:host_id": "h1"}}, "port").(object)
	if dead["binding:vif_type"] != "binding_failed" {
		t.Errorf("bound to a dead agent: %v", dead)
	}
}

// beat registers an agent as its first sign of life does.
func (c *cloud) beat(host string) {
	c.t.Helper()
	err := c.store.Tx(c.t.Context(), func(tx *db.Tx) error {
		for _, kind := range []string{network.AgentL2, network.AgentDHCP, network.AgentL3} {
			_, err := c.store.BeatAgent(c.t.Context(), tx, store.AgentRow{ID: kind + host, Type: kind, Host: host, Zone: "nova", AdminUp: true,
				CreatedAt: db.At(c.clock.now()), StartedAt: db.At(c.clock.now()), Heartbeat: db.At(c.clock.now()), Physical: db.AsJSON([]string{"*"})})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func TestPortAttributes(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{})
	c.subnet("alice", n, "10.0.0.0/24", nil)
	p := c.port("alice", n, object{"name": "p", "dns_name": "Web", "allowed_address_pairs": []any{object{"ip_address": "10.9.0.0/16"}},
		"extra_dhcp_opts": []any{object{"opt_name": "bootfile-name", "opt_value": "x"}, object{"opt_name": "y", "opt_value": nil}}})
	if p["dns_name"] != "web" || fmt.Sprint(p["dns_assignment"]) != "[map[fqdn:web.openstacklocal. hostname:web ip_address:10.0.0.2]]" {
		t.Errorf("names %v %v", p["dns_name"], p["dns_assignment"])
	}
	if fmt.Sprint(p["extra_dhcp_opts"]) != "[map[ip_version:4 opt_name:bootfile-name opt_value:x]]" {
		t.Errorf("options %v", p["extra_dhcp_opts"])
	}
	groups := p["security_groups"].([]any)
	if len(groups) != 1 {
		t.Fatalf("groups %v", groups)
	}
	c.fails(409, "PortSecurityAndIPRequiredForSecurityGroups", "alice", "PUT", path("ports", p["id"]), object{"port": object{"port_security_enabled": false}})
	p = c.want(200, "alice", "PUT", path("ports", p["id"]), object{"port": object{"port_security_enabled": false, "security_groups": []any{}, "allowed_address_pairs": []any{}}}, "port").(object)
	if p["port_security_enabled"] != false {
		t.Errorf("port %v", p)
	}
	c.fails(409, "MacAddressInUse", "alice", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "mac_address": p["mac_address"]}})
	c.fails(400, "HTTPBadRequest", "alice", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "mac_address": "01:00:5e:00:00:01"}})
}

func BenchmarkPortCreate(b *testing.B) {
	c := newCloud(b, func(cfg *control.Config) { cfg.Options.Quotas.Port = -1 })
	n := c.network("alice", object{})
	c.subnet("alice", n, "10.0.0.0/8", nil)
	b.ResetTimer()
	for b.Loop() {
		c.port("alice", n, nil)
	}
}

func BenchmarkListPorts1000(b *testing.B) {
	c := newCloud(b, func(cfg *control.Config) { cfg.Options.Quotas.Port = -1 })
	n := c.network("alice", object{})
	c.subnet("alice", n, "10.0.0.0/16", nil)
	for range 1000 {
		c.port("alice", n, nil)
	}
	b.ResetTimer()
	for b.Loop() {
		if code, _ := c.do("alice", "GET", "/v2.0/ports", nil); code != 200 {
			b.Fatal(code)
		}
	}
}
