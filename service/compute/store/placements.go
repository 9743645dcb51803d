package store

import (
	"context"
	"encoding/json"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

type placementRow struct {
	ServerID  string  `db:"server_id"`
	RequestID string  `db:"request_id"`
	Host      string  `db:"host"`
	Driver    string  `db:"driver"`
	DecidedAt db.Time `db:"decided_at"`
	TookUS    int64   `db:"took_us"`
	Together  int     `db:"together"`
	Refusal   string  `db:"refusal"`
	Record    string  `db:"record"`
}

// InsertPlacements keeps why servers came where they are.
func (s *Store) InsertPlacements(ctx context.Context, tx *db.Tx, all ...compute.PlacementRecord) error {
	rows := make([]placementRow, len(all))
	for i, p := range all {
		rows[i] = placementRow{p.ServerID, p.RequestID, p.Host, p.Driver, db.At(p.DecidedAt), p.Took.Microseconds(), p.Together, p.Refusal, string(p.Record)}
	}
	return db.Insert(ctx, tx, "placements", rows...)
}

// Placements returns the decisions about a server, the newest first, at most limit.
func (s *Store) Placements(ctx context.Context, q db.Querier, serverID string, limit int) ([]compute.PlacementRecord, error) {
	var all []compute.PlacementRecord
	for r, err := range db.Each[placementRow](ctx, q, `SELECT server_id, request_id, host, driver, decided_at, took_us, together, refusal, record
		FROM placements WHERE server_id = ? ORDER BY seq DESC LIMIT ?`, serverID, limit) {
		if err != nil {
			return nil, err
		}
		all = append(all, compute.PlacementRecord{ServerID: r.ServerID, RequestID: r.RequestID, Host: r.Host, Driver: r.Driver, DecidedAt: r.DecidedAt.Time,
			Took: time.Duration(r.TookUS) * time.Microsecond, Together: r.Together, Refusal: r.Refusal, Record: json.RawMessage(r.Record)})
	}
	return all, nil
}

// ForgetPlacements removes decisions from before a time, and all but the newest
// keep.
func (s *Store) ForgetPlacements(ctx context.Context, tx *db.Tx, before time.Time, keep int) error {
	if _, err := tx.Exec(ctx, `DELETE FROM placements WHERE decided_at < ?`, db.At(before)); err != nil {
		return err
	}
	newest, err := db.Get[int64](ctx, tx, `SELECT COALESCE(MAX(seq), 0) FROM placements`)
	if err != nil || newest <= int64(keep) {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM placements WHERE seq <= ?`, newest-int64(keep))
	return err
}
