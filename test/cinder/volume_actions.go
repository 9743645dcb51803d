package cinder

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// volumeAction does what POST /volumes/{id}/action names; upstream's states before
// and after.
func (s *Service) volumeAction(r *http.Request, body object) (int, any) {
	id := r.PathValue("id")
	v := s.find(r, "volume", id)
	if v == nil {
		return missing("volume", id)
	}
	for action := range body {
		given := part(body, action)
		switch action {
		case "os-begin_detaching":
			return move(v, "in-use", "detaching")
		case "os-roll_detaching":
			return move(v, "detaching", "in-use")
		case "os-reserve":
			return move(v, "available", "attaching")
		case "os-unreserve":
			s.settle(id)
			return 202, nil
		case "os-set_bootable":
			v["bootable"] = strconv.FormatBool(text(given["bootable"]) != "false")
			return 200, nil
		case "os-update_readonly_flag":
			if v["status"] != "available" {
				return 400, refusal(400, "Invalid volume: Volume "+id+" status must be available to update readonly flag, but current status is: "+text(v["status"])+".")
			}
			metadata := object{"readonly": title(text(given["readonly"]))}
			for name, value := range part(v, "metadata") {
				if name != "readonly" {
					metadata[name] = value
				}
			}
			v["metadata"] = metadata
			return 202, nil
		case "os-set_image_metadata":
			kept := part(v, "volume_image_metadata")
			for name, value := range part(given, "metadata") {
				kept[name] = text(value)
			}
			v["volume_image_metadata"] = kept
			return 200, object{"metadata": kept}
		case "os-extend":
			size, ok := given["new_size"].(float64)
			if before, _ := v["size"].(float64); !ok || size <= before {
				return 400, refusal(400, fmt.Sprintf("Invalid input received: New size for extend must be greater than current size. (current: %v, extended: %v).", v["size"], given["new_size"]))
			}
			v["size"] = size
			if err := s.resize(v); err != nil {
				return 500, refusal(500, err.Error())
			}
			return 202, nil
		case "os-reimage":
			if now := v["status"]; now != "available" && now != "error" && !(now == "reserved" && given["reimage_reserved"] == true) {
				return 400, refusal(400, "Invalid volume: status must be available or error to reimage volume "+id+", but current status is: "+text(now)+".")
			}
			v["volume_image_metadata"], v["bootable"] = object{"image_id": given["image_id"]}, "true"
			return 202, nil
		case "os-retype":
			kind := s.typeNamed(text(given["new_type"]))
			if kind == nil {
				return 404, refusal(404, "Volume type "+text(given["new_type"])+" could not be found.")
			}
			v["volume_type"] = kind["name"]
			return 202, nil
		case "os-reset_status":
			if status, ok := given["status"].(string); ok {
				v["status"] = status
			}
			return 202, nil
		case "os-force_delete":
			delete(s.volumes, id)
			s.drop(id)
			return 202, nil
		}
		return 400, refusal(400, "There is no such action: "+action)
	}
	return 400, refusal(400, "The body names no action.")
}

// move takes a volume from one status to another.
func move(v object, from, to string) (int, any) {
	if v["status"] != from {
		return 400, refusal(400, "Invalid volume: Volume status must be "+from+", but current status is: "+text(v["status"])+".")
	}
	v["status"] = to
	return 202, nil
}

// text is a value of a JSON body as metadata have it.
func text(x any) string {
	if x == nil {
		return ""
	}
	return fmt.Sprint(x)
}

func title(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
