package control

import (
	"context"

	"kilonova/internal/auth"
	"kilonova/service/compute"
)

// Topology returns the NUMA nodes that a server has of its host, and whether the
// caller may know which of the host's they are.
func (c *Control) Topology(ctx context.Context, id string) (hold compute.Hold, operator bool, err error) {
	s, err := c.ownServer(ctx, "compute:server:topology:index", id)
	if err != nil {
		return hold, false, err
	}
	operator = c.Policy.Allows(ctx, "compute:server:topology:host:index", auth.Target{"project_id": s.ProjectID})
	if s.Host != "" {
		hold, err = c.Store.Hold(ctx, c.Store.DB, id, s.Host)
	}
	return hold, operator, err
}
