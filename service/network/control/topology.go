package control

import (
	"context"
	"fmt"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// Topologies lists what was laid out for the caller's project, or with its filter
// for others.
func (c *Control) Topologies(ctx context.Context, projectID string) ([]network.Topology, error) {
	scope := c.scope(ctx)
	if !c.reads(ctx, "get_auto_allocated_topology") || !scope.All && projectID != "" && projectID != scope.ProjectID {
		return nil, nil
	}
	if !scope.All {
		projectID = scope.ProjectID
	}
	rows, err := c.store.Topologies(ctx, c.store, projectID)
	var list []network.Topology
	for _, t := range rows {
		list = append(list, network.Topology{ID: t.NetworkID, Owner: network.OwnedBy(t.ProjectID)})
	}
	return list, err
}

// topologyOf is whose topology a caller asks for: "None" and "" are its own.
func topologyOf(ctx context.Context, projectID string) string {
	if caller := auth.From(ctx); caller != nil && (projectID == "" || projectID == "None") {
		return caller.ProjectID
	}
	return projectID
}

// maxProject bounds the id of a project, in bytes.
const maxProject = 255

// Topology returns what is laid out for a project, and lays it out if nothing is.
// With dry it says only whether that could be done.
func (c *Control) Topology(ctx context.Context, projectID string, dry bool) (network.Topology, error) {
	projectID = topologyOf(ctx, projectID)
	t := network.Topology{Owner: network.OwnedBy(projectID)}
	if err := enforce(ctx, "get_auto_allocated_topology", owned(projectID), nil); err != nil {
		return t, err
	}
	if projectID == "" || len(projectID) > maxProject { // administrators name whom they like
		return t, badRequest("auto_allocated_topology", "a project's id has 1 to %d bytes", maxProject)
	}
	if dry {
		_, _, err := c.topologyParts(ctx, nil)
		t.ID = network.TopologyPossible
		return t, err
	}
	had, err := c.store.Topologies(ctx, c.store, projectID)
	if err != nil {
		return t, err
	}
	if len(had) > 0 {
		t.ID = had[0].NetworkID
		return t, nil
	}
	err = c.write(ctx, func(tx *write) error {
		had, err := c.store.Topologies(ctx, tx, projectID)
		if err == nil && len(had) > 0 {
			t.ID = had[0].NetworkID
			return nil
		}
		if err == nil {
			t.ID, err = c.layOut(asCloud(ctx, projectID), tx, projectID)
		}
		return err
	})
	return t, err
}

// asCloud does something for a project that its members need not be allowed to do
// one by one: the pools may be an administrator's.
func asCloud(ctx context.Context, projectID string) context.Context {
	caller := auth.Caller{ProjectID: projectID, Roles: []string{"admin"}}
	if asked := auth.From(ctx); asked != nil {
		caller.UserID = asked.UserID
	}
	return auth.With(ctx, &caller)
}

// topologyParts finds what topologies are made from; tx nil: outside a transaction.
func (c *Control) topologyParts(ctx context.Context, tx *write) (external string, pools map[int]string, err error) {
	if tx == nil {
		external, pools, err = c.store.TopologyParts(ctx, c.store)
	} else {
		external, pools, err = c.store.TopologyParts(ctx, tx)
	}
	switch {
	case err != nil:
	case len(pools) == 0:
		err = cannotLayOut("No default subnetpools defined")
	case external == "":
		err = cannotLayOut("No default router:external network")
	}
	return external, pools, err
}

func cannotLayOut(reason string) error {
	return fault.Conflictf("Deployment error: %s.", reason).WithCode("AutoAllocationFailure")
}

// layOut makes a project's topology, whole or not at all.
func (c *Control) layOut(ctx context.Context, tx *write, projectID string) (networkID string, err error) {
	external, pools, err := c.topologyParts(ctx, tx)
	if err != nil {
		return "", err
	}
	owner := network.OwnerInput{ProjectID: network.Some(projectID)}
	n, err := c.createNetwork(ctx, tx, network.NetworkInput{OwnerInput: owner, Name: network.Some(network.TopologyNetwork)})
	if err != nil {
		return "", err
	}
	r, err := c.createRouter(ctx, tx, network.RouterInput{OwnerInput: owner, Name: network.Some(network.TopologyRouter),
		Gateway: network.Some(network.GatewayInput{NetworkID: network.Some(external)})})
	if err != nil {
		return "", err
	}
	for _, version := range []int{4, 6} {
		if pools[version] == "" {
			continue
		}
		s, err := c.createSubnet(ctx, tx, network.SubnetInput{OwnerInput: owner, NetworkID: network.Some(n.ID), IPVersion: network.Some(version),
			SubnetPoolID: network.Some(pools[version]), Name: network.Some(fmt.Sprint(network.TopologySubnet, version))})
		if err != nil {
			return "", err
		}
		if _, err := c.addInterface(ctx, tx, r.ID, network.InterfaceInput{SubnetID: network.Some(s.ID)}); err != nil {
			return "", err
		}
	}
	return n.ID, c.store.InsertTopology(ctx, tx.Tx, store.Topology{ProjectID: projectID, NetworkID: n.ID, RouterID: r.ID})
}

// DeleteTopology removes what was laid out for a project, whole or, while somebody
// uses it, not at all.
func (c *Control) DeleteTopology(ctx context.Context, projectID string) error {
	projectID = topologyOf(ctx, projectID)
	if err := enforce(ctx, "delete_auto_allocated_topology", owned(projectID), nil); err != nil {
		return err
	}
	return c.write(ctx, func(tx *write) error {
		had, err := c.store.Topologies(ctx, tx, projectID)
		if err != nil {
			return err
		}
		if len(had) == 0 {
			return fault.NotFoundf("Auto allocated topology for project %s could not be found.", projectID).WithCode("AutoAllocatedTopologyNotFound")
		}
		return c.takeUp(asCloud(ctx, projectID), tx, had[0])
	})
}

// takeUp removes a topology: the router's interfaces on the network, the router if
// nothing else hangs on it, and the network.
func (c *Control) takeUp(ctx context.Context, tx *write, t store.Topology) error {
	ports, err := c.routerPorts(ctx, tx, t.RouterID)
	if err != nil {
		return err
	}
	others := slices.ContainsFunc(ports, func(p network.Port) bool {
		return p.DeviceOwner == network.OwnerRouterInterface && p.NetworkID != t.NetworkID
	})
	for _, p := range ports {
		if p.DeviceOwner == network.OwnerRouterInterface && p.NetworkID == t.NetworkID {
			if _, err := c.removeInterface(ctx, tx, t.RouterID, network.InterfaceInput{PortID: network.Some(p.ID)}); err != nil {
				return err
			}
		}
	}
	if err := c.store.DeleteTopology(ctx, tx.Tx, t.ProjectID); err != nil {
		return err
	}
	if !others {
		if err := c.deleteRouter(ctx, tx, t.RouterID, network.Match{}); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return c.deleteNetwork(ctx, tx, t.NetworkID, network.Match{})
}
