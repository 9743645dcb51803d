package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/internal/undo"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// Interfaces returns a server's ports.
func (c *Control) Interfaces(ctx context.Context, id string) ([]compute.Interface, error) {
	if _, err := c.ownServer(ctx, "os_compute_api:os-attach-interfaces:list", id); err != nil {
		return nil, err
	}
	return c.Networks.Ports(ctx, id)
}

// attachState is what a task to attach or detach a port remembers.
type attachState struct {
	Interface compute.Interface `json:"interface"`
}

// AttachInterface gives a server a further port: the one named, or a new one on
// a network. The port is made and bound now; the guest gets it by a task.
func (c *Control) AttachInterface(ctx context.Context, id string, want compute.NetworkRequest) (port compute.Interface, err error) {
	s, err := c.asked(ctx, "os_compute_api:os-attach-interfaces:create", id, compute.AttachPort)
	if err != nil {
		return port, err
	}
	caller := auth.From(ctx)
	wanted, err := c.checkNetworks(ctx, caller, &compute.Server{}, NewServer{Networks: asRequests(want), KnowsRequests: true})
	if err != nil {
		return port, err
	}
	if len(wanted) == 0 {
		return port, fault.Invalidf("No network to attach: name a network or a port.")
	}
	var u undo.Stack
	defer u.Run(ctx, &err)
	zone, err := c.zoneOf(ctx, s.Host)
	if err != nil {
		return port, err
	}
	portID := want.PortID
	if portID != "" {
		// Noted before it is bound: should this process die in between, the end of
		// the server gives the user's port back instead of deleting it.
		if err := c.wantPort(ctx, id, wanted[0], true); err != nil {
			return port, err
		}
		u.Add("forget port", func(ctx context.Context) error { return c.wantPort(ctx, id, wanted[0], false) })
		if err := c.Networks.Bind(ctx, portID, id, s.Host, zone); err != nil {
			return port, err
		}
		u.Add("unbind port", func(ctx context.Context) error { return c.giveBack(ctx, s, portID) })
		if wanted[0].Requests {
			if err := c.claimPort(ctx, s, portID); err != nil {
				return port, err
			}
		}
	} else {
		made, err := c.Networks.Create(ctx, compute.PortSpec{ServerID: id, ProjectID: s.ProjectID, NetworkID: wanted[0].NetworkID, FixedIP: want.FixedIP,
			Host: s.Host, Zone: zone, Hostname: s.Hostname})
		if err != nil {
			return port, asInvalid(err)
		}
		portID = made.ID
		u.Add("delete port", func(ctx context.Context) error { return c.Networks.Delete(ctx, portID) })
		if err := noRequest(made, id); err != nil {
			return port, err
		}
	}
	ports, err := c.Networks.Ports(ctx, id)
	if err != nil {
		return port, err
	}
	i := slices.IndexFunc(ports, func(p compute.Interface) bool { return p.PortID == portID })
	if i < 0 {
		return port, fault.New(fault.Unavailable, "The network service does not know port %s any more.", portID)
	}
	port = ports[i]
	port.Owned, port.Tag = want.PortID == "", want.Tag
	return port, c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.changeInterfaces(ctx, tx, id, func(all []compute.Interface) []compute.Interface { return append(without(all, portID), port) }); err != nil {
			return err
		}
		if err := c.act(ctx, tx, id, "attach_interface"); err != nil {
			return err
		}
		return c.add(ctx, tx, taskAttach, id, attachState{port})
	})
}

func asRequests(want compute.NetworkRequest) []compute.NetworkRequest {
	if want.NetworkID == "" && want.PortID == "" {
		return nil
	}
	return []compute.NetworkRequest{want}
}

// DetachInterface begins to take a port from a server.
func (c *Control) DetachInterface(ctx context.Context, id, portID string) error {
	s, err := c.asked(ctx, "os_compute_api:os-attach-interfaces:delete", id, compute.DetachPort)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(s.Networks, func(p compute.Interface) bool { return p.PortID == portID })
	if i < 0 {
		return fault.NotFoundf("Instance %s has no interface with port id %s.", id, portID)
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.act(ctx, tx, id, "detach_interface"); err != nil {
			return err
		}
		return c.add(ctx, tx, taskDetach, id, attachState{s.Networks[i]})
	})
}

func (c *Control) attach(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state attachState
	if err := run.Payload(&state); err != nil {
		return err
	}
	request := compute.InterfaceRequest{ServerID: s.ID, Interface: state.Interface}
	progress, err := work(ctx, c, compute.AttachInterface, s.Host, workID(run), request, run.Created.Add(actionTimeout), func() error { return c.notDeleting(ctx, s) })
	if err != nil && ctx.Err() == nil && !errors.Is(err, errAbandoned) { // the guest did not take it: the port goes again
		if dropErr := c.dropPort(ctx, s, state.Interface); dropErr != nil {
			return dropErr
		}
	}
	return c.settle(ctx, run, s, store.ServerPatch{}, progress, "compute_attach_interface", err)
}

func (c *Control) detach(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state attachState
	if err := run.Payload(&state); err != nil {
		return err
	}
	request := compute.InterfaceRequest{ServerID: s.ID, Interface: state.Interface}
	progress, err := work(ctx, c, compute.DetachInterface, s.Host, workID(run), request, run.Created.Add(actionTimeout), func() error { return c.notDeleting(ctx, s) })
	if err == nil {
		err = c.dropPort(ctx, s, state.Interface)
	}
	return c.settle(ctx, run, s, store.ServerPatch{}, progress, "compute_detach_interface", err)
}

