package control

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// ResetState says that a server is active or in error, whatever it seems to be,
// and that nothing is being done with it. What is under way notices and ends.
func (c *Control) ResetState(ctx context.Context, id string, state compute.State) error {
	if _, err := c.ownServer(ctx, "os_compute_api:os-admin-actions:reset_state", id); err != nil {
		return err
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		_, err := c.Store.UpdateServer(ctx, tx, id, store.ServerPatch{State: &state, Task: ptr(compute.NoTask)}, store.Expect{Existing: true}, c.Now())
		return err
	})
}

// InjectNetworkInfo has what is known of a server's ports read anew. (Of old it
// wrote them into guests that have an agent for that; none has any more.)
func (c *Control) InjectNetworkInfo(ctx context.Context, id string) error {
	if _, err := c.changeable(ctx, "os_compute_api:os-admin-actions:inject_network_info", id); err != nil {
		return err
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error { return c.add(ctx, tx, taskRefresh, id, nil) })
}
