package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

var groupColumns = map[string]string{"id": "id", "name": "name", "domain_id": "domain_id", "description": "description"}

// Group returns a group.
func Group(ctx context.Context, q db.Querier, id string) (identity.Group, error) {
	return pick[identity.Group](ctx, q, "user_groups", id)
}

// Groups lists groups.
func Groups(ctx context.Context, q db.Querier, query identity.Query) ([]identity.Group, error) {
	return list[identity.Group](ctx, q, "user_groups", groupColumns, query, clause{})
}

// GroupsOfUser lists the groups that a user is a member of.
func GroupsOfUser(ctx context.Context, q db.Querier, userID string, query identity.Query) ([]identity.Group, error) {
	var where clause
	where.add("id IN (SELECT group_id FROM memberships WHERE user_id = ?)", userID)
	return list[identity.Group](ctx, q, "user_groups", groupColumns, query, where)
}

// GroupsByIDs lists those groups that exist.
func GroupsByIDs(ctx context.Context, q db.Querier, ids []string, query identity.Query) ([]identity.Group, error) {
	var where clause
	in, args := db.In(ids)
	where.add("id IN "+in, args...)
	return list[identity.Group](ctx, q, "user_groups", groupColumns, query, where)
}

// AddGroup writes a new group.
func AddGroup(ctx context.Context, tx *db.Tx, g identity.Group) error {
	return db.Insert(ctx, tx, "user_groups", g)
}

// UpdateGroup writes a changed group.
func UpdateGroup(ctx context.Context, tx *db.Tx, g identity.Group) error {
	return update(ctx, tx, "user_groups", g)
}

// DeleteGroup removes a group, its memberships and what was granted to it.
func DeleteGroup(ctx context.Context, tx *db.Tx, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM grants WHERE actor_id = ?`, id); err != nil {
		return err
	}
	return remove(ctx, tx, "user_groups", id)
}

// IsMember reports whether a user is in a group.
func IsMember(ctx context.Context, q db.Querier, groupID, userID string) (bool, error) {
	n, err := db.Get[int](ctx, q, `SELECT COUNT(*) FROM memberships WHERE group_id = ? AND user_id = ?`, groupID, userID)
	return n > 0, err
}

// AddMember puts a user into a group. It is no error when it is there already.
func AddMember(ctx context.Context, tx *db.Tx, groupID, userID string) error {
	if is, err := IsMember(ctx, tx, groupID, userID); err != nil || is {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO memberships (user_id, group_id) VALUES (?, ?)`, userID, groupID)
	return db.Raced(err)
}

// RemoveMember takes a user out of a group; db.ErrNoRow when it is not in it.
func RemoveMember(ctx context.Context, tx *db.Tx, groupID, userID string) error {
	return touch(tx.Exec(ctx, `DELETE FROM memberships WHERE group_id = ? AND user_id = ?`, groupID, userID))
}