// dropPort deletes a port that compute has made, or gives it back, and forgets it.
func (c *Control) dropPort(ctx context.Context, s *compute.Server, p compute.Interface) error {
	drop := c.Networks.Delete
	if !p.Owned {
		drop = func(ctx context.Context, portID string) error { return c.giveBack(ctx, s, portID) }
	}
	if err := drop(ctx, p.PortID); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if !p.Owned {
		if err := c.wantPort(ctx, s.ID, compute.NetworkRequest{PortID: p.PortID}, false); err != nil {
			return err
		}
	}
	return c.forgetInterface(ctx, s.ID, p.PortID)
}

// giveBack takes a user's port from a server, and from its claim what the port took.
func (c *Control) giveBack(ctx context.Context, s *compute.Server, portID string) error {
	if slices.ContainsFunc(s.Wanted, func(w compute.NetworkRequest) bool { return w.PortID == portID && !w.Requests }) {
		return c.Networks.Unbind(ctx, portID)
	}
	if err := c.reclaimPorts(ctx, s, portID); err != nil {
		return err
	}
	return c.Networks.Unbind(ctx, portID)
}

// changeInterfaces changes what is known of a server's ports, as they are in tx.
// A server that is gone, or going, gets no further port.
func (c *Control) changeInterfaces(ctx context.Context, tx *db.Tx, id string, change func([]compute.Interface) []compute.Interface) error {
	s, err := c.Store.Server(ctx, tx, id)
	if err != nil {
		return err
	}
	after := change(s.Networks)
	if len(after) > len(s.Networks) && (s.Task == compute.Deleting || !s.DeletedAt.IsZero()) {
		return fault.Conflictf("Cannot '%s' instance %s while it is in task_state %s", compute.AttachPort, id, compute.Deleting)
	}
	_, err = c.Store.UpdateServer(ctx, tx, id, store.ServerPatch{Networks: &after}, store.Expect{Existing: true}, c.Now())
	return err
}

// wantPort notes among what the user has asked for a server that a port of the
// user's is its, or no longer.
func (c *Control) wantPort(ctx context.Context, id string, port compute.NetworkRequest, wanted bool) error {
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		s, err := c.Store.Server(ctx, tx, id)
		if err != nil {
			return err
		}
		after := slices.DeleteFunc(slices.Clone(s.Wanted), func(w compute.NetworkRequest) bool { return w.PortID == port.PortID })
		if wanted {
			after = append(after, port)
		}
		_, err = c.Store.UpdateServer(ctx, tx, id, store.ServerPatch{Wanted: &after}, store.Expect{Existing: true}, c.Now())
		return err
	})
}

func (c *Control) forgetInterface(ctx context.Context, id, portID string) error {
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		return c.changeInterfaces(ctx, tx, id, func(all []compute.Interface) []compute.Interface { return without(all, portID) })
	})
}

func without(all []compute.Interface, portID string) []compute.Interface {
	return slices.DeleteFunc(slices.Clone(all), func(n compute.Interface) bool { return n.PortID == portID })
}

// AllSecurityGroups lists the security groups of the caller's project, or those
// of all projects for administrators; rule is the last word of the policy's name.
func (c *Control) AllSecurityGroups(ctx context.Context, rule string, allProjects bool) ([]compute.SecurityGroup, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-security-groups:"+rule, auth.Own(ctx)); err != nil {
		return nil, err
	}
	project := auth.From(ctx).ProjectID
	if allProjects && c.Policy.Allows(ctx, "context_is_admin", nil) {
		project = ""
	}
	return c.Networks.Groups(ctx, project)
}

// SecurityGroups lists the security groups of a server's ports.
func (c *Control) SecurityGroups(ctx context.Context, id string) ([]compute.SecurityGroupRef, error) {
	if _, err := c.ownServer(ctx, "os_compute_api:os-security-groups:list", id); err != nil {
		return nil, err
	}
	return c.Networks.PortGroups(ctx, id)
}

// ChangeSecurityGroup adds a security group to all ports of a server, or takes
// it away.
func (c *Control) ChangeSecurityGroup(ctx context.Context, id, nameOrID string, add bool) error {
	rule := map[bool]string{true: "add", false: "remove"}[add]
	s, err := c.ownServer(ctx, "os_compute_api:os-security-groups:"+rule, id)
	if err != nil {
		return err
	}
	groups, err := c.Networks.SecurityGroups(ctx, s.ProjectID, []string{nameOrID})
	if err != nil {
		return err
	}
	found, changed := false, false
	for _, n := range s.Networks {
		port, err := c.Networks.Port(ctx, n.PortID)
		if err != nil {
			return err
		}
		has := slices.Contains(port.SecurityGroups, groups[0])
		found = found || has
		after := slices.DeleteFunc(slices.Clone(port.SecurityGroups), func(g string) bool { return g == groups[0] })
		if add {
			after = append(after, groups[0])
		}
		if has == add {
			continue
		}
		if err := c.Networks.SetGroups(ctx, n.PortID, after); err != nil {
			return err
		}
		changed = true
	}
	if !add && !found {
		return fault.NotFoundf("Security group %s not associated with the instance %s", nameOrID, id)
	}
	if changed { // the network service sends no event for this
		return c.readPorts(ctx, s, func(*db.Tx) error { return nil })
	}
	return nil
}
