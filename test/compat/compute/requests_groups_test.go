package compute

import (
	"fmt"

	"kilonova/internal/rest"
)

// groupRequests are those for groups of hosts and of servers.
var groupRequests = map[string]func(*walker, rest.Version) request{
	"GET /os-aggregates":      get("/os-aggregates"),
	"GET /os-aggregates/{id}": get("/os-aggregates/<aggregate>"),
	"POST /os-aggregates": func(w *walker, _ rest.Version) request {
		return request{"/os-aggregates", obj{"aggregate": obj{"name": w.name("aggregate"), "availability_zone": "london"}}}
	},
	"PUT /os-aggregates/{id}": func(w *walker, _ rest.Version) request {
		return request{"/os-aggregates/" + w.aggregate(w.name("aggregate")), obj{"aggregate": obj{"name": w.name("renamed"), "availability_zone": "paris"}}}
	},
	"DELETE /os-aggregates/{id}": func(w *walker, _ rest.Version) request {
		return request{path: "/os-aggregates/" + w.aggregate(w.name("gone"))}
	},
	"POST /os-aggregates/{id}/action add_host": func(w *walker, _ rest.Version) request {
		return request{"/os-aggregates/" + w.aggregate(w.name("aggregate")) + "/action", obj{"add_host": obj{"host": "dev-1"}}}
	},
	"POST /os-aggregates/{id}/action remove_host": func(w *walker, _ rest.Version) request {
		path := "/os-aggregates/" + w.aggregate(w.name("aggregate")) + "/action"
		w.must("POST", path, "2.1", obj{"add_host": obj{"host": "dev-1"}})
		return request{path, obj{"remove_host": obj{"host": "dev-1"}}}
	},
	"POST /os-aggregates/{id}/action set_metadata": func(w *walker, _ rest.Version) request {
		return request{w.fill("/os-aggregates/<aggregate>/action"), obj{"set_metadata": obj{"metadata": obj{"key": "value", "none": nil}}}}
	},
	"POST /os-aggregates/{id}/images": func(w *walker, _ rest.Version) request {
		return request{w.fill("/os-aggregates/<aggregate>/images"), obj{"cache": []obj{{"id": w.ids["image"]}}}}
	},

	"GET /os-server-groups":      get("/os-server-groups"),
	"GET /os-server-groups/{id}": get("/os-server-groups/<group>"),
	"POST /os-server-groups": func(w *walker, v rest.Version) request {
		group := obj{"name": w.name("group"), "policies": []string{"affinity"}}
		if v.AtLeast("2.64") {
			group = obj{"name": w.name("group"), "policy": "anti-affinity", "rules": obj{"max_server_per_host": 3}}
		}
		return request{"/os-server-groups", obj{"server_group": group}}
	},
	"DELETE /os-server-groups/{id}": func(w *walker, _ rest.Version) request {
		return request{path: "/os-server-groups/" + w.group()}
	},
}

// aggregate makes one and returns its number.
func (w *walker) aggregate(name string) string {
	w.t.Helper()
	return fmt.Sprint(w.must("POST", "/os-aggregates", "2.1", obj{"aggregate": obj{"name": name}})["aggregate"].(obj)["id"])
}

// group makes a server group, if need be with a larger quota, and returns its id.
func (w *walker) group() string {
	w.t.Helper()
	w.must("PUT", w.fill("/os-quota-sets/<project>"), "2.1", obj{"quota_set": obj{"server_groups": -1}})
	return w.must("POST", "/os-server-groups", "2.1", obj{"server_group": obj{"name": w.name("group"), "policies": []string{"anti-affinity"}}})["server_group"].(obj)["id"].(string)
}
