package control

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// A server's port that was bound with a QoS policy has claimed bandwidth of its
// host in Placement, under the server's name; which provider serves which group of
// its request stands in binding:profile. When the port gets another policy, the
// claim follows it here: compute does not hear of that.

// allocated reads from a port's binding which provider serves which group.
func allocated(p network.Port) map[string]string {
	out := map[string]string{}
	all, _ := p.Profile["allocation"].(map[string]any)
	for group, provider := range all {
		if id, ok := provider.(string); ok {
			out[group] = id
		}
	}
	return out
}

// amounts is what a server's ports have claimed, by provider and resource class.
type amounts map[string]map[string]int

func (a amounts) add(provider, class string, n int) {
	if a[provider] == nil {
		a[provider] = map[string]int{}
	}
	a[provider][class] += n
}

func (a amounts) addPort(request *network.ResourceRequest, allocation map[string]string) {
	if request == nil {
		return
	}
	for _, g := range request.Groups {
		if provider := allocation[g.ID]; provider != "" {
			for class, n := range g.Resources {
				a.add(provider, class, n)
			}
		}
	}
}

// kindOf tells what a group of a port's request asks for.
func kindOf(g network.RequestGroup) string {
	for class := range g.Resources {
		if strings.HasPrefix(class, "NET_BW_") {
			return network.MinimumBandwidth
		}
	}
	return network.MinimumPacketRate
}

// reclaiming is a change of a port's policy and what its server claims by it.
type reclaiming struct {
	port       network.Port      // as it was
	allocation map[string]string // as it will be
	was, will  amounts           // of the server
}

// errReplan: what a change was planned by is no longer so.
var errReplan = errors.New("the port has changed meanwhile")

// planClaim says what giving a port another policy changes of its server's claim;
// nil where nothing is claimed by it. What the port has not claimed anything of
// before stays unclaimed, as upstream has it: only its scheduler could say where.
func (c *Control) planClaim(ctx context.Context, id string, in network.PortInput) (*reclaiming, error) {
	if c.placement == nil || !in.QoSPolicy.Set {
		return nil, nil
	}
	p, err := c.store.Port(ctx, c.store, c.scope(ctx), id)
	if err != nil || !network.IsServerPort(p.DeviceOwner) {
		return nil, err
	}
	had := allocated(p)
	if len(had) == 0 || p.Request == nil {
		return nil, nil
	}
	n, err := c.store.Network(ctx, c.store, store.Everything, p.NetworkID)
	if err != nil {
		return nil, err
	}
	if err := enforce(ctx, "update_port", onNetwork(p.ProjectID, n), in); err != nil {
		return nil, err
	}
	request, err := c.requestWith(ctx, p, n, in.QoSPolicy.Or(""))
	if err != nil {
		return nil, err
	}
	r := &reclaiming{port: p, allocation: map[string]string{}, was: amounts{}, will: amounts{}}
	by := map[string]string{} // kind -> provider
	for _, g := range p.Request.Groups {
		by[kindOf(g)] = had[g.ID]
	}
	if request != nil {
		for _, g := range request.Groups {
			if provider := by[kindOf(g)]; provider != "" {
				r.allocation[g.ID] = provider
			}
		}
	}
	others, err := c.store.PortsWhere(ctx, c.store, `t.device_id = ? AND t.id <> ?`, p.DeviceID, p.ID)
	if err != nil {
		return nil, err
	}
	for _, o := range others {
		r.was.addPort(o.Request, allocated(o))
		r.will.addPort(o.Request, allocated(o))
	}
	r.was.addPort(p.Request, had)
	r.will.addPort(request, r.allocation)
	// What only one of the two has is nothing in the other.
	for _, x := range [][2]amounts{{r.was, r.will}, {r.will, r.was}} {
		for provider, classes := range x[0] {
			for class := range classes {
				x[1].add(provider, class, 0)
			}
		}
	}
	return r, nil
}

// requestWith is what a port would take of its host with another policy of its own;
// "" is its network's.
func (c *Control) requestWith(ctx context.Context, p network.Port, n network.Network, policy string) (*network.ResourceRequest, error) {
	scope := c.scope(ctx)
	if policy == "" {
		policy, scope = deref(n.QoSPolicy), store.Everything
	}
	if policy == "" {
		return nil, nil
	}
	q, err := c.store.QoSPolicy(ctx, c.store, scope, policy)
	if err != nil {
		return nil, err
	}
	return network.RequestOf(p.ID, p.VNICType, deref(n.Physical), q.Rules), nil
}

