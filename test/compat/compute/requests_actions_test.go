package compute

import (
	"strings"

	"kilonova/internal/rest"
)

// actor is the server that the actions of this file are asked of.
func (w *walker) actor() string {
	w.t.Helper()
	if w.ids["actor"] == "" {
		w.ids["actor"] = w.server()
	}
	return w.ids["actor"]
}

// from asks an action of the actor after others have been asked of it, each of
// which leads to a status.
func from(action string, argument any, before ...[2]string) func(*walker, rest.Version) request {
	return func(w *walker, _ rest.Version) request {
		w.t.Helper()
		id := w.actor()
		w.settle(id)
		for _, step := range before {
			w.must("POST", "/servers/"+id+"/action", "2.1", obj{step[0]: nil})
			w.status(id, step[1])
		}
		return request{"/servers/" + id + "/action", obj{action: argument}}
	}
}

// settle brings a server back to ACTIVE, whatever was done to it.
func (w *walker) settle(id string) {
	w.t.Helper()
	w.await("/servers/"+id, func(out obj) bool { return out["server"].(obj)["OS-EXT-STS:task_state"] == nil })
	status := w.must("GET", "/servers/"+id, "2.1", nil)["server"].(obj)["status"].(string)
	back := map[string]string{"PAUSED": "unpause", "SUSPENDED": "resume", "RESCUE": "unrescue", "SHUTOFF": "os-start", "SHELVED": "unshelve", "SHELVED_OFFLOADED": "unshelve"}
	if verb := back[status]; verb != "" {
		w.must("POST", "/servers/"+id+"/action", "2.1", obj{verb: nil})
	} else if status == "ERROR" {
		w.must("POST", "/servers/"+id+"/action", "2.1", obj{"os-resetState": obj{"state": "active"}})
	}
	w.status(id, "ACTIVE")
}

func created(rest.Version) int { return 201 }

// onTags asks something of the actor's tags, which are made first.
func onTags(path string, body any) func(*walker, rest.Version) request {
	return func(w *walker, _ rest.Version) request {
		w.settle(w.actor())
		w.must("PUT", "/servers/"+w.actor()+"/tags", "2.26", obj{"tags": []string{"old", "gold"}})
		return request{"/servers/" + w.actor() + "/tags" + path, body}
	}
}

// actionRequests are those for what leaves a server where it is.
var actionRequests = map[string]func(*walker, rest.Version) request{
	"POST /servers/{id}/action lock": func(w *walker, v rest.Version) request {
		return request{"/servers/" + w.actor() + "/action", obj{"lock": pick[any](v.AtLeast("2.73"), obj{"locked_reason": "because"}, obj{})}}
	},
	"POST /servers/{id}/action unlock":             from("unlock", nil),
	"POST /servers/{id}/action os-resetState":      from("os-resetState", obj{"state": "active"}),
	"POST /servers/{id}/action injectNetworkInfo":  from("injectNetworkInfo", nil),
	"POST /servers/{id}/action pause":              from("pause", nil),
	"POST /servers/{id}/action unpause":            from("unpause", nil, [2]string{"pause", "PAUSED"}),
	"POST /servers/{id}/action suspend":            from("suspend", nil),
	"POST /servers/{id}/action resume":             from("resume", nil, [2]string{"suspend", "SUSPENDED"}),
	"POST /servers/{id}/action trigger_crash_dump": from("trigger_crash_dump", nil),
	"POST /servers/{id}/action changePassword":     from("changePassword", obj{"adminPass": "secret"}),
	"POST /servers/{id}/action rescue":             from("rescue", obj{"adminPass": "secret"}),
	"POST /servers/{id}/action unrescue":           from("unrescue", nil, [2]string{"rescue", "RESCUE"}),
	"POST /servers/{id}/action createImage":        from("createImage", obj{"name": "picture", "metadata": obj{"a": "b"}}),
	"POST /servers/{id}/action createBackup":       from("createBackup", obj{"name": "backup", "backup_type": "daily", "rotation": 1}),
	"POST /servers/{id}/action shelve":             from("shelve", nil),
	"POST /servers/{id}/action shelveOffload": func(w *walker, v rest.Version) request {
		return request{"/servers/" + w.shelved() + "/action", obj{"shelveOffload": nil}}
	},
	"POST /servers/{id}/action unshelve": from("unshelve", nil, [2]string{"shelve", "SHELVED"}),
	"POST /servers/{id}/action restore": func(w *walker, _ rest.Version) request {
		id := w.server()
		w.must("DELETE", "/servers/"+id, "2.1", nil)
		w.status(id, "SOFT_DELETED")
		return request{"/servers/" + id + "/action", obj{"restore": nil}}
	},
	"POST /servers/{id}/action forceDelete": func(w *walker, _ rest.Version) request {
		return request{"/servers/" + w.server() + "/action", obj{"forceDelete": nil}}
	},
	"POST /servers/{id}/action os-getVNCConsole":    from("os-getVNCConsole", obj{"type": "novnc"}),
	"POST /servers/{id}/action os-getSPICEConsole":  from("os-getSPICEConsole", obj{"type": "spice-html5"}),
	"POST /servers/{id}/action os-getSerialConsole": from("os-getSerialConsole", obj{"type": "serial"}),
	"POST /servers/{server_id}/remote-consoles": func(w *walker, _ rest.Version) request {
		w.settle(w.actor())
		return request{"/servers/" + w.actor() + "/remote-consoles", obj{"remote_console": obj{"protocol": "vnc", "type": "novnc"}}}
	},
	"GET /os-console-auth-tokens/{id}": func(w *walker, _ rest.Version) request {
		w.settle(w.actor())
		out := w.must("POST", "/servers/"+w.actor()+"/remote-consoles", "2.8", obj{"remote_console": obj{"protocol": "spice", "type": "spice-html5"}})
		_, token, _ := strings.Cut(out["remote_console"].(obj)["url"].(string), "token=")
		return request{path: "/os-console-auth-tokens/" + token}
	},
	"GET /servers/{server_id}/diagnostics": func(w *walker, _ rest.Version) request {
		w.settle(w.actor())
		return request{path: "/servers/" + w.actor() + "/diagnostics"}
	},
	"GET /servers/{server_id}/topology": get("/servers/<server>/topology"),

	"GET /servers/{server_id}/tags":         onTags("", nil),
	"PUT /servers/{server_id}/tags":         onTags("", obj{"tags": []string{"a", "b"}}),
	"DELETE /servers/{server_id}/tags":      onTags("", nil),
	"GET /servers/{server_id}/tags/{id}":    onTags("/gold", nil),
	"PUT /servers/{server_id}/tags/{id}":    onTags("/new", nil),
	"DELETE /servers/{server_id}/tags/{id}": onTags("/old", nil),
}

// shelved makes a server that is shelved; the walker's cloud leaves it on its host.
func (w *walker) shelved() string {
	w.t.Helper()
	id := w.server()
	w.must("POST", "/servers/"+id+"/action", "2.1", obj{"shelve": nil})
	w.status(id, "SHELVED")
	return id
}
