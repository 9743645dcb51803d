package control

import (
	"context"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute/store"
)

// GuestPassword returns the password that a server's guest has posted, encrypted
// with its user's key; "" if there is none.
func (c *Control) GuestPassword(ctx context.Context, id string) (string, error) {
	s, err := c.ownServer(ctx, "os_compute_api:os-server-password:show", id)
	if err != nil {
		return "", err
	}
	return s.System.Password, nil
}

// ClearGuestPassword forgets it; the guest may then post another one.
func (c *Control) ClearGuestPassword(ctx context.Context, id string) error {
	if _, err := c.ownServer(ctx, "os_compute_api:os-server-password:clear", id); err != nil {
		return err
	}
	return c.changePassword(ctx, id, func(string) (string, error) { return "", nil })
}

// PostPassword keeps what a guest has posted. It may do so once.
func (c *Control) PostPassword(ctx context.Context, id, password string) error {
	return c.changePassword(ctx, id, func(before string) (string, error) {
		if before != "" {
			return "", fault.Conflictf("The password of instance %s has been set already.", id)
		}
		return password, nil
	})
}

func (c *Control) changePassword(ctx context.Context, id string, change func(before string) (string, error)) error {
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		// written before it is read, so that nobody else changes it meanwhile
		if _, err := c.Store.UpdateServer(ctx, tx, id, store.ServerPatch{}, store.Expect{Existing: true}, c.Now()); err != nil {
			return err
		}
		s, err := c.Store.Server(ctx, tx, id)
		if err != nil {
			return err
		}
		system := s.System
		if system.Password, err = change(s.System.Password); err != nil {
			return err
		}
		ok, err := c.Store.UpdateServer(ctx, tx, id, store.ServerPatch{System: &system}, store.Expect{Existing: true}, c.Now())
		if err == nil && !ok {
			err = fault.NotFoundf("Instance %s could not be found.", id)
		}
		return err
	})
}
