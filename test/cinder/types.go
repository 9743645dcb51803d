package cinder

import (
	"net/http"

	"github.com/google/uuid"

	"kilonova/internal/auth"
)

func (s *Service) addType(name string, extraSpecs object) object {
	if extraSpecs == nil {
		extraSpecs = object{}
	}
	id := uuid.NewString()
	s.types[id] = object{"id": id, "name": name, "description": nil, "is_public": true, "os-volume-type-access:is_public": true, "extra_specs": extraSpecs, "qos_specs_id": nil}
	s.order = append(s.order, id)
	return s.types[id]
}

// typeNamed finds a volume type by its name or id.
func (s *Service) typeNamed(name string) object {
	for id, x := range s.types {
		if id == name || x["name"] == name {
			return x
		}
	}
	return nil
}

func (s *Service) listTypes(*http.Request, object) (int, any) {
	all := []object{}
	for _, id := range s.order {
		if x := s.types[id]; x != nil {
			all = append(all, x)
		}
	}
	return 200, object{"volume_types": all}
}

// showType also answers for "default", the oldest.
func (s *Service) showType(r *http.Request, _ object) (int, any) {
	name := r.PathValue("id")
	if name == "default" {
		name = "memory"
	}
	if x := s.typeNamed(name); x != nil {
		return 200, object{"volume_type": x}
	}
	return 404, refusal(404, "Volume type "+name+" could not be found.")
}

func (s *Service) createType(r *http.Request, body object) (int, any) {
	spec := part(body, "volume_type")
	name, _ := spec["name"].(string)
	switch c := auth.From(r.Context()); {
	case c != nil && !c.IsAdmin():
		return 403, refusal(403, "Policy doesn't allow volume_extension:type_create to be performed.")
	case name == "":
		return 400, refusal(400, "Invalid input for field/attribute name.")
	case s.typeNamed(name) != nil:
		return 409, refusal(409, "Volume Type "+name+" already exists.")
	}
	return 200, object{"volume_type": s.addType(name, part(spec, "extra_specs"))}
}

func (s *Service) deleteType(r *http.Request, _ object) (int, any) {
	x := s.types[r.PathValue("id")]
	switch c := auth.From(r.Context()); {
	case c != nil && !c.IsAdmin():
		return 403, refusal(403, "Policy doesn't allow volume_extension:type_delete to be performed.")
	case x == nil:
		return 404, refusal(404, "Volume type "+r.PathValue("id")+" could not be found.")
	}
	for _, v := range s.volumes {
		if v["volume_type"] == x["name"] {
			return 400, refusal(400, "Volume Type "+r.PathValue("id")+" deletion is not allowed with volumes present with the type.")
		}
	}
	delete(s.types, r.PathValue("id"))
	return 202, nil
}
