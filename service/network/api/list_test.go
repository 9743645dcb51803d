package api

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func names(list []object) string {
	var all []string
	for _, item := range list {
		all = append(all, fmt.Sprint(item["name"]))
	}
	return strings.Join(all, " ")
}

func TestListsAreFilteredAndSorted(t *testing.T) {
	c := newCloud(t, nil)
	for i, name := range []string{"b", "a", "d", "c"} {
		n := c.network("alice", object{"name": name, "admin_state_up": i%2 == 0})
		c.want(200, "alice", "PUT", path("networks", n["id"], "tags"), object{"tags": []any{"all", "t" + name}}, "tags")
	}
	c.network("bob", object{"name": "z"})
	for query, want := range map[string]string{
		"":                            "b a d c",
		"name=a":                      "a",
		"name=a&name=c":               "a c",
		"name=":                       "",
		"admin_state_up=False":        "a c",
		"admin_state_up=true&name=d":  "d",
		"tenant_id=bob":               "",
		"sort_key=name":               "a b c d",
		"sort_key=name&sort_dir=desc": "d c b a",
		"sort_key=admin_state_up&sort_dir=asc&sort_key=name&sort_dir=desc": "c a d b",
		"tags=all,ta":                        "a",
		"tags-any=ta,tb":                     "b a",
		"not-tags=ta":                        "b d c",
		"not-tags-any=ta,tb":                 "d c",
		"router:external=True":               "",
		"shared=false&sort_key=name&limit=2": "a b",
	} {
		if got := names(c.list("alice", "networks?"+query, "networks")); got != want {
			t.Errorf("?%s gives %q, want %q", query, got, want)
		}
	}
	if got := names(c.list("admin", "networks?tenant_id=bob", "networks")); got != "z" {
		t.Errorf("the administrator sees %q of bob", got)
	}
	only := c.list("alice", "networks?fields=name&fields=id&name=a", "networks")[0]
	if len(only) != 2 || only["name"] != "a" {
		t.Errorf("fields gave %v", only)
	}
}

func TestPages(t *testing.T) {
	c := newCloud(t, nil)
	for _, name := range []string{"e", "a", "d", "b", "c"} {
		c.network("alice", object{"name": name})
	}
	at := "/v2.0/networks?sort_key=name&sort_dir=asc&limit=2"
	var pages []string
	back := ""
	for at != "" {
		code, out := c.do("alice", "GET", at, nil)
		if code != 200 {
			t.Fatal(out)
		}
		var items []object
		for _, i := range out["networks"].([]any) {
			items = append(items, i.(object))
		}
		pages = append(pages, names(items))
		at = ""
		links, _ := out["networks_links"].([]any)
		for _, l := range links {
			u, err := url.Parse(l.(object)["href"].(string))
			if err != nil {
				t.Fatal(err)
			}
			switch l.(object)["rel"] {
			case "next":
				at = u.RequestURI()
			case "previous":
				back = u.RequestURI()
			}
		}
	}
	if got := strings.Join(pages, "|"); got != "a b|c d|e" {
		t.Errorf("pages %s", got)
	}
	if got := names(c.list("alice", strings.TrimPrefix(back, "/v2.0/"), "networks")); got != "c d" {
		t.Errorf("the page before the last is %q", got)
	}
}

func TestTags(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{})
	tags := path("networks", n["id"], "tags")
	c.want(201, "alice", "PUT", tags+"/red", nil, "")
	c.want(201, "alice", "PUT", tags+"/red", nil, "")
	c.want(204, "alice", "GET", tags+"/red", nil, "")
	c.fails(404, "TagNotFound", "alice", "GET", tags+"/blue", nil)
	c.fails(404, "TagNotFound", "alice", "DELETE", tags+"/blue", nil)
	c.fails(400, "HTTPBadRequest", "alice", "PUT", tags, object{"tags": []any{strings.Repeat("x", 256)}})
	c.fails(404, "NetworkNotFound", "bob", "PUT", tags+"/red", nil)
	if got := c.want(200, "alice", "GET", tags, nil, "tags"); fmt.Sprint(got) != "[red]" {
		t.Errorf("tags %v", got)
	}
	c.want(204, "alice", "DELETE", tags, nil, "")
	if got := c.want(200, "alice", "GET", tags, nil, "tags"); fmt.Sprint(got) != "[]" {
		t.Errorf("tags %v", got)
	}
}

