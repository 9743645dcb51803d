package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
	"kilonova/service/image/control"
)

func (a *api) importImage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body map[string]any
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	im := control.Import{MustSucceed: true, AsRequested: body, FromStoreHead: r.Header.Get("X-Image-Meta-Store")}
	method, ok := body["method"].(map[string]any)
	if !ok {
		return nil, fault.Invalidf("Import request requires a 'method' field.")
	}
	if im.Method, ok = method["name"].(string); !ok {
		return nil, fault.Invalidf("Import request requires a 'name' field.")
	}
	im.Named = method
	if v, has := method["uri"]; has {
		if im.URI, ok = v.(string); !ok {
			return nil, fault.Invalidf("'uri' must be a string")
		}
	}
	if v, has := body["all_stores_must_succeed"]; has {
		if im.MustSucceed, ok = v.(bool); !ok {
			return nil, fault.Invalidf("'all_stores_must_succeed' must be boolean value only")
		}
	}
	if v, has := body["all_stores"]; has {
		if im.AllStores, ok = v.(bool); !ok {
			return nil, fault.Invalidf("'all_stores' must be boolean value only")
		}
	}
	if v, has := body["stores"]; has {
		list, ok := v.([]any)
		if !ok {
			return nil, fault.Invalidf("'stores' must be a list of names")
		}
		for _, s := range list {
			name, ok := s.(string)
			if !ok {
				return nil, fault.Invalidf("'stores' must be a list of names")
			}
			im.Stores = append(im.Stores, name)
		}
	}
	return rest.Accepted(nil), a.c.Import(ctx, r.Path("id"), im)
}

func (a *api) imageTasks(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.ImageTasks(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"tasks": taskViews(list)}), nil
}

func taskViews(list []image.Task) []taskView {
	views := make([]taskView, len(list))
	for i := range list {
		views[i] = viewTask(&list[i])
	}
	return views
}

func (a *api) showTask(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	t, err := a.c.Task(ctx, r.Path("task"))
	if err != nil {
		return nil, err
	}
	return rest.OK(viewTask(t)), nil
}

func (a *api) listTasks(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	limit, err := a.limit(r.Query)
	if err != nil {
		return nil, err
	}
	q := image.TaskQuery{Type: r.Query.Get("type"), Status: image.TaskStatus(r.Query.Get("status")), Asc: r.Query.Get("sort_dir") == "asc", Limit: limit}
	list, err := a.c.Tasks(ctx, q, r.Query.Get("marker"))
	if err != nil {
		return nil, err
	}
	body := map[string]any{"tasks": taskViews(list), "first": page(r, "/v2/tasks", ""), "schema": "/v2/schemas/tasks"}
	if len(list) > 0 && len(list) == limit {
		body["next"] = page(r, "/v2/tasks", list[len(list)-1].ID)
	}
	return rest.OK(body), nil
}

func (a *api) createTask(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body map[string]any
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	kind, ok := body["type"].(string)
	input, isObject := body["input"].(map[string]any)
	if !ok || !isObject {
		return nil, fault.Invalidf("Provided object does not match schema 'task': 'type' and 'input' are required properties")
	}
	t, err := a.c.CreateTask(ctx, kind, input)
	if err != nil {
		return nil, err
	}
	return rest.Created(viewTask(t)).With("Location", r.Link("/v2/tasks/"+t.ID)), nil
}

func (a *api) deleteTask(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	return nil, a.c.DeleteTask(ctx)
}
