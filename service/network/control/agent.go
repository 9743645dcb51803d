package control

import (
	"context"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// Agents lists agents; those who may not know of them see none. Whether they are alive is no attribute of their rows: the
// filter on it is applied here.
func (c *Control) Agents(ctx context.Context, q network.Query) ([]network.Agent, error) {
	if !policy.Allows(ctx, "get_agent", nil) {
		return nil, nil
	}
	alive := q.Filters["alive"]
	delete(q.Filters, "alive")
	list, err := c.store.Agents(ctx, c.store, q)
	if err != nil {
		return nil, err
	}
	out := make([]network.Agent, 0, len(list))
	for _, a := range list {
		view := c.agentView(a)
		if len(alive) == 0 || slices.Contains(alive, map[bool]string{true: "True", false: "False"}[view.Alive]) ||
			slices.Contains(alive, map[bool]string{true: "true", false: "false"}[view.Alive]) {
			out = append(out, view)
		}
	}
	return out, nil
}

// Agent returns an agent.
func (c *Control) Agent(ctx context.Context, id string) (network.Agent, error) {
	if err := c.mayAgents(ctx, "get_agent", id); err != nil {
		return network.Agent{}, err
	}
	a, err := c.store.Agent(ctx, c.store, id)
	return c.agentView(a), err
}

// mayAgents refuses those who may not even know which agents there are.
func (c *Control) mayAgents(ctx context.Context, rule, id string) error {
	if policy.Allows(ctx, rule, nil) {
		return nil
	}
	return fault.NotFoundf("Agent %.64s could not be found.", id).WithCode("AgentNotFound")
}

func (c *Control) alive(a store.AgentRow) bool {
	return c.now().Sub(a.Heartbeat.Time).Seconds() < float64(c.options.AgentDownTime)
}

var agentBinaries = map[string][2]string{
	network.AgentL2:   {"neutron-linuxbridge-agent", "N/A"},
	network.AgentDHCP: {"neutron-dhcp-agent", "dhcp_agent"},
	network.AgentL3:   {"neutron-l3-agent", "l3_agent"},
}

func (c *Control) agentView(a store.AgentRow) network.Agent {
	names := agentBinaries[a.Type]
	at := func(t db.Time) network.SpacedTime { return network.SpacedTime{Time: network.Time{Time: t.Time}} }
	v := network.Agent{ID: a.ID, Type: a.Type, Binary: names[0], Topic: names[1], Host: a.Host, AdminUp: a.AdminUp, Alive: c.alive(a),
		CreatedAt: at(a.CreatedAt), StartedAt: at(a.StartedAt), Heartbeat: at(a.Heartbeat), Configurations: map[string]any{}}
	if a.Description != "" {
		v.Description = &a.Description
	}
	if a.Zone != "" && a.Type != network.AgentL2 {
		v.Zone = &a.Zone
	}
	for name, n := range a.Counts.V {
		v.Configurations[name] = n
	}
	if a.Type == network.AgentL2 {
		v.Configurations["physical_networks"] = orNone(a.Physical.V)
		totals := map[string]map[string]int{}
		for _, p := range a.Published.V {
			totals[p.Name] = p.Totals
		}
		if len(totals) > 0 {
			v.Synced, v.Configurations["resource_provider_inventories"] = new(true), totals
		}
	}
	return v
}

// UpdateAgent switches an agent off for new routers and networks, or on.
func (c *Control) UpdateAgent(ctx context.Context, id string, in network.AgentInput) (network.Agent, error) {
	var a store.AgentRow
	if err := c.mayAgents(ctx, "update_agent", id); err != nil {
		return network.Agent{}, err
	}
	err := c.write(ctx, func(tx *write) error {
		var err error
		if a, err = c.store.Agent(ctx, tx, id); err != nil {
			return err
		}
		a.AdminUp = in.AdminUp.Or(a.AdminUp)
		if in.Description.Set {
			a.Description = in.Description.Or("")
		}
		return c.store.UpdateAgent(ctx, tx.Tx, id, a.AdminUp, a.Description)
	})
	return c.agentView(a), err
}

// DeleteAgent forgets an agent; one that lives is back with its next beat.
func (c *Control) DeleteAgent(ctx context.Context, id string) error {
	if err := c.mayAgents(ctx, "delete_agent", id); err != nil {
		return err
	}
	a, err := c.store.Agent(ctx, c.store, id)
	if err != nil {
		return err
	}
	if len(a.Published.V) > 0 && c.placement != nil {
		if err := c.withdrawWires(ctx, a, nil); err != nil {
			return err
		}
	}
	return c.write(ctx, func(tx *write) error { return c.store.DeleteAgent(ctx, tx.Tx, id) })
}

// Zones lists the availability zones of networks (DHCP) and routers.
func (c *Control) Zones(ctx context.Context) ([]network.Zone, error) {
	agents, err := c.store.AgentsWhere(ctx, c.store, `t.type <> ?`, network.AgentL2)
	if err != nil {
		return nil, err
	}
	out := []network.Zone{}
	for _, a := range agents {
		resource := "router"
		if a.Type == network.AgentDHCP {
			resource = "network"
		}
		state := "unavailable"
		if a.AdminUp {
			state = "available"
		}
		i := slices.IndexFunc(out, func(z network.Zone) bool { return z.Name == a.Zone && z.Resource == resource })
		if i < 0 {
			out = append(out, network.Zone{Name: a.Zone, Resource: resource, State: state})
		} else if a.AdminUp {
			out[i].State = state
		}
	}
	return out, nil
}

// checkZones refuses hints at zones that are not there.
func (c *Control) checkZones(ctx context.Context, tx *write, resource string, hints []string) error {
	if len(hints) == 0 {
		return nil
	}
	kind := map[string]string{"network": network.AgentDHCP, "router": network.AgentL3}[resource]
	agents, err := c.store.AgentsWhere(ctx, tx, `t.type = ?`, kind)
	if err != nil {
		return err
	}
	for _, hint := range hints {
		if !slices.ContainsFunc(agents, func(a store.AgentRow) bool { return a.Zone == hint }) {
			return fault.NotFoundf("AvailabilityZone %.64s could not be found.", hint).WithCode("AvailabilityZoneNotFound")
		}
	}
	return nil
}
