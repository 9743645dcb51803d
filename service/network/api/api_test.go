package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/control"
	"kilonova/service/network/store"
)

// Projects and tokens of the tests: "admin", "alice" and "bob" are the token, the
// user and the project of one caller each; "reader" only reads in alice's project.
var callers = map[string]*auth.Caller{
	"admin":   {UserID: "admin", ProjectID: "admin", Roles: []string{"admin", "member", "reader"}},
	"alice":   {UserID: "alice", ProjectID: "alice", Roles: []string{"member", "reader"}},
	"bob":     {UserID: "bob", ProjectID: "bob", Roles: []string{"member", "reader"}},
	"reader":  {UserID: "reader", ProjectID: "alice", Roles: []string{"reader"}},
	"service": {UserID: "nova", ProjectID: "service", Roles: []string{"service"}},
}

// cloud is the service with everything around it that a test needs.
type cloud struct {
	t       testing.TB
	store   *store.Store
	control *control.Control
	handler http.Handler
	events  *recorder
	clock   *clock
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Microsecond) // so that what is made later is later
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// recorder is compute as the network service sees it.
type recorder struct{ events chan network.Event }

func (r *recorder) Notify(_ context.Context, e network.Event) error {
	r.events <- e
	return nil
}

func newCloud(t testing.TB, change func(*control.Config)) *cloud {
	t.Helper()
	s, err := store.New(t.Context(), dbtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t, store: s, events: &recorder{make(chan network.Event, 100)}, clock: &clock{at: time.Date(2026, 11, 20, 18, 45, 0, 0, time.UTC)}}
	cfg := control.Config{Store: s, Compute: c.events, Log: slog.New(slog.DiscardHandler), Now: c.clock.now, Options: control.Defaults()}
	if change != nil {
		change(&cfg)
	}
	if c.control, err = control.New(cfg); err != nil {
		t.Fatal(err)
	}
	c.handler = New(c.control, Options{Log: cfg.Log, Now: time.Now, AuthURL: func() string { return "http://identity" },
		Validator: auth.ValidatorFunc(func(_ context.Context, token string) (*auth.Caller, error) {
			if caller := callers[token]; caller != nil {
				return caller, nil
			}
			return nil, fault.New(fault.Unauthenticated, "The request you have made requires authentication.")
		})}).Handler()
	return c
}

type object = map[string]any

// do sends a request as token and returns status and body.
func (c *cloud) do(token, method, path string, body any) (int, object) {
	c.t.Helper()
	var data []byte
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
	default:
		var err error
		if data, err = json.Marshal(b); err != nil {
			c.t.Fatal(err)
		}
	}
	method, header, _ := strings.Cut(method, " ")
	req := httptest.NewRequest(method, "http://cloud"+path, bytes.NewReader(data))
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	if header != "" {
		req.Header.Set("If-Match", header)
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, req)
	out := object{}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return w.Code, out
}

// want sends a request that must have the status, and returns what the key of
// its answer holds.
func (c *cloud) want(status int, token, method, path string, body any, key string) any {
	c.t.Helper()
	code, out := c.do(token, method, path, body)
	if code != status {
		c.t.Fatalf("%s %s %v: %d %v, want %d", method, path, body, code, out, status)
	}
	return out[key]
}

// fails sends a request that must be refused with the status and Neutron's name
// of the fault.
func (c *cloud) fails(status int, kind, token, method, path string, body any) {
	c.t.Helper()
	code, out := c.do(token, method, path, body)
	e, _ := out["NeutronError"].(object)
	if code != status || e["type"] != kind {
		c.t.Errorf("%s %s %v: %d %v, want %d %s", method, path, body, code, out, status, kind)
	}
	if message, _ := e["message"].(string); message == "" {
		c.t.Errorf("%s %s: no message in %v", method, path, out)
	}
}

