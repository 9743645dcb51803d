package compute

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"kilonova/internal/rest"
)

// oldRequests are those for what only old clients ask, and for versions and
// extensions.
var oldRequests = map[string]func(*walker, rest.Version) request{
	"GET /versions/{id}":   get("/versions/v2.1"),
	"GET /extensions/{id}": get("/extensions/os-agents"),

	"GET /os-volumes_boot":                                 get("/os-volumes_boot"),
	"GET /os-volumes_boot/detail":                          get("/os-volumes_boot/detail"),
	"GET /os-volumes_boot/{id}":                            get("/os-volumes_boot/<server>"),
	"POST /os-volumes_boot":                                as("POST /servers"),
	"PUT /os-volumes_boot/{id}":                            as("PUT /servers/{id}"),
	"DELETE /os-volumes_boot/{id}":                         as("DELETE /servers/{id}"),
	"POST /os-volumes_boot/{id}/action confirmResize":      as("POST /servers/{id}/action confirmResize"),
	"POST /os-volumes_boot/{id}/action revertResize":       as("POST /servers/{id}/action revertResize"),
	"POST /os-volumes_boot/{id}/action reboot":             as("POST /servers/{id}/action reboot"),
	"POST /os-volumes_boot/{id}/action resize":             as("POST /servers/{id}/action resize"),
	"POST /os-volumes_boot/{id}/action rebuild":            as("POST /servers/{id}/action rebuild"),
	"POST /os-volumes_boot/{id}/action createImage":        as("POST /servers/{id}/action createImage"),
	"POST /os-volumes_boot/{id}/action os-start":           as("POST /servers/{id}/action os-start"),
	"POST /os-volumes_boot/{id}/action os-stop":            as("POST /servers/{id}/action os-stop"),
	"POST /os-volumes_boot/{id}/action trigger_crash_dump": as("POST /servers/{id}/action trigger_crash_dump"),

	"GET /os-security-groups": get("/os-security-groups"),
	"GET /os-security-groups/{id}": func(w *walker, _ rest.Version) request {
		return request{path: "/os-security-groups/" + w.first("/os-security-groups", "security_groups", "id")}
	},

	"POST /os-security-groups": func(w *walker, _ rest.Version) request {
		return request{"/os-security-groups", obj{"security_group": obj{"name": w.name("group"), "description": "d"}}}
	},
	"PUT /os-security-groups/{id}": func(w *walker, _ rest.Version) request {
		return request{"/os-security-groups/" + w.securityGroup(), obj{"security_group": obj{"name": w.name("group"), "description": "d"}}}
	},
	"DELETE /os-security-groups/{id}": func(w *walker, _ rest.Version) request {
		return request{path: "/os-security-groups/" + w.securityGroup()}
	},
	"POST /os-security-group-rules": func(w *walker, _ rest.Version) request {
		return request{"/os-security-group-rules", rule(w.securityGroup())}
	},
	"DELETE /os-security-group-rules/{id}": func(w *walker, _ rest.Version) request {
		made := w.must("POST", "/os-security-group-rules", "2.1", rule(w.securityGroup()))
		return request{path: "/os-security-group-rules/" + made["security_group_rule"].(obj)["id"].(string)}
	},

	"GET /images":         get("/images"),
	"GET /images/detail":  get("/images/detail"),
	"GET /images/{id}":    get("/images/<image>"),
	"DELETE /images/{id}": func(w *walker, _ rest.Version) request { return request{path: "/images/" + w.emptyImage()} },
	"GET /images/{id}/metadata": func(w *walker, _ rest.Version) request {
		return request{path: "/images/" + w.emptyImage() + "/metadata"}
	},
	"POST /images/{id}/metadata": func(w *walker, _ rest.Version) request {
		return request{"/images/" + w.emptyImage() + "/metadata", obj{"metadata": obj{"a": "c", "d": "e"}}}
	},
	"PUT /images/{id}/metadata": func(w *walker, _ rest.Version) request {
		return request{"/images/" + w.emptyImage() + "/metadata", obj{"metadata": obj{"d": "e"}}}
	},
	"GET /images/{id}/metadata/{key}": func(w *walker, _ rest.Version) request {
		return request{path: "/images/" + w.emptyImage() + "/metadata/a"}
	},
	"PUT /images/{id}/metadata/{key}": func(w *walker, _ rest.Version) request {
		return request{"/images/" + w.emptyImage() + "/metadata/a", obj{"meta": obj{"a": "c"}}}
	},
	"DELETE /images/{id}/metadata/{key}": func(w *walker, _ rest.Version) request {
		return request{path: "/images/" + w.emptyImage() + "/metadata/a"}
	},

	"GET /os-networks":             get("/os-networks"),
	"GET /os-networks/{id}":        get("/os-networks/<network>"),
	"GET /os-tenant-networks":      get("/os-tenant-networks"),
	"GET /os-tenant-networks/{id}": get("/os-tenant-networks/<network>"),
	"GET /os-floating-ip-pools":    get("/os-floating-ip-pools"),
	"GET /os-floating-ips":         get("/os-floating-ips"),
	"POST /os-floating-ips": func(w *walker, _ rest.Version) request {
		return request{"/os-floating-ips", obj{"pool": w.first("/os-floating-ip-pools", "floating_ip_pools", "name")}}
	},
	"GET /os-floating-ips/{id}": func(w *walker, _ rest.Version) request {
		return request{path: "/os-floating-ips/" + w.floatingIP("id")}
	},
	"DELETE /os-floating-ips/{id}": func(w *walker, _ rest.Version) request {
		return request{path: "/os-floating-ips/" + w.floatingIP("id")}
	},
	"POST /servers/{id}/action addFloatingIp": func(w *walker, _ rest.Version) request {
		return request{"/servers/" + w.server() + "/action", obj{"addFloatingIp": obj{"address": w.floatingIP("ip")}}}
	},
	"POST /servers/{id}/action removeFloatingIp": func(w *walker, _ rest.Version) request {
		address, path := w.floatingIP("ip"), "/servers/"+w.server()+"/action"
		w.must("POST", path, "2.1", obj{"addFloatingIp": obj{"address": address}})
		return request{path, obj{"removeFloatingIp": obj{"address": address}}}
	},
	"POST /servers/{id}/action addFixedIp": func(w *walker, _ rest.Version) request {
		return request{"/servers/" + w.server() + "/action", obj{"addFixedIp": obj{"networkId": w.ids["network"]}}}
	},
	"POST /servers/{id}/action removeFixedIp": func(w *walker, _ rest.Version) request {
		id := w.server()
		w.must("POST", "/servers/"+id+"/action", "2.1", obj{"addFixedIp": obj{"networkId": w.ids["network"]}})
		addresses := w.must("GET", "/servers/"+id+"/ips", "2.1", nil)["addresses"].(obj)["private"].([]any)
		if len(addresses) < 2 {
			w.t.Fatalf("a fixed IP was added, and there are: %v", addresses)
		}
		return request{"/servers/" + id + "/action", obj{"removeFixedIp": obj{"address": addresses[1].(obj)["addr"]}}}
	},

	"GET /os-quota-class-sets/{id}": get("/os-quota-class-sets/default"),
	"PUT /os-quota-class-sets/{id}": func(*walker, rest.Version) request {
		return request{"/os-quota-class-sets/walked", obj{"quota_class_set": obj{"cores": "50", "instances": -1}}}
	},
	"GET /os-simple-tenant-usage":      get("/os-simple-tenant-usage?start=2012-10-08T21:10:44&detailed=1&limit=1"),
	"GET /os-simple-tenant-usage/{id}": get("/os-simple-tenant-usage/<project>?start=2012-10-08T21:10:44.587336&limit=1"),
	"GET /os-instance_usage_audit_log": func(w *walker, _ rest.Version) request {
		w.await("/os-instance_usage_audit_log", func(out obj) bool { return out["instance_usage_audit_logs"].(obj)["num_hosts_not_run"] == 0.0 })
		return request{path: "/os-instance_usage_audit_log"}
	},
	"GET /os-instance_usage_audit_log/{id}": func(w *walker, v rest.Version) request {
		w.makers["GET /os-instance_usage_audit_log"](w, v)
		return request{path: "/os-instance_usage_audit_log/" + url.PathEscape(time.Now().UTC().Format("2006-01-02 15:04:05"))}
	},

	"GET /os-hosts":      get("/os-hosts"),
	"GET /os-hosts/{id}": get("/os-hosts/dev-1"),
	"PUT /os-hosts/{id}": func(w *walker, _ rest.Version) request {
		return request{"/os-hosts/dev-1", obj{"status": "enable", "maintenance_mode": "disable"}}
	},
	"GET /os-hosts/{id}/startup": get("/os-hosts/dev-1/startup"),
	"GET /os-hosts/{id}/shutdown": func(w *walker, _ rest.Version) request {
		return request{path: "/os-hosts/" + w.otherHost() + "/shutdown"}
	},
	"GET /os-hosts/{id}/reboot": func(w *walker, _ rest.Version) request {
		return request{path: "/os-hosts/" + w.otherHost() + "/reboot"}
	},

	"GET /os-baremetal-nodes":         get("/os-baremetal-nodes"),
	"GET /os-baremetal-nodes/{id}":    get("/os-baremetal-nodes/<node>"),
	"POST /os-baremetal-nodes":        func(*walker, rest.Version) request { return request{"/os-baremetal-nodes", obj{}} },
	"DELETE /os-baremetal-nodes/{id}": get("/os-baremetal-nodes/1"),
	"POST /os-baremetal-nodes/{id}/action add_interface": func(*walker, rest.Version) request {
		return request{"/os-baremetal-nodes/1/action", obj{"add_interface": obj{}}}
	},
	"POST /os-baremetal-nodes/{id}/action remove_interface": func(*walker, rest.Version) request {
		return request{"/os-baremetal-nodes/1/action", obj{"remove_interface": obj{}}}
	},

	"GET /os-hypervisors/{id}/uptime": func(w *walker, v rest.Version) request {
		_, data := w.call("GET", w.url+"/os-hypervisors", v, nil)
		return request{path: "/os-hypervisors/" + firstID(w, data, "hypervisors") + "/uptime"}
	},
	"GET /os-hypervisors/{id}/search":  get("/os-hypervisors/dev/search"),
	"GET /os-hypervisors/{id}/servers": get("/os-hypervisors/dev/servers"),
}

