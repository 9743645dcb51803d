package api

import (
	"context"
	"maps"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
)

func (a *api) listMetadata(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	m, err := a.control.Metadata(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"metadata": orEmpty(m)}), nil
}

func (a *api) mergeMetadata(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.changeMetadata(ctx, r, "create", func(old, new map[string]string) map[string]string {
		maps.Copy(old, new)
		return old
	})
}

func (a *api) replaceMetadata(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.changeMetadata(ctx, r, "update_all", func(_, new map[string]string) map[string]string { return new })
}

func (a *api) changeMetadata(ctx context.Context, r *rest.Request, rule string, change func(old, new map[string]string) map[string]string) (*rest.Response, error) {
	data, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	var probe map[string]any
	if err := rest.Decode(data, r.Version, false, &probe); err != nil {
		return nil, err
	}
	if _, ok := probe["metadata"]; !ok {
		return nil, fault.Invalidf("Invalid input for field/attribute body. 'metadata' is a required property.")
	}
	var body struct {
		Metadata map[string]string `json:"metadata"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.Metadata == nil {
		return nil, fault.Invalidf("Invalid input for field/attribute metadata. Value: None. None is not of type 'object'")
	}
	if err := checkMetadata(body.Metadata); err != nil {
		return nil, err
	}
	m, err := a.control.ChangeMetadata(ctx, r.Path("id"), rule, func(old map[string]string) (map[string]string, error) { return change(old, body.Metadata), nil })
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"metadata": orEmpty(m)}), nil
}

func (a *api) showMetadataItem(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	m, err := a.control.Metadata(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	key := r.Path("key")
	value, ok := m[key]
	if !ok {
		return nil, fault.NotFoundf("Metadata item was not found")
	}
	return rest.OK(map[string]any{"meta": map[string]string{key: value}}), nil
}

func (a *api) setMetadataItem(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Meta map[string]string `json:"meta" check:"required len=1"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := checkMetadata(body.Meta); err != nil {
		return nil, err
	}
	key := r.Path("key")
	value, ok := body.Meta[key]
	if !ok {
		return nil, fault.Invalidf("Request body and URI mismatch")
	}
	_, err := a.control.ChangeMetadata(ctx, r.Path("id"), "update", func(old map[string]string) (map[string]string, error) {
		old[key] = value
		return old, nil
	})
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"meta": body.Meta}), nil
}

func (a *api) deleteMetadataItem(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	key := r.Path("key")
	_, err := a.control.ChangeMetadata(ctx, r.Path("id"), "delete", func(old map[string]string) (map[string]string, error) {
		if _, ok := old[key]; !ok {
			return nil, fault.NotFoundf("Metadata item was not found")
		}
		delete(old, key)
		return old, nil
	})
	return rest.NoContent(), err
}
