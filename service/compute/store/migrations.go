package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type migrationRow struct {
	Seq        int64                     `db:"seq"`
	ID         string                    `db:"id"`
	ServerID   string                    `db:"server_id"`
	Type       string                    `db:"type"`
	Status     string                    `db:"status"`
	WasState   string                    `db:"was_state"`
	SourceHost string                    `db:"source_host"`
	SourceNode string                    `db:"source_node"`
	DestHost   string                    `db:"dest_host"`
	DestNode   string                    `db:"dest_node"`
	DestIP     string                    `db:"dest_ip"`
	OldFlavor  db.JSON[compute.Flavor]   `db:"old_flavor"`
	NewFlavor  db.JSON[compute.Flavor]   `db:"new_flavor"`
	Wish       string                    `db:"wish"`
	Transfer   db.JSON[compute.Transfer] `db:"transfer"`
	UserID     string                    `db:"user_id"`
	ProjectID  string                    `db:"project_id"`
	CreatedAt  db.Time                   `db:"created_at"`
	UpdatedAt  db.Time                   `db:"updated_at"`
}

type newMigrationRow struct {
	migrationRow
	Seq int64 `db:"-"`
}

func (r *migrationRow) migration() *compute.Migration {
	return &compute.Migration{Seq: r.Seq, ID: r.ID, ServerID: r.ServerID, Type: compute.MigrationType(r.Type), Status: compute.MigrationStatus(r.Status),
		WasState: compute.State(r.WasState), SourceHost: r.SourceHost, SourceNode: r.SourceNode, DestHost: r.DestHost, DestNode: r.DestNode, DestIP: r.DestIP,
		OldFlavor: r.OldFlavor.V, NewFlavor: r.NewFlavor.V, Wish: compute.MigrationWish(r.Wish), Transfer: r.Transfer.V, UserID: r.UserID,
		ProjectID: r.ProjectID, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time}
}

// InsertMigration writes a new migration.
func (s *Store) InsertMigration(ctx context.Context, tx *db.Tx, m *compute.Migration) error {
	return db.Insert(ctx, tx, "migrations", newMigrationRow{migrationRow: migrationRow{ID: m.ID, ServerID: m.ServerID, Type: string(m.Type), Status: string(m.Status),
		WasState: string(m.WasState), SourceHost: m.SourceHost, SourceNode: m.SourceNode, DestHost: m.DestHost, DestNode: m.DestNode, DestIP: m.DestIP,
		OldFlavor: db.AsJSON(m.OldFlavor), NewFlavor: db.AsJSON(m.NewFlavor), Wish: string(m.Wish), Transfer: db.AsJSON(m.Transfer), UserID: m.UserID,
		ProjectID: m.ProjectID, CreatedAt: db.At(m.CreatedAt), UpdatedAt: db.At(m.UpdatedAt)}})
}

// Migration returns a migration by its id; fault.NotFound if there is none.
func (s *Store) Migration(ctx context.Context, q db.Querier, id string) (*compute.Migration, error) {
	return s.migrationWhere(ctx, q, fault.NotFoundf("Migration %s could not be found.", id), `id = ?`, id)
}

// MigrationOf returns a server's migration by its number.
func (s *Store) MigrationOf(ctx context.Context, q db.Querier, serverID string, seq int64) (*compute.Migration, error) {
	return s.migrationWhere(ctx, q, fault.NotFoundf("Migration %d not found for instance %s", seq, serverID), `server_id = ? AND seq = ?`, serverID, seq)
}

func (s *Store) migrationWhere(ctx context.Context, q db.Querier, missing error, where string, args ...any) (*compute.Migration, error) {
	row, err := db.Get[migrationRow](ctx, q, `SELECT * FROM migrations WHERE `+where, args...)
	if errors.Is(err, db.ErrNoRow) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	return row.migration(), nil
}

