package compute

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"kilonova/internal/rest"
)

// sampleRequest makes what a sample needs and puts it into the sample's body, in the
// place of what that names: ids, hosts, names that can be had once.
func (w *walker) sampleRequest(o operation, s sample) request {
	w.t.Helper()
	if o.Removed != nil {
		r := anything(o)(w, s.version)
		r.body = s.body
		return r
	}
	if w.byUser(s) {
		id := w.user.ids["server"]
		w.user.status(id, "ACTIVE")
		r := request{path: "/servers/" + id + pick(o.Action != nil, "/action", "")}
		r.body = adapter{walker: w, key: o.key(), path: r.path}.adapt("", "", s.body, nil)
		return r
	}
	r, found := w.preparedSample(unversioned(s.file), s.version)
	if !found {
		make := w.makers[alike(o.key())]
		if make == nil {
			w.t.Fatalf("%s has no request", o.key())
		}
		r = make(w, s.version)
	}
	var right any
	data, err := json.Marshal(r.body)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &right); err != nil {
		w.t.Fatal(err)
	}
	a := adapter{walker: w, key: o.key(), path: r.path}
	r.body = a.adapt("", "", s.body, right)
	if strings.HasSuffix(o.Path, "/{id}") && (strings.Contains(o.Path, "metadata") || strings.Contains(o.Path, "extra_specs")) { // what the body sets
		item := r.body.(obj)
		if meta, ok := item["meta"].(obj); ok {
			item = meta
		}
		r.path = path.Dir(r.path) + "/" + shown(item)
	}
	return r
}

// preparedSample are the samples that want other preparations than the walk makes.
func (w *walker) preparedSample(short string, v rest.Version) (request, bool) {
	w.t.Helper()
	switch {
	case strings.HasPrefix(short, "servers/server-update") || strings.HasPrefix(short, "servers/server-put"): // of which progress is shown, and a group
		w.bring(w.ids["server"], "ACTIVE")
		w.must("POST", w.fill("/servers/<server>/action"), "2.1", obj{"addSecurityGroup": obj{"name": "default"}})
		return request{w.fill("/servers/<server>"), nil}, true
	case strings.HasPrefix(short, "os-shelve/os-unshelve-"): // a zone and a host are for who has none
		id := w.shelved()
		w.must("POST", "/servers/"+id+"/action", "2.1", obj{"shelveOffload": nil})
		w.status(id, "SHELVED_OFFLOADED")
		return request{"/servers/" + id + "/action", nil}, true
	case strings.HasPrefix(short, "flavor-extra-specs/"): // those of a flavor that no server has
		return request{"/flavors/f-private/os-extra_specs" + pick(strings.Contains(short, "update"), "/x", ""), nil}, true
	case strings.HasPrefix(short, "os-volume_attachments/update-volume-req"):
		return w.makers["PUT /servers/{}/os-volume_attachments/{}"](w, rest.V(lowest)), true
	case strings.HasPrefix(short, "os-services/") && !v.AtLeast("2.53"):
		verb, _ := strings.CutSuffix(strings.TrimPrefix(short, "os-services/service-"), "-put-req.json")
		return request{"/os-services/" + strings.Replace(verb, "disable-log", "disable-log-reason", 1), obj{"host": "dev-1"}}, true
	case strings.HasPrefix(short, "os-quota-sets") && strings.Contains(short, "/user-"):
		return request{w.fill("/os-quota-sets/<project>?user_id=someone"), nil}, true
	}
	return request{}, false
}

// adapter puts what exists in this cloud in the place of what a sample names.
type adapter struct {
	*walker
	key, path string // of the operation, and of the request
}

// foreign are the members in whose place the right request's are sent.
var foreign = map[string]bool{".addTenantAccess.tenant": true, ".removeTenantAccess.tenant": true, ".addSecurityGroup.name": true, ".removeSecurityGroup.name": true, ".cache.id": true,
	".snapshot.create_info.id": true, ".events.name": true, ".events.tag": true, "host": true, "volumeId": true, "volume_id": true, "snapshot_id": true, "share_id": true, "net_id": true,
	"networkId": true, "address": true, "server_uuid": true, "parent_group_id": true, "pool": true, "uuid": true, "flavorRef": true}

