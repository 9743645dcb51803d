package store

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// ClassQuotas returns what has been set for a class of quotas.
func (s *Store) ClassQuotas(ctx context.Context, q db.Querier, class string) (map[string]int, error) {
	all := map[string]int{}
	for row, err := range db.Each[quotaRow](ctx, q, `SELECT resource, hard_limit FROM quota_classes WHERE class = ?`, class) {
		if err != nil {
			return nil, err
		}
		all[row.Resource] = row.Limit
	}
	return all, nil
}

// SetClassQuota sets one limit of a class.
func (s *Store) SetClassQuota(ctx context.Context, tx *db.Tx, class, resource string, limit int) error {
	if _, err := tx.Exec(ctx, `DELETE FROM quota_classes WHERE class = ? AND resource = ?`, class, resource); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO quota_classes (class, resource, hard_limit) VALUES (?, ?, ?)`, class, resource, limit)
	return db.Raced(err)
}

// UsedBetween lists the servers, also such as are gone, that ran for some time
// between begin and end: of a project unless it is "", after the server marker, by
// project and id, at most limit.
func (s *Store) UsedBetween(ctx context.Context, q db.Querier, begin, end time.Time, projectID, marker string, limit int) ([]*compute.Server, error) {
	query, args := `SELECT * FROM servers WHERE launched_at < ? AND (terminated_at IS NULL OR terminated_at > ?)`, []any{db.At(end), db.At(begin)}
	if projectID != "" {
		query, args = query+` AND project_id = ?`, append(args, projectID)
	}
	if marker != "" {
		last, err := db.Get[serverRow](ctx, q, `SELECT * FROM servers WHERE id = ?`, marker)
		if errors.Is(err, db.ErrNoRow) {
			return nil, fault.Invalidf("Marker %.64s could not be found.", marker)
		}
		if err != nil {
			return nil, err
		}
		if projectID != "" {
			query, args = query+` AND id > ?`, append(args, last.ID)
		} else {
			query, args = query+` AND project_id >= ? AND (project_id > ? OR id > ?)`, append(args, last.ProjectID, last.ProjectID, last.ID)
		}
	}
	return collect(db.Each[serverRow](ctx, q, query+` ORDER BY project_id, id LIMIT ?`, append(args, limit)...))
}

// Audit is what the usage audit found on a host.
type Audit struct {
	Host    string `db:"host"`
	Servers int    `db:"servers"`
	Message string `db:"message"`
}

// Audits returns what was found for a period.
func (s *Store) Audits(ctx context.Context, q db.Querier, begin, end time.Time) ([]Audit, error) {
	return db.Select[Audit](ctx, q, `SELECT host, servers, message FROM usage_audits WHERE period_begin = ? AND period_end = ? ORDER BY host`, db.At(begin), db.At(end))
}

// InsertAudit notes what was found; what is noted already stays.
func (s *Store) InsertAudit(ctx context.Context, tx *db.Tx, begin, end time.Time, a Audit) error {
	_, err := tx.Exec(ctx, `INSERT INTO usage_audits (host, period_begin, period_end, servers, message) VALUES (?, ?, ?, ?, ?)`,
		a.Host, db.At(begin), db.At(end), a.Servers, a.Message)
	return db.Raced(err)
}

type hostUsage struct {
	Host    string `db:"host"`
	Servers int    `db:"servers"`
}

// UsedOn counts by host the servers that ran there between begin and end.
func (s *Store) UsedOn(ctx context.Context, q db.Querier, begin, end time.Time) (map[string]int, error) {
	counts := map[string]int{}
	for row, err := range db.Each[hostUsage](ctx, q, `SELECT host, COUNT(*) AS servers FROM servers
		WHERE launched_at < ? AND (terminated_at IS NULL OR terminated_at > ?) GROUP BY host`, db.At(end), db.At(begin)) {
		if err != nil {
			return nil, err
		}
		counts[row.Host] = row.Servers
	}
	return counts, nil
}

// UsedOnHost lists the servers, also such as are gone, that ran on a host for some
// time between begin and end: those numbered after, in their order, at most limit.
func (s *Store) UsedOnHost(ctx context.Context, q db.Querier, host string, begin, end time.Time, after int64, limit int) ([]*compute.Server, error) {
	return collect(db.Each[serverRow](ctx, q, `SELECT * FROM servers WHERE host = ? AND seq > ? AND launched_at < ? AND (terminated_at IS NULL OR terminated_at > ?)
		ORDER BY seq LIMIT ?`, host, after, db.At(end), db.At(begin), limit))
}

// ServerWithVolume returns the server that has a volume; fault.NotFound if none
// has. It reads all servers with volumes: it is for the few who do not know it.
func (s *Store) ServerWithVolume(ctx context.Context, q db.Querier, volumeID string) (*compute.Server, error) {
	for row, err := range db.Each[serverRow](ctx, q, `SELECT * FROM servers WHERE deleted_at IS NULL AND devices IS NOT NULL AND devices <> 'null' AND devices <> '[]'`) {
		if err != nil {
			return nil, err
		}
		for _, d := range row.Devices.V {
			if d.VolumeID == volumeID && d.AttachmentID != "" {
				return row.server(), nil
			}
		}
	}
	return nil, fault.NotFoundf("No server has volume %s.", volumeID)
}
