package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/network"
)

type rbacRow struct {
	ID         string `db:"id"`
	ProjectID  string `db:"project_id"`
	ObjectType string `db:"object_type"`
	ObjectID   string `db:"object_id"`
	Action     string `db:"action"`
	Target     string `db:"target"`
}

var rbacList = &listing{
	resource: "RBAC policy", missing: "RbacPolicyNotFound", table: "rbac_policies", columns: "t.*", visible: "t.project_id = ?",
	attrs: map[string]attr{"id": {expr: "t.id"}, "project_id": {expr: "t.project_id"}, "tenant_id": {expr: "t.project_id"},
		"object_type": {expr: "t.object_type"}, "object_id": {expr: "t.object_id"}, "action": {expr: "t.action"},
		"target_tenant": {expr: "t.target"}, "target_project": {expr: "t.target"}},
}

// RBACPolicies lists RBAC policies.
func (s *Store) RBACPolicies(ctx context.Context, q db.Querier, scope Scope, query network.Query) ([]network.RBACPolicy, error) {
	list, err := rows[rbacRow](ctx, q, rbacList, scope, query)
	out := make([]network.RBACPolicy, len(list))
	for i, r := range list {
		out[i] = r.policy()
	}
	return out, err
}

// RBACPolicy reads an RBAC policy.
func (s *Store) RBACPolicy(ctx context.Context, q db.Querier, scope Scope, id string) (network.RBACPolicy, error) {
	list, err := one[rbacRow](ctx, q, rbacList, scope, id)
	if err != nil {
		return network.RBACPolicy{}, err
	}
	return list[0].policy(), nil
}

func (r rbacRow) policy() network.RBACPolicy {
	return network.RBACPolicy{ID: r.ID, Owner: network.OwnedBy(r.ProjectID), ObjectType: r.ObjectType, ObjectID: r.ObjectID,
		Action: r.Action, Target: r.Target}
}

// InsertRBACPolicy writes a new RBAC policy; the same once more is a unique-key
// error.
func (s *Store) InsertRBACPolicy(ctx context.Context, tx *db.Tx, p network.RBACPolicy) error {
	return db.Insert(ctx, tx, "rbac_policies", rbacRow{p.ID, p.ProjectID, p.ObjectType, p.ObjectID, p.Action, p.Target})
}

// RetargetRBACPolicy changes whom an RBAC policy is for.
func (s *Store) RetargetRBACPolicy(ctx context.Context, tx *db.Tx, id, target string) error {
	return stale(tx.Exec(ctx, `UPDATE rbac_policies SET target = ? WHERE id = ?`, target, id))
}

// DeleteRBACPolicy removes an RBAC policy.
func (s *Store) DeleteRBACPolicy(ctx context.Context, tx *db.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM rbac_policies WHERE id = ?`, id)
	return err
}

// Ungrant removes the policy that grants an action on an object to everybody.
func (s *Store) Ungrant(ctx context.Context, tx *db.Tx, objectID, action string) error {
	_, err := tx.Exec(ctx, `DELETE FROM rbac_policies WHERE object_id = ? AND action = ? AND target = '*'`, objectID, action)
	return err
}

// NetworkUsers lists the projects, besides the owner, that have ports on a network
// (servers' and users' ports; the service's own do not count).
func (s *Store) NetworkUsers(ctx context.Context, q db.Querier, networkID, owner string) ([]string, error) {
	return db.Select[string](ctx, q, `SELECT DISTINCT project_id FROM ports WHERE network_id = ? AND project_id <> ? AND project_id <> ''
		AND device_owner NOT LIKE 'network:%'`, networkID, owner)
}
