package control

import (
	"context"
	"reflect"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// ExternalEvent is what another service says has happened to a server.
type ExternalEvent struct {
	Name     string
	ServerID string
	Tag      string // the port or volume that it is about
	Status   string // "completed", "failed", "in-progress"
}

// EventResult says what became of an event: 200 taken, 400 its tag is missing, 404
// no such server, 422 the server is on no host yet.
type EventResult struct {
	ExternalEvent
	Code int
}

// ExternalEvents takes events. Each is answered for itself.
func (c *Control) ExternalEvents(ctx context.Context, events []ExternalEvent) ([]EventResult, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-server-external-events:create", nil); err != nil {
		return nil, err
	}
	results := make([]EventResult, len(events))
	for i, e := range events {
		code, err := c.externalEvent(ctx, e)
		if err != nil {
			return nil, err
		}
		results[i] = EventResult{e, code}
	}
	return results, nil
}

func (c *Control) externalEvent(ctx context.Context, e ExternalEvent) (code int, err error) {
	s, err := c.Store.Server(ctx, c.Store.DB, e.ServerID)
	if fault.Is(err, fault.NotFound) || err == nil && !s.DeletedAt.IsZero() {
		return 404, nil
	}
	if err != nil {
		return 0, err
	}
	switch e.Name {
	case "volume-extended", "volume-reimaged", "power-update", "accelerator-request-bound": // about what, the tag says
		if e.Tag == "" {
			return 400, nil
		}
	}
	if s.Host == "" {
		return 422, nil
	}
	switch e.Name {
	case "network-vif-plugged", "network-vif-unplugged":
		wired := e.Name == "network-vif-plugged" && e.Status != "failed"
		if err := compute.PortChanged.Send(c.Bus, s.Host, compute.PortEvent{ServerID: s.ID, PortID: e.Tag, Wired: wired}); err != nil {
			return 0, err
		}
		return 200, nil
	case "volume-extended":
		return 200, c.volumeExtended(ctx, s, e.Tag)
	case "network-changed", "network-vif-deleted":
		return 200, c.Store.Tx(ctx, func(tx *db.Tx) error { return c.add(ctx, tx, taskRefresh, s.ID, nil) })
	}
	return 200, nil
}

// refresh is the task that follows events of the network service.
func (c *Control) refresh(ctx context.Context, run *task.Run, s *compute.Server) error {
	return c.readPorts(ctx, s, func(tx *db.Tx) error { return run.EndIn(ctx, tx) })
}

// readPorts asks the network service what a server's ports are like now. What it
// answers is written, with what then does, only over what it was asked for: a
// port that came or went meanwhile has it asked again.
func (c *Control) readPorts(ctx context.Context, s *compute.Server, then func(*db.Tx) error) error {
	for done := false; !done; {
		if !s.DeletedAt.IsZero() || s.State == compute.Building {
			return nil
		}
		ports, err := c.Networks.Ports(ctx, s.ID)
		if err != nil {
			return err
		}
		err = c.Store.Tx(ctx, func(tx *db.Tx) error {
			fresh, err := c.Store.Server(ctx, tx, s.ID)
			if err != nil {
				return err
			}
			done = reflect.DeepEqual(fresh.Networks, s.Networks)
			if s = fresh; !done {
				return nil
			}
			merged := mergePorts(s, ports)
			if _, err := c.Store.UpdateServer(ctx, tx, s.ID, store.ServerPatch{Networks: &merged}, store.Expect{Existing: true}, c.Now()); err != nil {
				return err
			}
			return then(tx)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mergePorts takes what the network service says of ports, in the order in which
// the server has them, new ones last. A new one that the user did not ask for by
// its id is ours: its attaching was cut off.
func mergePorts(s *compute.Server, now []compute.Interface) []compute.Interface {
	merged := make([]compute.Interface, 0, len(now))
	for _, k := range s.Networks {
		if i := slices.IndexFunc(now, func(p compute.Interface) bool { return p.PortID == k.PortID }); i >= 0 {
			p := now[i]
			p.Tag, p.Owned = k.Tag, k.Owned
			merged = append(merged, p)
		}
	}
	for _, p := range now {
		if !slices.ContainsFunc(s.Networks, func(k compute.Interface) bool { return k.PortID == p.PortID }) {
			p.Owned = !slices.ContainsFunc(s.Wanted, func(w compute.NetworkRequest) bool { return w.PortID == p.PortID })
			merged = append(merged, p)
		}
	}
	return merged
}

// portsWired answers an agent which ports of a server the network service has
// wired.
func (c *Control) portsWired(ctx context.Context, r compute.PortsWiredRequest) (compute.PortsWiredReply, error) {
	var reply compute.PortsWiredReply
	ports, err := c.Networks.Ports(ctx, r.ServerID)
	for _, p := range ports {
		if p.Active {
			reply.PortIDs = append(reply.PortIDs, p.PortID)
		}
	}
	return reply, err
}
