package compute

import (
	"fmt"

	"kilonova/internal/rest"
)

// moveRequests are those of the operations that carry servers elsewhere.
var moveRequests = map[string]func(*walker, rest.Version) request{
	"POST /servers/{id}/action resize": func(w *walker, _ rest.Version) request {
		id := w.mover("ACTIVE")
		return request{"/servers/" + id + "/action", obj{"resize": obj{"flavorRef": w.otherFlavor(id)}}}
	},
	"POST /servers/{id}/action migrate":       moving("ACTIVE", "migrate", nil),
	"POST /servers/{id}/action confirmResize": moving("VERIFY_RESIZE", "confirmResize", nil),
	"POST /servers/{id}/action revertResize":  moving("VERIFY_RESIZE", "revertResize", nil),
	"POST /servers/{id}/action rebuild": func(w *walker, _ rest.Version) request {
		return request{"/servers/" + w.mover("ACTIVE") + "/action", obj{"rebuild": obj{"imageRef": w.ids["image"], "name": w.name("rebuilt"), "metadata": obj{"a": "b"}}}}
	},
	"POST /servers/{id}/action evacuate": func(w *walker, v rest.Version) request {
		w.down("")
		id := w.server()
		w.down(w.must("GET", "/servers/"+id, "2.1", nil)["server"].(obj)["OS-EXT-SRV-ATTR:host"].(string))
		w.t.Cleanup(func() { w.down("") })
		return request{"/servers/" + id + "/action", obj{"evacuate": pick(v.AtLeast("2.14"), obj{}, obj{"onSharedStorage": "False"})}}
	},
	"GET /os-migrations": func(w *walker, _ rest.Version) request {
		w.mover("VERIFY_RESIZE") // there is one at least
		return request{path: "/os-migrations"}
	},
	"POST /servers/{id}/action os-migrateLive": func(w *walker, v rest.Version) request {
		ask := obj{"host": nil, "block_migration": false}
		if !v.AtLeast("2.25") {
			ask["disk_over_commit"] = false
		}
		return request{"/servers/" + w.carried("ACTIVE") + "/action", obj{"os-migrateLive": ask}}
	},
	"GET /servers/{server_id}/migrations": func(w *walker, _ rest.Version) request {
		return request{path: "/servers/" + w.carried("MIGRATING") + "/migrations"}
	},
	"GET /servers/{server_id}/migrations/{id}": func(w *walker, _ rest.Version) request {
		return request{path: "/servers/" + w.carried("MIGRATING") + "/migrations/" + w.ids["migration"]}
	},
	"DELETE /servers/{server_id}/migrations/{id}": func(w *walker, _ rest.Version) request {
		r := request{path: "/servers/" + w.carried("MIGRATING") + "/migrations/" + w.ids["migration"]}
		w.ids["ending"] = w.ids["migration"]
		return r
	},
	"POST /servers/{server_id}/migrations/{id}/action force_complete": func(w *walker, _ rest.Version) request {
		r := request{"/servers/" + w.carried("MIGRATING") + "/migrations/" + w.ids["migration"] + "/action", obj{"force_complete": nil}}
		w.ids["ending"] = w.ids["migration"]
		return r
	},
}

// moving acts on a server that is brought to a status first.
func moving(status, action string, argument any) func(*walker, rest.Version) request {
	return func(w *walker, _ rest.Version) request {
		return request{"/servers/" + w.mover(status) + "/action", obj{action: argument}}
	}
}

// mover returns a server of its own for moves, in a status.
func (w *walker) mover(status string) string {
	w.t.Helper()
	if w.ids["mover"] == "" {
		w.ids["mover"] = w.server()
	}
	id := w.ids["mover"]
	var now any
	w.await("/servers/"+id, func(out obj) bool {
		now = out["server"].(obj)["status"]
		return out["server"].(obj)["OS-EXT-STS:task_state"] == nil
	})
	switch {
	case now == status:
	case status == "VERIFY_RESIZE":
		w.must("POST", "/servers/"+id+"/action", "2.1", obj{"resize": obj{"flavorRef": w.otherFlavor(id)}})
	case now == "VERIFY_RESIZE":
		w.must("POST", "/servers/"+id+"/action", "2.1", obj{"confirmResize": nil})
	default:
		w.t.Fatalf("server %s is %v and cannot be brought to %s", id, now, status)
	}
	w.status(id, status)
	return id
}

// carried returns a server of its own for live migrations: one that is under
// way, the number of which is then the id "migration", or none. The one with the id
// "ending" has been told to end, and may do so at any moment.
func (w *walker) carried(status string) string {
	w.t.Helper()
	if w.ids["carried"] == "" {
		w.ids["carried"] = w.server()
	}
	id := w.ids["carried"]
	number := 0.0
	under := func() (running bool) {
		for _, m := range w.must("GET", "/servers/"+id+"/migrations", "2.23", nil)["migrations"].([]any) {
			number = m.(obj)["id"].(float64)
			running = m.(obj)["status"] == "running" && m.(obj)["memory_total_bytes"] != nil && fmt.Sprintf("%.0f", number) != w.ids["ending"]
		}
		return running
	}
	now := w.must("GET", "/servers/"+id, "2.1", nil)["server"].(obj)["status"]
	switch {
	case now == "MIGRATING" && status == "ACTIVE":
		w.await("/servers/"+id, func(out obj) bool { return under() || out["server"].(obj)["status"] == "ACTIVE" })
		if under() {
			w.must("POST", fmt.Sprintf("/servers/%s/migrations/%.0f/action", id, number), "2.22", obj{"force_complete": nil})
		}
	case status == "MIGRATING" && !under():
		if now == "MIGRATING" { // it ends, if what was to tell it so has arrived
			w.call("POST", fmt.Sprintf("%s/servers/%s/migrations/%.0f/action", w.url, id, number), rest.V("2.22"), obj{"force_complete": nil})
		}
		w.status(id, "ACTIVE")
		w.must("POST", "/servers/"+id+"/action", "2.25", obj{"os-migrateLive": obj{"host": nil, "block_migration": "auto"}})
		w.await("/servers/"+id, func(obj) bool { return under() })
	}
	if status == "ACTIVE" {
		w.status(id, status)
	}
	w.ids["migration"] = fmt.Sprintf("%.0f", number)
	return id
}

// down says of one host that it is down, and of all others that they are up;
// with "" all are.
func (w *walker) down(host string) {
	w.t.Helper()
	for _, s := range w.must("GET", "/os-services?binary=nova-compute", "2.53", nil)["services"].([]any) {
		w.must("PUT", "/os-services/"+s.(obj)["id"].(string), "2.53", obj{"forced_down": s.(obj)["host"] == host})
	}
}

// otherFlavor is a small flavor that a server does not have.
func (w *walker) otherFlavor(id string) string {
	w.t.Helper()
	flavor := w.must("GET", "/servers/"+id, "2.1", nil)["server"].(obj)["flavor"].(obj)["id"]
	if fmt.Sprint(flavor) == "1" {
		return "2"
	}
	return "1"
}