// create makes one resource and returns it.
func (c *cloud) create(token, path, key string, body object) object {
	c.t.Helper()
	return c.want(201, token, "POST", "/v2.0/"+path, object{key: body}, key).(object)
}

func (c *cloud) network(token string, body object) object {
	c.t.Helper()
	return c.create(token, "networks", "network", body)
}

func (c *cloud) subnet(token string, n object, cidr string, more object) object {
	c.t.Helper()
	body := object{"network_id": n["id"], "cidr": cidr, "ip_version": 4}
	if strings.Contains(cidr, ":") {
		body["ip_version"] = 6
	}
	for k, v := range more {
		body[k] = v
	}
	return c.create(token, "subnets", "subnet", body)
}

func (c *cloud) port(token string, n object, more object) object {
	c.t.Helper()
	body := object{"network_id": n["id"]}
	for k, v := range more {
		body[k] = v
	}
	return c.create(token, "ports", "port", body)
}

// list returns the items of a list.
func (c *cloud) list(token, path, key string) []object {
	c.t.Helper()
	items, ok := c.want(200, token, "GET", "/v2.0/"+path, nil, key).([]any)
	if !ok {
		c.t.Fatalf("%s: no list %s", path, key)
	}
	out := make([]object, len(items))
	for i := range items {
		out[i] = items[i].(object)
	}
	return out
}

func firstIP(port object) string {
	ips := port["fixed_ips"].([]any)
	if len(ips) == 0 {
		return ""
	}
	return ips[0].(object)["ip_address"].(string)
}

func path(parts ...any) string {
	out := "/v2.0"
	for _, p := range parts {
		out += "/" + fmt.Sprint(p)
	}
	return out
}

func TestVersions(t *testing.T) {
	c := newCloud(t, nil)
	versions := c.want(200, "", "GET", "/", nil, "versions").([]any)
	links := versions[0].(object)["links"].([]any)
	if versions[0].(object)["id"] != "v2.0" || links[0].(object)["href"] != "http://cloud/v2.0/" {
		t.Errorf("versions %v", versions)
	}
	c.want(200, "alice", "GET", "/v2.0/", nil, "resources")
	c.want(401, "", "GET", "/v2.0/networks", nil, "")
	c.want(200, "alice", "GET", "/v2.0/extensions/router", nil, "extension")
	c.fails(404, "ExtensionNotFound", "alice", "GET", "/v2.0/extensions/none", nil)
	if list := c.list("alice", "extensions", "extensions"); len(list) != len(extensions) {
		t.Errorf("%d extensions", len(list))
	}
}

func TestNetworkLife(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{"name": "one", "description": "d", "admin_state_up": "False"})
	if n["tenant_id"] != "alice" || n["project_id"] != "alice" || n["admin_state_up"] != false || n["status"] != "ACTIVE" ||
		n["mtu"] != 1500.0 || n["revision_number"] != 1.0 || n["created_at"] != "2026-11-20T18:45:00Z" || n["shared"] != false {
		t.Errorf("network %v", n)
	}
	if _, ok := n["provider:network_type"]; ok {
		t.Error("a user sees what a network is made of")
	}
	id := n["id"]
	seen := c.want(200, "admin", "GET", path("networks", id), nil, "network").(object)
	if seen["provider:network_type"] != "local" {
		t.Errorf("the administrator sees %v", seen)
	}
	if v, ok := seen["provider:physical_network"]; !ok || v != nil {
		t.Errorf("no null for the physical network in %v", seen)
	}
	c.fails(404, "NetworkNotFound", "bob", "GET", path("networks", id), nil)
	c.fails(404, "NetworkNotFound", "bob", "DELETE", path("networks", id), nil)
	c.fails(403, "PolicyNotAuthorized", "reader", "PUT", path("networks", id), object{"network": object{"name": "x"}})
	c.fails(403, "PolicyNotAuthorized", "alice", "PUT", path("networks", id), object{"network": object{"shared": true}})
	c.fails(412, "RevisionNumberConstraintFailed", "alice", "PUT revision_number=7", path("networks", id), object{"network": object{"name": "x"}})
	n = c.want(200, "alice", "PUT revision_number=1", path("networks", id), object{"network": object{"name": "two", "mtu": 1400}}, "network").(object)
	if n["name"] != "two" || n["mtu"] != 1400.0 || n["revision_number"] != 2.0 || n["description"] != "d" {
		t.Errorf("changed to %v", n)
	}
	c.want(204, "alice", "DELETE", path("networks", id), nil, "")
	c.fails(404, "NetworkNotFound", "alice", "GET", path("networks", id), nil)
}