// withClaim runs change, which gives a port another policy, with the claim that
// goes with it: the claim first, since it may be refused; if change then fails the
// claim is as it was. Should this process die in between, a task brings the claim
// to what the port has come to.
func (c *Control) withClaim(ctx context.Context, id string, in network.PortInput, change func(*reclaiming) error) error {
	for range tries {
		r, err := c.planClaim(ctx, id, in)
		if err != nil {
			return err
		}
		if r == nil {
			return change(nil)
		}
		server := r.port.DeviceID
		err = c.write(ctx, func(tx *write) error {
			return c.tasks.Add(ctx, tx.Tx, task.Task{Kind: reclaimTask, Subject: server, Payload: reclaimState{server, providersIn(r)}, After: reclaimAfter})
		})
		if err != nil {
			return err
		}
		if err := c.placement.Reclaim(ctx, server, r.will); fault.Is(err, fault.Conflict) {
			return fault.New(fault.Conflict, "Updating placement allocation with %v for consumer %s failed: %w", r.will, server, err).WithCode("QosPlacementAllocationUpdateConflict")
		} else if err != nil {
			return err
		}
		err = change(r)
		if err == nil {
			return nil
		}
		if undo := c.placement.Reclaim(context.WithoutCancel(ctx), server, r.was); undo != nil {
			c.log.Warn("a claim is brought back later", "server", server, "port", id, "error", undo)
		}
		if !errors.Is(err, errReplan) {
			return err
		}
	}
	return fault.New(fault.Unavailable, "Too many others change port %s at once. Please try again.", id)
}

// claimedBy refuses to give a network another policy while servers have claimed by
// the one that it has: their ports would have to follow one by one.
func (c *Control) claimedBy(ctx context.Context, tx *write, n network.Network) error {
	ports, err := c.store.PortsWhere(ctx, tx, `t.network_id = ? AND t.qos_policy = '' AND t.device_owner LIKE 'compute:%'`, n.ID)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if len(allocated(p)) > 0 {
			return fault.Conflictf("The QoS policy of network %s cannot be changed: port %s of server %s has claimed resources by it. Give the port a policy of its own first.",
				n.ID, p.ID, p.DeviceID).WithCode("QosPolicyInUse")
		}
	}
	return nil
}

// follow gives the port the binding of the claim, if it is as it was planned by.
func (r *reclaiming) follow(p *network.Port) error {
	if r == nil {
		return nil
	}
	if p.Revision != r.port.Revision {
		return errReplan
	}
	p.Profile = maps.Clone(p.Profile)
	p.Profile["allocation"] = r.allocation
	return nil
}

// reclaimTask is durable work: a server's claim for its ports is brought to what
// these have come to.
const reclaimTask = "reclaim"

const reclaimAfter = time.Minute

type reclaimState struct {
	ServerID  string                         `json:"server_id"`
	Providers map[string]map[string]struct{} `json:"providers"` // and classes, of which the claim may have been changed
}

func providersIn(r *reclaiming) map[string]map[string]struct{} {
	all := map[string]map[string]struct{}{}
	for provider, classes := range r.will {
		all[provider] = map[string]struct{}{}
		for class := range classes {
			all[provider][class] = struct{}{}
		}
	}
	return all
}

func (c *Control) reclaim(ctx context.Context, run *task.Run) error {
	var state reclaimState
	if err := run.Payload(&state); err != nil {
		return err
	}
	ports, err := c.store.PortsWhere(ctx, c.store, `t.device_id = ?`, state.ServerID)
	if err != nil || c.placement == nil {
		return err
	}
	now := amounts{}
	for provider, classes := range state.Providers {
		for class := range classes {
			now.add(provider, class, 0)
		}
	}
	for _, p := range ports {
		now.addPort(p.Request, allocated(p))
	}
	err = c.placement.Reclaim(ctx, state.ServerID, now)
	if fault.Is(err, fault.Conflict) { // others have taken the room; the port keeps what it was given
		c.log.Error("a server's ports have less than their QoS policies promise", "server", state.ServerID, "error", err)
		return nil
	}
	return err
}
