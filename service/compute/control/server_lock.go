package control

import (
	"context"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// Who may have locked a server.
const (
	byOwner = "owner"
	byAdmin = "admin" // anybody of another project
)

// LockServer keeps everybody but administrators from changing a server. The
// owner does not take over a lock that stands.
func (c *Control) LockServer(ctx context.Context, id, reason string) error {
	s, err := c.ownServer(ctx, "os_compute_api:os-lock-server:lock", id)
	if err != nil {
		return err
	}
	by := lockerOf(ctx, s)
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		s, err := c.Store.Server(ctx, tx, id)
		if err != nil || s.Locked && by == byOwner {
			return err
		}
		patch := store.ServerPatch{Locked: ptr(true), LockedBy: &by, LockedReason: &reason}
		if _, err := c.Store.UpdateServer(ctx, tx, id, patch, store.Expect{Existing: true}, c.Now()); err != nil {
			return err
		}
		return c.act(ctx, tx, id, "lock")
	})
}

// UnlockServer takes a lock away. One that an administrator has made is only for
// those whom the policy lets override it.
func (c *Control) UnlockServer(ctx context.Context, id string) error {
	s, err := c.ownServer(ctx, "os_compute_api:os-lock-server:unlock", id)
	if err != nil {
		return err
	}
	if s.LockedBy != "" && s.LockedBy != lockerOf(ctx, s) {
		if err := c.Policy.Enforce(ctx, "os_compute_api:os-lock-server:unlock:unlock_override", auth.Target{"project_id": s.ProjectID}); err != nil {
			return err
		}
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		patch := store.ServerPatch{Locked: ptr(false), LockedBy: ptr(""), LockedReason: ptr("")}
		if _, err := c.Store.UpdateServer(ctx, tx, id, patch, store.Expect{Existing: true}, c.Now()); err != nil {
			return err
		}
		return c.act(ctx, tx, id, "unlock")
	})
}

func lockerOf(ctx context.Context, s *compute.Server) string {
	if auth.From(ctx).ProjectID == s.ProjectID {
		return byOwner
	}
	return byAdmin
}
