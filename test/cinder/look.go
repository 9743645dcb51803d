package cinder

import (
	"cmp"
	"maps"
	"slices"

	"github.com/google/uuid"
)

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

// SetZone moves a volume to an availability zone.
func (s *Service) SetZone(volumeID, zone string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volumes[volumeID]["availability_zone"] = zone
}

// Zone is the availability zone of a volume.
func (s *Service) Zone(volumeID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	zone, _ := s.volumes[volumeID]["availability_zone"].(string)
	return zone
}

// Share has a volume be one that several servers may have.
func (s *Service) Share(volumeID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volumes[volumeID]["multiattach"] = true
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

// Held lists where the attachments of a volume are: "HOST STATUS", sorted; a host
// that nobody has named yet is "-".
func (s *Service) Held(volumeID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := []string{}
	for id, a := range s.attachments {
		if a["volume_id"] == volumeID {
			held = append(held, cmp.Or(s.hosts[id], "-")+" "+text(a["status"]))
		}
	}
	slices.Sort(held)
	return held
}

// Snapshots lists the snapshots that are there.
func (s *Service) Snapshots() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.snapshots))
}

// Grow makes a volume larger.
func (s *Service) Grow(volumeID string, sizeGB int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volumes[volumeID]["size"] = float64(sizeGB)
}

// ImageOf returns the image in a volume.
func (s *Service) ImageOf(volumeID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return text(part(s.volumes[volumeID], "volume_image_metadata")["image_id"])
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
