package compute

import (
	"net/url"

	"kilonova/internal/rest"
)

// volumeRequests are those about volumes, which the stand-in in test/cinder has.
var volumeRequests = map[string]func(*walker, rest.Version) request{
	"GET /servers/{id}/os-volume_attachments": func(w *walker, _ rest.Version) request {
		server, _ := w.attached()
		return request{path: "/servers/" + server + "/os-volume_attachments"}
	},
	"POST /servers/{id}/os-volume_attachments": func(w *walker, _ rest.Version) request {
		return request{"/servers/" + w.server() + "/os-volume_attachments", obj{"volumeAttachment": obj{"volumeId": w.cinder.Add(1, false), "device": "/dev/vdd"}}}
	},
	"GET /servers/{id}/os-volume_attachments/{volume}": func(w *walker, _ rest.Version) request {
		server, volume := w.attached()
		return request{path: "/servers/" + server + "/os-volume_attachments/" + volume}
	},
	"PUT /servers/{id}/os-volume_attachments/{volume}": func(w *walker, v rest.Version) request {
		server, volume := w.attached()
		if v.AtLeast("2.85") {
			return request{"/servers/" + server + "/os-volume_attachments/" + volume, obj{"volumeAttachment": obj{"volumeId": volume, "delete_on_termination": true}}}
		}
		return request{"/servers/" + server + "/os-volume_attachments/" + volume, obj{"volumeAttachment": obj{"volumeId": w.cinder.Add(1, false)}}}
	},
	"DELETE /servers/{id}/os-volume_attachments/{volume}": func(w *walker, _ rest.Version) request {
		server, volume := w.attached()
		return request{path: "/servers/" + server + "/os-volume_attachments/" + volume}
	},

	"GET /servers/{id}/shares": func(w *walker, _ rest.Version) request {
		server, _ := w.shared()
		return request{path: "/servers/" + server + "/shares"}
	},
	"POST /servers/{id}/shares": func(w *walker, _ rest.Version) request {
		id := w.server()
		w.bring(id, "SHUTOFF")
		return request{"/servers/" + id + "/shares", obj{"share": obj{"share_id": w.manila.Add("NFS", "192.0.2.1:/data"), "tag": "t"}}}
	},
	"GET /servers/{id}/shares/{share}": func(w *walker, _ rest.Version) request {
		server, share := w.shared()
		return request{path: "/servers/" + server + "/shares/" + share}
	},
	"DELETE /servers/{id}/shares/{share}": func(w *walker, _ rest.Version) request {
		server, share := w.shared()
		return request{path: "/servers/" + server + "/shares/" + share}
	},
	"POST /os-assisted-volume-snapshots": func(w *walker, _ rest.Version) request {
		_, volume := w.attached()
		return request{"/os-assisted-volume-snapshots", obj{"snapshot": obj{"volume_id": volume, "create_info": obj{"id": volume, "snapshot_id": volume, "type": "qcow2", "new_file": "f"}}}}
	},
	"DELETE /os-assisted-volume-snapshots/{id}": func(w *walker, _ rest.Version) request {
		_, volume := w.attached()
		return request{path: "/os-assisted-volume-snapshots/" + volume + "?delete_info=" + url.QueryEscape(`{"volume_id": "`+volume+`"}`)}
	},

	"GET /os-volumes":        get("/os-volumes?limit=10"),
	"GET /os-volumes/detail": get("/os-volumes/detail"),
	"GET /os-volumes/{id}": func(w *walker, _ rest.Version) request {
		_, volume := w.attached()
		return request{path: "/os-volumes/" + volume}
	},
	"DELETE /os-volumes/{id}": func(w *walker, _ rest.Version) request { return request{path: "/os-volumes/" + w.cinder.Add(1, false)} },
	"POST /os-volumes": func(*walker, rest.Version) request {
		return request{"/os-volumes", obj{"volume": obj{"size": "1", "display_name": "v", "metadata": obj{"a": "b"}}}}
	},
	"GET /os-snapshots":         get("/os-snapshots"),
	"GET /os-snapshots/detail":  get("/os-snapshots/detail"),
	"GET /os-snapshots/{id}":    func(w *walker, _ rest.Version) request { return request{path: "/os-snapshots/" + w.snapshot()} },
	"DELETE /os-snapshots/{id}": func(w *walker, _ rest.Version) request { return request{path: "/os-snapshots/" + w.snapshot()} },
	"POST /os-snapshots": func(w *walker, _ rest.Version) request {
		return request{"/os-snapshots", obj{"snapshot": obj{"volume_id": w.cinder.Add(1, false), "display_name": "s", "force": "true"}}}
	},
}

// shared gives a stopped server of its own a share and waits until it has it.
func (w *walker) shared() (server, share string) {
	w.t.Helper()
	server, share = w.server(), w.manila.Add("NFS", "192.0.2.1:/data")
	w.bring(server, "SHUTOFF")
	w.must("POST", "/servers/"+server+"/shares", "2.97", obj{"share": obj{"share_id": share}})
	w.awaitAt("2.97", "/servers/"+server+"/shares", func(out obj) bool {
		return out["shares"].([]any)[0].(obj)["status"] == "inactive"
	})
	return server, share
}

// attached gives a server of its own a volume and waits until it has it.
func (w *walker) attached() (server, volume string) {
	w.t.Helper()
	server, volume = w.server(), w.cinder.Add(1, false)
	w.must("POST", "/servers/"+server+"/os-volume_attachments", "2.49", obj{"volumeAttachment": obj{"volumeId": volume, "tag": "disk"}})
	w.await("/os-volumes/"+volume, func(out obj) bool { return out["volume"].(obj)["status"] == "in-use" })
	return server, volume
}

func (w *walker) snapshot() string {
	w.t.Helper()
	made := w.must("POST", "/os-snapshots", "2.1", obj{"snapshot": obj{"volume_id": w.cinder.Add(1, false)}})
	return made["snapshot"].(obj)["id"].(string)
}
