package api

import (
	"context"
	"net/http"

	"kilonova/internal/rest"
)

// agentRoutes are what agents carry: networks with DHCP, and routers.
func (a *api) agentRoutes() []rest.Route {
	return []rest.Route{
		{Method: http.MethodGet, Path: "/v2.0/agents/{id}/dhcp-networks", Handle: a.agentNetworks, Doc: "List the networks of a DHCP agent"},
		{Method: http.MethodPost, Path: "/v2.0/agents/{id}/dhcp-networks", Handle: a.addAgentNetwork, Doc: "Give a network to a DHCP agent"},
		{Method: http.MethodDelete, Path: "/v2.0/agents/{id}/dhcp-networks/{network}", Handle: a.dropAgentNetwork, Doc: "Take a network off a DHCP agent"},
		{Method: http.MethodGet, Path: "/v2.0/networks/{id}/dhcp-agents", Handle: a.networkAgents, Doc: "List the DHCP agents of a network"},
		{Method: http.MethodGet, Path: "/v2.0/agents/{id}/l3-routers", Handle: a.agentRouters, Doc: "List the routers of an L3 agent"},
		{Method: http.MethodPost, Path: "/v2.0/agents/{id}/l3-routers", Handle: a.addAgentRouter, Doc: "Give a router to an L3 agent"},
		{Method: http.MethodDelete, Path: "/v2.0/agents/{id}/l3-routers/{router}", Handle: a.dropAgentRouter, Doc: "Take a router off an L3 agent"},
		{Method: http.MethodGet, Path: "/v2.0/routers/{id}/l3-agents", Handle: a.routerAgents, Doc: "List the L3 agents of a router"},
	}
}

func (a *api) agentNetworks(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.control.NetworksOfAgent(ctx, r.Path("id"))
	return rest.OK(map[string]any{"networks": orNone(list)}), err
}

func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (a *api) addAgentNetwork(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in struct {
		NetworkID string `json:"network_id"`
	}
	if err := lenient(r, &in); err != nil {
		return nil, err
	}
	return &rest.Response{Status: http.StatusCreated}, a.control.MoveNetwork(ctx, r.Path("id"), in.NetworkID)
}

func (a *api) dropAgentNetwork(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.control.DropNetwork(ctx, r.Path("id"), r.Path("network"))
}

func (a *api) networkAgents(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.control.AgentsOfNetwork(ctx, r.Path("id"))
	return rest.OK(map[string]any{"agents": orNone(list)}), err
}

func (a *api) agentRouters(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.control.RoutersOfAgent(ctx, r.Path("id"))
	return rest.OK(map[string]any{"routers": orNone(list)}), err
}

func (a *api) addAgentRouter(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in struct {
		RouterID string `json:"router_id"`
	}
	if err := lenient(r, &in); err != nil {
		return nil, err
	}
	return &rest.Response{Status: http.StatusCreated}, a.control.MoveRouter(ctx, r.Path("id"), in.RouterID)
}

func (a *api) dropAgentRouter(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.control.DropRouter(ctx, r.Path("id"), r.Path("router"))
}

func (a *api) routerAgents(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.control.AgentsOfRouter(ctx, r.Path("id"))
	return rest.OK(map[string]any{"agents": orNone(list)}), err
}
