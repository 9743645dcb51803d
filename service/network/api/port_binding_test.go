package api

import (
	"fmt"
	"testing"
	"time"
)

// A port may be bound to several hosts, and is in use on one.
func TestPortBindings(t *testing.T) {
	c := newCloud(t, nil)
	c.beat("h1")
	c.beat("h2")
	n := c.network("alice", object{})
	c.subnet("alice", n, "10.0.0.0/24", nil)
	plain := c.port("alice", n, nil)
	c.fails(400, "BadRequest", "service", "POST", path("ports", plain["id"], "bindings"), object{"binding": object{"host": "h1"}})
	p := c.want(201, "service", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "device_id": "s", "device_owner": "compute:nova", "binding:host_id": "h1"}}, "port").(object)
	all := path("ports", p["id"], "bindings")
	on := func(host string) string { return all + "/" + host }
	// seen is each binding as host=status.
	seen := func() (text string) {
		t.Helper()
		for _, b := range c.want(200, "service", "GET", all, nil, "bindings").([]any) {
			b := b.(object)
			text += fmt.Sprint(b["host"], "=", b["status"], " ")
		}
		return text
	}
	is := func(what, want string) {
		t.Helper()
		if got := seen(); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	is("at first", "h1=ACTIVE ")
	c.fails(403, "PolicyNotAuthorized", "alice", "GET", all, nil)
	c.fails(403, "PolicyNotAuthorized", "admin", "POST", all, object{"binding": object{"host": "h2"}})
	c.fails(404, "PortNotFound", "bob", "GET", all, nil)
	c.fails(409, "PortBindingError", "service", "POST", all, object{"binding": object{"host": "nowhere"}})
	c.fails(409, "PortBindingAlreadyExists", "service", "POST", all, object{"binding": object{"host": "h1"}})
	c.fails(400, "HTTPBadRequest", "service", "POST", all, object{"binding": object{}})
	c.fails(400, "HTTPBadRequest", "service", "POST", all, object{"binding": object{"host": "h2", "vnic_type": "odd"}})
	c.fails(400, "HTTPBadRequest", "service", "POST", all, object{"binding": object{"host": "h2", "status": "ACTIVE"}})
	b := c.want(201, "service", "POST", all, object{"binding": object{"host": "h2", "profile": object{"a": "b"}}}, "binding").(object)
	if fmt.Sprint(b) != "map[host:h2 profile:map[a:b] status:INACTIVE vif_details:map[connectivity:l2 port_filter:true] vif_type:bridge vnic_type:normal]" {
		t.Errorf("made is %v", b)
	}
	is("with a further one", "h1=ACTIVE h2=INACTIVE ")
	if got := c.want(200, "service", "GET", all+"?status=INACTIVE&fields=host", nil, "bindings"); fmt.Sprint(got) != "[map[host:h2]]" {
		t.Errorf("filtered: %v", got)
	}
	c.fails(400, "HTTPBadRequest", "service", "GET", all+"?colour=red", nil)
	b = c.want(200, "service", "PUT", on("h2"), object{"binding": object{"profile": object{}}}, "binding").(object)
	if fmt.Sprint(b["profile"]) != "map[]" {
		t.Errorf("changed is %v", b)
	}
	c.fails(409, "PortBindingAlreadyActive", "service", "PUT", on("h1")+"/activate", nil)
	c.fails(404, "PortBindingNotFound", "service", "PUT", on("h3")+"/activate", nil)
	c.want(200, "service", "PUT", on("h2")+"/activate", nil, "binding")
	is("activated", "h2=ACTIVE h1=INACTIVE ")
	if shown := c.want(200, "admin", "GET", path("ports", p["id"]), nil, "port").(object); shown["binding:host_id"] != "h2" || shown["binding:vif_type"] != "bridge" || shown["status"] != "DOWN" {
		t.Errorf("the port is %v", shown)
	}
	c.want(204, "service", "DELETE", on("h1"), nil, "")
	c.fails(404, "PortBindingNotFound", "service", "DELETE", on("h1"), nil)
	is("without the old one", "h2=ACTIVE ")

	// A port that is bound to a host in the old way uses its binding there.
	c.want(201, "service", "POST", all, object{"binding": object{"host": "h1"}}, "binding")
	c.want(200, "service", "PUT", path("ports", p["id"]), object{"port": object{"binding:host_id": "h1"}}, "port")
	is("bound in the old way", "h1=ACTIVE ")
	c.want(204, "service", "DELETE", on("h1"), nil, "")
	is("in use nowhere", "")
	if b := c.want(201, "service", "POST", all, object{"binding": object{"host": "h2"}}, "binding").(object); b["status"] != "ACTIVE" {
		t.Errorf("the first binding is %v", b)
	}
	c.want(201, "service", "POST", all, object{"binding": object{"host": "h1"}}, "binding")
	c.clock.advance(time.Hour) // no agent is alive any more
	c.fails(409, "PortBindingError", "service", "PUT", on("h1"), object{"binding": object{"profile": nil}})
	c.want(204, "service", "DELETE", path("ports", p["id"]), nil, "")
}

// The state that hosts are told of follows the binding in use.
func TestHostsFollowTheBindingInUse(t *testing.T) {
	c := newCloud(t, nil)
	c.beat("h1")
	c.beat("h2")
	n := c.network("alice", object{})
	p := c.want(201, "service", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"], "device_id": "s", "device_owner": "compute:nova", "binding:host_id": "h1"}}, "port").(object)
	all := path("ports", p["id"], "bindings")
	carried := func(host string) int {
		state, err := c.control.HostState(t.Context(), host)
		if err != nil {
			t.Fatal(err)
		}
		return len(state.Ports)
	}
	c.want(201, "service", "POST", all, object{"binding": object{"host": "h2"}}, "binding")
	if carried("h1") != 1 || carried("h2") != 0 {
		t.Error("a binding that is not in use is carried, or the one in use is not")
	}
	before, err := c.store.Revision(t.Context(), c.store, "h1")
	if err != nil {
		t.Fatal(err)
	}
	c.want(200, "service", "PUT", all+"/h2/activate", nil, "binding")
	if carried("h1") != 0 || carried("h2") != 1 {
		t.Error("hosts do not follow")
	}
	if after, err := c.store.Revision(t.Context(), c.store, "h1"); err != nil || after == before {
		t.Errorf("the old host is not told: %d, %v", after, err)
	}
}
