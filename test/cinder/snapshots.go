package cinder

import (
	"maps"
	"net/http"
)

func (s *Service) createSnapshot(r *http.Request, body object) (int, any) {
	spec := part(body, "snapshot")
	id, _ := spec["volume_id"].(string)
	v := s.find(r, "volume", id)
	switch {
	case v == nil:
		return missing("volume", id)
	case v["status"] != "available" && text(spec["force"]) != "true" && text(spec["force"]) != "True":
		return 400, refusal(400, "Invalid volume: Volume "+id+" status must be available, but current status is: "+text(v["status"])+".")
	}
	metadata := part(spec, "metadata")
	x := s.add(r, "snapshot", object{"volume_id": id, "name": first(spec, "name", "display_name"), "description": first(spec, "description", "display_description"),
		"size": v["size"], "status": "available", "metadata": metadata, "updated_at": nil})
	answer := maps.Clone(x)
	answer["status"] = "creating"
	return 202, object{"snapshot": answer}
}

func (s *Service) deleteSnapshot(r *http.Request, _ object) (int, any) {
	id := r.PathValue("id")
	if s.find(r, "snapshot", id) == nil {
		return missing("snapshot", id)
	}
	delete(s.snapshots, id)
	return 202, nil
}
