package control

import (
	"context"

	"kilonova/internal/task"
	"kilonova/service/network"
)

// notifyTask is durable work: compute is told of a server's port, once and in
// order for each port, also when it does not answer just now.
const notifyTask = "notify"

// event has compute told something about a server's port after the commit.
func (c *Control) event(ctx context.Context, tx *write, p network.Port, name string) error {
	if c.compute == nil || !network.IsServerPort(p.DeviceOwner) || p.DeviceID == "" {
		return nil
	}
	return c.addTask(ctx, tx, notifyTask, p.ID, network.Event{Name: name, ServerID: p.DeviceID, PortID: p.ID, Status: "completed"})
}

// changed has compute told that a server's addresses are others now.
func (c *Control) changed(ctx context.Context, tx *write, p network.Port) error {
	return c.event(ctx, tx, p, network.EventChanged)
}

// maxNotify is how often compute is tried; after about half an hour its own
// look at its ports has told it.
const maxNotify = 40

func (c *Control) notify(ctx context.Context, run *task.Run) error {
	var e network.Event
	if err := run.Payload(&e); err != nil {
		return err
	}
	err := c.compute.Notify(ctx, e)
	if err != nil && run.Attempt >= maxNotify {
		c.log.Error("network: compute not told of an event", "event", e.Name, "server", e.ServerID, "port", e.PortID, "error", err)
		return nil
	}
	return err
}
