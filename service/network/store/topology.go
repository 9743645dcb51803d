package store

import (
	"context"

	"kilonova/internal/db"
)

// Topology is what was laid out for a project.
type Topology struct {
	ProjectID string `db:"project_id"`
	NetworkID string `db:"network_id"`
	RouterID  string `db:"router_id"`
}

// Topologies lists what was laid out; projectID "" for all projects.
func (s *Store) Topologies(ctx context.Context, q db.Querier, projectID string) ([]Topology, error) {
	return db.Select[Topology](ctx, q, `SELECT * FROM topologies WHERE ? IN ('', project_id) ORDER BY project_id`, projectID)
}

// InsertTopology notes what was laid out. A project that has something already is
// a unique-key error.
func (s *Store) InsertTopology(ctx context.Context, tx *db.Tx, t Topology) error {
	return db.Insert(ctx, tx, "topologies", t)
}

// DeleteTopology forgets what was laid out.
func (s *Store) DeleteTopology(ctx context.Context, tx *db.Tx, projectID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM topologies WHERE project_id = ?`, projectID)
	return err
}

// TopologyParts returns what topologies are made from: the id of the default
// external network and those of the default subnet pools, by IP version. What
// there is not is "" or absent.
func (s *Store) TopologyParts(ctx context.Context, q db.Querier) (external string, pools map[int]string, err error) {
	externals, err := db.Select[string](ctx, q, `SELECT id FROM networks WHERE default_for = ?`, defaultExternal)
	if err != nil {
		return "", nil, err
	}
	if len(externals) > 0 {
		external = externals[0]
	}
	type pool struct {
		ID        string `db:"id"`
		IPVersion int    `db:"ip_version"`
	}
	list, err := db.Select[pool](ctx, q, `SELECT id, ip_version FROM subnet_pools WHERE is_default = ?`, true)
	pools = map[int]string{}
	for _, p := range list {
		pools[p.IPVersion] = p.ID
	}
	return external, pools, err
}
