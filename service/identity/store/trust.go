package store

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

type trustRow struct {
	identity.Trust
	Expires db.Time `db:"expires_at"`
}

var trustColumns = map[string]string{"id": "id", "trustor_user_id": "trustor_id", "trustee_user_id": "trustee_id", "redelegated_from": "redelegated_from"}

// Trust returns a trust with its roles, expired or not.
func Trust(ctx context.Context, q db.Querier, id string) (identity.Trust, error) {
	r, err := pick[trustRow](ctx, q, "trusts", id)
	if err != nil {
		return r.Trust, err
	}
	t := r.Trust
	t.Expires = r.Expires.Time
	t.Roles, err = db.Select[identity.Role](ctx, q, `SELECT `+columns[identity.Role]()+` FROM roles
		WHERE id IN (SELECT role_id FROM trust_roles WHERE trust_id = ?) ORDER BY name`, id)
	return t, err
}

// Trusts lists trusts without their roles.
func Trusts(ctx context.Context, q db.Querier, query identity.Query) ([]identity.Trust, error) {
	rows, err := list[trustRow](ctx, q, "trusts", trustColumns, query, clause{})
	all := make([]identity.Trust, len(rows))
	for i, r := range rows {
		all[i] = r.Trust
		all[i].Expires = r.Expires.Time
	}
	return all, err
}

// AddTrust writes a new trust with its roles.
func AddTrust(ctx context.Context, tx *db.Tx, t identity.Trust) error {
	if err := db.Insert(ctx, tx, "trusts", trustRow{t, db.At(t.Expires)}); err != nil {
		return err
	}
	type roleRow struct {
		TrustID string `db:"trust_id"`
		RoleID  string `db:"role_id"`
	}
	var roles []roleRow
	for _, r := range t.Roles {
		roles = append(roles, roleRow{t.ID, r.ID})
	}
	return db.Insert(ctx, tx, "trust_roles", roles...)
}

// UseTrust counts a use; db.ErrNoRow when none is left.
func UseTrust(ctx context.Context, tx *db.Tx, id string) error {
	return touch(tx.Exec(ctx, `UPDATE trusts SET remaining_uses = remaining_uses - 1 WHERE id = ? AND remaining_uses > 0`, id))
}

// DeleteTrust removes a trust.
func DeleteTrust(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "trusts", id)
}

// PruneTrusts removes trusts that ended before an instant.
func PruneTrusts(ctx context.Context, tx *db.Tx, before time.Time) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM trusts WHERE expires_at < ?`, db.At(before))
}
