package remote

import (
	"context"
	"net/http"
	"net/url"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type volumeSnapshot struct {
	ID          string     `json:"id"`
	Name        *string    `json:"name"`
	Description *string    `json:"description"`
	VolumeID    string     `json:"volume_id"`
	Status      string     `json:"status"`
	Size        int        `json:"size"`
	CreatedAt   cinderTime `json:"created_at"`
}

func (x volumeSnapshot) snapshot() compute.VolumeSnapshot {
	return compute.VolumeSnapshot{ID: x.ID, Name: textOf(x.Name), Description: textOf(x.Description), VolumeID: x.VolumeID, Status: x.Status, SizeGB: x.Size,
		CreatedAt: x.CreatedAt.Time}
}

type volumeSnapshotBody struct {
	Snapshot volumeSnapshot `json:"snapshot"`
}

// Snapshot implements compute.Volumes.
func (v *Volumes) Snapshot(ctx context.Context, id string) (compute.VolumeSnapshot, error) {
	var out volumeSnapshotBody
	err := v.do(ctx, http.MethodGet, "/snapshots/"+url.PathEscape(id), nil, &out)
	if fault.Is(err, fault.NotFound) {
		return compute.VolumeSnapshot{}, fault.NotFoundf("Snapshot %s could not be found.", id)
	}
	return out.Snapshot.snapshot(), err
}

// Snapshots implements compute.OldVolumes.
func (v *Volumes) Snapshots(ctx context.Context) ([]compute.VolumeSnapshot, error) {
	var out struct {
		Snapshots []volumeSnapshot `json:"snapshots"`
	}
	err := v.do(ctx, http.MethodGet, "/snapshots/detail", nil, &out)
	var all []compute.VolumeSnapshot
	for _, x := range out.Snapshots {
		all = append(all, x.snapshot())
	}
	return all, err
}

// CreateSnapshot implements compute.OldVolumes.
func (v *Volumes) CreateSnapshot(ctx context.Context, volumeID, name, description string, force bool) (compute.VolumeSnapshot, error) {
	var out volumeSnapshotBody
	err := v.do(ctx, http.MethodPost, "/snapshots", object{"snapshot": object{"volume_id": volumeID, "name": name, "description": description, "force": force}}, &out)
	return out.Snapshot.snapshot(), overLimit(err)
}

// DeleteSnapshot implements compute.OldVolumes.
func (v *Volumes) DeleteSnapshot(ctx context.Context, id string) error {
	err := v.do(ctx, http.MethodDelete, "/snapshots/"+url.PathEscape(id), nil, nil)
	if fault.Is(err, fault.NotFound) {
		return fault.NotFoundf("Snapshot %s could not be found.", id)
	}
	return err
}

// forImage is the metadata item of a snapshot that says for which image it was
// made: so it is found should nobody be left who knows it.
const forImage = "kilonova_image"

// TakeSnapshot implements compute.Volumes.
func (v *Volumes) TakeSnapshot(ctx context.Context, n compute.NewVolumeSnapshot) (compute.VolumeSnapshot, error) {
	spec := object{"volume_id": n.VolumeID, "name": n.Name, "description": n.Description, "force": true, "metadata": map[string]string{forImage: n.ImageID}}
	var out volumeSnapshotBody
	err := v.do(ctx, http.MethodPost, "/snapshots", object{"snapshot": spec}, &out)
	return out.Snapshot.snapshot(), overLimit(err)
}

// SnapshotsFor implements compute.Volumes.
func (v *Volumes) SnapshotsFor(ctx context.Context, volumeID, imageID string) ([]string, error) {
	var out struct {
		Snapshots []struct {
			ID       string            `json:"id"`
			VolumeID string            `json:"volume_id"`
			Metadata map[string]string `json:"metadata"`
		} `json:"snapshots"`
	}
	err := v.do(ctx, http.MethodGet, "/snapshots/detail?"+url.Values{"volume_id": {volumeID}, "all_tenants": {"1"}}.Encode(), nil, &out)
	var ids []string
	for _, x := range out.Snapshots {
		if x.VolumeID == volumeID && x.Metadata[forImage] == imageID {
			ids = append(ids, x.ID)
		}
	}
	return ids, err
}

// DropSnapshot implements compute.Volumes.
func (v *Volumes) DropSnapshot(ctx context.Context, id string) error {
	if err := v.DeleteSnapshot(ctx, id); !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}