// A range may be said by an address in it, as to Neutron.
func TestSubnetsDropHostBits(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{"name": "masked"})
	s := c.want(201, "alice", "POST", path("subnets"), object{"subnet": object{"network_id": n["id"], "ip_version": 4, "cidr": "10.9.9.1/24"}}, "subnet").(object)
	if s["cidr"] != "10.9.9.0/24" {
		t.Errorf("a subnet with host bits has the range %v", s["cidr"])
	}
}

func TestBadInputLeavesNothing(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{})
	c.subnet("alice", n, "10.0.0.0/24", nil)
	bad := []struct {
		status     int
		kind, path string
		body       any
	}{
		{400, "HTTPBadRequest", "networks", "{"},
		{400, "HTTPBadRequest", "networks", `[]`},
		{400, "HTTPBadRequest", "networks", object{"net": object{}}},
		{400, "HTTPBadRequest", "networks", object{"network": object{"nme": "x"}}},
		{400, "HTTPBadRequest", "networks", object{"network": object{"id": "x"}}},
		{400, "HTTPBadRequest", "networks", object{"network": object{"name": strings.Repeat("x", 256)}}},
		{400, "HTTPBadRequest", "networks", object{"network": object{"name": 7}}},
		{400, "HTTPBadRequest", "networks", object{"network": object{"admin_state_up": "perhaps"}}},
		{400, "HTTPBadRequest", "networks", object{"network": object{"mtu": 3}}},
		{400, "HTTPBadRequest", "networks", object{"networks": []any{}}},
		{400, "HTTPBadRequest", "networks", object{"networks": []any{object{"name": "a"}, object{"mtu": "x"}}}},
		{400, "InvalidInput", "networks", object{"networks": []any{object{"name": "a"}, object{"mtu": 9000}}}},
		{403, "PolicyNotAuthorized", "networks", object{"network": object{"router:external": true}}},
		{403, "PolicyNotAuthorized", "networks", object{"network": object{"tenant_id": "bob"}}},
		{400, "HTTPBadRequest", "subnets", object{"subnet": object{"network_id": n["id"]}}},
		{404, "NetworkNotFound", "subnets", object{"subnet": object{"network_id": "x", "ip_version": 4, "cidr": "10.1.0.0/24"}}},
		{400, "HTTPBadRequest", "subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 4, "cidr": "10.1.0.1/33"}}},
		{400, "HTTPBadRequest", "subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 5, "cidr": "10.1.0.0/24"}}},
		{400, "InvalidInput", "subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 6, "cidr": "10.1.0.0/24"}}},
		{400, "InvalidInput", "subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 4, "cidr": "10.0.0.128/25"}}},
		{400, "InvalidInput", "subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 4, "cidr": "10.1.0.0/31"}}},
		{400, "OutOfBoundsAllocationPool", "subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 4, "cidr": "10.1.0.0/24",
			"allocation_pools": []any{object{"start": "10.1.0.2", "end": "10.1.1.2"}}}}},
		{409, "OverlappingAllocationPools", "subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 4, "cidr": "10.1.0.0/24",
			"allocation_pools": []any{object{"start": "10.1.0.2", "end": "10.1.0.9"}, object{"start": "10.1.0.9", "end": "10.1.0.12"}}}}},
		{409, "GatewayConflictWithAllocationPools", "subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 4, "cidr": "10.1.0.0/24",
			"allocation_pools": []any{object{"start": "10.1.0.1", "end": "10.1.0.9"}}}}},
		{400, "HTTPBadRequest", "subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 4, "cidr": "10.1.0.0/24", "dns_nameservers": []any{"x"}}}},
		{400, "InvalidInput", "subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 4, "cidr": "10.1.0.0/24", "ipv6_ra_mode": "slaac"}}},
		{404, "NetworkNotFound", "ports", object{"port": object{"network_id": "x"}}},
		{400, "HTTPBadRequest", "ports", object{"port": object{"network_id": n["id"], "mac_address": "x"}}},
		{400, "InvalidIpForNetwork", "ports", object{"port": object{"network_id": n["id"], "fixed_ips": []any{object{"ip_address": "10.9.0.1"}}}}},
		{400, "InvalidInput", "ports", object{"port": object{"network_id": n["id"], "fixed_ips": []any{object{"subnet_id": "x"}}}}},
		{400, "InvalidInput", "ports", object{"port": object{"network_id": n["id"], "fixed_ips": []any{object{}}}}},
		{400, "HTTPBadRequest", "ports", object{"port": object{"network_id": n["id"], "fixed_ips": "x"}}},
		{404, "SecurityGroupNotFound", "ports", object{"port": object{"network_id": n["id"], "security_groups": []any{"x"}}}},
		{400, "AddressPairMissingIP", "ports", object{"port": object{"network_id": n["id"], "allowed_address_pairs": []any{object{}}}}},
		{403, "PolicyNotAuthorized", "ports", object{"port": object{"network_id": n["id"], "binding:host_id": "h"}}},
		{400, "HTTPBadRequest", "ports", object{"port": object{"network_id": n["id"], "binding:vnic_type": "x"}}},
		{404, "NetworkNotFound", "routers", object{"router": object{"external_gateway_info": object{"network_id": "x"}}}},
		{400, "BadRequest", "routers", object{"router": object{"external_gateway_info": object{"network_id": n["id"]}}}},
		{400, "BadRequest", "floatingips", object{"floatingip": object{"floating_network_id": n["id"]}}},
		{404, "SecurityGroupNotFound", "security-group-rules", object{"security_group_rule": object{"security_group_id": "x", "direction": "ingress"}}},
	}
	before := c.rows()
	for _, b := range bad {
		c.fails(b.status, b.kind, "alice", "POST", "/v2.0/"+b.path, b.body)
		if after := c.rows(); after != before {
			t.Fatalf("%s %v left something: %s, before %s", b.path, b.body, after, before)
		}
	}
	for _, q := range []string{"networks?foo=1", "networks?limit=-1", "networks?limit=x", "networks?sort_key=foo", "networks?sort_key=name&sort_dir=up",
		"networks?sort_key=name&sort_dir=asc&sort_dir=asc", "networks?admin_state_up=x", "ports?fixed_ips=x", "networks?mtu=x"} {
		c.fails(400, "HTTPBadRequest", "alice", "GET", "/v2.0/"+q, nil)
	}
	c.fails(404, "NetworkNotFound", "alice", "GET", "/v2.0/networks?limit=1&marker=x", nil)
}

// rows counts what is in the database.
func (c *cloud) rows() string {
	out := ""
	for _, table := range []string{"networks", "subnets", "ports", "fixed_ips", "routers", "floating_ips", "security_groups", "security_group_rules", "rbac_policies"} {
		n, err := db.Get[int](c.t.Context(), c.store, `SELECT COUNT(*) FROM `+table)
		if err != nil {
			c.t.Fatal(err)
		}
		out += fmt.Sprintf("%s %d ", table, n)
	}
	return out
}
