package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// FederatedAs returns who users are to identity providers, by user.
func (c *Control) FederatedAs(ctx context.Context, users []identity.User) (map[string][]identity.FederatedUser, error) {
	all := map[string][]identity.FederatedUser{}
	for part := range slices.Chunk(users, 500) {
		ids := make([]string, len(part))
		for i, u := range part {
			ids[i] = u.ID
		}
		rows, err := store.FederatedAs(ctx, c.db, ids)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			all[r.UserID] = append(all[r.UserID], r)
		}
	}
	return all, nil
}

// checkFederated refuses providers and protocols that are not there.
func (c *Control) checkFederated(ctx context.Context, list []identity.FederatedUser) error {
	for _, f := range list {
		if _, err := store.IdentityProvider(ctx, c.db, f.IdentityProvider); errors.Is(err, db.ErrNoRow) {
			return fault.Invalidf("Could not find Identity Provider: %s", clip(f.IdentityProvider))
		} else if err != nil {
			return err
		}
		if _, err := store.Protocol(ctx, c.db, f.IdentityProvider, f.Protocol); errors.Is(err, db.ErrNoRow) {
			return fault.Invalidf("Could not find federated protocol %s for Identity Provider: %s.", clip(f.Protocol), clip(f.IdentityProvider))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// setFederated writes who a user is to identity providers in place of who it was;
// an empty list leaves that.
func (c *Control) setFederated(ctx context.Context, tx *db.Tx, u identity.User, list []identity.FederatedUser) error {
	if len(list) == 0 {
		return nil
	}
	if err := store.DeleteFederatedUser(ctx, tx, u.ID); err != nil {
		return err
	}
	for _, f := range list {
		f.UserID, f.DisplayName = u.ID, u.Name
		err := store.AddFederatedUser(ctx, tx, f)
		if err := duplicate(err, "federated_user", "%s is somebody at %s by %s already", clip(f.UniqueID), f.IdentityProvider, f.Protocol); err != nil {
			return err
		}
	}
	return nil
}
