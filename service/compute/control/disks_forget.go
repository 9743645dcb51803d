package control

import (
	"context"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/compute"
)

// disksUndone is the payload of taskForgetDisks.
type disksUndone struct {
	Servers []string // that have no rows
}

// guardDisks writes down that volumes are about to be made or reserved for servers
// that have no rows yet: the transaction that writes these rows ends the task, and
// if it does not come the volumes are given back. let must be called in the end.
func (c *Control) guardDisks(ctx context.Context, servers []*compute.Server, disks []NewDisk) (written func(*db.Tx) error, let func(), err error) {
	if !slices.ContainsFunc(disks, func(d NewDisk) bool { return !d.Local }) {
		return func(*db.Tx) error { return nil }, func() {}, nil
	}
	var left disksUndone
	for _, s := range servers {
		left.Servers = append(left.Servers, s.ID)
	}
	run, let, err := c.tasks.Begin(ctx, task.Task{Kind: taskForgetDisks, Payload: left, RequestID: rest.RequestID(ctx)})
	return func(tx *db.Tx) error { return run.EndIn(ctx, tx) }, let, err
}

// forgetDisks gives back and deletes the volumes of servers that never were.
func (c *Control) forgetDisks(ctx context.Context, run *task.Run) error {
	ctx = rest.WithRequestID(ctx, run.RequestID)
	var left disksUndone
	if err := run.Payload(&left); err != nil {
		return err
	}
	for _, id := range left.Servers {
		held, err := c.Volumes.Held(ctx, id)
		if err != nil {
			return err
		}
		for _, h := range held {
			if err := c.Volumes.Release(ctx, h.AttachmentID); err != nil {
				return err
			}
		}
		made, err := c.Volumes.MadeFor(ctx, id)
		if err != nil {
			return err
		}
		for _, v := range made {
			switch v.Status {
			case "deleting":
			case "available", "error":
				if err := c.Volumes.Delete(ctx, v.ID); err != nil && !fault.Is(err, fault.NotFound) {
					return err
				}
			case "creating", "downloading":
				return fault.New(fault.Unavailable, "Volume %s of a server that never was is still %s.", v.ID, v.Status)
			default: // somebody has found a use for it
				c.Log.Warn("a volume of a server that never was stays", "server", id, "volume", v.ID, "status", v.Status)
			}
		}
	}
	return nil
}
