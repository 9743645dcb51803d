package control

import (
	"context"
	"net/netip"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// Routers lists the routers that the caller sees.
func (c *Control) Routers(ctx context.Context, q network.Query) ([]network.Router, error) {
	if !c.reads(ctx, "get_router") {
		return nil, nil
	}
	list, err := c.store.Routers(ctx, c.store, c.scope(ctx), q)
	return showRouters(ctx, list), err
}

// Router returns a router that the caller sees.
func (c *Control) Router(ctx context.Context, id string) (network.Router, error) {
	r, err := c.store.Router(ctx, c.store, c.scope(ctx), id)
	if err != nil {
		return r.Router, err
	}
	return showRouters(ctx, []store.Router{r})[0], nil
}

func showRouters(ctx context.Context, list []store.Router) []network.Router {
	hidden := !policy.Allows(ctx, "get_router:distributed", auth.Own(ctx))
	out := make([]network.Router, len(list))
	for i, r := range list {
		if hidden {
			r.RouterPlacement = nil
		}
		out[i] = r.Router
	}
	return out
}

// CreateRouter makes a router, with its way out if the request names one.
func (c *Control) CreateRouter(ctx context.Context, in network.RouterInput) (network.Router, error) {
	return c.changeRouter(ctx, func(tx *write) (store.Router, error) { return c.createRouter(ctx, tx, in) })
}

func (c *Control) createRouter(ctx context.Context, tx *write, in network.RouterInput) (store.Router, error) {
	none := store.Router{}
	project := c.project(ctx, in.OwnerInput)
	if err := enforce(ctx, "create_router", owned(project), in); err != nil {
		return none, err
	}
	if err := enforceGateway(ctx, "create_router", owned(project), in.Gateway); err != nil {
		return none, err
	}
	if in.Distributed.Or(false) || in.HA.Or(false) {
		return none, badRequest("router", "there are no distributed or highly available routers here")
	}
	if in.FlavorID.Or("") != "" {
		return none, fault.NotFoundf("Flavor %.64s could not be found.", in.FlavorID.V).WithCode("FlavorNotFound")
	}
	if err := c.takeQuota(ctx, tx, project, "router", 1); err != nil {
		return none, err
	}
	if _, err := c.defaultGroup(ctx, tx, project); err != nil {
		return none, err
	}
	r := store.Router{Router: network.Router{Standard: store.NewStandard(newID(), project, in.Description.Or(""), c.now()), Name: in.Name.Or(""),
		AdminUp: in.AdminUp.Or(true), Status: network.Active, Routes: []network.RouteEntry{}, Zones: []string{}, ZoneHints: orNone(in.ZoneHints.Or(nil)),
		RouterPlacement: &network.RouterPlacement{}}}
	if err := c.checkZones(ctx, tx, "router", r.ZoneHints); err != nil {
		return none, err
	}
	if err := c.store.InsertRouter(ctx, tx.Tx, r); err != nil {
		return none, err
	}
	if !in.Gateway.Set || in.Gateway.Null || in.Gateway.V.NetworkID.Or("") == "" {
		return r, nil
	}
	if err := c.setRouterGateway(ctx, tx, &r, in.Gateway); err != nil {
		return none, err
	}
	return r, c.store.UpdateRouter(ctx, tx.Tx, r, c.now())
}

// changeRouter runs fn in a transaction and shows the router as it then is.
func (c *Control) changeRouter(ctx context.Context, fn func(tx *write) (store.Router, error)) (network.Router, error) {
	var r store.Router
	err := c.write(ctx, func(tx *write) error {
		var err error
		if r, err = fn(tx); err != nil {
			return err
		}
		if err := c.placeRouter(ctx, tx, r.ID); err != nil {
			return err
		}
		tx.router(r.ID)
		r, err = c.store.Router(ctx, tx, store.Everything, r.ID)
		return err
	})
	if err != nil {
		return network.Router{}, err
	}
	return showRouters(ctx, []store.Router{r})[0], nil
}

// enforceGateway checks the rules about parts of external_gateway_info.
func enforceGateway(ctx context.Context, rule string, target auth.Target, in network.Opt[network.GatewayInput]) error {
	if !in.Set || in.Null {
		return nil
	}
	if in.V.EnableSNAT.Set {
		if err := denied(policy.Enforce(ctx, rule+":external_gateway_info:enable_snat", target)); err != nil {
			return err
		}
	}
	if in.V.FixedIPs.Set {
		return denied(policy.Enforce(ctx, rule+":external_gateway_info:external_fixed_ips", target))
	}
	return nil
}

// router reads a router that the caller may change.
func (c *Control) router(ctx context.Context, tx *write, id, rule string, input any) (store.Router, error) {
	// What a router may join depends on all that it has: one change at a time.
	if err := c.store.Lock(ctx, tx.Tx, "routers", id); err != nil {
		return store.Router{}, err
	}
	r, err := c.store.Router(ctx, tx, c.scope(ctx), id)
	if err != nil {
		return r, err
	}
	return r, enforce(ctx, rule, owned(r.ProjectID), input)
}

// UpdateRouter changes a router.
func (c *Control) UpdateRouter(ctx context.Context, id string, in network.RouterInput, m network.Match) (network.Router, error) {
	return c.changeRouter(ctx, func(tx *write) (store.Router, error) {
		r, err := c.router(ctx, tx, id, "update_router", in)
		if err != nil {
			return r, err
		}
		if err := enforceGateway(ctx, "update_router", owned(r.ProjectID), in.Gateway); err != nil {
			return r, err
		}
		if err := matches(m, r.Standard); err != nil {
			return r, err
		}
		if in.Distributed.Or(false) || in.HA.Or(false) {
			return r, badRequest("router", "there are no distributed or highly available routers here")
		}
		r.Name, r.Description, r.AdminUp = in.Name.Or(r.Name), in.Description.Or(r.Description), in.AdminUp.Or(r.AdminUp)
		if in.Gateway.Set {
			if err := c.setRouterGateway(ctx, tx, &r, in.Gateway); err != nil {
				return r, err
			}
		}
		if in.Routes.Set {
			if err := c.setRoutes(ctx, tx, &r, in.Routes.V); err != nil {
				return r, err
			}
		}
		return r, c.store.UpdateRouter(ctx, tx.Tx, r, c.now())
	})
}

// ExtraRoutes adds routes to a router, or removes them.
func (c *Control) ExtraRoutes(ctx context.Context, id string, routes []network.RouteEntry, add bool) (network.Router, error) {
	rule := map[bool]string{true: "add_extraroutes", false: "remove_extraroutes"}[add]
	return c.changeRouter(ctx, func(tx *write) (store.Router, error) {
		r, err := c.router(ctx, tx, id, rule, nil)
		if err != nil {
			return r, err
		}
		if err := checkRoutes("routes", routes); err != nil {
			return r, err
		}
		kept := slices.DeleteFunc(slices.Clone(r.Routes), func(x network.RouteEntry) bool { return slices.Contains(routes, x) })
		if add {
			kept = append(kept, routes...)
		}
		if err := c.setRoutes(ctx, tx, &r, kept); err != nil {
			return r, err
		}
		return r, c.store.UpdateRouter(ctx, tx.Tx, r, c.now())
	})
}

// setRoutes replaces a router's extra routes. Each next hop must be on one of its
// networks, and not be the router itself.
func (c *Control) setRoutes(ctx context.Context, tx *write, r *store.Router, routes []network.RouteEntry) error {
	if len(routes) > c.options.MaxRoutes {
		return fault.Invalidf("Unable to add routes to router %s: the number of routes exceeds the maximum %d.", r.ID, c.options.MaxRoutes).WithCode("RoutesExhausted")
	}
	if err := checkRoutes("routes", routes); err != nil {
		return err
	}
	ports, err := c.routerPorts(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	var cidrs []netip.Prefix
	own := map[string]bool{}
	for _, p := range ports {
		subnets, err := c.store.SubnetsOf(ctx, tx, p.NetworkID)
		if err != nil {
			return err
		}
		for _, f := range p.FixedIPs {
			own[f.IP] = true
			for _, s := range subnets {
				if s.ID == f.SubnetID {
					cidrs = append(cidrs, netip.MustParsePrefix(s.CIDR))
				}
			}
		}
	}
	for _, route := range routes {
		hop := netip.MustParseAddr(route.NextHop)
		if !slices.ContainsFunc(cidrs, func(p netip.Prefix) bool { return p.Contains(hop) }) {
			return fault.Invalidf("Invalid format for routes: %v, the nexthop is not connected with router.", route).WithCode("InvalidRoutes")
		}
		if own[route.NextHop] {
			return fault.Invalidf("Invalid format for routes: %v, the nexthop is used by router.", route).WithCode("InvalidRoutes")
		}
	}
	r.Routes = orNone(routes)
	return nil
}

// routerPorts lists a router's interfaces and its gateway.
func (c *Control) routerPorts(ctx context.Context, tx *write, routerID string) ([]network.Port, error) {
	return c.store.PortsWhere(ctx, tx, `t.device_id = ? AND t.device_owner IN (?, ?)`, routerID, network.OwnerRouterInterface, network.OwnerRouterGateway)
}

// DeleteRouter removes a router without interfaces; its gateway goes with it.
func (c *Control) DeleteRouter(ctx context.Context, id string, m network.Match) error {
	return c.write(ctx, func(tx *write) error { return c.deleteRouter(ctx, tx, id, m) })
}

func (c *Control) deleteRouter(ctx context.Context, tx *write, id string, m network.Match) error {
	r, err := c.router(ctx, tx, id, "delete_router", nil)
	if err != nil {
		return err
	}
	if err := matches(m, r.Standard); err != nil {
		return err
	}
	ports, err := c.routerPorts(ctx, tx, id)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.DeviceOwner == network.OwnerRouterInterface {
			return fault.Conflictf("Router %s still has ports.", id).WithCode("RouterInUse")
		}
	}
	if err := c.clearGateway(ctx, tx, &r); err != nil {
		return err
	}
	tx.host(r.Host)
	return c.store.DeleteRouter(ctx, tx.Tx, id)
}
