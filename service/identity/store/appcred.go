package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

type appCredRow struct {
	identity.AppCredential
	Expires db.Time `db:"expires_at"`
	Hash    string  `db:"secret_hash"`
}

var appCredColumns = map[string]string{"id": "id", "name": "name", "user_id": "user_id", "project_id": "project_id"}

// AppCredential returns an application credential with its roles and access
// rules, and the hash of its secret.
func AppCredential(ctx context.Context, q db.Querier, id string) (identity.AppCredential, string, error) {
	r, err := pick[appCredRow](ctx, q, "app_credentials", id)
	if err != nil {
		return r.AppCredential, "", err
	}
	a, err := fullAppCred(ctx, q, r)
	return a, r.Hash, err
}

func fullAppCred(ctx context.Context, q db.Querier, r appCredRow) (identity.AppCredential, error) {
	a := r.AppCredential
	a.Expires = r.Expires.Time
	var err error
	if a.Roles, err = db.Select[identity.Role](ctx, q, `SELECT `+columns[identity.Role]()+` FROM roles
		WHERE id IN (SELECT role_id FROM app_credential_roles WHERE app_credential_id = ?) ORDER BY name`, a.ID); err != nil {
		return a, err
	}
	a.AccessRules, err = db.Select[identity.AccessRule](ctx, q, `SELECT `+columns[identity.AccessRule]()+` FROM access_rules
		WHERE id IN (SELECT rule_id FROM app_credential_rules WHERE app_credential_id = ?) ORDER BY id`, a.ID)
	return a, err
}

// AppCredentials lists application credentials.
func AppCredentials(ctx context.Context, q db.Querier, query identity.Query) ([]identity.AppCredential, error) {
	rows, err := list[appCredRow](ctx, q, "app_credentials", appCredColumns, query, clause{})
	all := make([]identity.AppCredential, len(rows))
	for i := 0; i < len(rows) && err == nil; i++ {
		all[i], err = fullAppCred(ctx, q, rows[i])
	}
	return all, err
}

// AddAppCredential writes a new application credential; its access rules exist.
func AddAppCredential(ctx context.Context, tx *db.Tx, a identity.AppCredential, hash string) error {
	if err := db.Insert(ctx, tx, "app_credentials", appCredRow{a, db.At(a.Expires), hash}); err != nil {
		return err
	}
	type roleRow struct {
		AppCredID string `db:"app_credential_id"`
		RoleID    string `db:"role_id"`
	}
	type ruleRow struct {
		AppCredID string `db:"app_credential_id"`
		RuleID    string `db:"rule_id"`
	}
	var roles []roleRow
	for _, r := range a.Roles {
		roles = append(roles, roleRow{a.ID, r.ID})
	}
	if err := db.Insert(ctx, tx, "app_credential_roles", roles...); err != nil {
		return err
	}
	var rules []ruleRow
	for _, r := range a.AccessRules {
		rules = append(rules, ruleRow{a.ID, r.ID})
	}
	return db.Insert(ctx, tx, "app_credential_rules", rules...)
}

// DeleteAppCredential removes an application credential; its access rules stay.
func DeleteAppCredential(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "app_credentials", id)
}

// AccessRules lists the access rules of a user.
func AccessRules(ctx context.Context, q db.Querier, userID string) ([]identity.AccessRule, error) {
	return db.Select[identity.AccessRule](ctx, q, `SELECT `+columns[identity.AccessRule]()+` FROM access_rules WHERE user_id = ? ORDER BY id`, userID)
}

// AccessRule returns an access rule.
func AccessRule(ctx context.Context, q db.Querier, id string) (identity.AccessRule, error) {
	return pick[identity.AccessRule](ctx, q, "access_rules", id)
}

// AddAccessRule writes a new access rule.
func AddAccessRule(ctx context.Context, tx *db.Tx, r identity.AccessRule) error {
	return db.Insert(ctx, tx, "access_rules", r)
}

// AccessRuleInUse reports whether an application credential has the rule.
func AccessRuleInUse(ctx context.Context, q db.Querier, id string) (bool, error) {
	n, err := db.Get[int](ctx, q, `SELECT COUNT(*) FROM app_credential_rules WHERE rule_id = ?`, id)
	return n > 0, err
}

// DeleteAccessRule removes an access rule that no application credential has.
func DeleteAccessRule(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "access_rules", id)
}