// as makes the request of another operation, below the name of the old one.
func as(key string) func(*walker, rest.Version) request {
	return func(w *walker, v rest.Version) request {
		w.t.Helper()
		make := w.makers[alike(key)]
		if make == nil {
			w.t.Fatalf("%s has no request", key)
		}
		r := make(w, v)
		r.path = strings.Replace(r.path, "/servers", "/os-volumes_boot", 1)
		return r
	}
}

// first reads a member of a list's first element.
func (w *walker) first(path, list, member string) string {
	w.t.Helper()
	all := w.must("GET", path, "2.1", nil)[list].([]any)
	if len(all) == 0 {
		w.t.Fatalf("%s is empty", path)
	}
	return fmt.Sprint(all[0].(obj)[member])
}

// otherHost is the host that the walk's own server is not on: its guests go off
// when it does.
func (w *walker) otherHost() string {
	w.t.Helper()
	return w.elsewhere(w.ids["server"])
}

// refused are operations that upstream has only to say where else to ask: their
// answer is the refusal that the contract lists for them.
var refused = map[string]int{
	"POST /os-baremetal-nodes": 400, "DELETE /os-baremetal-nodes/{id}": 400,
	"POST /os-baremetal-nodes/{id}/action add_interface": 400, "POST /os-baremetal-nodes/{id}/action remove_interface": 400,
}

