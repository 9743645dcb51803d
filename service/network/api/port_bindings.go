package api

import (
	"context"
	"net/http"

	"kilonova/internal/rest"
	"kilonova/service/network"
)

func (a *api) bindingRoutes() []rest.Route {
	const all, one = "/v2.0/ports/{id}/bindings", "/v2.0/ports/{id}/bindings/{host}"
	return []rest.Route{
		{Method: http.MethodGet, Path: all, Handle: a.listBindings, Doc: "List the bindings of a port"},
		{Method: http.MethodPost, Path: all, Handle: a.createBinding, Doc: "Bind a port to a further host"},
		{Method: http.MethodGet, Path: one, Handle: a.showBinding, Doc: "Show a binding of a port"},
		{Method: http.MethodPut, Path: one, Handle: a.updateBinding, Doc: "Change a binding of a port"},
		{Method: http.MethodDelete, Path: one, Handle: a.deleteBinding, Doc: "Take a port from a host"},
		{Method: http.MethodPut, Path: one + "/activate", Handle: a.activateBinding, Doc: "Have a port use a binding"},
	}
}

func (a *api) listBindings(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, fields, err := query(r)
	if err != nil {
		return nil, err
	}
	list, err := a.control.PortBindings(ctx, r.Path("id"), q)
	if err != nil {
		return nil, err
	}
	shown := make([]any, len(list))
	for i := range list {
		if shown[i], err = pick(&list[i], fields); err != nil {
			return nil, err
		}
	}
	return rest.OK(map[string]any{"bindings": shown}), nil
}

func (a *api) showBinding(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, err := a.control.PortBinding(ctx, r.Path("id"), r.Path("host"))
	if err != nil {
		return nil, err
	}
	shown, err := pick(&b, r.Query["fields"])
	return rest.OK(map[string]any{"binding": shown}), err
}

func (a *api) createBinding(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	inputs, _, err := decodeMany[network.PortBinding, network.PortBindingInput](r, "binding", "", "post")
	if err != nil {
		return nil, err
	}
	b, err := a.control.CreatePortBinding(ctx, r.Path("id"), inputs[0])
	return rest.Created(map[string]any{"binding": &b}), err
}

func (a *api) updateBinding(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	inputs, _, err := decodeMany[network.PortBinding, network.PortBindingInput](r, "binding", "", "put")
	if err != nil {
		return nil, err
	}
	b, err := a.control.UpdatePortBinding(ctx, r.Path("id"), r.Path("host"), inputs[0])
	return rest.OK(map[string]any{"binding": &b}), err
}

func (a *api) activateBinding(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, err := a.control.ActivatePortBinding(ctx, r.Path("id"), r.Path("host"))
	return rest.OK(map[string]any{"binding": &b}), err
}

func (a *api) deleteBinding(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.control.DeletePortBinding(ctx, r.Path("id"), r.Path("host"))
}
