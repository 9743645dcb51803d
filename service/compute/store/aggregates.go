package store

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type aggregateRow struct {
	Seq       int64                      `db:"seq"`
	ID        string                     `db:"id"`
	Name      string                     `db:"name"`
	Hosts     db.JSON[[]string]          `db:"hosts"`
	Metadata  db.JSON[map[string]string] `db:"metadata"`
	CreatedAt db.Time                    `db:"created_at"`
	UpdatedAt db.Time                    `db:"updated_at"`
}

type newAggregateRow struct {
	aggregateRow
	Seq int64 `db:"-"`
}

// aggregate: one that has never been changed keeps the time of its making in
// updated_at, since the column takes no NULL.
func (r *aggregateRow) aggregate() compute.Aggregate {
	a := compute.Aggregate{Seq: r.Seq, ID: r.ID, Name: r.Name, Hosts: r.Hosts.V, Metadata: r.Metadata.V, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time}
	if a.UpdatedAt.Equal(a.CreatedAt) {
		a.UpdatedAt = time.Time{}
	}
	return a
}

// Aggregates returns all aggregates in the order of their making.
func (s *Store) Aggregates(ctx context.Context, q db.Querier) ([]compute.Aggregate, error) {
	var all []compute.Aggregate
	for row, err := range db.Each[aggregateRow](ctx, q, `SELECT * FROM aggregates ORDER BY seq`) {
		if err != nil {
			return nil, err
		}
		all = append(all, row.aggregate())
	}
	return all, nil
}

// Aggregate returns one by its number; fault.NotFound if there is none.
func (s *Store) Aggregate(ctx context.Context, q db.Querier, seq int64) (compute.Aggregate, error) {
	row, err := db.Get[aggregateRow](ctx, q, `SELECT * FROM aggregates WHERE seq = ?`, seq)
	if errors.Is(err, db.ErrNoRow) {
		return compute.Aggregate{}, fault.NotFoundf("Aggregate %d could not be found.", seq)
	}
	if err != nil {
		return compute.Aggregate{}, err
	}
	return row.aggregate(), nil
}

// AggregatesTurn has those who change aggregates come one after the other: what
// they check concerns all of them.
func (s *Store) AggregatesTurn(ctx context.Context, tx *db.Tx) error {
	return s.QuotaTurn(ctx, tx, "aggregates")
}

// InsertAggregate writes a new aggregate and returns it with its number;
// fault.Conflict when there is one of that name.
func (s *Store) InsertAggregate(ctx context.Context, tx *db.Tx, a compute.Aggregate) (compute.Aggregate, error) {
	err := db.Insert(ctx, tx, "aggregates", newAggregateRow{aggregateRow: aggregateRow{ID: a.ID, Name: a.Name, Hosts: db.AsJSON(a.Hosts),
		Metadata: db.AsJSON(a.Metadata), CreatedAt: db.At(a.CreatedAt), UpdatedAt: db.At(a.CreatedAt)}})
	if db.IsUnique(err) {
		return a, fault.Conflictf("Aggregate %s already exists.", a.Name)
	}
	if err != nil {
		return a, err
	}
	row, err := db.Get[aggregateRow](ctx, tx, `SELECT * FROM aggregates WHERE id = ?`, a.ID)
	if err != nil {
		return a, err
	}
	return row.aggregate(), nil
}

// UpdateAggregate writes name, hosts and metadata; fault.Conflict when the name
// is another's.
func (s *Store) UpdateAggregate(ctx context.Context, tx *db.Tx, a compute.Aggregate) error {
	updated := a.UpdatedAt
	if updated.IsZero() {
		updated = a.CreatedAt
	}
	_, err := tx.Exec(ctx, `UPDATE aggregates SET name = ?, hosts = ?, metadata = ?, updated_at = ? WHERE seq = ?`, a.Name, db.AsJSON(a.Hosts),
		db.AsJSON(a.Metadata), db.At(updated), a.Seq)
	if db.IsUnique(err) {
		return fault.Conflictf("Aggregate %s already exists.", a.Name)
	}
	return err
}

// DeleteAggregate removes one.
func (s *Store) DeleteAggregate(ctx context.Context, tx *db.Tx, seq int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM aggregates WHERE seq = ?`, seq)
	return err
}

// ServersOnHosts counts the existing servers on some hosts.
func (s *Store) ServersOnHosts(ctx context.Context, q db.Querier, hosts []string) (int, error) {
	if len(hosts) == 0 {
		return 0, nil
	}
	in, args := db.In(hosts)
	return db.Get[int](ctx, q, `SELECT COUNT(*) FROM servers WHERE deleted_at IS NULL AND host IN `+in, args...)
}

// ZonesAsked lists the zones that the users of a host's servers asked for.
func (s *Store) ZonesAsked(ctx context.Context, q db.Querier, host string) ([]string, error) {
	return db.Select[string](ctx, q, `SELECT DISTINCT availability_zone FROM servers WHERE deleted_at IS NULL AND host = ? AND availability_zone <> '' ORDER BY availability_zone`, host)
}
