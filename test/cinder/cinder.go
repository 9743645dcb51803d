package cinder

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

type object = map[string]any

// Service is the stand-in. Its methods are for tests that look behind it.
type Service struct {
	mu          sync.Mutex
	volumes     map[string]object
	snapshots   map[string]object
	attachments map[string]object
	order       []string // ids, oldest first
	mux         *http.ServeMux
}

// New returns an empty service; URL/v3 is where its API begins.
func New() *Service {
	s := &Service{volumes: map[string]object{}, snapshots: map[string]object{}, attachments: map[string]object{}, mux: http.NewServeMux()}
	for pattern, h := range map[string]func(r *http.Request, body object) (int, any){
		"GET /volumes": s.list("volumes"), "GET /volumes/detail": s.list("volumes"), "POST /volumes": s.createVolume,
		"GET /volumes/{id}": s.show("volume"), "DELETE /volumes/{id}": s.deleteVolume, "PUT /volumes/{id}": s.updateVolume, "POST /volumes/{id}/action": s.volumeAction,
		"GET /snapshots": s.list("snapshots"), "GET /snapshots/detail": s.list("snapshots"), "POST /snapshots": s.createSnapshot,
		"GET /snapshots/{id}": s.show("snapshot"), "DELETE /snapshots/{id}": s.deleteSnapshot,
		"GET /attachments": s.listAttachments, "POST /attachments": s.createAttachment, "GET /attachments/{id}": s.show("attachment"),
		"PUT /attachments/{id}": s.connect, "DELETE /attachments/{id}": s.deleteAttachment, "POST /attachments/{id}/action": s.complete,
		"GET /types":      func(*http.Request, object) (int, any) { return 200, object{"volume_types": []object{volumeType}} },
		"GET /types/{id}": func(*http.Request, object) (int, any) { return 200, object{"volume_type": volumeType} },
		"GET /limits": func(*http.Request, object) (int, any) {
			return 200, object{"limits": object{"rate": []any{}, "absolute": object{"maxTotalVolumes": 1000, "maxTotalVolumeGigabytes": 100000, "maxTotalSnapshots": 1000,
				"totalVolumesUsed": len(s.volumes), "totalGigabytesUsed": 0, "totalSnapshotsUsed": len(s.snapshots), "maxTotalBackups": 10,
				"maxTotalBackupGigabytes": 1000, "totalBackupsUsed": 0, "totalBackupGigabytesUsed": 0}}}
		},
		"GET /os-quota-sets/{id}": func(r *http.Request, _ object) (int, any) {
			return 200, object{"quota_set": object{"id": r.PathValue("id"), "volumes": 1000, "snapshots": 1000, "gigabytes": 100000}}
		},
	} {
		s.mux.HandleFunc(pattern, s.handler(h))
	}
	return s
}

var volumeType = object{"id": "5c2ba4cc-0a4b-4bb2-9a44-ef0e1c1ee9d1", "name": "memory", "description": nil, "is_public": true, "extra_specs": object{}, "qos_specs_id": nil}

var project = regexp.MustCompile(`^/v3/[0-9a-f]{32}(/|$)`)

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := strings.TrimSuffix(r.URL.Path, "/"); p == "" || p == "/v3" {
		write(w, 200, object{"versions": []object{{"id": "v3.0", "status": "CURRENT", "version": "3.70", "min_version": "3.0", "updated": "2023-08-31T00:00:00Z",
			"links": []object{{"rel": "self", "href": "http://" + r.Host + "/v3/"}}}}})
		return
	}
	r.URL.Path = strings.TrimPrefix(project.ReplaceAllString(r.URL.Path, "/v3/"), "/v3")
	s.mux.ServeHTTP(w, r)
}

func (s *Service) handler(h func(*http.Request, object) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body object
		if r.Method != http.MethodGet && r.ContentLength != 0 {
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				write(w, 400, refusal(400, "The body is not JSON."))
				return
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		status, out := h(r, body)
		write(w, status, out)
	}
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("OpenStack-API-Version", "volume 3.70")
	w.WriteHeader(status)
	if body != nil {
		json.NewEncoder(w).Encode(body)
	}
}

func refusal(status int, message string) object {
	name := map[int]string{400: "badRequest", 404: "itemNotFound", 409: "conflictingRequest"}[status]
	return object{name: object{"code": status, "message": message}}
}

func (s *Service) table(kind string) map[string]object {
	return map[string]map[string]object{"volume": s.volumes, "snapshot": s.snapshots, "attachment": s.attachments}[strings.TrimSuffix(kind, "s")]
}

func (s *Service) list(kind string) func(*http.Request, object) (int, any) {
	return func(r *http.Request, _ object) (int, any) {
		all := []object{}
		for _, id := range s.order {
			if x := s.table(kind)[id]; x != nil && (r.FormValue("name") == "" || r.FormValue("name") == x["name"]) {
				all = append(all, x)
			}
		}
		return 200, object{kind: all}
	}
}

