package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
)

func (a *api) view(ctx context.Context, i *image.Image) imageView {
	return imageView{i, &a.o, (a.o.ShowLocations || a.o.ShowDirectURL) && a.c.ShowsLocations(ctx, i)}
}

// decode reads a JSON body, keeping numbers as they are written.
func decode(r *rest.Request, into any) error {
	data, err := r.Bytes()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return fault.Invalidf("Body expected in request.")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return fault.Invalidf("Malformed JSON in request body: %v.", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fault.Invalidf("Malformed JSON in request body: there is more after the JSON text.")
	}
	return nil
}

func (a *api) createImage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var fields map[string]any
	if err := decode(r, &fields); err != nil {
		return nil, err
	}
	i, err := a.c.Create(ctx, fields)
	if err != nil {
		return nil, err
	}
	var stores []string
	for _, b := range a.c.Backends() {
		if !b.ReadOnly() {
			stores = append(stores, b.ID)
		}
	}
	resp := rest.Created(a.view(ctx, i)).With("Location", r.Link("/v2/images/"+i.ID)).
		With("OpenStack-image-store-ids", strings.Join(stores, ","))
	if len(a.o.EnabledImportMethods) > 0 {
		resp.With("OpenStack-image-import-methods", strings.Join(a.o.EnabledImportMethods, ","))
	}
	return resp, nil
}

func (a *api) showImage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	i, err := a.c.Get(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(a.view(ctx, i)), nil
}

func (a *api) listImages(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	l, err := a.list(r.Query)
	if err != nil {
		return nil, err
	}
	list, err := a.c.List(ctx, l)
	if err != nil {
		return nil, err
	}
	tail := map[string]any{"schema": "/v2/schemas/images", "first": page(r, "/v2/images", "")}
	if len(list) > 0 && len(list) == l.Limit {
		tail["next"] = page(r, "/v2/images", list[len(list)-1].ID)
	}
	return &rest.Response{Items: &rest.Items{Key: "images", Each: func(yield func(any) error) error {
		for i := range list {
			if err := yield(a.view(ctx, &list[i])); err != nil {
				return err
			}
		}
		return nil
	}, Tail: func() map[string]any { return tail }}}, nil
}

func (a *api) deleteImage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.Delete(ctx, r.Path("id"))
}

func (a *api) deleteFromStore(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteFromStore(ctx, r.Path("id"), r.Path("store"))
}

func (a *api) deactivate(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.Deactivate(ctx, r.Path("id"))
}

func (a *api) reactivate(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.Reactivate(ctx, r.Path("id"))
}

func (a *api) addTag(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.AddTag(ctx, r.Path("id"), r.Path("tag"))
}

func (a *api) removeTag(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.RemoveTag(ctx, r.Path("id"), r.Path("tag"))
}

func (a *api) addLocation(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body map[string]any
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	i, err := a.c.AddLocation(ctx, r.Path("id"), body)
	if err != nil {
		return nil, err
	}
	return rest.Accepted(locationViews(i)), nil
}

func (a *api) listLocations(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	i, err := a.c.Locations(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(locationViews(i)), nil
}
