package control

import (
	"context"
	"slices"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// schedulePeriod is how often what waits for an agent, or has lost its own, is
// looked at without being told.
const schedulePeriod = 5 * time.Second

// schedule spreads DHCP servers and routers over the agents until ctx ends.
func (c *Control) schedule(ctx context.Context) {
	tick := time.NewTicker(schedulePeriod)
	defer tick.Stop()
	for {
		if err := c.scheduleOnce(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("network: scheduling", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.reschedule:
		}
	}
}

func (c *Control) scheduleOnce(ctx context.Context) error {
	if c.options.Failover {
		if err := c.failOver(ctx); err != nil {
			return err
		}
	}
	networks, err := c.store.UnservedNetworks(ctx, c.store)
	if err != nil {
		return err
	}
	for _, id := range networks {
		if err := c.write(ctx, func(tx *write) error { return c.serveDHCP(ctx, tx, id) }); err != nil {
			return err
		}
	}
	routers, err := c.store.RoutersWhere(ctx, c.store, `t.host = ''`)
	if err != nil {
		return err
	}
	for _, r := range routers {
		if err := c.write(ctx, func(tx *write) error { return c.placeRouter(ctx, tx, r.ID) }); err != nil {
			return err
		}
	}
	return nil
}

// failOver takes routers and DHCP servers off dead agents when others live.
func (c *Control) failOver(ctx context.Context) error {
	agents, err := c.store.AgentsWhere(ctx, c.store, `t.type <> ?`, network.AgentL2)
	if err != nil {
		return err
	}
	lives := map[string]bool{}
	for _, a := range agents {
		lives[a.Type] = lives[a.Type] || c.alive(a) && a.AdminUp
	}
	for _, a := range agents {
		if c.alive(a) || !lives[a.Type] {
			continue
		}
		if err := c.relieve(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// relieve takes all that a dead agent carries off it; scheduleOnce then finds
// others for it.
func (c *Control) relieve(ctx context.Context, a store.AgentRow) error {
	if a.Type == network.AgentDHCP {
		bindings, err := c.store.DHCPBindings(ctx, c.store, `t.host = ?`, a.Host)
		if err != nil {
			return err
		}
		for _, b := range bindings {
			c.log.Warn("network: DHCP moves off a dead agent", "network", b.NetworkID, "host", a.Host)
			if err := c.write(ctx, func(tx *write) error { return c.endDHCP(ctx, tx, b) }); err != nil {
				return err
			}
		}
		return nil
	}
	routers, err := c.store.RoutersWhere(ctx, c.store, `t.host = ?`, a.Host)
	if err != nil {
		return err
	}
	for _, r := range routers {
		c.log.Warn("network: router moves off a dead agent", "router", r.ID, "host", a.Host)
		if err := c.write(ctx, func(tx *write) error { return c.moveRouter(ctx, tx, r, "") }); err != nil {
			return err
		}
	}
	return nil
}

// choose returns the host that carries the least among the agents of a kind that
// live and reach the physical networks; "" if there is none.
func (c *Control) choose(ctx context.Context, tx *write, kind, table string, physical, hints []string) (string, error) {
	agents, err := c.store.AgentsWhere(ctx, tx, `t.type = ?`, kind)
	if err != nil || len(agents) == 0 {
		return "", err
	}
	load, err := c.store.Load(ctx, tx, table)
	if err != nil {
		return "", err
	}
	best := ""
	for _, a := range agents {
		if !a.AdminUp || !c.alive(a) || len(hints) > 0 && !slices.Contains(hints, a.Zone) || !reaches(a, physical) {
			continue
		}
		if best == "" || load[a.Host] < load[best] {
			best = a.Host
		}
	}
	return best, nil
}

// reaches reports whether an agent's host is on all the physical networks.
func reaches(a store.AgentRow, physical []string) bool {
	for _, p := range physical {
		if !slices.Contains(a.Physical.V, p) && !slices.Contains(a.Physical.V, "*") {
			return false
		}
	}
	return true
}

func physicalOf(n network.Network) []string {
	if n.Physical == nil {
		return nil
	}
	return []string{*n.Physical}
}

// canBind reports whether a host can wire ports of a network.
func (c *Control) canBind(ctx context.Context, tx *write, host string, n network.Network) (bool, error) {
	agents, err := c.store.AgentsWhere(ctx, tx, `t.host = ? AND t.type = ?`, host, network.AgentL2)
	if err != nil || len(agents) == 0 {
		return false, err
	}
	return c.alive(agents[0]) && reaches(agents[0], physicalOf(n)), nil
}

// placeRouter finds a host for a router that has none and something to do.
func (c *Control) placeRouter(ctx context.Context, tx *write, id string) error {
	r, err := c.store.Router(ctx, tx, store.Everything, id)
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	}
	if r.Host != "" {
		return nil
	}
	ports, err := c.routerPorts(ctx, tx, id)
	if err != nil || len(ports) == 0 {
		return err
	}
	var physical []string
	for _, p := range ports {
		n, err := c.store.Network(ctx, tx, store.Everything, p.NetworkID)
		if err != nil {
			return err
		}
		physical = append(physical, physicalOf(n)...)
	}
	host, err := c.choose(ctx, tx, network.AgentL3, "routers", physical, r.ZoneHints)
	if err != nil || host == "" {
		return err
	}
	return c.moveRouter(ctx, tx, r, host)
}

// moveRouter has a host carry a router, with all its ports; "" none.
func (c *Control) moveRouter(ctx context.Context, tx *write, r store.Router, host string) error {
	tx.host(r.Host, host)
	if err := c.store.PlaceRouter(ctx, tx.Tx, r.ID, host); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE ports SET host = ?, vif_type = ?, status = ?, revision = revision + 1 WHERE device_id = ? AND device_owner IN (?, ?)`,
		host, vifOf(host), network.Down, r.ID, network.OwnerRouterInterface, network.OwnerRouterGateway)
	return err
}
