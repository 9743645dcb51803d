package cinder

import "net/http"

func (s *Service) limits(r *http.Request, _ object) (int, any) {
	volumes, gigabytes, snapshots := 0, 0.0, 0
	for id, v := range s.volumes {
		if s.listed(r, id) {
			size, _ := v["size"].(float64)
			volumes, gigabytes = volumes+1, gigabytes+size
		}
	}
	for id := range s.snapshots {
		if s.listed(r, id) {
			snapshots++
		}
	}
	return 200, object{"limits": object{"rate": []any{}, "absolute": object{"maxTotalVolumes": 1000, "maxTotalVolumeGigabytes": 100000, "maxTotalSnapshots": 1000,
		"totalVolumesUsed": volumes, "totalGigabytesUsed": gigabytes, "totalSnapshotsUsed": snapshots, "maxTotalBackups": 10, "maxTotalBackupGigabytes": 1000,
		"totalBackupsUsed": 0, "totalBackupGigabytesUsed": 0}}}
}

func (s *Service) quota(r *http.Request, _ object) (int, any) {
	return 200, object{"quota_set": object{"id": r.PathValue("id"), "volumes": 1000, "snapshots": 1000, "gigabytes": 100000}}
}
