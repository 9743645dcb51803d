package store

import (
	"context"
	"maps"
	"slices"

	"kilonova/internal/db"
)

type quotaRow struct {
	Resource string `db:"resource"`
	Limit    int    `db:"hard_limit"`
}

// Quotas returns what has been set for a project (userID "" : the project as a
// whole); what has not been set is absent.
func (s *Store) Quotas(ctx context.Context, q db.Querier, projectID, userID string) (map[string]int, error) {
	all := map[string]int{}
	for row, err := range db.Each[quotaRow](ctx, q, `SELECT resource, hard_limit FROM quotas WHERE project_id = ? AND user_id = ?`, projectID, userID) {
		if err != nil {
			return nil, err
		}
		all[row.Resource] = row.Limit
	}
	return all, nil
}

// SetQuotas sets limits; others stay.
func (s *Store) SetQuotas(ctx context.Context, tx *db.Tx, projectID, userID string, limits map[string]int) error {
	for _, resource := range slices.Sorted(maps.Keys(limits)) { // in one order, or two might wait for each other
		if _, err := tx.Exec(ctx, `DELETE FROM quotas WHERE project_id = ? AND user_id = ? AND resource = ?`, projectID, userID, resource); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO quotas (project_id, user_id, resource, hard_limit) VALUES (?, ?, ?, ?)`, projectID, userID, resource, limits[resource])
		if err != nil {
			return db.Raced(err)
		}
	}
	return nil
}

// DeleteQuotas brings a project (or a user in it) back to the defaults.
func (s *Store) DeleteQuotas(ctx context.Context, tx *db.Tx, projectID, userID string) error {
	query, args := `DELETE FROM quotas WHERE project_id = ?`, []any{projectID}
	if userID != "" {
		query, args = query+` AND user_id = ?`, append(args, userID)
	}
	_, err := tx.Exec(ctx, query, args...)
	return err
}

// QuotaTurn has those who are about to use more of a project's quota come one
// after the other: until tx ends, nobody else gets past this line.
func (s *Store) QuotaTurn(ctx context.Context, tx *db.Tx, projectID string) error {
	n, err := tx.Exec(ctx, `UPDATE quota_turns SET turn = turn + 1 WHERE project_id = ?`, projectID)
	if err != nil || n == 1 {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO quota_turns (project_id, turn) VALUES (?, 1)`, projectID)
	return db.Raced(err)
}
