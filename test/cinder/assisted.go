package cinder

import "net/http"

// updateSnapshot is what compute says of a snapshot that its hypervisor makes.
func (s *Service) updateSnapshot(r *http.Request, body object) (int, any) {
	snapshot := s.snapshots[r.PathValue("id")]
	if snapshot == nil {
		return 404, refusal(404, "Snapshot "+r.PathValue("id")+" could not be found.")
	}
	said := part(body, "os-update_snapshot_status")
	if said["status"] == nil {
		return 400, refusal(400, "There is no such action.")
	}
	snapshot["status"], snapshot["progress"] = said["status"], said["progress"]
	return 202, nil
}

// AddSnapshot begins a snapshot of a volume, as a service does that then asks
// compute for it, and returns its id.
func (s *Service) AddSnapshot(volumeID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(nil, "snapshot", object{"volume_id": volumeID, "name": "s", "size": s.volumes[volumeID]["size"], "status": "new", "metadata": object{}})["id"].(string)
}

// SnapshotStatus is the status of a snapshot.
func (s *Service) SnapshotStatus(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, _ := s.snapshots[id]["status"].(string)
	return status
}
