package store

import (
	"context"
	"strings"

	"kilonova/internal/db"
)

// A count is wrong only when something has written servers that does not count: a
// program of before, while it and this one ran side by side, or somebody's own
// SQL. Recount finds that and mends it.

type countRow struct {
	ProjectID string `db:"project_id"`
	UserID    string `db:"user_id"`
	Host      string `db:"host"`
	Usage
}

func (r *countRow) key(c *counts) []any {
	if c.table == hostCounts.table {
		return []any{r.Host}
	}
	return []any{r.ProjectID, r.UserID}
}

// Recount brings the counts to what the servers are and returns how many were
// wrong. It reads all servers.
func (s *Store) Recount(ctx context.Context) (wrong int, err error) {
	for _, c := range []*counts{&projectCounts, &hostCounts} {
		keys := strings.Join(c.keys, ", ")
		suspects, err := s.differing(ctx, c, keys)
		if err != nil {
			return wrong, err
		}
		for _, row := range suspects {
			mended := false
			err := s.Tx(ctx, func(tx *db.Tx) (err error) {
				mended, err = c.mend(ctx, tx, row.key(c))
				return err
			})
			if err != nil {
				return wrong, err
			}
			if mended {
				wrong++
			}
		}
	}
	return wrong, nil
}

// differing returns the counts that are not what the servers are. Some may only
// have changed between one query and the other.
func (s *Store) differing(ctx context.Context, c *counts, keys string) ([]countRow, error) {
	said := map[countRow]bool{}
	for row, err := range db.Each[countRow](ctx, s.DB, `SELECT `+keys+`, servers, vcpus, memory_mb FROM `+c.table+` WHERE servers <> 0 OR vcpus <> 0 OR memory_mb <> 0`) {
		if err != nil {
			return nil, err
		}
		said[*row] = true
	}
	var all []countRow
	for row, err := range db.Each[countRow](ctx, s.DB, `SELECT `+keys+`, `+sums+` FROM servers WHERE `+c.counted+` GROUP BY `+keys) {
		if err != nil {
			return nil, err
		}
		if !said[*row] {
			all = append(all, *row)
		}
		delete(said, *row)
	}
	for row := range said {
		all = append(all, row)
	}
	return all, nil
}

const sums = `COUNT(*) AS servers, COALESCE(SUM(vcpus), 0) AS vcpus, COALESCE(SUM(memory_mb), 0) AS memory_mb`

// mend counts anew for one row and reports whether it was wrong. Whoever changes
// what is counted here has to wait for its row, and who has changed it already is
// waited for.
func (c *counts) mend(ctx context.Context, tx *db.Tx, key []any) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE `+c.table+` SET servers = servers WHERE `+c.is(), key...)
	if err == nil && n == 0 {
		_, err = tx.Exec(ctx, `INSERT INTO `+c.table+` (servers, vcpus, memory_mb, `+strings.Join(c.keys, ", ")+`) VALUES (0, 0, 0`+strings.Repeat(", ?", len(c.keys))+`)`, key...)
		err = db.Raced(err)
	}
	if err != nil {
		return false, err
	}
	said, err := db.Get[Usage](ctx, tx, `SELECT servers, vcpus, memory_mb FROM `+c.table+` WHERE `+c.is(), key...)
	if err != nil {
		return false, err
	}
	are, err := db.Get[Usage](ctx, tx, `SELECT `+sums+` FROM servers WHERE `+c.counted+` AND `+c.is(), key...)
	if err != nil || are == said {
		return false, err
	}
	_, err = tx.Exec(ctx, `UPDATE `+c.table+` SET servers = ?, vcpus = ?, memory_mb = ? WHERE `+c.is(), append([]any{are.Servers, are.VCPUs, are.MemoryMB}, key...)...)
	return true, err
}
