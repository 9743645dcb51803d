package store

import (
	"context"
	"errors"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type groupRow struct {
	Seq        int64   `db:"seq"`
	ID         string  `db:"id"`
	Name       string  `db:"name"`
	ProjectID  string  `db:"project_id"`
	UserID     string  `db:"user_id"`
	Policy     string  `db:"policy"`
	MaxPerHost int     `db:"max_per_host"`
	Turn       int64   `db:"turn"`
	CreatedAt  db.Time `db:"created_at"`
}

type newGroupRow struct {
	groupRow
	Seq int64 `db:"-"`
}

func (r *groupRow) group() *compute.ServerGroup {
	return &compute.ServerGroup{Seq: r.Seq, ID: r.ID, Name: r.Name, ProjectID: r.ProjectID, UserID: r.UserID, Policy: r.Policy, MaxPerHost: r.MaxPerHost,
		CreatedAt: r.CreatedAt.Time}
}

// InsertGroup writes a new server group.
func (s *Store) InsertGroup(ctx context.Context, tx *db.Tx, g *compute.ServerGroup) error {
	return db.Insert(ctx, tx, "server_groups", newGroupRow{groupRow: groupRow{ID: g.ID, Name: g.Name, ProjectID: g.ProjectID, UserID: g.UserID,
		Policy: g.Policy, MaxPerHost: g.MaxPerHost, CreatedAt: db.At(g.CreatedAt)}})
}

// Group returns a server group with its members; fault.NotFound if there is none.
func (s *Store) Group(ctx context.Context, q db.Querier, id string) (*compute.ServerGroup, error) {
	row, err := db.Get[groupRow](ctx, q, `SELECT * FROM server_groups WHERE id = ?`, id)
	if errors.Is(err, db.ErrNoRow) {
		return nil, fault.NotFoundf("Instance group %s could not be found.", id)
	}
	if err != nil {
		return nil, err
	}
	g := row.group()
	err = s.fillGroups(ctx, q, []*compute.ServerGroup{g})
	return g, err
}

// GroupOf returns the group that a server is in; nil if it is in none.
func (s *Store) GroupOf(ctx context.Context, q db.Querier, serverID string) (*compute.ServerGroup, error) {
	row, err := db.Get[groupRow](ctx, q, `SELECT g.* FROM server_groups AS g JOIN server_group_members AS m ON m.group_id = g.id WHERE m.server_id = ?`, serverID)
	if errors.Is(err, db.ErrNoRow) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	g := row.group()
	err = s.fillGroups(ctx, q, []*compute.ServerGroup{g})
	return g, err
}

// Groups returns a project's server groups, all of them for "", in the order of
// their making: at most limit after the first offset ones.
func (s *Store) Groups(ctx context.Context, q db.Querier, projectID string, offset, limit int) ([]*compute.ServerGroup, error) {
	query, args := `SELECT * FROM server_groups`, []any(nil)
	if projectID != "" {
		query, args = query+` WHERE project_id = ?`, append(args, projectID)
	}
	var all []*compute.ServerGroup
	for row, err := range db.Each[groupRow](ctx, q, query+` ORDER BY seq LIMIT ? OFFSET ?`, append(args, limit, offset)...) {
		if err != nil {
			return nil, err
		}
		all = append(all, row.group())
	}
	return all, s.fillGroups(ctx, q, all)
}

type memberRow struct {
	GroupID  string `db:"group_id"`
	ServerID string `db:"server_id"`
}

// fillGroups reads the members of groups: those that exist.
func (s *Store) fillGroups(ctx context.Context, q db.Querier, groups []*compute.ServerGroup) error {
	if len(groups) == 0 {
		return nil
	}
	byID, ids := map[string]*compute.ServerGroup{}, make([]string, len(groups))
	for i, g := range groups {
		byID[g.ID], ids[i] = g, g.ID
	}
	in, args := db.In(ids)
	for row, err := range db.Each[memberRow](ctx, q, `SELECT m.group_id, m.server_id FROM server_group_members AS m JOIN servers AS s ON s.id = m.server_id
		WHERE s.deleted_at IS NULL AND m.group_id IN `+in+` ORDER BY m.seq`, args...) {
		if err != nil {
			return err
		}
		g := byID[row.GroupID]
		g.Members = append(g.Members, row.ServerID)
	}
	return nil
}

// CountGroups counts a project's server groups.
func (s *Store) CountGroups(ctx context.Context, q db.Querier, projectID string) (int, error) {
	return db.Get[int](ctx, q, `SELECT COUNT(*) FROM server_groups WHERE project_id = ?`, projectID)
}

// CountMembers counts the existing servers of a user in a group.
func (s *Store) CountMembers(ctx context.Context, q db.Querier, groupID, userID string) (int, error) {
	return db.Get[int](ctx, q, `SELECT COUNT(*) FROM server_group_members AS m JOIN servers AS s ON s.id = m.server_id
		WHERE m.group_id = ? AND s.user_id = ? AND s.deleted_at IS NULL`, groupID, userID)
}

// DeleteGroup removes a group; its servers stay. fault.NotFound if there is none.
func (s *Store) DeleteGroup(ctx context.Context, tx *db.Tx, id string) error {
	n, err := tx.Exec(ctx, `DELETE FROM server_groups WHERE id = ?`, id)
	if err == nil && n == 0 {
		return fault.NotFoundf("Instance group %s could not be found.", id)
	}
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM server_group_members WHERE group_id = ?`, id)
	return err
}

// GroupTurn has those who change a group, or who decide by it, come one after the
// other: until tx ends, nobody else gets past this line, and what tx reads after it
// is what those before it wrote. It reports whether the group is still there.
func (s *Store) GroupTurn(ctx context.Context, tx *db.Tx, id string) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE server_groups SET turn = turn + 1 WHERE id = ?`, id)
	return n == 1, err
}

type newMemberRow struct {
	GroupID  string `db:"group_id"`
	ServerID string `db:"server_id"`
}

// AddMembers puts servers into a group.
func (s *Store) AddMembers(ctx context.Context, tx *db.Tx, groupID string, servers []*compute.Server) error {
	rows := make([]newMemberRow, len(servers))
	for i, v := range servers {
		rows[i] = newMemberRow{groupID, v.ID}
	}
	return db.Insert(ctx, tx, "server_group_members", rows...)
}

// GroupsOf says in which group each of some servers is; those in none are absent.
func (s *Store) GroupsOf(ctx context.Context, q db.Querier, serverIDs []string) (map[string]string, error) {
	if len(serverIDs) == 0 {
		return nil, nil
	}
	in, args := db.In(serverIDs)
	groups := map[string]string{}
	for row, err := range db.Each[memberRow](ctx, q, `SELECT group_id, server_id FROM server_group_members WHERE server_id IN `+in, args...) {
		if err != nil {
			return nil, err
		}
		groups[row.ServerID] = row.GroupID
	}
	return groups, nil
}
