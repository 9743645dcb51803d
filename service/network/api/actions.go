package api

import (
	"context"
	"encoding/json"
	"strconv"

	"kilonova/internal/rest"
	"kilonova/service/network"
)

// lenient reads a body whose attributes are few and optional.
func lenient(r *rest.Request, into any) error {
	data, err := r.Bytes()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return badRequest("Malformed request body: %s.", err)
	}
	return nil
}

func (a *api) addInterface(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in network.InterfaceInput
	if err := lenient(r, &in); err != nil {
		return nil, err
	}
	info, err := a.control.AddInterface(ctx, r.Path("id"), in)
	return rest.OK(&info), err
}

func (a *api) removeInterface(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in network.InterfaceInput
	if err := lenient(r, &in); err != nil {
		return nil, err
	}
	info, err := a.control.RemoveInterface(ctx, r.Path("id"), in)
	return rest.OK(&info), err
}

func (a *api) addRoutes(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.changeRoutes(ctx, r, true)
}

func (a *api) removeRoutes(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.changeRoutes(ctx, r, false)
}

func (a *api) changeRoutes(ctx context.Context, r *rest.Request, add bool) (*rest.Response, error) {
	var in struct {
		Router struct {
			Routes []network.RouteEntry `json:"routes"`
		} `json:"router"`
	}
	if err := lenient(r, &in); err != nil {
		return nil, err
	}
	router, err := a.control.ExtraRoutes(ctx, r.Path("id"), in.Router.Routes, add)
	return rest.OK(map[string]any{"router": &router}), err
}

func (a *api) listZones(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	zones, err := a.control.Zones(ctx)
	return rest.OK(map[string]any{"availability_zones": zones}), err
}

// listProviders answers that routers are made by this service itself.
func (a *api) listProviders(context.Context, *rest.Request) (*rest.Response, error) {
	return rest.OK(map[string]any{"service_providers": []any{map[string]any{"service_type": "L3_ROUTER_NAT", "name": "single_node", "default": true}}}), nil
}

func (a *api) listAvailability(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	filters := map[string]string{"network_id": "id", "network_name": "name", "tenant_id": "project_id", "project_id": "project_id"}
	q := network.Query{Filters: map[string][]string{}}
	version := 0
	for name, values := range r.Query {
		switch attr, ok := filters[name]; {
		case ok:
			q.Filters[attr] = values
		case name == "ip_version":
			n, err := strconv.Atoi(values[0])
			if err != nil || n != 4 && n != 6 {
				return nil, badRequest("Invalid input for ip_version. Reason: '%.64s' is not in [4, 6].", values[0])
			}
			version = n
		case name == "fields":
		default:
			return nil, badRequest("['%.64s'] is invalid attribute for filtering", name)
		}
	}
	list, err := a.control.Availability(ctx, "", q, version)
	return rest.OK(map[string]any{"network_ip_availabilities": list}), err
}

func (a *api) showAvailability(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.control.Availability(ctx, r.Path("id"), network.Query{}, 0)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"network_ip_availability": list[0]}), nil
}
