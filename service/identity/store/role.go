package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

var roleColumns = map[string]string{"id": "id", "name": "name", "domain_id": "domain_id", "description": "description"}

// Role returns a role.
func Role(ctx context.Context, q db.Querier, id string) (identity.Role, error) {
	return pick[identity.Role](ctx, q, "roles", id)
}

// Roles lists roles.
func Roles(ctx context.Context, q db.Querier, query identity.Query) ([]identity.Role, error) {
	return list[identity.Role](ctx, q, "roles", roleColumns, query, clause{})
}

// RolesByID returns those of the roles that exist.
func RolesByID(ctx context.Context, q db.Querier, ids []string) ([]identity.Role, error) {
	in, args := db.In(ids)
	return db.Select[identity.Role](ctx, q, `SELECT `+columns[identity.Role]()+` FROM roles WHERE id IN `+in+` ORDER BY name`, args...)
}

// AddRole writes a new role.
func AddRole(ctx context.Context, tx *db.Tx, r identity.Role) error {
	return db.Insert(ctx, tx, "roles", r)
}

// UpdateRole writes a changed role.
func UpdateRole(ctx context.Context, tx *db.Tx, r identity.Role) error {
	return update(ctx, tx, "roles", r)
}

// DeleteRole removes a role with all its grants.
func DeleteRole(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "roles", id)
}

// Implication is a row of the table of implied roles.
type Implication struct {
	PriorID   string `db:"prior_id"`
	ImpliedID string `db:"implied_id"`
}

// Implications lists all implied roles.
func Implications(ctx context.Context, q db.Querier) ([]Implication, error) {
	return db.Select[Implication](ctx, q, `SELECT prior_id, implied_id FROM implied_roles ORDER BY prior_id, implied_id`)
}

// AddImplication has one role imply another.
func AddImplication(ctx context.Context, tx *db.Tx, i Implication) error {
	return db.Insert(ctx, tx, "implied_roles", i)
}

// DeleteImplication ends it; db.ErrNoRow when it is not so.
func DeleteImplication(ctx context.Context, tx *db.Tx, i Implication) error {
	return touch(tx.Exec(ctx, `DELETE FROM implied_roles WHERE prior_id = ? AND implied_id = ?`, i.PriorID, i.ImpliedID))
}
