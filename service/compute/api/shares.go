package api

import (
	"context"

	"kilonova/internal/rest"
)

func (a *api) sharesAndSnapshots() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/servers/{id}/shares", Versions: "2.97-", Handle: a.listShares, Doc: "list share attachments"},
		{Method: "POST", Path: "/servers/{id}/shares", Versions: "2.97-", Handle: a.attachShare, Doc: "attach share: no driver can"},
		{Method: "GET", Path: "/servers/{id}/shares/{share}", Versions: "2.97-", Handle: a.showShare, Doc: "show share attachment"},
		{Method: "DELETE", Path: "/servers/{id}/shares/{share}", Versions: "2.97-", Handle: a.detachShare, Doc: "detach share"},
		{Method: "POST", Path: "/os-assisted-volume-snapshots", Handle: a.createAssistedSnapshot, Doc: "snapshot volume by its hypervisor: no driver can"},
		{Method: "DELETE", Path: "/os-assisted-volume-snapshots/{id}", Handle: a.deleteAssistedSnapshot, Doc: "delete snapshot by its hypervisor: no driver can"},
	}
}

func (a *api) listShares(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.Shares(ctx, r.Path("id")); err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"shares": []any{}}), nil
}

func (a *api) showShare(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return nil, a.control.Share(ctx, r.Path("id"), r.Path("share"))
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
	return nil, a.control.AttachShare(ctx, r.Path("id"), body.Share.ShareID)
}

func (a *api) detachShare(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return nil, a.control.DetachShare(ctx, r.Path("id"), r.Path("share"))
}

func (a *api) createAssistedSnapshot(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Snapshot *struct {
			VolumeID string `json:"volume_id" check:"required"`
			Info     *struct {
				ID         string `json:"id"`
				SnapshotID string `json:"snapshot_id" check:"required"`
				Type       string `json:"type" check:"required enum=qcow2"`
				NewFile    string `json:"new_file" check:"required"`
			} `json:"create_info" check:"required"`
		} `json:"snapshot" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return nil, a.control.SnapshotVolume(ctx, body.Snapshot.VolumeID)
}

func (a *api) deleteAssistedSnapshot(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return nil, a.control.DropVolumeSnapshot(ctx, r.Query.Get("delete_info"))
}
