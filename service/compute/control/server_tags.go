package control

import (
	"context"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// MaxTags is how many tags a server may have.
const MaxTags = 50

// Tags returns a server's tags. rule is the last word of the policy's name.
func (c *Control) Tags(ctx context.Context, id, rule string) ([]string, error) {
	s, err := c.ownServer(ctx, "os_compute_api:os-server-tags:"+rule, id)
	if err != nil {
		return nil, err
	}
	return s.Tags, nil
}

// ChangeTags has change make the new tags out of the old, in a transaction, and
// returns them. verb is what upstream's message calls it.
func (c *Control) ChangeTags(ctx context.Context, id, rule, verb string, change func([]string) ([]string, error)) ([]string, error) {
	if _, err := c.ownServer(ctx, "os_compute_api:os-server-tags:"+rule, id); err != nil {
		return nil, err
	}
	var after []string
	err := c.Store.Tx(ctx, func(tx *db.Tx) error {
		s, err := c.Store.Server(ctx, tx, id)
		if err != nil {
			return err
		}
		switch s.State {
		case compute.Active, compute.Paused, compute.Suspended, compute.Stopped:
		default:
			return fault.Conflictf("Cannot '%s' instance %s while it is in vm_state %s", verb, id, s.State)
		}
		if after, err = change(slices.Clone(s.Tags)); err != nil {
			return err
		}
		_, err = c.Store.UpdateServer(ctx, tx, id, store.ServerPatch{Tags: &after}, store.Expect{Existing: true}, c.Now())
		return err
	})
	return after, err
}
