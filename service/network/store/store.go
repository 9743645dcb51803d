package store

import (
	"context"
	"embed"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/task"
	"kilonova/service/network"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is the network service's database.
type Store struct{ *db.DB }

// New brings the database up to date.
func New(ctx context.Context, d *db.DB) (*Store, error) {
	if err := task.Migrate(ctx, d); err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx, "network", migrations, "migrations"); err != nil {
		return nil, err
	}
	return &Store{d}, nil
}

// ErrStale says that a row was changed by another since it was read: read it
// again and decide again.
var ErrStale = errors.New("the row has been changed by another")

// Scope is who reads: all rows, or those that a project may see.
type Scope struct {
	All       bool
	ProjectID string
}

// Everything is the scope of the service itself.
var Everything = Scope{All: true}

// standard are the columns that every resource has. Name is absent from some
// tables and then no part of the row.
type standard struct {
	ID          string  `db:"id"`
	ProjectID   string  `db:"project_id"`
	Description string  `db:"description"`
	CreatedAt   db.Time `db:"created_at"`
	UpdatedAt   db.Time `db:"updated_at"`
	Revision    int     `db:"revision"`
}

func standardRow(s network.Standard) standard {
	return standard{s.ID, s.ProjectID, s.Description, db.At(s.CreatedAt.Time), db.At(s.UpdatedAt.Time), s.Revision}
}

func (r standard) standard(tags map[string][]string) network.Standard {
	s := network.Standard{ID: r.ID, Owner: network.OwnedBy(r.ProjectID), Description: r.Description, Tags: tags[r.ID],
		CreatedAt: network.Time{Time: r.CreatedAt.Time}, UpdatedAt: network.Time{Time: r.UpdatedAt.Time}, Revision: r.Revision}
	if s.Tags == nil {
		s.Tags = []string{}
	}
	return s
}

// NewStandard returns the attributes of a resource that is made now.
func NewStandard(id, projectID, description string, now time.Time) network.Standard {
	at := network.Time{Time: db.At(now).Time}
	return network.Standard{ID: id, Owner: network.OwnedBy(projectID), Description: description, Tags: []string{},
		CreatedAt: at, UpdatedAt: at, Revision: 1}
}

// stale turns the count of an UPDATE that names a revision into ErrStale.
func stale(touched int64, err error) error {
	if err == nil && touched == 0 {
		return ErrStale
	}
	return err
}

// batch bounds how many values one IN has, below the limits of the databases.
const batch = 4096

// tagsOf returns the tags of resources, sorted.
func tagsOf(ctx context.Context, q db.Querier, ids []string) (map[string][]string, error) {
	type row struct {
		ID  string `db:"resource_id"`
		Tag string `db:"tag"`
	}
	tags := map[string][]string{}
	err := inBatches(ids, func(list string, args []any) error {
		for r, err := range db.Each[row](ctx, q, `SELECT resource_id, tag FROM tags WHERE resource_id IN `+list+` ORDER BY tag`, args...) {
			if err != nil {
				return err
			}
			tags[r.ID] = append(tags[r.ID], r.Tag)
		}
		return nil
	})
	return tags, err
}

// inBatches calls f with the ids as one or several IN lists.
func inBatches(ids []string, f func(list string, args []any) error) error {
	for len(ids) > 0 {
		n := min(batch, len(ids))
		list, args := db.In(ids[:n])
		if err := f(list, args); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// SetTags replaces the tags of a resource.
func (s *Store) SetTags(ctx context.Context, tx *db.Tx, id string, tags []string) error {
	type row struct {
		ID  string `db:"resource_id"`
		Tag string `db:"tag"`
	}
	if _, err := tx.Exec(ctx, `DELETE FROM tags WHERE resource_id = ?`, id); err != nil {
		return err
	}
	rows := make([]row, len(tags))
	for i, t := range tags {
		rows[i] = row{id, t}
	}
	return db.Insert(ctx, tx, "tags", rows...)
}

// Lock has the transaction wait for others that decide on the same resource, and
// others for it: what is read of the resource from now on stays so until the
// transaction ends, if all who change it lock it.
func (s *Store) Lock(ctx context.Context, tx *db.Tx, table, id string) error {
	_, err := tx.Exec(ctx, `UPDATE `+table+` SET revision = revision WHERE id = ?`, id)
	return err
}

// Touch notes a change of a resource whose row itself stays as it is.
func (s *Store) Touch(ctx context.Context, tx *db.Tx, table, id string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE `+table+` SET revision = revision + 1, updated_at = ? WHERE id = ?`, db.At(now), id)
	return err
}

func ids[R any](rows []R, id func(*R) string) []string {
	out := make([]string, len(rows))
	for i := range rows {
		out[i] = id(&rows[i])
	}
	return out
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// text and pointer turn an absent text from and to nil.
func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func pointer(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
