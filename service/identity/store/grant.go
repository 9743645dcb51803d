package store

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

// HasGrant reports whether a grant exists.
func HasGrant(ctx context.Context, q db.Querier, g identity.Grant) (bool, error) {
	n, err := db.Get[int](ctx, q, `SELECT COUNT(*) FROM grants WHERE actor_id = ? AND target_id = ? AND target_kind = ? AND role_id = ? AND inherited = ?`,
		g.ActorID, g.TargetID, string(g.TargetKind), g.RoleID, g.Inherited)
	return n > 0, err
}

// AddGrant writes a grant. It is no error when it exists already.
func AddGrant(ctx context.Context, tx *db.Tx, g identity.Grant) error {
	if has, err := HasGrant(ctx, tx, g); err != nil || has {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO grants (actor_id, target_id, target_kind, role_id, inherited, is_group) VALUES (?, ?, ?, ?, ?, ?)`,
		g.ActorID, g.TargetID, string(g.TargetKind), g.RoleID, g.Inherited, g.IsGroup)
	return db.Raced(err)
}

// DeleteGrant removes a grant; db.ErrNoRow when there is no such grant.
func DeleteGrant(ctx context.Context, tx *db.Tx, g identity.Grant) error {
	return touch(tx.Exec(ctx, `DELETE FROM grants WHERE actor_id = ? AND target_id = ? AND target_kind = ? AND role_id = ? AND inherited = ?`,
		g.ActorID, g.TargetID, string(g.TargetKind), g.RoleID, g.Inherited))
}

// GrantQuery selects grants; nil and "" do not.
type GrantQuery struct {
	Actors    []string
	Targets   []string
	Kind      identity.TargetKind
	RoleID    string
	Inherited *bool
}

// Grants lists grants.
func Grants(ctx context.Context, q db.Querier, query GrantQuery) ([]identity.Grant, error) {
	var where clause
	if query.Actors != nil {
		in, args := db.In(query.Actors)
		where.add("actor_id IN "+in, args...)
	}
	if query.Targets != nil {
		in, args := db.In(query.Targets)
		where.add("target_id IN "+in, args...)
	}
	if query.Kind != "" {
		where.add("target_kind = ?", string(query.Kind))
	}
	if query.RoleID != "" {
		where.add("role_id = ?", query.RoleID)
	}
	if query.Inherited != nil {
		where.add("inherited = ?", *query.Inherited)
	}
	return db.Select[identity.Grant](ctx, q, `SELECT `+columns[identity.Grant]()+` FROM grants`+where.String()+
		` ORDER BY actor_id, target_id, role_id, inherited`, where.args...)
}

// Actor is a user with all groups that it is in.
type Actor struct {
	UserID string
	Groups []string // besides those of memberships: of a token, of a directory
	Now    time.Time
}

// grants is the condition on actor_id: the user itself and its groups.
func (a Actor) grants() (string, []any) {
	term := `(actor_id = ? OR actor_id IN (SELECT group_id FROM memberships WHERE user_id = ?)
	OR actor_id IN (SELECT group_id FROM federated_memberships WHERE user_id = ? AND expires_at > ?)`
	args := []any{a.UserID, a.UserID, a.UserID, db.At(a.Now)}
	if len(a.Groups) > 0 {
		in, ids := db.In(a.Groups)
		term += ` OR actor_id IN ` + in
		args = append(args, ids...)
	}
	return term + ")", args
}

// closure adds to the roles in "held" those that they imply.
const closure = `, effective (role_id) AS (
	SELECT role_id FROM held UNION SELECT implied_id FROM implied_roles JOIN effective ON prior_id = effective.role_id)
	SELECT roles.id, roles.name FROM roles JOIN effective ON roles.id = effective.role_id WHERE roles.domain_id = '' ORDER BY roles.name`

type named struct {
	ID   string `db:"id"`
	Name string `db:"name"`
}

func roleNames(ctx context.Context, q db.Querier, query string, args ...any) ([]identity.Named, error) {
	rows, err := db.Select[named](ctx, q, query, args...)
	roles := make([]identity.Named, len(rows))
	for i, r := range rows {
		roles[i] = identity.Named(r)
	}
	return roles, err
}

// RolesOn returns the global roles that a user has on a target now: its own and
// its groups', inherited from the targets above, and implied.
func RolesOn(ctx context.Context, q db.Querier, a Actor, kind identity.TargetKind, target string, above []string) ([]identity.Named, error) {
	actors, args := a.grants()
	args = append(args, target, string(kind), false)
	inherited := ""
	if len(above) > 0 {
		in, ids := db.In(above)
		inherited = ` OR target_id IN ` + in + ` AND inherited = ?`
		args = append(append(args, ids...), true)
	}
	return roleNames(ctx, q, `WITH RECURSIVE held (role_id) AS (
	SELECT role_id FROM grants WHERE `+actors+` AND (target_id = ? AND target_kind = ? AND inherited = ?`+inherited+`))`+closure, args...)
}

// ImpliedBy returns roles and all that they imply, without those of domains.
func ImpliedBy(ctx context.Context, q db.Querier, roleIDs []string) ([]identity.Named, error) {
	in, args := db.In(roleIDs)
	return roleNames(ctx, q, `WITH RECURSIVE held (role_id) AS (SELECT id FROM roles WHERE id IN `+in+`)`+closure, args...)
}

// GrantsOfUser lists what is granted to a user or its groups.
func GrantsOfUser(ctx context.Context, q db.Querier, a Actor) ([]identity.Grant, error) {
	actors, args := a.grants()
	return db.Select[identity.Grant](ctx, q, `SELECT `+columns[identity.Grant]()+` FROM grants WHERE `+actors, args...)
}
