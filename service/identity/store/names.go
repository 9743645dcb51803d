package store

import (
	"context"
	"slices"

	"kilonova/internal/db"
)

// Name is what a thing is called, and where.
type Name struct {
	ID       string `db:"id"`
	Name     string `db:"name"`
	DomainID string `db:"domain_id"`
}

// The tables that Names looks into.
const (
	UserNames    = "users"
	GroupNames   = "user_groups"
	ProjectNames = "projects"
	RoleNames    = "roles"
)

// Names returns the names of those ids that exist in a table.
func Names(ctx context.Context, q db.Querier, table string, ids []string) (map[string]Name, error) {
	names := make(map[string]Name, len(ids))
	for part := range slices.Chunk(ids, 1000) {
		in, args := db.In(part)
		for n, err := range db.Each[Name](ctx, q, `SELECT id, name, domain_id FROM `+table+` WHERE id IN `+in, args...) {
			if err != nil {
				return nil, err
			}
			names[n.ID] = *n
		}
	}
	return names, nil
}

// MembersOf returns the ids of the users in each of the groups.
func MembersOf(ctx context.Context, q db.Querier, groupIDs []string) (map[string][]string, error) {
	members := map[string][]string{}
	type membership struct {
		GroupID string `db:"group_id"`
		UserID  string `db:"user_id"`
	}
	for part := range slices.Chunk(groupIDs, 1000) {
		in, args := db.In(part)
		for m, err := range db.Each[membership](ctx, q, `SELECT group_id, user_id FROM memberships WHERE group_id IN `+in+` ORDER BY user_id`, args...) {
			if err != nil {
				return nil, err
			}
			members[m.GroupID] = append(members[m.GroupID], m.UserID)
		}
	}
	return members, nil
}
