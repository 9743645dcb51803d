package control

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// softDelete switches a server off whose delete can be taken back for a while.
func (c *Control) softDelete(ctx context.Context, run *task.Run, s *compute.Server) error {
	if s.Task != compute.SoftDeleting {
		return nil // something stronger came in between
	}
	grace := c.Options.ShutdownTimeout
	progress, err := work(ctx, c, compute.PowerCall, s.Host, workID(run), compute.PowerRequest{Server: *s, Action: "off", Grace: grace},
		c.deadline(run, time.Duration(grace)*time.Second), c.still(ctx, s))
	s.System.SoftDeletedAt = c.Now().Unix()
	return c.ends(ctx, run, s, ended{event: "compute_soft_delete_instance", cause: err, failed: unlessBroken(err),
		done: store.ServerPatch{State: ptr(compute.SoftDeleted), Power: &progress.Power, System: &s.System}})
}

// RestoreServer begins to take a delete back; the server counts again.
func (c *Control) RestoreServer(ctx context.Context, id string) error {
	o := order{rule: "os_compute_api:os-deferred-delete:restore", verb: compute.Restore, action: "restore", kind: taskRestore}
	o.check = func(ctx context.Context, tx *db.Tx, s *compute.Server) error {
		owner := *auth.From(ctx)
		owner.ProjectID, owner.UserID = s.ProjectID, s.UserID
		return c.takeQuota(ctx, tx, &owner, []*compute.Server{s})
	}
	_, err := c.begins(ctx, id, o)
	return err
}

func (c *Control) bringBack(ctx context.Context, run *task.Run, s *compute.Server) error {
	if s.Task != compute.Restoring {
		return nil // something stronger came in between
	}
	progress, err := work(ctx, c, compute.PowerCall, s.Host, workID(run), compute.PowerRequest{Server: *s, Action: "on"}, c.deadline(run, 0), c.still(ctx, s))
	s.System.SoftDeletedAt = 0
	return c.ends(ctx, run, s, ended{event: "compute_restore_instance", cause: err, failed: unlessBroken(err),
		done: store.ServerPatch{State: ptr(compute.Active), Power: &progress.Power, System: &s.System}})
}

// reclaim deletes servers for good whose time to be restored is over.
func (c *Control) reclaim(ctx context.Context) error {
	keep := c.Options.ReclaimInterval
	if keep <= 0 {
		return nil
	}
	exists, now := false, c.Now()
	var errs []error
	for s, err := range c.Store.Servers(ctx, c.Store.DB, compute.ServerQuery{States: []compute.State{compute.SoftDeleted}, Tasks: []compute.Task{compute.NoTask}, Deleted: &exists}) {
		if err != nil {
			return err
		}
		if s.System.SoftDeletedAt+int64(keep) > now.Unix() {
			continue
		}
		errs = append(errs, c.Store.Tx(ctx, func(tx *db.Tx) error {
			ok, err := c.Store.UpdateServer(ctx, tx, s.ID, store.ServerPatch{Task: ptr(compute.Deleting)},
				store.Expect{States: []compute.State{compute.SoftDeleted}, Tasks: []compute.Task{compute.NoTask}, Existing: true}, now)
			if err != nil || !ok {
				return err
			}
			return c.add(ctx, tx, taskDelete, s.ID, nil)
		}))
	}
	return errors.Join(errs...)
}
