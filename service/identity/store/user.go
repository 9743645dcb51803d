package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

// Login is what a log-in needs to know of a user, and writes.
type Login struct {
	Hash     string  `db:"password_hash"` // "" without a password
	HashedAt db.Time `db:"password_at"`
	Failures int     `db:"failures"` // in a row
	FailedAt db.Time `db:"failed_at"`
	ActiveAt db.Time `db:"active_at"`
}

type userRow struct {
	identity.User
	Expires db.Time `db:"password_expires_at"`
}

func (r userRow) user() identity.User {
	r.User.PasswordExpires = r.Expires.Time
	return r.User
}

type newUserRow struct {
	userRow
	Login
	CreatedAt db.Time `db:"created_at"`
}

var userColumns = map[string]string{"id": "id", "name": "name", "domain_id": "domain_id", "enabled": "enabled",
	"default_project_id": "default_project_id", "password_expires_at": "password_expires_at"}

// User returns a user.
func User(ctx context.Context, q db.Querier, id string) (identity.User, error) {
	r, err := pick[userRow](ctx, q, "users", id)
	return r.user(), err
}

// UserByName returns the user with a name in a domain.
func UserByName(ctx context.Context, q db.Querier, domainID, name string) (identity.User, error) {
	r, err := db.Get[userRow](ctx, q, `SELECT `+columns[userRow]()+` FROM users WHERE domain_id = ? AND name = ?`, domainID, name)
	return r.user(), err
}

// UserLogin returns what a log-in needs to know of a user.
func UserLogin(ctx context.Context, q db.Querier, id string) (Login, error) {
	return pick[Login](ctx, q, "users", id)
}

// Users lists users. A filter by password_expires_at has a time.Time; idp_id,
// protocol_id and unique_id are of those who are somebody to an identity provider.
func Users(ctx context.Context, q db.Querier, query identity.Query) ([]identity.User, error) {
	var where, federated clause
	var own []identity.Filter
	for _, f := range query.Filters {
		switch f.Attribute {
		case "idp_id", "protocol_id", "unique_id":
			federated.compare(f.Attribute, f)
		default:
			own = append(own, f)
		}
	}
	if len(federated.terms) > 0 {
		where.add("id IN (SELECT user_id FROM federated_users"+federated.String()+")", federated.args...)
	}
	query.Filters = own
	return users(ctx, q, query, where)
}

// UsersOfGroup lists the members of a group.
func UsersOfGroup(ctx context.Context, q db.Querier, groupID string, query identity.Query) ([]identity.User, error) {
	var where clause
	where.add("id IN (SELECT user_id FROM memberships WHERE group_id = ?)", groupID)
	return users(ctx, q, query, where)
}

func users(ctx context.Context, q db.Querier, query identity.Query, where clause) ([]identity.User, error) {
	rows, err := list[userRow](ctx, q, "users", userColumns, query, where)
	all := make([]identity.User, len(rows))
	for i, r := range rows {
		all[i] = r.user()
	}
	return all, err
}

// AddUser writes a new user.
func AddUser(ctx context.Context, tx *db.Tx, u identity.User, l Login, createdAt db.Time) error {
	return db.Insert(ctx, tx, "users", newUserRow{userRow{u, db.At(u.PasswordExpires)}, l, createdAt})
}

// UpdateUser writes a changed user.
func UpdateUser(ctx context.Context, tx *db.Tx, u identity.User) error {
	return update(ctx, tx, "users", userRow{u, db.At(u.PasswordExpires)})
}

// UpdateLogin writes what log-ins change of a user.
func UpdateLogin(ctx context.Context, tx *db.Tx, id string, l Login) error {
	return touch(tx.Exec(ctx, `UPDATE users SET password_hash = ?, password_at = ?, failures = ?, failed_at = ?, active_at = ? WHERE id = ?`,
		l.Hash, l.HashedAt, l.Failures, l.FailedAt, l.ActiveAt, id))
}

// ActivateUsers notes an instant as that of the last log-in of all who have none,
// and returns how many these were.
func ActivateUsers(ctx context.Context, tx *db.Tx, at db.Time) (int64, error) {
	return tx.Exec(ctx, `UPDATE users SET active_at = ? WHERE active_at IS NULL`, at)
}

// NeverActive counts the users of whom no log-in is known.
func NeverActive(ctx context.Context, q db.Querier) (int, error) {
	return db.Get[int](ctx, q, `SELECT COUNT(*) FROM users WHERE active_at IS NULL`)
}

// FormerPasswords are the hashes of a user's last passwords before the present
// one, the youngest first.
func FormerPasswords(ctx context.Context, q db.Querier, id string, most int) ([]string, error) {
	return db.Select[string](ctx, q, `SELECT password_hash FROM former_passwords WHERE user_id = ? ORDER BY seq DESC LIMIT ?`, id, most)
}

// AddFormerPassword notes a password that is no longer used and forgets all but
// the youngest ones.
func AddFormerPassword(ctx context.Context, tx *db.Tx, id, hash string, keep int) error {
	if _, err := tx.Exec(ctx, `INSERT INTO former_passwords (user_id, password_hash) VALUES (?, ?)`, id, hash); err != nil {
		return err
	}
	seqs, err := db.Select[int64](ctx, tx, `SELECT seq FROM former_passwords WHERE user_id = ? ORDER BY seq DESC`, id)
	if err != nil || len(seqs) <= keep {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM former_passwords WHERE user_id = ? AND seq <= ?`, id, seqs[keep])
	return err
}

// DeleteUser removes a user with all that is said of it.
func DeleteUser(ctx context.Context, tx *db.Tx, id string) error {
	for _, statement := range []string{
		`DELETE FROM grants WHERE actor_id = ?`,
		`DELETE FROM credentials WHERE user_id = ?`,
		`DELETE FROM trusts WHERE trustor_id = ?`,
		`DELETE FROM trusts WHERE trustee_id = ?`,
		`DELETE FROM app_credential_rules WHERE app_credential_id IN (SELECT id FROM app_credentials WHERE user_id = ?)`,
	} {
		if _, err := tx.Exec(ctx, statement, id); err != nil {
			return err
		}
	}
	return remove(ctx, tx, "users", id)
}
