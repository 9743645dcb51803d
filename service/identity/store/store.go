package store

import (
	"context"
	"embed"
	"reflect"
	"strings"
	"sync"

	"kilonova/internal/db"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is identity's database.
type Store struct{ DB *db.DB }

// New brings the tables in d up to date.
func New(ctx context.Context, d *db.DB) (*Store, error) {
	if err := d.Migrate(ctx, "identity", migrations, "migrations"); err != nil {
		return nil, err
	}
	return &Store{DB: d}, nil
}

// Version is the newest of the numbered files that the tables in d have been made
// by; "" when there are none.
func Version(ctx context.Context, d *db.DB) (string, error) {
	all, err := db.Select[string](ctx, d, `SELECT name FROM schema_migrations WHERE name LIKE 'identity/%' ORDER BY name DESC LIMIT 1`)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimPrefix(all[0], "identity/"), ".sql"), nil
}

// update writes every column of row, a struct with db tags, where column id has
// row's id; db.ErrNoRow when there is no such row.
func update[T any](ctx context.Context, tx *db.Tx, table string, row T) error {
	v := reflect.ValueOf(row)
	var set []string
	var args []any
	var id any
	for _, f := range reflect.VisibleFields(v.Type()) {
		switch column := f.Tag.Get("db"); column {
		case "":
		case "id":
			id = v.FieldByIndex(f.Index).Interface()
		default:
			set = append(set, column+" = ?")
			args = append(args, v.FieldByIndex(f.Index).Interface())
		}
	}
	return touch(tx.Exec(ctx, "UPDATE "+table+" SET "+strings.Join(set, ", ")+" WHERE id = ?", append(args, id)...))
}

// touch turns "no row was touched" into db.ErrNoRow.
func touch(n int64, err error) error {
	if err == nil && n == 0 {
		return db.ErrNoRow
	}
	return err
}

// remove deletes the row of table with an id; db.ErrNoRow when there is none.
func remove(ctx context.Context, tx *db.Tx, table, id string) error {
	return touch(tx.Exec(ctx, "DELETE FROM "+table+" WHERE id = ?", id))
}

// pick returns the row of table with an id; db.ErrNoRow when there is none. In a
// transaction the row stays as it is until that ends: it is about to be changed, or
// something is about to be hung on it.
func pick[T any](ctx context.Context, q db.Querier, table, id string) (T, error) {
	query := "SELECT " + columns[T]() + " FROM " + table + " WHERE id = ?"
	if tx, ok := q.(*db.Tx); ok {
		query += tx.ForUpdate()
	}
	return db.Get[T](ctx, q, query, id)
}

var columnLists sync.Map // reflect.Type -> string

// columns are the columns of T, comma separated: a column that a later version
// adds does not disturb this one.
func columns[T any]() string {
	t := reflect.TypeFor[T]()
	if list, ok := columnLists.Load(t); ok {
		return list.(string)
	}
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("db"); name != "" {
			names = append(names, name)
		}
	}
	list := strings.Join(names, ", ")
	columnLists.Store(t, list)
	return list
}