func rule(group string) obj {
	return obj{"security_group_rule": obj{"parent_group_id": group, "ip_protocol": "tcp", "from_port": "22", "to_port": 22, "cidr": "10.0.0.0/24"}}
}

// securityGroup makes one and returns its id.
func (w *walker) securityGroup() string {
	w.t.Helper()
	made := w.must("POST", "/os-security-groups", "2.1", obj{"security_group": obj{"name": w.name("group"), "description": "d"}})
	return made["security_group"].(obj)["id"].(string)
}

// floatingIP allocates one and returns a member of it.
func (w *walker) floatingIP(member string) string {
	w.t.Helper()
	return w.must("POST", "/os-floating-ips", "2.1", nil)["floating_ip"].(obj)[member].(string)
}

// emptyImage makes an image without data, with the property a, and returns its id.
func (w *walker) emptyImage() string {
	w.t.Helper()
	status, data := w.call("POST", strings.Replace(w.url, "/compute/v2.1", "/image/v2/images", 1), rest.V("2.1"),
		obj{"name": w.name("image"), "disk_format": "raw", "container_format": "bare", "a": "b"})
	var made struct{ ID string }
	if err := json.Unmarshal(data, &made); err != nil || status != 201 {
		w.t.Fatalf("%d %s, %v", status, data, err)
	}
	return made.ID
}