func TestAvailability(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("alice", object{"name": "n"})
	c.subnet("alice", n, "10.0.0.0/24", nil)
	c.subnet("alice", n, "2001:db8::/64", nil)
	c.port("alice", n, nil)
	c.fails(403, "PolicyNotAuthorized", "alice", "GET", path("network-ip-availabilities"), nil)
	list := c.list("admin", "network-ip-availabilities?network_name=n&ip_version=4", "network_ip_availabilities")
	if len(list) != 1 || list[0]["total_ips"] != 253.0 || list[0]["used_ips"] != 1.0 {
		t.Errorf("availability %v", list)
	}
	one := c.want(200, "admin", "GET", path("network-ip-availabilities", n["id"]), nil, "network_ip_availability").(object)
	if len(one["subnet_ip_availability"].([]any)) != 2 || one["used_ips"] != 2.0 {
		t.Errorf("availability %v", one)
	}
}

func TestAgents(t *testing.T) {
	c := newCloud(t, nil)
	c.beat("h1")
	if got := c.list("admin", "agents?host=h1", "agents"); len(got) != 3 || got[0]["alive"] != true {
		t.Errorf("agents %v", got)
	}
	dhcp := c.list("admin", "agents?agent_type=DHCP+agent", "agents")[0]
	n := c.network("alice", object{})
	c.subnet("alice", n, "10.0.0.0/24", nil)
	carried := c.list("admin", "agents/"+url.PathEscape(dhcp["id"].(string))+"/dhcp-networks", "networks")
	if len(carried) != 1 || carried[0]["id"] != n["id"] {
		t.Errorf("the DHCP agent carries %v", carried)
	}
	if got := c.list("admin", "networks/"+n["id"].(string)+"/dhcp-agents", "agents"); len(got) != 1 {
		t.Errorf("agents of the network: %v", got)
	}
	if got := c.list("alice", "ports?device_owner=network:dhcp", "ports"); len(got) != 1 || firstIP(got[0]) != "10.0.0.2" {
		t.Errorf("DHCP ports %v", got)
	}
	if got := c.list("alice", "agents", "agents"); len(got) != 0 {
		t.Errorf("alice sees agents %v", got)
	}
	c.fails(404, "AgentNotFound", "alice", "GET", "/v2.0/agents/x", nil)
	c.want(204, "alice", "DELETE", path("networks", n["id"]), nil, "") // a DHCP port holds nothing
	if zones := c.list("alice", "availability_zones", "availability_zones"); len(zones) != 2 {
		t.Errorf("zones %v", zones)
	}
}

func TestAgentIsGivenANetwork(t *testing.T) {
	c := newCloud(t, nil)
	c.beat("h1")
	dhcp := "agents/" + url.PathEscape("DHCP agenth1") + "/dhcp-networks"
	n := c.network("alice", object{})
	id := n["id"].(string)
	c.want(201, "admin", "POST", "/v2.0/"+dhcp, object{"network_id": id}, "")
	c.fails(409, "NetworkHostedByDHCPAgent", "admin", "POST", "/v2.0/"+dhcp, object{"network_id": id})
	if got := c.list("admin", dhcp, "networks"); len(got) != 1 {
		t.Errorf("the agent carries %v", got)
	}
	c.subnet("alice", n, "10.0.0.0/24", nil)
	ports := c.list("admin", "ports?device_owner=network:dhcp", "ports")
	if len(ports) != 1 || ports[0]["binding:host_id"] != "h1" {
		t.Errorf("DHCP ports %v", ports)
	}
	c.want(204, "admin", "DELETE", "/v2.0/"+dhcp+"/"+id, nil, "")
	c.fails(409, "NetworkNotHostedByDhcpAgent", "admin", "DELETE", "/v2.0/"+dhcp+"/"+id, nil)
	if ports := c.list("admin", "ports?device_owner=network:dhcp", "ports"); len(ports) != 0 {
		t.Errorf("left over: %v", ports)
	}
}