// unique are names that can be had once.
var unique = map[string]bool{".flavor.id": true, ".flavor.name": true, ".keypair.name": true, ".aggregate.name": true, ".security_group.name": true}

func (a adapter) adapt(at, name string, theirs, right any) any {
	a.t.Helper()
	switch theirs := theirs.(type) {
	case map[string]any:
		right, _ := right.(map[string]any)
		out := obj{}
		for name, v := range theirs {
			out[name] = a.adapt(at+"."+name, name, v, right[name])
		}
		return out
	case []any:
		var like any
		if list, _ := right.([]any); len(list) > 0 {
			like = list[0]
		}
		out := []any{}
		for _, v := range theirs {
			out = append(out, a.adapt(at, name, v, like))
		}
		return out
	case string:
		if right, ok := right.(string); ok && (foreign[at] || foreign[name]) && !strings.Contains(theirs, "/") { // a link stays one
			return right
		}
		if unique[at] {
			return fmt.Sprintf("%s %d", theirs, a.next())
		}
		return a.standIn(at, name, theirs)
	}
	return theirs
}

// standIn is what there is of the kind of thing that a member names.
func (a adapter) standIn(at, name, theirs string) string {
	a.t.Helper()
	server, _, _ := strings.Cut(strings.TrimPrefix(a.path, "/servers/"), "/")
	switch at {
	case ".evacuate.host", ".os-migrateLive.host", ".migrate.host":
		return a.elsewhere(server)
	case ".server.availability_zone", ".unshelve.availability_zone":
		return "nova"
	case ".interfaceAttachment.port_id":
		id, _ := a.freePort()
		return id
	case ".interfaceAttachment.fixed_ips.ip_address":
		id, address := a.freePort()
		a.network("DELETE", "/ports/"+id, nil)
		return address
	case ".addFloatingIp.fixed_address":
		return a.must("GET", "/servers/"+server+"/ips", "2.1", nil)["addresses"].(obj)["private"].([]any)[0].(obj)["addr"].(string)
	case ".volumeAttachment.id":
		return a.path[strings.LastIndexByte(a.path, '/')+1:]
	case ".volumeAttachment.serverId":
		return server
	case ".volumeAttachment.device", ".volumeAttachment.tag":
		if _, volume, replaced := strings.Cut(a.path, "/os-volume_attachments/"); replaced { // by what it is
			return fmt.Sprint(a.must("GET", "/servers/"+server+"/os-volume_attachments/"+volume, "2.70", nil)["volumeAttachment"].(obj)[name])
		}
	}
	switch name {
	case "volume_type":
		return "memory"
	case "imageRef", "rescue_image_ref", "uuid":
		return a.ids["image"]
	case "host", "hypervisor_hostname":
		return "dev-1"
	case "same_host":
		return a.ids["server"]
	case "group":
		return a.ids["group"]
	case "key_name":
		return "k"
	}
	return theirs
}

// elsewhere is a host that a server is not on.
func (w *walker) elsewhere(server string) string {
	w.t.Helper()
	if w.must("GET", "/servers/"+server, "2.1", nil)["server"].(obj)["OS-EXT-SRV-ATTR:host"] == "dev-1" {
		return "dev-2"
	}
	return "dev-1"
}

// freePort makes a port that no server has, and returns its id and address.
func (w *walker) freePort() (id, address string) {
	w.t.Helper()
	port := w.network("POST", "/ports", obj{"port": obj{"network_id": w.ids["network"]}})["port"].(obj)
	return port["id"].(string), port["fixed_ips"].([]any)[0].(obj)["ip_address"].(string)
}

// network asks the network service.
func (w *walker) network(method, path string, body any) obj {
	w.t.Helper()
	root, _, _ := strings.Cut(w.url, "/compute/")
	status, data := w.call(method, root+"/network/v2.0"+path, rest.V(lowest), body)
	var out obj
	if len(data) > 0 {
		if err := json.Unmarshal(data, &out); err != nil {
			w.t.Fatalf("%s: %v", data, err)
		}
	}
	if status >= 300 {
		w.t.Fatalf("%s %s: %d %s", method, path, status, data)
	}
	return out
}
