package store

import (
	"context"
	"errors"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type shareRow struct {
	ID        string              `db:"id"`
	ServerID  string              `db:"server_id"`
	ShareID   string              `db:"share_id"`
	Tag       string              `db:"tag"`
	Protocol  string              `db:"protocol"`
	Location  string              `db:"export_location"`
	Status    compute.ShareStatus `db:"status"`
	CreatedAt db.Time             `db:"created_at"`
}

const shareColumns = `id, server_id, share_id, tag, protocol, export_location, status, created_at`

func (r shareRow) share() compute.Share {
	return compute.Share{ID: r.ID, ServerID: r.ServerID, ShareID: r.ShareID, Tag: r.Tag, Protocol: r.Protocol, ExportLocation: r.Location, Status: r.Status,
		CreatedAt: r.CreatedAt.Time}
}

// InsertShare gives a server a share; fault.Conflict if it has it, or one with its tag.
func (s *Store) InsertShare(ctx context.Context, tx *db.Tx, x compute.Share) error {
	err := db.Insert(ctx, tx, "server_shares", shareRow{x.ID, x.ServerID, x.ShareID, x.Tag, x.Protocol, x.ExportLocation, x.Status, db.At(x.CreatedAt)})
	if db.IsUnique(err) {
		return fault.Conflictf("Share '%s' or tag '%s' already associated to this server.", x.ShareID, x.Tag)
	}
	return err
}

// Shares returns those of a server, oldest first.
func (s *Store) Shares(ctx context.Context, q db.Querier, serverID string) ([]compute.Share, error) {
	return s.sharesWhere(ctx, q, `server_id = ?`, serverID)
}

// UsersOfShare returns what servers have of a share.
func (s *Store) UsersOfShare(ctx context.Context, q db.Querier, shareID string) ([]compute.Share, error) {
	return s.sharesWhere(ctx, q, `share_id = ?`, shareID)
}

func (s *Store) sharesWhere(ctx context.Context, q db.Querier, where string, arg any) ([]compute.Share, error) {
	var all []compute.Share
	for row, err := range db.Each[shareRow](ctx, q, `SELECT `+shareColumns+` FROM server_shares WHERE `+where+` ORDER BY seq`, arg) {
		if err != nil {
			return nil, err
		}
		all = append(all, row.share())
	}
	return all, nil
}

// Share returns a server's share; fault.NotFound if it has it not.
func (s *Store) Share(ctx context.Context, q db.Querier, serverID, shareID string) (compute.Share, error) {
	row, err := db.Get[shareRow](ctx, q, `SELECT `+shareColumns+` FROM server_shares WHERE server_id = ? AND share_id = ?`, serverID, shareID)
	if errors.Is(err, db.ErrNoRow) {
		return compute.Share{}, fault.NotFoundf("Share %.64s could not be found.", shareID)
	}
	return row.share(), err
}

// SetShareStatus changes the status of a server's share, or with shareID "" of all
// that are one of from.
func (s *Store) SetShareStatus(ctx context.Context, tx *db.Tx, serverID, shareID string, to compute.ShareStatus, from ...compute.ShareStatus) error {
	query, args := `UPDATE server_shares SET status = ? WHERE server_id = ?`, []any{to, serverID}
	if shareID != "" {
		query, args = query+` AND share_id = ?`, append(args, shareID)
	}
	if len(from) > 0 {
		in, values := db.In(from)
		query, args = query+` AND status IN `+in, append(args, values...)
	}
	_, err := tx.Exec(ctx, query, args...)
	return err
}

// DeleteShares takes a share from a server, or with shareID "" all.
func (s *Store) DeleteShares(ctx context.Context, tx *db.Tx, serverID, shareID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM server_shares WHERE server_id = ? AND (share_id = ? OR ? = '')`, serverID, shareID, shareID)
	return err
}
