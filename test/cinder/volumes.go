package cinder

import (
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"

	"kilonova/internal/auth"
)

// brief is a volume in a list without details.
func brief(x object) object { return object{"id": x["id"], "name": x["name"], "links": x["links"]} }

// whole is all that is shown of something, with its project where callers have one.
func (s *Service) whole(x object) object {
	shown := maps.Clone(x)
	if owner := s.owners[x["id"].(string)]; owner != "" {
		switch {
		case x["volume_id"] == nil:
			shown["os-vol-tenant-attr:tenant_id"] = owner
		case x["instance"] == nil && x["attach_mode"] == nil && x["size"] != nil:
			shown["os-extended-snapshot-attributes:project_id"], shown["os-extended-snapshot-attributes:progress"] = owner, "100%"
		}
	}
	return shown
}

// imageMembers are what a volume keeps of its image beside the image's own properties.
var imageMembers = map[string]string{"id": "image_id", "name": "image_name", "container_format": "container_format", "disk_format": "disk_format",
	"checksum": "checksum", "min_disk": "min_disk", "min_ram": "min_ram", "size": "size"}

// imageOnly are members of an image that a volume made from it does not keep.
var imageOnly = map[string]bool{"status": true, "visibility": true, "protected": true, "owner": true, "tags": true, "self": true, "file": true, "schema": true,
	"created_at": true, "updated_at": true, "os_hash_algo": true, "os_hash_value": true, "os_hidden": true, "virtual_size": true, "locations": true,
	"direct_url": true, "stores": true}

// imageMetadata is what a volume keeps of the image that it is made from; nil where
// the image is not there for the caller.
func (s *Service) imageMetadata(r *http.Request, id string) object {
	kept := object{"image_id": id, "disk_format": "qcow2", "min_ram": "0", "min_disk": "0"}
	if s.Image == nil || r == nil {
		return kept
	}
	image, err := s.Image(r.Context(), id)
	if err != nil {
		return nil
	}
	for name, value := range image {
		as := imageMembers[name]
		if as == "" && !imageOnly[name] {
			as = name
		}
		if as != "" && value != nil {
			kept[as] = text(value)
		}
	}
	return kept
}

func (s *Service) createVolume(r *http.Request, body object) (int, any) {
	spec := part(body, "volume")
	v := object{"name": first(spec, "name", "display_name"), "description": first(spec, "description", "display_description"), "size": spec["size"],
		"status": "available", "bootable": "false", "multiattach": spec["multiattach"] == true, "availability_zone": "nova", "volume_type": "memory",
		"snapshot_id": spec["snapshot_id"], "source_volid": spec["source_volid"], "metadata": spec["metadata"], "attachments": []object{}, "encrypted": false,
		"user_id": "00000000000000000000000000000000", "links": []object{}, "replication_status": nil, "consistencygroup_id": nil, "updated_at": nil}
	if r != nil {
		if c := auth.From(r.Context()); c != nil {
			v["user_id"] = c.UserID
		}
	}
	if v["metadata"] == nil {
		v["metadata"] = object{}
	}
	if zone, ok := spec["availability_zone"].(string); ok && zone != "" {
		v["availability_zone"] = zone
	}
	if name, ok := spec["volume_type"].(string); ok && name != "" {
		kind := s.typeNamed(name)
		if kind == nil {
			return 404, refusal(404, "Volume type "+name+" could not be found.")
		}
		v["volume_type"], v["multiattach"] = kind["name"], v["multiattach"] == true || part(kind, "extra_specs")["multiattach"] == "<is> True"
	}
	if image, ok := spec["imageRef"].(string); ok && image != "" {
		kept := s.imageMetadata(r, image)
		if kept == nil {
			return 400, refusal(400, "Invalid image identifier or unable to access requested image.")
		}
		v["bootable"], v["volume_image_metadata"] = "true", kept
	}
	for member, kind := range map[string]string{"snapshot_id": "snapshot", "source_volid": "volume"} {
		id, ok := spec[member].(string)
		if !ok {
			continue
		}
		source := s.table(kind)[id]
		if source == nil || r != nil && !s.sees(r, id) {
			return missing(kind, id)
		}
		if v["size"] == nil {
			v["size"] = source["size"]
		}
		origin := source
		if kind == "snapshot" {
			origin = s.volumes[source["volume_id"].(string)]
		}
		if origin["volume_image_metadata"] != nil {
			v["bootable"], v["volume_image_metadata"] = origin["bootable"], origin["volume_image_metadata"]
		}
	}
	if size, ok := v["size"].(float64); !ok || size < 1 {
		return 400, refusal(400, "Invalid input for field/attribute size.")
	}
	v = s.add(r, "volume", v)
	if err := s.resize(v); err != nil {
		v["status"] = "error"
	}
	answer := maps.Clone(v)
	answer["status"] = "creating"
	delete(answer, "volume_image_metadata")
	return 202, object{"volume": answer}
}

// resize has a volume's file be as large as the volume.
func (s *Service) resize(v object) error {
	if s.Dir == "" {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, v["id"].(string)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(int64(v["size"].(float64))<<30), f.Close())
}

// drop removes a volume's file.
func (s *Service) drop(id string) {
	if s.Dir != "" {
		_ = os.Remove(filepath.Join(s.Dir, id))
	}
}

func (s *Service) updateVolume(r *http.Request, body object) (int, any) {
	v := s.find(r, "volume", r.PathValue("id"))
	if v == nil {
		return missing("volume", r.PathValue("id"))
	}
	spec := part(body, "volume")
	for member, names := range map[string][]string{"name": {"name", "display_name"}, "description": {"description", "display_description"}, "metadata": {"metadata"}} {
		if x := first(spec, names...); x != nil {
			v[member] = x
		}
	}
	v["updated_at"] = now()
	return 200, object{"volume": v}
}

// metadata shows a volume's, adds to it (POST) and replaces it (PUT).
func (s *Service) metadata(r *http.Request, body object) (int, any) {
	v := s.find(r, "volume", r.PathValue("id"))
	if v == nil {
		return missing("volume", r.PathValue("id"))
	}
	switch r.Method {
	case http.MethodPost:
		kept := maps.Clone(part(v, "metadata"))
		maps.Copy(kept, part(body, "metadata"))
		v["metadata"] = kept
	case http.MethodPut:
		v["metadata"] = part(body, "metadata")
	}
	return 200, object{"metadata": v["metadata"]}
}

func (s *Service) deleteVolume(r *http.Request, _ object) (int, any) {
	id := r.PathValue("id")
	v := s.find(r, "volume", id)
	if v == nil {
		return missing("volume", id)
	}
	snapshots := false
	for _, x := range s.snapshots {
		snapshots = snapshots || x["volume_id"] == id
	}
	if v["status"] != "available" && v["status"] != "error" || snapshots && r.FormValue("cascade") == "" {
		return 400, refusal(400, "Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, "+
			"attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.")
	}
	delete(s.volumes, id)
	s.drop(id)
	maps.DeleteFunc(s.snapshots, func(_ string, x object) bool { return x["volume_id"] == id })
	return 202, nil
}
