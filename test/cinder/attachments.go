package cinder

import (
	"net/http"
	"path/filepath"
)

func (s *Service) listAttachments(r *http.Request, _ object) (int, any) {
	all := []object{}
	for _, id := range s.order {
		if a := s.attachments[id]; a != nil && s.listed(r, id) && (r.FormValue("instance_id") == "" || r.FormValue("instance_id") == a["instance"]) &&
			(r.FormValue("volume_id") == "" || r.FormValue("volume_id") == a["volume_id"]) {
			all = append(all, a)
		}
	}
	return 200, object{"attachments": all}
}

func (s *Service) createAttachment(r *http.Request, body object) (int, any) {
	spec := part(body, "attachment")
	id, _ := spec["volume_uuid"].(string)
	v := s.find(r, "volume", id)
	switch {
	case v == nil:
		return missing("volume", id)
	case v["status"] != "available" && !(v["multiattach"] == true && v["status"] == "in-use") && !s.has(id, spec["instance_uuid"]):
		return 400, refusal(400, "Invalid volume: Volume "+id+" status must be available or in-use or downloading, but current status is "+text(v["status"])+".")
	}
	if v["status"] == "available" {
		v["status"] = "reserved"
	}
	a := s.add(r, "attachment", object{"volume_id": id, "instance": spec["instance_uuid"], "status": "reserved", "attach_mode": nil, "connection_info": object{},
		"attached_at": nil, "detached_at": nil})
	s.owners[a["id"].(string)] = s.owners[id] // also where this service's own user makes it
	if spec["connector"] != nil {             // reserved and let in at once
		r.SetPathValue("id", a["id"].(string))
		return s.connect(r, body)
	}
	return 200, object{"attachment": a}
}

// connect lets a host in: the volume is a file below /volumes/HOST there. For
// another host another attachment is needed: with upstream what was made for the
// first one would stay for ever.
func (s *Service) connect(r *http.Request, body object) (int, any) {
	a := s.find(r, "attachment", r.PathValue("id"))
	if a == nil {
		return missing("attachment", r.PathValue("id"))
	}
	connector := part(part(body, "attachment"), "connector")
	if connector["host"] == nil {
		return 400, refusal(400, "Invalid input received: the connector has no host.")
	}
	volume, host := a["volume_id"].(string), text(connector["host"])
	if now := s.hosts[r.PathValue("id")]; now != "" && now != host {
		return 400, refusal(400, "Invalid input received: attachment "+r.PathValue("id")+" lets host "+now+" in already, not "+host+".")
	}
	s.hosts[r.PathValue("id")] = host
	v, mode := s.volumes[volume], "rw"
	if part(v, "metadata")["readonly"] == "True" {
		mode = "ro"
	}
	path := "/volumes/" + host + "/" + volume
	if s.Dir != "" {
		path = filepath.Join(s.Dir, volume)
	}
	a["status"], a["attach_mode"] = "attaching", mode
	a["connection_info"] = object{"driver_volume_type": "file", "device_path": path, "format": "raw", "attachment_id": a["id"], "access_mode": mode, "volume_id": volume}
	if v["status"] == "reserved" {
		v["status"] = "attaching"
	}
	return 200, object{"attachment": a}
}

func (s *Service) complete(r *http.Request, _ object) (int, any) {
	a := s.find(r, "attachment", r.PathValue("id"))
	if a == nil {
		return missing("attachment", r.PathValue("id"))
	}
	a["status"], a["attached_at"] = "attached", now()
	s.settle(a["volume_id"].(string))
	return 204, nil
}

func (s *Service) deleteAttachment(r *http.Request, _ object) (int, any) {
	a := s.find(r, "attachment", r.PathValue("id"))
	if a == nil {
		return missing("attachment", r.PathValue("id"))
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
	for _, id := range s.order {
		a := s.attachments[id]
		if a == nil || a["volume_id"] != volumeID {
			continue
		}
		if status == "available" {
			status = "reserved"
		}
		if a["status"] == "attached" {
			status = "in-use"
			uses = append(uses, object{"id": volumeID, "volume_id": volumeID, "attachment_id": a["id"], "server_id": a["instance"], "device": "/dev/vdb", "host_name": s.hosts[id],
				"attached_at": a["attached_at"]})
		}
	}
	v["status"], v["attachments"] = status, uses
}