// Migrations returns the migrations that q selects, oldest first unless it says
// otherwise.
func (s *Store) Migrations(ctx context.Context, q db.Querier, query compute.MigrationQuery) ([]*compute.Migration, error) {
	where, args := []string{"1 = 1"}, []any(nil)
	add := func(condition string, values ...any) { where, args = append(where, condition), append(args, values...) }
	for _, c := range []struct{ column, v string }{{"server_id", query.ServerID}, {"source_host", query.SourceHost}, {"user_id", query.UserID}, {"project_id", query.ProjectID}} {
		if c.v != "" {
			add(c.column+" = ?", c.v)
		}
	}
	if query.Host != "" {
		add("(source_host = ? OR dest_host = ?)", query.Host, query.Host)
	}
	if query.Types != nil {
		in, values := db.In(asTexts(query.Types))
		add("type IN "+in, values...)
	}
	if query.Statuses != nil {
		in, values := db.In(asTexts(query.Statuses))
		add("status IN "+in, values...)
	}
	if !query.ChangesSince.IsZero() {
		add("updated_at >= ?", db.At(query.ChangesSince))
	}
	if !query.ChangesBefore.IsZero() {
		add("updated_at <= ?", db.At(query.ChangesBefore))
	}
	order := "seq"
	if query.NewestFirst {
		order = "created_at DESC, seq DESC"
	}
	if query.Marker != "" {
		m, err := s.Migration(ctx, q, query.Marker)
		if fault.Is(err, fault.NotFound) {
			return nil, fault.Invalidf("Marker %s could not be found.", query.Marker)
		} else if err != nil {
			return nil, err
		}
		at := db.At(m.CreatedAt)
		add("(created_at < ? OR created_at = ? AND seq < ?)", at, at, m.Seq)
	}
	text := `SELECT * FROM migrations WHERE ` + strings.Join(where, ` AND `) + ` ORDER BY ` + order
	if query.Limit > 0 {
		text, args = text+` LIMIT ?`, append(args, query.Limit)
	}
	var all []*compute.Migration
	for row, err := range db.Each[migrationRow](ctx, q, text, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, row.migration())
	}
	return all, nil
}

func asTexts[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

// MigrationPatch changes some of a migration's columns; nil leaves one as it is.
type MigrationPatch struct {
	Status             *compute.MigrationStatus
	DestHost, DestNode *string
	DestIP             *string
	Wish               *compute.MigrationWish
	Transfer           *compute.Transfer
}

// UpdateMigration makes a patch if the migration has one of the statuses (none:
// whatever it has) and reports whether it was made.
func (s *Store) UpdateMigration(ctx context.Context, tx *db.Tx, id string, p MigrationPatch, when []compute.MigrationStatus, now time.Time) (bool, error) {
	set, args := []string{"updated_at = ?"}, []any{db.At(now)}
	add := func(column string, value any) { set, args = append(set, column+" = ?"), append(args, value) }
	if p.Status != nil {
		add("status", string(*p.Status))
	}
	if p.DestHost != nil {
		add("dest_host", *p.DestHost)
	}
	if p.DestNode != nil {
		add("dest_node", *p.DestNode)
	}
	if p.DestIP != nil {
		add("dest_ip", *p.DestIP)
	}
	if p.Wish != nil {
		add("wish", string(*p.Wish))
	}
	if p.Transfer != nil {
		add("transfer", db.AsJSON(*p.Transfer))
	}
	query := `UPDATE migrations SET ` + strings.Join(set, ", ") + ` WHERE id = ?`
	args = append(args, id)
	if len(when) > 0 {
		in, values := db.In(asTexts(when))
		query, args = query+` AND status IN `+in, append(args, values...)
	}
	n, err := tx.Exec(ctx, query, args...)
	return n == 1, err
}

// FlavorNumbers returns the numbers of flavors by their ids, for the API's old
// views; flavors that are gone have none.
func (s *Store) FlavorNumbers(ctx context.Context, q db.Querier) (map[string]int64, error) {
	all := map[string]int64{}
	for row, err := range db.Each[flavorNumber](ctx, q, `SELECT seq, id FROM flavors`) {
		if err != nil {
			return nil, err
		}
		all[row.ID] = row.Seq
	}
	return all, nil
}

type flavorNumber struct {
	Seq int64  `db:"seq"`
	ID  string `db:"id"`
}
