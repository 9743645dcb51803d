package store

import (
	"context"
	"errors"
	"iter"
	"slices"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// A hold counts while its server is where it was made for, or on the way: what a
// move or a build leaves behind needs nobody to take it back.
const holdCounts = `s.deleted_at IS NULL AND (h.host = s.host OR s.task_state <> '' OR s.vm_state = 'resized')`

type holdRow struct {
	ServerID  string                `db:"server_id"`
	Host      string                `db:"host"`
	Exclusive bool                  `db:"exclusive"`
	Hold      db.JSON[compute.Hold] `db:"hold"`
}

// PutHold notes what a server holds of a host, in place of what it held there
// before.
func (s *Store) PutHold(ctx context.Context, tx *db.Tx, serverID, host string, h compute.Hold) error {
	if err := s.DropHold(ctx, tx, serverID, host); err != nil {
		return err
	}
	err := db.Insert(ctx, tx, "host_holds", holdRow{ServerID: serverID, Host: host, Exclusive: !h.Empty() || !h.Before.Empty(), Hold: db.AsJSON(h)})
	return db.Raced(err)
}

// DropHold forgets what a server holds of a host, or of all for "".
func (s *Store) DropHold(ctx context.Context, tx *db.Tx, serverID, host string) error {
	query, args := `DELETE FROM host_holds WHERE server_id = ?`, []any{serverID}
	if host != "" {
		query, args = query+` AND host = ?`, append(args, host)
	}
	_, err := tx.Exec(ctx, query, args...)
	return err
}

// arrivals are servers that have come to rest in a transaction.
type arrivals struct{ ids []string }

// arrived has what a server that has come to rest holds elsewhere dropped when tx
// ends.
func (s *Store) arrived(ctx context.Context, tx *db.Tx, id string) {
	a := db.Keep(tx, func(a *arrivals) error {
		slices.Sort(a.ids)
		in, args := db.In(slices.Compact(a.ids))
		_, err := tx.Exec(ctx, `DELETE FROM host_holds WHERE server_id IN `+in+` AND EXISTS (SELECT 1 FROM servers AS s
			WHERE s.id = host_holds.server_id AND s.host <> host_holds.host AND s.task_state = '' AND s.vm_state <> 'resized')`, args...)
		return err
	})
	a.ids = append(a.ids, id)
}

// Hold returns what a server holds of a host; the zero value for nothing.
func (s *Store) Hold(ctx context.Context, q db.Querier, serverID, host string) (compute.Hold, error) {
	row, err := db.Get[holdRow](ctx, q, `SELECT * FROM host_holds WHERE server_id = ? AND host = ?`, serverID, host)
	if errors.Is(err, db.ErrNoRow) {
		return compute.Hold{}, nil
	}
	return row.Hold.V, err
}

// Holds returns what servers hold exclusively of hosts, or of all if none is named, by
// host and server; what is kept for a way back stands beside, under a name of its own.
func (s *Store) Holds(ctx context.Context, q db.Querier, hosts ...string) (map[string]map[string]compute.Hold, error) {
	const query = `SELECT h.* FROM host_holds AS h JOIN servers AS s ON s.id = h.server_id WHERE h.exclusive = ? AND ` + holdCounts
	all := map[string]map[string]compute.Hold{}
	if len(hosts) == 0 {
		return all, readHolds(all, db.Each[holdRow](ctx, q, query, true))
	}
	for some := range slices.Chunk(hosts, hostsAtOnce) {
		in, args := db.In(some)
		if err := readHolds(all, db.Each[holdRow](ctx, q, query+` AND h.host IN `+in, append([]any{true}, args...)...)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// hostsAtOnce bounds the hosts that one query names.
const hostsAtOnce = 512

func readHolds(all map[string]map[string]compute.Hold, rows iter.Seq2[*holdRow, error]) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		if all[row.Host] == nil {
			all[row.Host] = map[string]compute.Hold{}
		}
		hold := row.Hold.V
		if !hold.Before.Empty() {
			all[row.Host][row.ServerID+"/before"] = *hold.Before
		}
		hold.Before = nil
		all[row.Host][row.ServerID] = hold
	}
	return nil
}

// PlacesOf says on which hosts the members of a group are, or have a hold: two
// for one that moves.
func (s *Store) PlacesOf(ctx context.Context, q db.Querier, groupID string) (map[string][]string, error) {
	places := map[string][]string{}
	for row, err := range db.Each[located](ctx, q, `SELECT s.id AS id, s.host AS host FROM server_group_members AS m JOIN servers AS s ON s.id = m.server_id
		WHERE m.group_id = ? AND s.deleted_at IS NULL AND s.host <> ''
		UNION SELECT s.id AS id, h.host AS host FROM server_group_members AS m JOIN servers AS s ON s.id = m.server_id JOIN host_holds AS h ON h.server_id = s.id
		WHERE m.group_id = ? AND `+holdCounts+` ORDER BY id, host`, groupID, groupID) {
		if err != nil {
			return nil, err
		}
		places[row.ID] = append(places[row.ID], row.Host)
	}
	return places, nil
}

// NodeTurn has those who decide what of a host is held come one after the other;
// see GroupTurn.
func (s *Store) NodeTurn(ctx context.Context, tx *db.Tx, providerID string) error {
	return s.QuotaTurn(ctx, tx, "node:"+providerID)
}

type failures struct {
	Host  string `db:"host"`
	Count int    `db:"failed"`
}

// BuildFailures says how many builds have failed on hosts since the last one that
// succeeded; those without any are absent.
func (s *Store) BuildFailures(ctx context.Context, q db.Querier) (map[string]int, error) {
	all := map[string]int{}
	for row, err := range db.Each[failures](ctx, q, `SELECT host, failed FROM build_failures`) {
		if err != nil {
			return nil, err
		}
		all[row.Host] = row.Count
	}
	return all, nil
}

// AddBuildFailure counts one more.
func (s *Store) AddBuildFailure(ctx context.Context, tx *db.Tx, host string) error {
	n, err := tx.Exec(ctx, `UPDATE build_failures SET failed = failed + 1 WHERE host = ?`, host)
	if err != nil || n == 1 {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO build_failures (host, failed) VALUES (?, 1)`, host)
	return db.Raced(err)
}

// ForgetBuildFailures is for a host on which a build succeeded.
func (s *Store) ForgetBuildFailures(ctx context.Context, tx *db.Tx, host string) error {
	_, err := tx.Exec(ctx, `DELETE FROM build_failures WHERE host = ?`, host)
	return err
}
