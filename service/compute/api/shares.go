package api

import (
	"context"
	"net/http"

	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

func (a *api) sharesAndSnapshots() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/servers/{id}/shares", Versions: "2.97-", Handle: a.listShares, Doc: "list share attachments"},
		{Method: "POST", Path: "/servers/{id}/shares", Versions: "2.97-", Handle: a.attachShare, Doc: "attach share"},
		{Method: "GET", Path: "/servers/{id}/shares/{share}", Versions: "2.97-", Handle: a.showShare, Doc: "show share attachment"},
		{Method: "DELETE", Path: "/servers/{id}/shares/{share}", Versions: "2.97-", Handle: a.detachShare, Doc: "detach share"},
		{Method: "POST", Path: "/os-assisted-volume-snapshots", Handle: a.createAssistedSnapshot, Doc: "snapshot volume by its hypervisor"},
		{Method: "DELETE", Path: "/os-assisted-volume-snapshots/{id}", Handle: a.deleteAssistedSnapshot, Doc: "delete snapshot by its hypervisor"},
	}
}

// shareView is a server's share; what only administrators see is nil for others.
type shareView struct {
	ID             *string             `json:"uuid,omitempty"`
	ShareID        string              `json:"share_id"`
	Status         compute.ShareStatus `json:"status"`
	Tag            string              `json:"tag"`
	ExportLocation *string             `json:"export_location,omitempty"`
}

func viewShare(x compute.Share) shareView {
	return shareView{ShareID: x.ShareID, Status: x.Status, Tag: x.Tag}
}

func (a *api) shareShown(ctx context.Context, status int, x compute.Share) *rest.Response {
	view := viewShare(x)
	if a.control.Policy.Allows(ctx, "context_is_admin", nil) {
		view.ID, view.ExportLocation = &x.ID, &x.ExportLocation
	}
	return &rest.Response{Status: status, Body: map[string]any{"share": view}}
}

func (a *api) listShares(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, err := a.control.Shares(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	views := []shareView{}
	for _, x := range all {
		views = append(views, viewShare(x))
	}
	return rest.OK(map[string]any{"shares": views}), nil
}

func (a *api) showShare(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	x, err := a.control.Share(ctx, r.Path("id"), r.Path("share"))
	if err != nil {
		return nil, err
	}
	return a.shareShown(ctx, http.StatusOK, x), nil
}

func (a *api) attachShare(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Share *struct {
			ShareID string  `json:"share_id" check:"required uuid"`
			Tag     *string `json:"tag" check:"match=id len=1..255"`
		} `json:"share" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	tag := ""
	if body.Share.Tag != nil {
		tag = *body.Share.Tag
	}
	x, err := a.control.AttachShare(ctx, r.Path("id"), body.Share.ShareID, tag)
	if err != nil {
		return nil, err
	}
	return a.shareShown(ctx, http.StatusCreated, x), nil
}

func (a *api) detachShare(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return &rest.Response{Status: http.StatusOK}, a.control.DetachShare(ctx, r.Path("id"), r.Path("share"))
}

func (a *api) createAssistedSnapshot(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Snapshot *struct {
			VolumeID string `json:"volume_id" check:"required"`
			Info     *struct {
				ID         *string `json:"id" check:"len=1.."`
				SnapshotID string  `json:"snapshot_id" check:"required"`
				Type       string  `json:"type" check:"required enum=qcow2"`
				NewFile    string  `json:"new_file" check:"required"`
			} `json:"create_info" check:"required"`
		} `json:"snapshot" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	volume, info := body.Snapshot.VolumeID, body.Snapshot.Info
	if err := a.control.SnapshotVolume(ctx, control.VolumeSnapshot{VolumeID: volume, SnapshotID: info.SnapshotID, File: info.NewFile}); err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"snapshot": map[string]any{"id": info.ID, "volumeId": volume}}), nil
}

func (a *api) deleteAssistedSnapshot(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.control.DropVolumeSnapshot(ctx, r.Path("id"), r.Query.Get("delete_info"))
}
