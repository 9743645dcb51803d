package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/notify"
)

// Shares lists the shared file systems of a server.
func (c *Control) Shares(ctx context.Context, serverID string) ([]compute.Share, error) {
	if _, err := c.ownServer(ctx, "os_compute_api:os-server-shares:index", serverID); err != nil {
		return nil, err
	}
	return c.Store.Shares(ctx, c.Store.DB, serverID)
}

// Share returns one of them.
func (c *Control) Share(ctx context.Context, serverID, shareID string) (compute.Share, error) {
	if _, err := c.ownServer(ctx, "os_compute_api:os-server-shares:show", serverID); err != nil {
		return compute.Share{}, err
	}
	return c.Store.Share(ctx, c.Store.DB, serverID, shareID)
}

// AttachShare gives a stopped server a share, which its guest has from its next
// start on under the tag; "" the share's id. That the host may reach it is a task.
func (c *Control) AttachShare(ctx context.Context, serverID, shareID, tag string) (compute.Share, error) {
	none := compute.Share{}
	s, err := c.asked(ctx, "os_compute_api:os-server-shares:create", serverID, compute.AttachShare)
	if err != nil {
		return none, err
	}
	if c.FileShares == nil {
		return none, fault.Forbiddenf("Share %s cannot be attached: there is no share service in this cloud.", shareID)
	}
	if err := c.sharing(ctx, s); err != nil {
		return none, err
	}
	x, err := c.FileShares.Share(ctx, shareID)
	switch {
	case err != nil:
		return none, err
	case x.Status != "available":
		return none, fault.Conflictf("Share %s is in '%.64s' instead of 'available' status.", shareID, x.Status)
	case x.ExportLocation == "":
		return none, fault.Conflictf("Share %s export location is missing.", shareID)
	case x.Protocol != "NFS" && x.Protocol != "CEPHFS":
		return none, fault.Conflictf("Share protocol %.64s is not supported.", x.Protocol)
	}
	if tag == "" {
		tag = x.ID
	}
	share := compute.Share{ID: newID(), ServerID: serverID, ShareID: x.ID, Tag: tag, Protocol: x.Protocol, ExportLocation: x.ExportLocation,
		Status: compute.ShareAttaching, CreatedAt: c.Now()}
	return share, c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.lookAgain(ctx, tx, serverID, compute.AttachShare); err != nil {
			return err
		}
		if err := c.Store.InsertShare(ctx, tx, share); err != nil {
			return err
		}
		if err := c.actAbout(ctx, tx, serverID, "attach_share", notify.About{notify.AboutShare: x.ID}); err != nil {
			return err
		}
		return c.add(ctx, tx, taskAttachShare, serverID, x.ID)
	})
}

// sharing refuses shares for servers whose hypervisor or flavor cannot have them.
func (c *Control) sharing(ctx context.Context, s *compute.Server) error {
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, s.Host)
	if err != nil {
		return err
	}
	_, pages := s.Flavor.ExtraSpecs["hw:mem_page_size"]
	if !slices.Contains(h.Traits, "COMPUTE_STORAGE_VIRTIO_FS") || !pages && !slices.Contains(h.Traits, "COMPUTE_MEM_BACKING_FILE") {
		return fault.Conflictf("Feature not supported because either compute or instance are not configured correctly: the hypervisor of instance %s does not hand shares into guests.", s.ID)
	}
	return nil
}

// DetachShare begins to take a share from a stopped server.
func (c *Control) DetachShare(ctx context.Context, serverID, shareID string) error {
	if _, err := c.asked(ctx, "os_compute_api:os-server-shares:delete", serverID, compute.DetachShare); err != nil {
		return err
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.lookAgain(ctx, tx, serverID, compute.DetachShare); err != nil {
			return err
		}
		if _, err := c.Store.Share(ctx, tx, serverID, shareID); err != nil {
			return err
		}
		if err := c.Store.SetShareStatus(ctx, tx, serverID, shareID, compute.ShareDetaching); err != nil {
			return err
		}
		if err := c.actAbout(ctx, tx, serverID, "detach_share", notify.About{notify.AboutShare: shareID}); err != nil {
			return err
		}
		return c.add(ctx, tx, taskDetachShare, serverID, shareID)
	})
}

