package api

import (
	"context"

	"kilonova/internal/rest"
)

func (a *api) infoImport(context.Context, *rest.Request) (*rest.Response, error) {
	methods := a.o.EnabledImportMethods
	if methods == nil {
		methods = []string{}
	}
	return rest.OK(map[string]any{"import-methods": map[string]any{
		"description": "Import methods available.", "type": "array", "value": methods}}), nil
}

type storeView struct {
	ID          string         `json:"id"`
	Type        string         `json:"type,omitempty"`
	Description string         `json:"description,omitempty"`
	Default     string         `json:"default,omitempty"`   // "true"
	ReadOnly    string         `json:"read-only,omitempty"` // "true"
	Weight      *int           `json:"weight,omitempty"`
	Properties  map[string]any `json:"properties,omitzero"`
}

func (a *api) stores(detail bool) *rest.Response {
	list := []storeView{}
	chosen := false
	for _, b := range a.c.Backends() {
		v := storeView{ID: b.ID, Description: b.Description}
		if b.Default && !chosen {
			v.Default, chosen = "true", true
		}
		if b.ReadOnly() {
			v.ReadOnly = "true"
		}
		if detail {
			v.Type, v.Weight, v.Properties = b.Type, &b.Weight, map[string]any{}
		}
		list = append(list, v)
	}
	if !chosen {
		list[0].Default = "true"
	}
	return rest.OK(map[string]any{"stores": list})
}

func (a *api) infoStores(context.Context, *rest.Request) (*rest.Response, error) {
	return a.stores(false), nil
}

func (a *api) infoStoresDetail(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	if err := a.c.MayListBackends(ctx); err != nil {
		return nil, err
	}
	return a.stores(true), nil
}

// infoUsage tells what a project's images take, in MiB and pieces; -1: no limit.
func (a *api) infoUsage(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	all, err := a.c.Usage(ctx)
	if err != nil {
		return nil, err
	}
	usage := map[string]any{}
	for _, u := range all {
		usage[u.Resource] = map[string]int64{"limit": u.Limit, "usage": u.Used}
	}
	return rest.OK(map[string]any{"usage": usage}), nil
}
