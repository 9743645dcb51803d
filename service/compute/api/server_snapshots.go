package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute/control"
)

func (a *api) snapshots() []rest.Route {
	return []rest.Route{
		{Method: "POST", Path: "/servers/{id}/action", Action: "createImage", Handle: a.createImage, Doc: "create image of server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "createBackup", Handle: a.createBackup, Doc: "create backup of server"},
	}
}

func notNull(name string) error {
	return fault.Invalidf("Invalid input for field/attribute %s. It is not of type 'null'", name)
}

func (a *api) createImage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Create struct {
			Name     string            `json:"name" check:"required len=1..255 name"`
			Metadata map[string]string `json:"metadata"`
		} `json:"createImage" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	n := control.NewSnapshot{Name: body.Create.Name, Properties: body.Create.Metadata}
	return a.makeImage(ctx, r, n, true)
}

func (a *api) createBackup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Create struct {
			Name     string            `json:"name" check:"required len=1..255 name"`
			Type     *string           `json:"backup_type" check:"required"`
			Rotation *rest.Int         `json:"rotation" check:"required range=0.."`
			Metadata map[string]string `json:"metadata"`
		} `json:"createBackup" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Create
	if *b.Type == "" {
		return nil, fault.Invalidf("Invalid input for field/attribute backup_type. A backup is of a kind that has a name.")
	}
	n := control.NewSnapshot{Name: b.Name, Properties: b.Metadata, Backup: *b.Type, Rotation: int(*b.Rotation)}
	return a.makeImage(ctx, r, n, *b.Rotation > 0)
}

// makeImage answers with the image's id, or before 2.45 with its place, if it is
// to last.
func (a *api) makeImage(ctx context.Context, r *rest.Request, n control.NewSnapshot, lasts bool) (*rest.Response, error) {
	if err := checkMetadata(n.Properties); err != nil {
		return nil, err
	}
	n.CheckQuota = !r.Version.AtLeast("2.39")
	id, err := a.control.CreateImage(ctx, r.Path("id"), n)
	if err != nil {
		return nil, err
	}
	if r.Version.AtLeast("2.45") {
		return rest.Accepted(map[string]string{"image_id": id}), nil
	}
	resp := rest.Accepted(nil)
	if lasts {
		resp.With("Location", r.Link("/images/"+id))
	}
	return resp, nil
}
