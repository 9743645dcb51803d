package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

var policyColumns = map[string]string{"id": "id", "type": "type"}

// Policy returns a policy text.
func Policy(ctx context.Context, q db.Querier, id string) (identity.Policy, error) {
	return pick[identity.Policy](ctx, q, "policies", id)
}

// Policies lists policy texts.
func Policies(ctx context.Context, q db.Querier, query identity.Query) ([]identity.Policy, error) {
	return list[identity.Policy](ctx, q, "policies", policyColumns, query, clause{})
}

// AddPolicy writes a new policy text.
func AddPolicy(ctx context.Context, tx *db.Tx, p identity.Policy) error {
	return db.Insert(ctx, tx, "policies", p)
}

// UpdatePolicy writes a changed policy text.
func UpdatePolicy(ctx context.Context, tx *db.Tx, p identity.Policy) error {
	return update(ctx, tx, "policies", p)
}

// DeletePolicy removes a policy text with its associations.
func DeletePolicy(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "policies", id)
}

// PolicyAssociation says what endpoints a policy text is for.
type PolicyAssociation struct {
	EndpointID string `db:"endpoint_id"`
	ServiceID  string `db:"service_id"`
	RegionID   string `db:"region_id"`
	PolicyID   string `db:"policy_id"`
}

// PolicyAssociations lists all associations.
func PolicyAssociations(ctx context.Context, q db.Querier) ([]PolicyAssociation, error) {
	return db.Select[PolicyAssociation](ctx, q, `SELECT `+columns[PolicyAssociation]()+` FROM policy_associations ORDER BY policy_id, endpoint_id, service_id, region_id`)
}

// SetPolicyAssociation writes an association; what it is for has one policy.
func SetPolicyAssociation(ctx context.Context, tx *db.Tx, a PolicyAssociation) error {
	if _, err := tx.Exec(ctx, `DELETE FROM policy_associations WHERE endpoint_id = ? AND service_id = ? AND region_id = ?`, a.EndpointID, a.ServiceID, a.RegionID); err != nil {
		return err
	}
	return db.Raced(db.Insert(ctx, tx, "policy_associations", a))
}

// DeletePolicyAssociation ends an association; db.ErrNoRow when there is none.
func DeletePolicyAssociation(ctx context.Context, tx *db.Tx, a PolicyAssociation) error {
	return touch(tx.Exec(ctx, `DELETE FROM policy_associations WHERE endpoint_id = ? AND service_id = ? AND region_id = ? AND policy_id = ?`,
		a.EndpointID, a.ServiceID, a.RegionID, a.PolicyID))
}