func (s *Service) show(kind string) func(*http.Request, object) (int, any) {
	return func(r *http.Request, _ object) (int, any) {
		x := s.table(kind)[r.PathValue("id")]
		if x == nil {
			return 404, refusal(404, "The "+kind+" "+r.PathValue("id")+" could not be found.")
		}
		return 200, object{kind: x}
	}
}

func (s *Service) add(kind string, x object) object {
	id := uuid.NewString()
	x["id"], x["created_at"] = id, time.Now().UTC().Format("2006-01-02T15:04:05.000000")
	s.table(kind)[id] = x
	s.order = append(s.order, id)
	return x
}

func part(body object, name string) object {
	p, _ := body[name].(object)
	if p == nil {
		p = object{}
	}
	return p
}

func (s *Service) createVolume(_ *http.Request, body object) (int, any) {
	spec := part(body, "volume")
	v := object{"name": spec["name"], "description": spec["description"], "size": spec["size"], "status": "available", "bootable": "false", "multiattach": spec["multiattach"] == true,
		"availability_zone": "nova", "volume_type": "memory", "snapshot_id": spec["snapshot_id"], "source_volid": spec["source_volid"], "metadata": spec["metadata"],
		"attachments": []object{}, "encrypted": false, "user_id": "u", "links": []object{}, "replication_status": nil, "consistencygroup_id": nil, "updated_at": nil}
	if v["metadata"] == nil {
		v["metadata"] = object{}
	}
	if image, ok := spec["imageRef"].(string); ok {
		v["bootable"], v["volume_image_metadata"] = "true", object{"image_id": image, "disk_format": "qcow2", "min_ram": "0", "min_disk": "0"}
	}
	if id, ok := spec["snapshot_id"].(string); ok {
		snapshot := s.snapshots[id]
		if snapshot == nil {
			return 404, refusal(404, "Snapshot "+id+" could not be found.")
		}
		if v["size"] == nil {
			v["size"] = snapshot["size"]
		}
	}
	if size, ok := v["size"].(float64); !ok || size < 1 {
		return 400, refusal(400, "Invalid input for field/attribute size.")
	}
	return 202, object{"volume": s.add("volume", v)}
}

func (s *Service) updateVolume(r *http.Request, body object) (int, any) {
	v := s.volumes[r.PathValue("id")]
	if v == nil {
		return 404, refusal(404, "Volume "+r.PathValue("id")+" could not be found.")
	}
	maps.Copy(v, part(body, "volume"))
	return 200, object{"volume": v}
}

func (s *Service) deleteVolume(r *http.Request, _ object) (int, any) {
	id := r.PathValue("id")
	v := s.volumes[id]
	switch {
	case v == nil:
		return 404, refusal(404, "Volume "+id+" could not be found.")
	case v["status"] != "available" && v["status"] != "error":
		return 400, refusal(400, "Invalid volume: Volume status must be available or error, and must not be migrating, attached, or have snapshots.")
	}
	delete(s.volumes, id)
	return 202, nil
}

func (s *Service) volumeAction(r *http.Request, body object) (int, any) {
	v := s.volumes[r.PathValue("id")]
	if v == nil {
		return 404, refusal(404, "Volume "+r.PathValue("id")+" could not be found.")
	}
	for action := range body {
		from, to := "", ""
		switch action {
		case "os-begin_detaching":
			from, to = "in-use", "detaching"
		case "os-roll_detaching":
			from, to = "detaching", "in-use"
		case "os-set_bootable":
			v["bootable"] = "true"
			return 200, nil
		default:
			return 400, refusal(400, "There is no such action: "+action)
		}
		if v["status"] != from {
			return 400, refusal(400, "Invalid volume: status must be "+from+".")
		}
		v["status"] = to
	}
	return 202, nil
}

func (s *Service) createSnapshot(_ *http.Request, body object) (int, any) {
	spec := part(body, "snapshot")
	id, _ := spec["volume_id"].(string)
	v := s.volumes[id]
	switch {
	case v == nil:
		return 404, refusal(404, "Volume "+id+" could not be found.")
	case v["status"] != "available" && spec["force"] != true:
		return 400, refusal(400, "Invalid volume: Volume must be available.")
	}
	return 202, object{"snapshot": s.add("snapshot", object{"volume_id": id, "name": spec["name"], "description": spec["description"], "size": v["size"],
		"status": "available", "metadata": object{}})}
}

func (s *Service) deleteSnapshot(r *http.Request, _ object) (int, any) {
	if s.snapshots[r.PathValue("id")] == nil {
		return 404, refusal(404, "Snapshot "+r.PathValue("id")+" could not be found.")
	}
	delete(s.snapshots, r.PathValue("id"))
	return 202, nil
}

