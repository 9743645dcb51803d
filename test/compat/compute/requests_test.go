package compute

import (
	"encoding/json"
	"fmt"
	"strings"

	"kilonova/internal/rest"
)

// statuses are those that depend on the version, or that the contract's rows do
// not say.
var statuses = map[string]func(rest.Version) int{
	"POST /os-keypairs":                               func(v rest.Version) int { return pick(v.AtLeast("2.2"), 201, 200) },
	"DELETE /os-keypairs/{id}":                        func(v rest.Version) int { return pick(v.AtLeast("2.2"), 204, 202) },
	"GET /versions/{id}":                              func(rest.Version) int { return 200 },
	"POST /servers/{server_id}/os-volume_attachments": func(v rest.Version) int { return pick(v.AtLeast("2.101"), 202, 200) },
	// the handlers give the answer themselves, which the rows do not know
	"POST /servers/{id}/action addFloatingIp":    func(rest.Version) int { return 202 },
	"POST /servers/{id}/action removeFloatingIp": func(rest.Version) int { return 202 },

	"PUT /servers/{server_id}/tags/{id}": created,
	"GET /os-console-auth-tokens/{id}":   func(v rest.Version) int { return pick(v.AtLeast("2.31"), 200, 400) },
}

func pick[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

// get is a GET of a path with wildcards filled from what was prepared.
func get(path string) func(*walker, rest.Version) request {
	return func(w *walker, _ rest.Version) request { return request{path: w.fill(path)} }
}

func (w *walker) fill(path string) string {
	for name, id := range w.ids {
		path = strings.ReplaceAll(path, "<"+name+">", id)
	}
	return path
}

// on acts on a server that is brought to a status first.
func on(status, action string, argument any) func(*walker, rest.Version) request {
	return func(w *walker, _ rest.Version) request {
		w.t.Helper()
		id := w.ids["server"]
		w.bring(id, status)
		return request{"/servers/" + id + "/action", obj{action: argument}}
	}
}

// bring starts or stops a server, once it has nothing else to do.
func (w *walker) bring(id, status string) {
	w.t.Helper()
	w.await("/servers/"+id, func(out obj) bool { return out["server"].(obj)["OS-EXT-STS:task_state"] == nil })
	if w.must("GET", "/servers/"+id, "2.1", nil)["server"].(obj)["status"] != status {
		verb := map[string]string{"SHUTOFF": "os-stop", "ACTIVE": "os-start"}[status]
		w.must("POST", "/servers/"+id+"/action", "2.1", obj{verb: nil})
	}
	w.status(id, status)
}

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx6Yk2t8pOjJDLCgVYGtHyOQ0mAGJHUxkEK7VYO6qVn someone"

// requests say how each operation is called.
var requests = map[string]func(*walker, rest.Version) request{
	"GET /":           get("/"),
	"GET /extensions": get("/extensions"),
	"GET /limits":     get("/limits"),

	"GET /servers":        get("/servers"),
	"GET /servers/detail": get("/servers/detail"),
	"GET /servers/{id}":   get("/servers/<server>"),
	"POST /servers": func(w *walker, _ rest.Version) request {
		return request{"/servers", obj{"server": obj{"name": w.name("made"), "flavorRef": "1", "imageRef": w.ids["image"], "networks": []obj{{"uuid": w.ids["network"]}}}}}
	},
	"PUT /servers/{id}": func(w *walker, _ rest.Version) request {
		return request{w.fill("/servers/<server>"), obj{"server": obj{"name": w.name("renamed")}}}
	},
	"DELETE /servers/{id}":                          func(w *walker, _ rest.Version) request { return request{path: "/servers/" + w.server()} },
	"POST /servers/{id}/action os-start":            on("SHUTOFF", "os-start", nil),
	"POST /servers/{id}/action os-stop":             on("ACTIVE", "os-stop", nil),
	"POST /servers/{id}/action reboot":              on("ACTIVE", "reboot", obj{"type": "SOFT"}),
	"POST /servers/{id}/action os-getConsoleOutput": on("ACTIVE", "os-getConsoleOutput", obj{"length": 3}),
	"POST /servers/{id}/action addSecurityGroup":    on("ACTIVE", "addSecurityGroup", obj{"name": "default"}),
	"POST /servers/{id}/action removeSecurityGroup": func(w *walker, v rest.Version) request {
		w.must("POST", w.fill("/servers/<server>/action"), "2.1", obj{"addSecurityGroup": obj{"name": "default"}})
		return on("ACTIVE", "removeSecurityGroup", obj{"name": "default"})(w, v)
	},

	"GET /servers/{server_id}/metadata": get("/servers/<server>/metadata"),
	"POST /servers/{server_id}/metadata": func(w *walker, _ rest.Version) request {
		return request{w.fill("/servers/<server>/metadata"), obj{"metadata": obj{"a": "b", "c": "d"}}}
	},
	"PUT /servers/{server_id}/metadata": func(w *walker, _ rest.Version) request {
		return request{w.fill("/servers/<server>/metadata"), obj{"metadata": obj{"a": "b"}}}
	},
	"GET /servers/{server_id}/metadata/{id}": get("/servers/<server>/metadata/a"),
	"PUT /servers/{server_id}/metadata/{id}": func(w *walker, _ rest.Version) request {
		return request{w.fill("/servers/<server>/metadata/x"), obj{"meta": obj{"x": "y"}}}
	},
	"DELETE /servers/{server_id}/metadata/{id}": func(w *walker, _ rest.Version) request {
		w.must("PUT", w.fill("/servers/<server>/metadata/x"), "2.1", obj{"meta": obj{"x": "y"}})
		return request{path: w.fill("/servers/<server>/metadata/x")}
	},
	"GET /servers/{server_id}/ips":                get("/servers/<server>/ips"),
	"GET /servers/{server_id}/ips/{id}":           get("/servers/<server>/ips/private"),
	"GET /servers/{server_id}/os-security-groups": get("/servers/<server>/os-security-groups"),
	"GET /servers/{server_id}/os-interface":       get("/servers/<server>/os-interface"),
	"GET /servers/{server_id}/os-interface/{id}":  get("/servers/<server>/os-interface/<port>"),
	"POST /servers/{server_id}/os-interface": func(w *walker, _ rest.Version) request {
		w.bring(w.ids["server"], "ACTIVE")
		return request{w.fill("/servers/<server>/os-interface"), obj{"interfaceAttachment": obj{"net_id": w.ids["network"]}}}
	},
	"DELETE /servers/{server_id}/os-interface/{id}": func(w *walker, _ rest.Version) request {
		out := w.must("POST", w.fill("/servers/<server>/os-interface"), "2.1", obj{"interfaceAttachment": obj{"net_id": w.ids["network"]}})
		return request{path: w.fill("/servers/<server>/os-interface/") + out["interfaceAttachment"].(obj)["port_id"].(string)}
	},
	"GET /servers/{server_id}/os-instance-actions":      get("/servers/<server>/os-instance-actions"),
	"GET /servers/{server_id}/os-instance-actions/{id}": get("/servers/<server>/os-instance-actions/<request>"),

	"GET /flavors":        get("/flavors"),
	"GET /flavors/detail": get("/flavors/detail"),
	"GET /flavors/{id}":   get("/flavors/1"),
	"POST /flavors": func(w *walker, _ rest.Version) request {
		return request{"/flavors", obj{"flavor": obj{"name": w.name("flavor"), "ram": 1, "vcpus": 1, "disk": 1}}}
	},
	"PUT /flavors/{id}": func(w *walker, _ rest.Version) request {
		return request{"/flavors/1", obj{"flavor": obj{"description": "d"}}}
	},
	"DELETE /flavors/{id}": func(w *walker, _ rest.Version) request {
		id := w.name("gone")
		w.must("POST", "/flavors", "2.1", obj{"flavor": obj{"id": id, "name": id, "ram": 1, "vcpus": 1, "disk": 1}})
		return request{path: "/flavors/" + id}
	},
	"POST /flavors/{id}/action addTenantAccess": func(w *walker, _ rest.Version) request {
		return request{"/flavors/f-private/action", obj{"addTenantAccess": obj{"tenant": fmt.Sprintf("%s%08x", w.project[:24], w.next())}}}
	},
	"POST /flavors/{id}/action removeTenantAccess": func(w *walker, _ rest.Version) request {
		tenant := w.name("tenant")
		w.must("POST", "/flavors/f-private/action", "2.1", obj{"addTenantAccess": obj{"tenant": tenant}})
		return request{"/flavors/f-private/action", obj{"removeTenantAccess": obj{"tenant": tenant}}}
	},
	"GET /flavors/{flavor_id}/os-flavor-access":    get("/flavors/f-private/os-flavor-access"),
	"GET /flavors/{flavor_id}/os-extra_specs":      get("/flavors/1/os-extra_specs"),
	"GET /flavors/{flavor_id}/os-extra_specs/{id}": get("/flavors/1/os-extra_specs/a"),
	"POST /flavors/{flavor_id}/os-extra_specs": func(w *walker, _ rest.Version) request {
		return request{"/flavors/2/os-extra_specs", obj{"extra_specs": obj{"hw:cpu_policy": "shared"}}}
	},
	"PUT /flavors/{flavor_id}/os-extra_specs/{id}": func(w *walker, _ rest.Version) request {
		return request{"/flavors/1/os-extra_specs/a", obj{"a": "c"}}
	},
	"DELETE /flavors/{flavor_id}/os-extra_specs/{id}": func(w *walker, _ rest.Version) request {
		w.must("POST", "/flavors/3/os-extra_specs", "2.1", obj{"extra_specs": obj{"x": "y"}})
		return request{path: "/flavors/3/os-extra_specs/x"}
	},

	"GET /os-keypairs":      get("/os-keypairs"),
	"GET /os-keypairs/{id}": get("/os-keypairs/k"),
	"POST /os-keypairs": func(w *walker, _ rest.Version) request {
		return request{"/os-keypairs", obj{"keypair": obj{"name": w.name("key"), "public_key": publicKey}}}
	},
	"DELETE /os-keypairs/{id}": func(w *walker, _ rest.Version) request {
		name := w.name("key")
		w.must("POST", "/os-keypairs", "2.1", obj{"keypair": obj{"name": name, "public_key": publicKey}})
		return request{path: "/os-keypairs/" + name}
	},

	"GET /os-quota-sets/{id}":          get("/os-quota-sets/<project>"),
	"GET /os-quota-sets/{id}/defaults": get("/os-quota-sets/<project>/defaults"),
	"GET /os-quota-sets/{id}/detail":   get("/os-quota-sets/<project>/detail"),
	"PUT /os-quota-sets/{id}": func(w *walker, _ rest.Version) request {
		return request{w.fill("/os-quota-sets/<project>"), obj{"quota_set": obj{"cores": 500}}}
	},
	"DELETE /os-quota-sets/{id}": get("/os-quota-sets/<project>"),

	"GET /os-availability-zone":        get("/os-availability-zone"),
	"GET /os-availability-zone/detail": get("/os-availability-zone/detail"),
	"GET /os-services":                 get("/os-services"),
	"PUT /os-services/{id}": func(w *walker, v rest.Version) request {
		if !v.AtLeast("2.53") {
			return request{"/os-services/enable", obj{"host": "dev-1", "binary": "nova-compute"}}
		}
		return request{"/os-services/" + w.service(v, "nova-compute", "dev-1"), obj{"status": "enabled"}}
	},
	"DELETE /os-services/{id}": func(w *walker, v rest.Version) request { // the process announces itself again
		return request{path: "/os-services/" + w.service(v, pick(v.AtLeast("2.53"), "nova-scheduler", "nova-conductor"), "dev")}
	},
	"GET /os-hypervisors":            get("/os-hypervisors"),
	"GET /os-hypervisors/detail":     get("/os-hypervisors/detail"),
	"GET /os-hypervisors/statistics": get("/os-hypervisors/statistics"),
	"GET /os-hypervisors/{id}": func(w *walker, v rest.Version) request {
		status, data := w.call("GET", w.url+"/os-hypervisors", v, nil)
		if status != 200 {
			w.t.Fatalf("%d %s", status, data)
		}
		return request{path: "/os-hypervisors/" + firstID(w, data, "hypervisors")}
	},
	"POST /os-server-external-events": func(w *walker, _ rest.Version) request {
		return request{"/os-server-external-events", obj{"events": []obj{{"name": "network-changed", "server_uuid": w.ids["server"], "tag": w.ids["port"], "status": "completed"}}}}
	},
}

func (w *walker) next() int {
	w.n++
	return w.n
}

// service awaits a process and returns the id of its service at a version.
func (w *walker) service(v rest.Version, binary, host string) (id string) {
	w.t.Helper()
	path := "/os-services?binary=" + binary + "&host=" + host
	w.await(path, func(out obj) bool { return len(out["services"].([]any)) == 1 })
	_, data := w.call("GET", w.url+path, v, nil)
	return firstID(w, data, "services")
}

// firstID reads the id of a list's first element, a text or a number.
func firstID(w *walker, data []byte, list string) string {
	w.t.Helper()
	var out map[string][]struct{ ID any }
	if err := json.Unmarshal(data, &out); err != nil || len(out[list]) == 0 {
		w.t.Fatalf("%s, %v", data, err)
	}
	return fmt.Sprint(out[list][0].ID)
}