// lookAgain asks in a transaction whether a verb is still allowed.
func (c *Control) lookAgain(ctx context.Context, tx *db.Tx, serverID string, verb compute.Verb) error {
	s, err := c.Store.Server(ctx, tx, serverID)
	if err != nil {
		return err
	}
	return compute.Allowed(verb, s)
}

// unshared are the verbs that upstream refuses servers with shares.
var unshared = []compute.Verb{compute.Rebuild, compute.Resize, compute.Shelve, compute.Suspend, compute.LiveMigrate, compute.Evacuate}

// withoutShares refuses a server with shares what cannot be done with it.
func (c *Control) withoutShares(ctx context.Context, q db.Querier, s *compute.Server, verb compute.Verb) error {
	if !slices.Contains(unshared, verb) {
		return nil
	}
	shares, err := c.Store.Shares(ctx, q, s.ID)
	if err == nil && len(shares) > 0 {
		err = fault.Conflictf("Feature not supported with instances that have shares: instance %s has %d.", s.ID, len(shares))
	}
	return err
}

// accessOf is how a host reaches a share: by its address, or under the name that
// all of compute has.
func (c *Control) accessOf(ctx context.Context, host string, share compute.Share) (compute.ShareAccess, error) {
	if share.Protocol == "CEPHFS" {
		return compute.ShareAccess{Type: "cephx", To: "nova"}, nil
	}
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, host)
	if err != nil {
		return compute.ShareAccess{}, err
	}
	return compute.ShareAccess{Type: "ip", To: h.Resources.HostIP}, nil
}

// sharePause is how often it is asked whether a rule holds already.
const sharePause = 500 * time.Millisecond

// attachShare is the task that lets the server's host in.
func (c *Control) attachShare(ctx context.Context, run *task.Run, s *compute.Server) error {
	var shareID string
	if err := run.Payload(&shareID); err != nil {
		return err
	}
	share, err := c.Store.Share(ctx, c.Store.DB, s.ID, shareID)
	if fault.Is(err, fault.NotFound) {
		return nil // it was taken away, or the server was
	}
	if err == nil {
		err = c.letIn(ctx, run, s, share)
	}
	if err != nil && ctx.Err() != nil {
		return err
	}
	return c.settleShare(ctx, run, s, "compute_allow_share", err, shareID, func(tx *db.Tx) error {
		to := compute.ShareInactive
		if err != nil {
			to = compute.ShareError
		}
		return c.Store.SetShareStatus(ctx, tx, s.ID, shareID, to, compute.ShareAttaching)
	})
}

