package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

func (a *api) volumeAttachments() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/servers/{id}/os-volume_attachments", Handle: a.listAttachments, Doc: "list volume attachments"},
		{Method: "POST", Path: "/servers/{id}/os-volume_attachments", Handle: a.attachVolume, Doc: "attach volume"},
		{Method: "GET", Path: "/servers/{id}/os-volume_attachments/{volume}", Handle: a.showAttachment, Doc: "show volume attachment"},
		{Method: "PUT", Path: "/servers/{id}/os-volume_attachments/{volume}", Handle: a.updateAttachment, Doc: "update or swap volume attachment"},
		{Method: "DELETE", Path: "/servers/{id}/os-volume_attachments/{volume}", Handle: a.detachVolume, Doc: "detach volume"},
	}
}

type attachmentView struct {
	ID           *string `json:"id,omitempty" mv:"-2.88"` // the volume's
	ServerID     string  `json:"serverId"`
	VolumeID     string  `json:"volumeId"`
	Device       *string `json:"device"`
	Tag          *string `json:"tag" mv:"2.70-"`
	DeleteOnEnd  bool    `json:"delete_on_termination" mv:"2.79-"`
	AttachmentID *string `json:"attachment_id,omitempty" mv:"2.89-"`
	DeviceID     *string `json:"bdm_uuid,omitempty" mv:"2.89-"`
}

func viewAttachment(serverID string, d compute.BlockDevice) *attachmentView {
	return &attachmentView{ID: &d.VolumeID, ServerID: serverID, VolumeID: d.VolumeID, Device: orNull(d.Device), Tag: orNull(d.Tag), DeleteOnEnd: d.DeleteOnEnd,
		AttachmentID: orNull(d.AttachmentID), DeviceID: &d.ID}
}

type attachmentBody struct {
	Attachment *attachmentView `json:"volumeAttachment"`
}

func (a *api) listAttachments(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, err := a.control.Devices(ctx, "index", r.Path("id"))
	if err != nil {
		return nil, err
	}
	offset, err := r.QueryInt("offset", 0)
	if err != nil {
		return nil, err
	}
	page, err := r.Page(a.most)
	if err != nil {
		return nil, err
	}
	all = all[min(offset, len(all)):]
	all = all[:min(page.Limit, len(all))]
	return &rest.Response{Items: &rest.Items{Key: "volumeAttachments", Each: func(yield func(any) error) error {
		for _, d := range all {
			if err := yield(viewAttachment(r.Path("id"), d)); err != nil {
				return err
			}
		}
		return nil
	}}}, nil
}

func (a *api) showAttachment(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, err := a.control.Devices(ctx, "show", r.Path("id"))
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.VolumeID == r.Path("volume") {
			return rest.OK(&attachmentBody{viewAttachment(r.Path("id"), d)}), nil
		}
	}
	return nil, fault.NotFoundf("Instance %s is not attached to volume %s", r.Path("id"), r.Path("volume"))
}

func (a *api) attachVolume(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Attachment *struct {
			VolumeID    string    `json:"volumeId" check:"required uuid"`
			Device      *string   `json:"device" check:"null match=devpath"`
			Tag         *string   `json:"tag" mv:"2.49-" check:"match=devicetag len=1..60"`
			DeleteOnEnd rest.Bool `json:"delete_on_termination" mv:"2.79-"`
		} `json:"volumeAttachment" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Attachment
	n := control.NewAttachment{VolumeID: b.VolumeID, DeleteOnEnd: bool(b.DeleteOnEnd)}
	if b.Tag != nil {
		n.Tag = *b.Tag
	}
	if b.Device != nil {
		n.Device = *b.Device
	}
	device, err := a.control.AttachVolume(ctx, r.Path("id"), n, r.Version.AtLeast("2.20"), r.Version.AtLeast("2.60"))
	if err != nil {
		return nil, err
	}
	if r.Version.AtLeast("2.101") {
		return rest.Accepted(nil), nil
	}
	view := viewAttachment(r.Path("id"), device)
	view.AttachmentID, view.DeviceID = nil, nil
	return rest.OK(&struct {
		Attachment *madeAttachment `json:"volumeAttachment"`
	}{&madeAttachment{view.ID, view.ServerID, view.VolumeID, view.Device, view.Tag, view.DeleteOnEnd}}), nil
}

// madeAttachment is what the answer to an attach has at every version.
type madeAttachment struct {
	ID          *string `json:"id"`
	ServerID    string  `json:"serverId"`
	VolumeID    string  `json:"volumeId"`
	Device      *string `json:"device"`
	Tag         *string `json:"tag" mv:"2.70-"`
	DeleteOnEnd bool    `json:"delete_on_termination" mv:"2.79-"`
}

// updateAttachment swaps a volume for another, or since 2.85 says of the same one
// whether it goes with the server.
func (a *api) updateAttachment(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Attachment *struct {
			VolumeID    string     `json:"volumeId" check:"required uuid"`
			ID          *string    `json:"id" mv:"2.85-" check:"uuid"`
			ServerID    *string    `json:"serverId" mv:"2.85-" check:"uuid"`
			Device      *string    `json:"device" mv:"2.85-" check:"null match=devpath"`
			Tag         *string    `json:"tag" mv:"2.85-" check:"match=devicetag len=1..60"`
			DeleteOnEnd *rest.Bool `json:"delete_on_termination" mv:"2.85-"`
		} `json:"volumeAttachment" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b, volume := body.Attachment, r.Path("volume")
	if b.VolumeID != volume || !r.Version.AtLeast("2.85") {
		return rest.Accepted(nil), a.control.SwapVolume(ctx, r.Path("id"), volume, b.VolumeID)
	}
	if b.DeleteOnEnd == nil {
		return rest.Accepted(nil), a.control.SwapVolume(ctx, r.Path("id"), volume, b.VolumeID)
	}
	// what cannot be changed may be sent as it is
	same := func(d compute.BlockDevice) error {
		for _, m := range []struct {
			name string
			sent *string
			is   string
		}{{"id", b.ID, d.VolumeID}, {"serverId", b.ServerID, r.Path("id")}, {"device", b.Device, d.Device}, {"tag", b.Tag, d.Tag}} {
			if m.sent != nil && *m.sent != m.is {
				return fault.Invalidf("The %s of a volume attachment cannot be changed.", m.name)
			}
		}
		return nil
	}
	return rest.Accepted(nil), a.control.KeepVolume(ctx, r.Path("id"), volume, same, bool(*b.DeleteOnEnd))
}

func (a *api) detachVolume(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.Accepted(nil), a.control.DetachVolume(ctx, r.Path("id"), r.Path("volume"))
}
