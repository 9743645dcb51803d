package control

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// expireServer puts one server whose deadline has passed where its user can go
// on: a delete is taken up again, anything else ends in ERROR.
func (c *Control) expireServer(ctx context.Context, s *compute.Server, now time.Time) error {
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		pending, err := task.Pending(ctx, tx, s.ID)
		if err != nil || pending {
			return err
		}
		c.Log.Warn("server was left on its way", "server", s.ID, "state", s.State, "task", s.Task)
		if s.Task == compute.Deleting {
			return c.add(ctx, tx, taskDelete, s.ID, nil)
		}
		f := &compute.ServerFault{Code: 500, Created: now, Message: "Instance failed to reach its goal in time."}
		_, err = c.Store.UpdateServer(ctx, tx, s.ID, store.ServerPatch{State: ptr(compute.Error), Task: ptr(compute.NoTask), Fault: &f},
			store.Expect{States: []compute.State{s.State}, Tasks: []compute.Task{s.Task}, Existing: true}, now)
		return err
	})
}