func (c *Control) letIn(ctx context.Context, run *task.Run, s *compute.Server, share compute.Share) error {
	who, err := c.accessOf(ctx, s.Host, share)
	if err != nil {
		return err
	}
	has, err := c.FileShares.Access(ctx, share.ShareID, who)
	if fault.Is(err, fault.NotFound) {
		err = c.FileShares.Allow(ctx, share.ShareID, who)
	}
	for deadline := run.Created.Add(time.Duration(c.Options.ShareTimeout) * time.Second); err == nil && has.State != "active"; {
		if has, err = c.FileShares.Access(ctx, share.ShareID, who); err != nil || has.State == "active" {
			return err
		}
		if has.State == "error" || c.Now().After(deadline) {
			return fault.New(fault.Unavailable, "Share access could not be granted to share id %s: its rule is in state %.32q.", share.ShareID, has.State)
		}
		select {
		case <-time.After(sharePause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return err
}

// detachShare is the task that takes a share from a server, and from its host if
// nobody else there has it.
func (c *Control) detachShare(ctx context.Context, run *task.Run, s *compute.Server) error {
	var shareID string
	if err := run.Payload(&shareID); err != nil {
		return err
	}
	share, err := c.Store.Share(ctx, c.Store.DB, s.ID, shareID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err == nil {
		_, err = work(ctx, c, compute.UnmountShareCall, s.Host, workID(run), compute.ShareRequest{ServerID: s.ID, ShareID: shareID}, c.deadline(run, 0),
			func() error { return c.notDeleting(ctx, s) })
	}
	if err == nil {
		err = c.shutOut(ctx, s, share)
	}
	if err != nil && (ctx.Err() != nil || errors.Is(err, errAbandoned)) {
		return context.Cause(ctx) // taken up again; or the server's end sees to it
	}
	return c.settleShare(ctx, run, s, "compute_deny_share", err, shareID, func(tx *db.Tx) error {
		if err != nil {
			return c.Store.SetShareStatus(ctx, tx, s.ID, shareID, compute.ShareError, compute.ShareDetaching)
		}
		return c.Store.DeleteShares(ctx, tx, s.ID, shareID)
	})
}

// shutOut takes the host's access away unless another server needs it.
func (c *Control) shutOut(ctx context.Context, s *compute.Server, share compute.Share) error {
	if c.FileShares == nil {
		return nil
	}
	users, err := c.Store.UsersOfShare(ctx, c.Store.DB, share.ShareID)
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.ServerID == s.ID {
			continue
		}
		other, err := c.Store.Server(ctx, c.Store.DB, u.ServerID)
		if err == nil && (share.Protocol == "CEPHFS" || other.Host == s.Host) {
			return nil
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	who, err := c.accessOf(ctx, s.Host, share)
	if err != nil {
		return err
	}
	return c.FileShares.Deny(ctx, share.ShareID, who)
}

// settleShare writes how a share's task has ended.
func (c *Control) settleShare(ctx context.Context, run *task.Run, s *compute.Server, event string, cause error, shareID string, write func(*db.Tx) error) error {
	if cause != nil {
		c.Log.Error("action failed", "server", s.ID, "event", event, "share", shareID, "host", s.Host, "error", cause)
	}
	now := c.Now()
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := write(tx); err != nil {
			return err
		}
		if err := c.Store.AddEvent(ctx, tx, run.RequestID, s.ID, eventOf(event, s.Host, run.Created, now, cause), now); err != nil {
			return err
		}
		return run.EndIn(ctx, tx)
	})
}

// sharesOf are a server's shares as its host needs them: with their keys, where the
// share service tells them now. A server can be stopped without.
func (c *Control) sharesOf(ctx context.Context, s *compute.Server) ([]compute.Share, error) {
	all, err := c.Store.Shares(ctx, c.Store.DB, s.ID)
	if err != nil || c.FileShares == nil {
		return all, err
	}
	for i := range all {
		if all[i].Protocol != "CEPHFS" {
			continue
		}
		who, err := c.accessOf(ctx, s.Host, all[i])
		if err == nil {
			who, err = c.FileShares.Access(ctx, all[i].ShareID, who)
		}
		if err != nil {
			c.Log.Warn("a share's key is not known", "server", s.ID, "share", all[i].ShareID, "error", err)
		}
		all[i].Key = who.Key
	}
	return all, nil
}

// shareStates notes that a server's guest has its shares now, or has them no more.
func (c *Control) shareStates(ctx context.Context, tx *db.Tx, s *compute.Server, state compute.State) error {
	switch {
	case state == compute.Active:
		return c.Store.SetShareStatus(ctx, tx, s.ID, "", compute.ShareActive, compute.ShareInactive, compute.ShareError)
	case state == compute.Stopped:
		return c.Store.SetShareStatus(ctx, tx, s.ID, "", compute.ShareInactive, compute.ShareActive)
	}
	return nil
}

// dropShares takes a server that ends from its shares.
func (c *Control) dropShares(ctx context.Context, s *compute.Server) error {
	shares, err := c.Store.Shares(ctx, c.Store.DB, s.ID)
	if err != nil {
		return err
	}
	for _, share := range shares {
		if err := c.shutOut(ctx, s, share); err != nil {
			if fault.Is(err, fault.Unavailable) {
				return err
			}
			c.Log.Warn("a share's access rule remains", "server", s.ID, "share", share.ShareID, "error", err)
		}
	}
	if len(shares) == 0 {
		return nil
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error { return c.Store.DeleteShares(ctx, tx, s.ID, "") })
}
