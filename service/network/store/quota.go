package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/network"
)

type quotaRow struct {
	ProjectID string `db:"project_id"`
	Resource  string `db:"resource"`
	Limit     int    `db:"hard_limit"`
}

// counted says where the resources of a quota are counted.
var counted = map[string]string{
	"network": "networks", "subnet": "subnets", "port": "ports", "router": "routers", "floatingip": "floating_ips",
	"subnetpool": "subnet_pools", "security_group": "security_groups", "security_group_rule": "security_group_rules", "rbac_policy": "rbac_policies",
}

// Quotas returns the limits that projects have of their own, by project.
func (s *Store) Quotas(ctx context.Context, q db.Querier) ([]network.Quotas, error) {
	list, err := db.Select[quotaRow](ctx, q, `SELECT * FROM quotas ORDER BY project_id, resource`)
	var all []network.Quotas
	for _, r := range list {
		if len(all) == 0 || all[len(all)-1].ProjectID != r.ProjectID {
			all = append(all, network.Quotas{Owner: network.OwnedBy(r.ProjectID), Limits: network.Limits{}})
		}
		all[len(all)-1].Limits[r.Resource] = r.Limit
	}
	return all, err
}

// QuotasOf returns the limits that a project has of its own.
func (s *Store) QuotasOf(ctx context.Context, q db.Querier, projectID string) (network.Limits, error) {
	list, err := db.Select[quotaRow](ctx, q, `SELECT * FROM quotas WHERE project_id = ?`, projectID)
	limits := network.Limits{}
	for _, r := range list {
		limits[r.Resource] = r.Limit
	}
	return limits, err
}

// SetQuota gives a project a limit of its own.
func (s *Store) SetQuota(ctx context.Context, tx *db.Tx, projectID, resource string, limit int) error {
	if _, err := tx.Exec(ctx, `DELETE FROM quotas WHERE project_id = ? AND resource = ?`, projectID, resource); err != nil {
		return err
	}
	return db.Raced(db.Insert(ctx, tx, "quotas", quotaRow{projectID, resource, limit}))
}

// DeleteQuotas takes a project's own limits away.
func (s *Store) DeleteQuotas(ctx context.Context, tx *db.Tx, projectID string) (bool, error) {
	n, err := tx.Exec(ctx, `DELETE FROM quotas WHERE project_id = ?`, projectID)
	return n > 0, err
}

// LockQuota has the transaction wait for others that make something for the
// same project, so that counting and making are one.
func (s *Store) LockQuota(ctx context.Context, tx *db.Tx, projectID string) error {
	n, err := tx.Exec(ctx, `UPDATE quota_locks SET turns = turns + 1 WHERE project_id = ?`, projectID)
	if err == nil && n == 0 {
		_, err = tx.Exec(ctx, `INSERT INTO quota_locks (project_id, turns) VALUES (?, 1)`, projectID)
	}
	return db.Raced(err)
}

// Used counts what a project has of a resource.
func (s *Store) Used(ctx context.Context, q db.Querier, projectID, resource string) (int, error) {
	return db.Get[int](ctx, q, `SELECT COUNT(*) FROM `+counted[resource]+` WHERE project_id = ?`, projectID)
}
