package control

import (
	"context"
	"maps"
	"slices"

	"kilonova/internal/bus"
	"kilonova/internal/db"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// serve answers what agents ask.
func (c *Control) serve() (stop func(), err error) {
	if c.bus == nil {
		return func() {}, nil
	}
	var stops []bus.Unserve
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	add := func(s bus.Unserve, e error) {
		if e == nil {
			stops = append(stops, s)
		} else if err == nil {
			err = e
		}
	}
	add(network.Beat.Serve(c.bus, network.ControlName, c.beat))
	add(network.State.Serve(c.bus, network.ControlName, c.state))
	add(network.Wired.Serve(c.bus, network.ControlName, c.wired))
	if err != nil {
		stop()
	}
	return stop, err
}

// beat notes an agent's sign of life. One that is new, or was taken for dead,
// may be what others wait for.
func (c *Control) beat(ctx context.Context, in network.BeatRequest) (network.BeatReply, error) {
	reply := network.BeatReply{Every: c.options.ReportInterval * 1000}
	kinds := []string{network.AgentL2}
	if in.DHCP {
		kinds = append(kinds, network.AgentDHCP)
	}
	if in.L3 {
		kinds = append(kinds, network.AgentL3)
	}
	before, err := c.store.AgentsWhere(ctx, c.store, `t.host = ?`, in.Host)
	if err != nil {
		return reply, err
	}
	news := len(before) < len(kinds)
	for _, a := range before {
		news = news || !c.alive(a)
	}
	err = c.write(ctx, func(tx *write) error {
		for _, kind := range kinds {
			_, err := c.store.BeatAgent(ctx, tx.Tx, store.AgentRow{ID: newID(), Type: kind, Host: in.Host, Zone: in.Zone, AdminUp: true,
				CreatedAt: db.At(c.now()), StartedAt: db.At(in.Started), Heartbeat: db.At(c.now()),
				Physical: db.AsJSON(in.Physical), Counts: db.AsJSON(in.Counts)})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return reply, err
	}
	if news {
		select {
		case c.reschedule <- struct{}{}:
		default:
		}
	}
	if err := c.publishWires(ctx, in); err != nil {
		c.log.Info("Placement is not told yet what a host's wires carry", "host", in.Host, "because", err)
		reply.Every = min(reply.Every, publishSoon)
	}
	reply.Revision, err = c.store.Revision(ctx, c.store, in.Host)
	return reply, err
}

// publishSoon is when an agent beats again of which Placement could not be told, in
// milliseconds.
const publishSoon = 2000

// state gives an agent its host's state, unless it has it. The revision is read
// first: what changes meanwhile gets a later one.
func (c *Control) state(ctx context.Context, in network.StateRequest) (network.StateReply, error) {
	revision, err := c.store.Revision(ctx, c.store, in.Host)
	if err != nil || in.Revision != 0 && revision == in.Revision {
		return network.StateReply{Revision: revision}, err
	}
	state, err := c.HostState(ctx, in.Host)
	return network.StateReply{Revision: revision, State: &state}, err
}

// wired takes over what an agent has made real.
func (c *Control) wired(ctx context.Context, in network.WiredRequest) (network.WiredReply, error) {
	status := map[string]string{} // by port
	for _, id := range in.Gone {
		status[id] = network.Down
	}
	for _, id := range in.Ports {
		status[id] = network.Active
	}
	if in.All {
		up, err := db.Select[string](ctx, c.store, `SELECT id FROM ports WHERE host = ? AND status = ?`, in.Host, network.Active)
		if err != nil {
			return network.WiredReply{}, err
		}
		for _, id := range up {
			if status[id] == "" {
				status[id] = network.Down
			}
		}
	}
	changed, err := c.differing(ctx, in.Host, status)
	if err != nil {
		return network.WiredReply{}, err
	}
	waiting, err := c.waitingFloating(ctx, in.Routers)
	if err != nil || len(changed) == 0 && len(waiting) == 0 {
		return network.WiredReply{}, err
	}
	return network.WiredReply{}, c.write(ctx, func(tx *write) error {
		for _, p := range changed {
			if err := c.setStatus(ctx, tx, p, status[p.ID]); err != nil {
				return err
			}
		}
		for _, id := range waiting {
			if err := c.store.ActivateFloatingIPs(ctx, tx.Tx, id, c.now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// differing reads those ports of a host whose status is not what is reported.
func (c *Control) differing(ctx context.Context, host string, status map[string]string) ([]network.Port, error) {
	ports, err := c.store.PortsByID(ctx, c.store, slices.Sorted(maps.Keys(status)))
	return slices.DeleteFunc(ports, func(p network.Port) bool { return p.Host != host || p.Status == status[p.ID] }), err
}

// waitingFloating returns those routers that have floating IPs which are mapped
// but not known to work.
func (c *Control) waitingFloating(ctx context.Context, routerIDs []string) ([]string, error) {
	if len(routerIDs) == 0 {
		return nil, nil
	}
	all, err := db.Select[string](ctx, c.store, `SELECT DISTINCT router_id FROM floating_ips WHERE status <> 'ACTIVE' AND port_id IS NOT NULL`)
	return slices.DeleteFunc(all, func(id string) bool { return !slices.Contains(routerIDs, id) }), err
}

func (c *Control) setStatus(ctx context.Context, tx *write, p network.Port, status string) error {
	differed, err := c.store.SetPortStatus(ctx, tx.Tx, p.ID, status, c.now())
	if err != nil || !differed {
		return err
	}
	if status == network.Active {
		return c.event(ctx, tx, p, network.EventPlugged)
	}
	return c.event(ctx, tx, p, network.EventUnplugged)
}
