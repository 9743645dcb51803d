package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/notify"
	"kilonova/service/compute/store"
)

// DeleteServer begins to delete a server: for good, or, with a
// reclaim_instance_interval, so that it can be restored for a while. One that
// never ran is of no use to anybody.
func (c *Control) DeleteServer(ctx context.Context, id string) error {
	s, err := c.ownServer(ctx, "os_compute_api:servers:delete", id)
	if err != nil {
		return err
	}
	if c.Options.ReclaimInterval <= 0 || s.LaunchedAt.IsZero() || s.Host == "" || s.State == compute.SoftDeleted {
		return c.deleteServer(ctx, s)
	}
	if s.Task == compute.Deleting || s.Task == compute.SoftDeleting {
		return nil // asked for already
	}
	if err := c.unlocked(ctx, s); err != nil {
		return err
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if _, err := c.Store.UpdateServer(ctx, tx, id, store.ServerPatch{Task: ptr(compute.SoftDeleting)}, store.Expect{Existing: true}, c.Now()); err != nil {
			return err
		}
		if err := c.actAbout(ctx, tx, id, "delete", notify.About{notify.AboutSoft: "true"}); err != nil {
			return err
		}
		return c.add(ctx, tx, taskSoftDelete, id, nil)
	})
}

// ForceDeleteServer begins to delete a server for good.
func (c *Control) ForceDeleteServer(ctx context.Context, id string) error {
	s, err := c.ownServer(ctx, "os_compute_api:os-deferred-delete:force", id)
	if err != nil {
		return err
	}
	return c.deleteServer(ctx, s)
}

// deleteServer begins the end of a server. What is under way with it is told to
// end.
func (c *Control) deleteServer(ctx context.Context, s *compute.Server) error {
	id := s.ID
	if s.Task == compute.Deleting {
		return nil // asked for already
	}
	if err := c.unlocked(ctx, s); err != nil {
		return err
	}
	err := c.Store.Tx(ctx, func(tx *db.Tx) error {
		ok, err := c.Store.UpdateServer(ctx, tx, id, store.ServerPatch{Task: ptr(compute.Deleting)}, store.Expect{Existing: true}, c.Now())
		if err != nil {
			return err
		}
		if !ok {
			return fault.NotFoundf("Instance %s could not be found.", id)
		}
		if err := c.act(ctx, tx, id, "delete"); err != nil {
			return err
		}
		return c.add(ctx, tx, taskDelete, id, nil)
	})
	if err == nil {
		if stop, ok := c.building.Load(id); ok {
			stop.(context.CancelCauseFunc)(errAbandoned)
		}
	}
	return err
}

// remove takes a server out of the world: its guest, its ports, its claim, and
// last its row's life.
func (c *Control) remove(ctx context.Context, run *task.Run, s *compute.Server) error {
	if !s.DeletedAt.IsZero() {
		return nil
	}
	if s.Host != "" {
		if err := c.destroyGuest(ctx, s, s.Host, run.Subject+"/delete"); err != nil {
			return err
		}
	}
	if err := c.clearMoves(ctx, s); err != nil {
		return err
	}
	if err := c.dropPorts(ctx, s); err != nil {
		return err
	}
	if err := c.dropVolumes(ctx, s); err != nil {
		return err
	}
	if err := c.dropShares(ctx, s); err != nil {
		return err
	}
	if err := c.Placement.Release(ctx, s.ID); err != nil {
		return err
	}
	if image := s.System.ShelvedImage; image != "" {
		if err := c.Images.Drop(ctx, image); err != nil {
			c.Log.Warn("the image of a shelved server remains", "server", s.ID, "image", image, "error", err)
		}
	}
	now := c.Now()
	if err := c.Store.Tx(ctx, func(tx *db.Tx) error { return c.Store.DropConsoles(ctx, tx, s.ID) }); err != nil {
		return err
	}
	return c.finish(ctx, run, s, store.ServerPatch{State: ptr(compute.Deleted), Task: ptr(compute.NoTask), Power: ptr(compute.PowerNone), TerminatedAt: &now,
		DeletedAt: &now, AdminPass: ptr("")}, "compute_terminate_instance", s.Host, nil)
}

// hostGrace is how long an unreachable host holds up a delete. After it the
// server is gone; the host is told to remove the guest when it comes back.
const hostGrace = 20 * time.Second

// destroyGuest has a host remove a guest and all that belongs to it.
func (c *Control) destroyGuest(ctx context.Context, s *compute.Server, host, workID string) error {
	request := compute.DestroyRequest{ServerID: s.ID, Networks: s.Networks}
	_, err := work(ctx, c, compute.Destroy, host, workID, request, c.Now().Add(hostGrace), nil)
	if fault.Is(err, fault.Unavailable) && ctx.Err() == nil {
		up, upErr := c.hostUp(ctx, host)
		if upErr != nil {
			return upErr
		}
		if !up {
			c.Log.Warn("host is down, its guest will be removed when it comes back", "server", s.ID, "host", host)
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("remove guest of %s on %s: %w", s.ID, host, err)
	}
	return nil
}

// dropPorts deletes the ports that compute has made for a server and gives those
// back that were the user's.
func (c *Control) dropPorts(ctx context.Context, s *compute.Server) error {
	ports, err := c.Networks.Ports(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if c.userPort(s, p.PortID) {
			err = c.Networks.Unbind(ctx, p.PortID)
		} else {
			err = c.Networks.Delete(ctx, p.PortID)
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// userPort reports whether a port was there before the server.
func (c *Control) userPort(s *compute.Server, portID string) bool {
	return slices.ContainsFunc(s.Wanted, func(w compute.NetworkRequest) bool { return w.PortID == portID }) ||
		slices.ContainsFunc(s.Networks, func(n compute.Interface) bool { return n.PortID == portID && !n.Owned })
}
