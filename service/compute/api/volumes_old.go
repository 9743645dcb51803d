package api

import (
	"context"
	"fmt"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

// oldVolumes are volumes and snapshots of the volume service under the names that
// they had when they were compute's.
func (a *api) oldVolumes() []rest.Route {
	const until = "2.1-2.35"
	return []rest.Route{
		{Method: "GET", Path: "/os-volumes", Versions: until, Handle: a.listVolumes("list"), Doc: "list volumes"},
		{Method: "POST", Path: "/os-volumes", Versions: until, Handle: a.createVolume, Doc: "create volume"},
		{Method: "GET", Path: "/os-volumes/detail", Versions: until, Handle: a.listVolumes("detail"), Doc: "list volumes detailed"},
		{Method: "GET", Path: "/os-volumes/{id}", Versions: until, Handle: a.showVolume, Doc: "show volume"},
		{Method: "DELETE", Path: "/os-volumes/{id}", Versions: until, Handle: a.deleteVolume, Doc: "delete volume"},
		{Method: "GET", Path: "/os-snapshots", Versions: until, Handle: a.listSnapshots("list"), Doc: "list volume snapshots"},
		{Method: "POST", Path: "/os-snapshots", Versions: until, Handle: a.createSnapshot, Doc: "create volume snapshot"},
		{Method: "GET", Path: "/os-snapshots/detail", Versions: until, Handle: a.listSnapshots("detail"), Doc: "list volume snapshots detailed"},
		{Method: "GET", Path: "/os-snapshots/{id}", Versions: until, Handle: a.showSnapshot, Doc: "show volume snapshot"},
		{Method: "DELETE", Path: "/os-snapshots/{id}", Versions: until, Handle: a.deleteSnapshot, Doc: "delete volume snapshot"},
	}
}

type volumeView struct {
	ID          string            `json:"id"`
	Status      string            `json:"status"`
	Size        int               `json:"size"`
	Zone        *string           `json:"availabilityZone"`
	CreatedAt   rest.MicroTime    `json:"createdAt"`
	Attachments []any             `json:"attachments"`
	Name        *string           `json:"displayName"`
	Description *string           `json:"displayDescription"`
	Type        *string           `json:"volumeType"`
	SnapshotID  *string           `json:"snapshotId"`
	Metadata    map[string]string `json:"metadata"`
}

// viewVolume shows a volume as then: with one attachment, or with an empty one.
func viewVolume(v compute.Volume) *volumeView {
	view := &volumeView{ID: v.ID, Status: v.Status, Size: v.SizeGB, Zone: orNull(v.Zone), CreatedAt: rest.MicroTime{Time: v.CreatedAt}, Attachments: []any{struct{}{}},
		Name: orNull(v.Name), Description: orNull(v.Description), Type: orNull(v.Type), SnapshotID: orNull(v.SnapshotID), Metadata: orEmpty(v.Metadata)}
	if len(v.Attachments) > 0 {
		use := map[string]string{"id": v.ID, "volumeId": v.ID, "serverId": v.Attachments[0].ServerID}
		if d := v.Attachments[0].Device; d != "" {
			use["device"] = d
		}
		view.Attachments = []any{use}
	}
	return view
}

// window is the part of a list between offset and limit.
func window[T any](a *api, r *rest.Request, all []T) ([]T, error) {
	offset, err := r.QueryInt("offset", 0)
	if err != nil {
		return nil, err
	}
	page, err := r.Page(a.most)
	if err != nil {
		return nil, err
	}
	all = all[min(offset, len(all)):]
	return all[:min(page.Limit, len(all))], nil
}

func (a *api) listVolumes(rule string) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		if err := a.control.MayVolumes(ctx, rule); err != nil {
			return nil, err
		}
		all, err := a.control.OldVolumes.List(ctx)
		if err != nil {
			return nil, err
		}
		if all, err = window(a, r, all); err != nil {
			return nil, err
		}
		views := []*volumeView{}
		for _, v := range all {
			views = append(views, viewVolume(v))
		}
		return rest.OK(map[string]any{"volumes": views}), nil
	}
}

