package control

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// What each agent carries, as administrators see and change it.

// agentFor returns an agent of a kind to those whom a rule lets know of it.
func (c *Control) agentFor(ctx context.Context, rule, id, kind string) (store.AgentRow, error) {
	if err := c.mayAgents(ctx, rule, id); err != nil {
		return store.AgentRow{}, err
	}
	a, err := c.store.Agent(ctx, c.store, id)
	if err == nil && a.Type != kind {
		err = fault.Conflictf("Agent %s is not a %s or has been disabled.", id, kind).WithCode(map[string]string{
			network.AgentDHCP: "InvalidDHCPAgent", network.AgentL3: "InvalidL3Agent"}[kind])
	}
	return a, err
}

// NetworksOfAgent lists the networks for which an agent serves DHCP.
func (c *Control) NetworksOfAgent(ctx context.Context, agentID string) ([]network.Network, error) {
	a, err := c.agentFor(ctx, "get_dhcp-networks", agentID, network.AgentDHCP)
	if err != nil {
		return nil, err
	}
	bindings, err := c.store.DHCPBindings(ctx, c.store, `t.host = ?`, a.Host)
	if err != nil || len(bindings) == 0 {
		return nil, err
	}
	var ids []string
	for _, b := range bindings {
		ids = append(ids, b.NetworkID)
	}
	return c.store.Networks(ctx, c.store, store.Everything, network.Query{Filters: map[string][]string{"id": ids}})
}

// AgentsOfNetwork lists the agents that serve DHCP for a network.
func (c *Control) AgentsOfNetwork(ctx context.Context, networkID string) ([]network.Agent, error) {
	if err := denied(policy.Enforce(ctx, "get_dhcp-agents", nil)); err != nil {
		return nil, err
	}
	bindings, err := c.store.DHCPBindings(ctx, c.store, `t.network_id = ?`, networkID)
	if err != nil {
		return nil, err
	}
	hosts := []string{}
	for _, b := range bindings {
		hosts = append(hosts, b.Host)
	}
	return c.agentsOn(ctx, hosts, network.AgentDHCP)
}

func (c *Control) agentsOn(ctx context.Context, hosts []string, kind string) ([]network.Agent, error) {
	out := []network.Agent{}
	for _, host := range hosts {
		list, err := c.store.AgentsWhere(ctx, c.store, `t.host = ? AND t.type = ?`, host, kind)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			out = append(out, c.agentView(a))
		}
	}
	return out, nil
}

// MoveNetwork has an agent serve DHCP for a network that no other serves.
func (c *Control) MoveNetwork(ctx context.Context, agentID, networkID string) error {
	a, err := c.agentFor(ctx, "create_dhcp-network", agentID, network.AgentDHCP)
	if err != nil {
		return err
	}
	return c.write(ctx, func(tx *write) error {
		if _, err := c.store.Network(ctx, tx, store.Everything, networkID); err != nil {
			return err
		}
		bindings, err := c.store.DHCPBindings(ctx, tx, `t.network_id = ?`, networkID)
		if err != nil {
			return err
		}
		if len(bindings) > 0 {
			return fault.Conflictf("The network %s has been already hosted by the DHCP Agent on %s.", networkID, bindings[0].Host).WithCode("NetworkHostedByDHCPAgent")
		}
		return c.serveDHCPOn(ctx, tx, networkID, a.Host)
	})
}

// DropNetwork has an agent serve DHCP no longer for a network.
func (c *Control) DropNetwork(ctx context.Context, agentID, networkID string) error {
	a, err := c.agentFor(ctx, "delete_dhcp-network", agentID, network.AgentDHCP)
	if err != nil {
		return err
	}
	return c.write(ctx, func(tx *write) error {
		bindings, err := c.store.DHCPBindings(ctx, tx, `t.network_id = ? AND t.host = ?`, networkID, a.Host)
		if err != nil {
			return err
		}
		if len(bindings) == 0 {
			return fault.Conflictf("The network %.64s is not hosted by the DHCP agent %s.", networkID, agentID).WithCode("NetworkNotHostedByDhcpAgent")
		}
		return c.endDHCP(ctx, tx, bindings[0])
	})
}

// RoutersOfAgent lists the routers that an agent carries.
func (c *Control) RoutersOfAgent(ctx context.Context, agentID string) ([]network.Router, error) {
	a, err := c.agentFor(ctx, "get_l3-routers", agentID, network.AgentL3)
	if err != nil {
		return nil, err
	}
	list, err := c.store.RoutersWhere(ctx, c.store, `t.host = ?`, a.Host)
	return showRouters(ctx, list), err
}

// AgentsOfRouter lists the agents that carry a router.
func (c *Control) AgentsOfRouter(ctx context.Context, routerID string) ([]network.Agent, error) {
	if err := denied(policy.Enforce(ctx, "get_l3-agents", nil)); err != nil {
		return nil, err
	}
	r, err := c.store.Router(ctx, c.store, store.Everything, routerID)
	if err != nil || r.Host == "" {
		return []network.Agent{}, err
	}
	return c.agentsOn(ctx, []string{r.Host}, network.AgentL3)
}

// MoveRouter has an agent carry a router that no other carries.
func (c *Control) MoveRouter(ctx context.Context, agentID, routerID string) error {
	a, err := c.agentFor(ctx, "create_l3-router", agentID, network.AgentL3)
	if err != nil {
		return err
	}
	return c.write(ctx, func(tx *write) error {
		r, err := c.store.Router(ctx, tx, store.Everything, routerID)
		if err != nil {
			return err
		}
		if r.Host == a.Host {
			return nil
		}
		if r.Host != "" {
			return fault.Conflictf("The router %s has been already hosted by the L3 Agent on %s.", routerID, r.Host).WithCode("RouterHostedByL3Agent")
		}
		return c.moveRouter(ctx, tx, r, a.Host)
	})
}

// DropRouter takes a router off an agent.
func (c *Control) DropRouter(ctx context.Context, agentID, routerID string) error {
	a, err := c.agentFor(ctx, "delete_l3-router", agentID, network.AgentL3)
	if err != nil {
		return err
	}
	return c.write(ctx, func(tx *write) error {
		r, err := c.store.Router(ctx, tx, store.Everything, routerID)
		if err != nil {
			return err
		}
		if r.Host != a.Host {
			return fault.Conflictf("The router %s is not hosted by L3 agent %s.", routerID, agentID).WithCode("RouterNotHostedByL3Agent")
		}
		return c.moveRouter(ctx, tx, r, "")
	})
}
