package control

import (
	"context"
	"maps"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// portRequests is what a server's ports take of its host: those that its user has
// brought, and once it has been built whichever it has.
func (c *Control) portRequests(ctx context.Context, s *compute.Server) ([]compute.PortRequest, error) {
	var ids []string
	for _, p := range s.Networks {
		ids = append(ids, p.PortID)
	}
	for _, w := range s.Wanted {
		if w.Requests && !slices.Contains(ids, w.PortID) {
			ids = append(ids, w.PortID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return c.PortRequests.Requests(ctx, ids)
}

// askPorts adds to a question what a server's ports take of its host.
func (c *Control) askPorts(ctx context.Context, q *question, s *compute.Server) error {
	requests, err := c.portRequests(ctx, s)
	addRequests(q, requests)
	return err
}

func addRequests(q *question, requests []compute.PortRequest) {
	for _, r := range requests {
		q.Groups = append(q.Groups, r.Groups...)
		if len(r.SameSubtree) > 0 {
			q.SameSubtree = append(q.SameSubtree, r.SameSubtree)
		}
	}
}

// assignPorts notes in the bindings of a server's ports which provider serves what
// they take of their host. That is read from what consumer holds, so that it comes
// out the same whenever it is done: the server, or the migration that holds its
// old place. With "" nobody serves them any more.
func (c *Control) assignPorts(ctx context.Context, s *compute.Server, consumer string) error {
	requests, err := c.portRequests(ctx, s)
	if err != nil || len(requests) == 0 {
		return err
	}
	var held []compute.Holding
	if consumer != "" {
		held, err = c.Placement.Holdings(ctx, consumer)
		if err == nil && len(held) == 0 { // a migration that has given the old place back already
			held, err = c.Placement.Holdings(ctx, s.ID)
		}
		if err != nil {
			return err
		}
	}
	for _, r := range requests {
		providers := assignment(r, held)
		if maps.Equal(providers, r.Assigned) {
			continue
		}
		if err := c.PortRequests.Assign(ctx, r.PortID, providers); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// assignment finds for each group of a port the provider from which it was claimed,
// and takes it off what is held.
func assignment(r compute.PortRequest, held []compute.Holding) map[string]string {
	providers := map[string]string{}
	for _, g := range r.Groups {
		i := slices.IndexFunc(held, func(h compute.Holding) bool {
			for class, n := range g.Resources {
				if h.Resources[class] < n {
					return false
				}
			}
			for _, trait := range g.Required {
				if !slices.Contains(h.Traits, trait) {
					return false
				}
			}
			return true
		})
		if i < 0 {
			continue
		}
		providers[g.Suffix] = held[i].ProviderID
		for class, n := range g.Resources {
			held[i].Resources[class] -= n
		}
	}
	return providers
}

// claimPort claims what one further port of a server takes of its host, and notes
// in its binding where. It is called once the port is the server's.
func (c *Control) claimPort(ctx context.Context, s *compute.Server, portID string) error {
	requests, err := c.PortRequests.Requests(ctx, []string{portID})
	if err != nil || len(requests) == 0 {
		return err
	}
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, s.Host)
	if err != nil {
		return err
	}
	q := question{InTree: h.NodeID, Limit: 1}
	addRequests(&q, requests)
	setGroupPolicy(&q, "")
	found, err := c.Placement.Candidates(ctx, q, nil)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fault.Invalidf("Failed to allocate additional resources to server %s for port %s: host %s has none left.", s.ID, portID, s.Host)
	}
	var held []compute.Holding
	for id, resources := range found[0].Allocations {
		held = append(held, compute.Holding{ProviderID: id, Resources: maps.Clone(resources), Traits: requiredOf(requests)})
	}
	slices.SortFunc(held, func(a, b compute.Holding) int { return len(b.Resources) - len(a.Resources) })
	if err := c.PortRequests.Assign(ctx, portID, assignment(requests[0], held)); err != nil {
		return err
	}
	err = c.reclaimPorts(ctx, s, "")
	if fault.Is(err, fault.Conflict) {
		return fault.New(fault.Invalid, "Failed to allocate additional resources to server %s for port %s: %w", s.ID, portID, err)
	}
	return err
}

// requiredOf lists the traits that the groups of requests want: those of candidates
// have them.
func requiredOf(requests []compute.PortRequest) []string {
	var all []string
	for _, r := range requests {
		for _, g := range r.Groups {
			all = append(all, g.Required...)
		}
	}
	return all
}

// reclaimPorts brings a server's claim to what its ports take together, as their
// bindings say, but for one that it shall lose; "" none.
func (c *Control) reclaimPorts(ctx context.Context, s *compute.Server, without string) error {
	requests, err := c.PortRequests.RequestsOf(ctx, s.ID)
	if err != nil {
		return err
	}
	amounts := map[string]map[string]int{}
	for _, r := range requests {
		for _, g := range r.Groups {
			provider := r.Assigned[g.Suffix]
			if provider == "" {
				continue
			}
			if amounts[provider] == nil {
				amounts[provider] = map[string]int{}
			}
			for class, n := range g.Resources {
				if r.PortID == without {
					n = 0 // what it alone has goes
				}
				amounts[provider][class] += n
			}
		}
	}
	if len(amounts) == 0 {
		return nil
	}
	return c.Placement.Reclaim(ctx, s.ID, amounts)
}

// wantsRequests notes of a port that a user has brought whether it takes resources of
// its host, which clients of old do not know.
func (c *Control) wantsRequests(ctx context.Context, port compute.Port, known bool) (bool, error) {
	if !port.QoS {
		return false, nil
	}
	requests, err := c.PortRequests.Requests(ctx, []string{port.ID})
	if err != nil || len(requests) == 0 {
		return false, err
	}
	if !known {
		return true, fault.Invalidf("Creating servers with ports having resource requests, like a port with a QoS minimum bandwidth policy, is not supported until microversion 2.72.")
	}
	return true, nil
}

// noRequest refuses a port that compute has made on a network whose QoS policy has it
// take resources: nobody has asked for them when the host was chosen.
func noRequest(p compute.Port, serverID string) error {
	if p.Requests {
		return fault.Invalidf("Using networks with QoS policy is not supported for instance %s. (Network ID is %s)", serverID, p.NetworkID)
	}
	return nil
}