func (a *api) showVolume(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.MayVolumes(ctx, "show"); err != nil {
		return nil, err
	}
	v, err := a.control.Volumes.Volume(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"volume": viewVolume(v)}), nil
}

func (a *api) createVolume(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Volume *struct {
			Size        *rest.Int      `json:"size" check:"required range=1.."`
			Name        string         `json:"display_name"`
			Description string         `json:"display_description"`
			Type        string         `json:"volume_type"`
			Zone        string         `json:"availability_zone"`
			SnapshotID  string         `json:"snapshot_id"`
			Metadata    map[string]any `json:"metadata"`
		} `json:"volume" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := a.control.MayVolumes(ctx, "create"); err != nil {
		return nil, err
	}
	b := body.Volume
	n := compute.NewVolume{Name: b.Name, Description: b.Description, SizeGB: int(*b.Size), Type: b.Type, Zone: b.Zone, SnapshotID: b.SnapshotID, Metadata: map[string]string{}}
	for name, value := range b.Metadata {
		text, ok := value.(string)
		if !ok {
			text = fmt.Sprint(value)
		}
		n.Metadata[name] = text
	}
	if n.SnapshotID != "" {
		if _, err := a.control.Volumes.Snapshot(ctx, n.SnapshotID); err != nil {
			return nil, err
		}
	}
	v, err := a.control.Volumes.Create(ctx, n)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"volume": viewVolume(v)}).With("Location", r.Link("/v2.1/os-volumes/"+v.ID)), nil
}

func (a *api) deleteVolume(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.MayVolumes(ctx, "delete"); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.Volumes.Delete(ctx, r.Path("id"))
}

type snapshotView struct {
	ID          string         `json:"id"`
	Status      string         `json:"status"`
	Size        int            `json:"size"`
	CreatedAt   rest.MicroTime `json:"createdAt"`
	Name        *string        `json:"displayName"`
	Description *string        `json:"displayDescription"`
	VolumeID    string         `json:"volumeId"`
}

func viewSnapshot(s compute.VolumeSnapshot) *snapshotView {
	return &snapshotView{ID: s.ID, Status: s.Status, Size: s.SizeGB, CreatedAt: rest.MicroTime{Time: s.CreatedAt}, Name: orNull(s.Name), Description: orNull(s.Description),
		VolumeID: s.VolumeID}
}

func (a *api) listSnapshots(rule string) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		if err := a.control.MayVolumes(ctx, "snapshots:"+rule); err != nil {
			return nil, err
		}
		all, err := a.control.OldVolumes.Snapshots(ctx)
		if err != nil {
			return nil, err
		}
		if all, err = window(a, r, all); err != nil {
			return nil, err
		}
		views := []*snapshotView{}
		for _, s := range all {
			views = append(views, viewSnapshot(s))
		}
		return rest.OK(map[string]any{"snapshots": views}), nil
	}
}

func (a *api) showSnapshot(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.MayVolumes(ctx, "snapshots:show"); err != nil {
		return nil, err
	}
	s, err := a.control.Volumes.Snapshot(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"snapshot": viewSnapshot(s)}), nil
}

func (a *api) createSnapshot(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Snapshot *struct {
			VolumeID    *string   `json:"volume_id" check:"required"`
			Name        string    `json:"display_name"`
			Description string    `json:"display_description"`
			Force       rest.Bool `json:"force"`
		} `json:"snapshot" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := a.control.MayVolumes(ctx, "snapshots:create"); err != nil {
		return nil, err
	}
	b := body.Snapshot
	s, err := a.control.OldVolumes.CreateSnapshot(ctx, *b.VolumeID, b.Name, b.Description, bool(b.Force))
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"snapshot": viewSnapshot(s)}), nil
}

func (a *api) deleteSnapshot(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.MayVolumes(ctx, "snapshots:delete"); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.OldVolumes.DeleteSnapshot(ctx, r.Path("id"))
}