func (s *Service) listAttachments(r *http.Request, _ object) (int, any) {
	all := []object{}
	for _, id := range s.order {
		if a := s.attachments[id]; a != nil && (r.FormValue("instance_id") == "" || r.FormValue("instance_id") == a["instance"]) {
			all = append(all, a)
		}
	}
	return 200, object{"attachments": all}
}

func (s *Service) createAttachment(_ *http.Request, body object) (int, any) {
	spec := part(body, "attachment")
	id, _ := spec["volume_uuid"].(string)
	v := s.volumes[id]
	switch {
	case v == nil:
		return 404, refusal(404, "Volume "+id+" could not be found.")
	case v["status"] != "available" && !(v["multiattach"] == true && v["status"] == "in-use") && !s.has(id, spec["instance_uuid"]):
		return 400, refusal(400, "Invalid volume: Volume "+id+" status must be available or in-use or downloading, but current status is "+v["status"].(string)+".")
	}
	if v["status"] == "available" {
		v["status"] = "reserved"
	}
	a := s.add("attachment", object{"volume_id": id, "instance": spec["instance_uuid"], "status": "reserved", "attach_mode": nil, "connection_info": object{},
		"attached_at": nil, "detached_at": nil})
	return 200, object{"attachment": a}
}

// connect lets a host in: the volume is a file below /volumes of every host.
func (s *Service) connect(r *http.Request, body object) (int, any) {
	a := s.attachments[r.PathValue("id")]
	if a == nil {
		return 404, refusal(404, "Volume attachment could not be found with filter: attachment_id = "+r.PathValue("id")+".")
	}
	if part(part(body, "attachment"), "connector")["host"] == nil {
		return 400, refusal(400, "Invalid input received: the connector has no host.")
	}
	volume := a["volume_id"].(string)
	a["status"], a["attach_mode"] = "attaching", "rw"
	a["connection_info"] = object{"driver_volume_type": "file", "device_path": "/volumes/" + volume, "format": "raw", "attachment_id": a["id"], "access_mode": "rw", "volume_id": volume}
	if v := s.volumes[volume]; v["status"] == "reserved" {
		v["status"] = "attaching"
	}
	return 200, object{"attachment": a}
}

func (s *Service) complete(r *http.Request, _ object) (int, any) {
	a := s.attachments[r.PathValue("id")]
	if a == nil {
		return 404, refusal(404, "Volume attachment could not be found with filter: attachment_id = "+r.PathValue("id")+".")
	}
	a["status"] = "attached"
	s.settle(a["volume_id"].(string))
	return 204, nil
}

func (s *Service) deleteAttachment(r *http.Request, _ object) (int, any) {
	a := s.attachments[r.PathValue("id")]
	if a == nil {
		return 404, refusal(404, "Volume attachment could not be found with filter: attachment_id = "+r.PathValue("id")+".")
	}
	delete(s.attachments, r.PathValue("id"))
	s.settle(a["volume_id"].(string))
	return 200, object{"attachments": []object{}}
}

// has reports whether a server has a volume already: it may have it once more, to
// take it to another host.
func (s *Service) has(volumeID string, instance any) bool {
	for _, a := range s.attachments {
		if a["volume_id"] == volumeID && a["instance"] == instance && instance != nil {
			return true
		}
	}
	return false
}

// settle makes a volume's status and attachments what its attachments say.
func (s *Service) settle(volumeID string) {
	v := s.volumes[volumeID]
	if v == nil {
		return
	}
	uses, status := []object{}, "available"
	for _, a := range s.attachments {
		if a["volume_id"] != volumeID {
			continue
		}
		if status == "available" {
			status = "reserved"
		}
		if a["status"] == "attached" {
			status = "in-use"
			uses = append(uses, object{"id": volumeID, "volume_id": volumeID, "attachment_id": a["id"], "server_id": a["instance"], "device": "/dev/vdb", "host_name": nil,
				"attached_at": time.Now().UTC().Format("2006-01-02T15:04:05.000000")})
		}
	}
	v["status"], v["attachments"] = status, uses
}

// Status returns a volume's status, "" for one that is not there.
func (s *Service) Status(volumeID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, _ := s.volumes[volumeID]["status"].(string)
	return status
}

// SetStatus has a volume be in a status, whatever is done with it.
func (s *Service) SetStatus(volumeID, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volumes[volumeID]["status"] = status
}

// Add makes a volume and returns its id.
func (s *Service) Add(sizeGB int, bootable bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	spec := object{"size": float64(sizeGB), "name": "v"}
	if bootable {
		spec["imageRef"] = uuid.NewString()
	}
	_, made := s.createVolume(nil, object{"volume": spec})
	return made.(object)["volume"].(object)["id"].(string)
}

// Left lists what is there: "volume ID", "attachment ID".
func (s *Service) Left() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []string
	for id := range s.volumes {
		left = append(left, "volume "+id)
	}
	for id := range s.attachments {
		left = append(left, "attachment "+id)
	}
	slices.Sort(left)
	return left
}
