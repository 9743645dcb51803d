package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"reflect"
	"strings"
	"sync"
)

// ErrNoRow is what Get returns when the query finds nothing.
var ErrNoRow = sql.ErrNoRows

// Select returns all rows of a query. T is a struct with `db` tags, or a scalar
// for queries of one column. A column without a field is an error; a field
// without a column keeps its zero value.
func Select[T any](ctx context.Context, q Querier, query string, args ...any) ([]T, error) {
	var all []T
	for v, err := range Each[T](ctx, q, query, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, *v)
	}
	return all, nil
}

// Get returns the first row of a query, ErrNoRow if there is none.
func Get[T any](ctx context.Context, q Querier, query string, args ...any) (T, error) {
	for v, err := range Each[T](ctx, q, query, args...) {
		if err != nil {
			var zero T
			return zero, err
		}
		return *v, nil
	}
	var zero T
	return zero, ErrNoRow
}

// Each yields the rows of a query one by one, reusing one T: copy what you keep.
// After an error it yields nothing more. Leaving the loop ends the query.
func Each[T any](ctx context.Context, q Querier, query string, args ...any) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		rows, err := q.query(ctx, query, args)
		if err != nil {
			yield(nil, fmt.Errorf("%w (query: %s)", q.explain(err), firstLine(query)))
			return
		}
		defer rows.Close()
		var v T
		targets, err := fieldsOf(&v, rows.Rows)
		if err != nil {
			yield(nil, fmt.Errorf("%w (query: %s)", err, firstLine(query)))
			return
		}
		rv := reflect.ValueOf(&v).Elem()
		for rows.Next() {
			rv.SetZero()
			if err := rows.Scan(targets...); err != nil {
				yield(nil, fmt.Errorf("%w (query: %s)", err, firstLine(query)))
				return
			}
			if !yield(&v, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, q.explain(err))
		}
	}
}

func firstLine(query string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(query), "\n")
	return line
}

// fieldsOf returns pointers into v for the columns of rows.
func fieldsOf(v any, rows *sql.Rows) ([]any, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	rv := reflect.ValueOf(v).Elem()
	if rv.Kind() != reflect.Struct || reflect.PointerTo(rv.Type()).Implements(scanner) {
		if len(columns) != 1 {
			return nil, fmt.Errorf("query has %d columns for one %s", len(columns), rv.Type())
		}
		return []any{orZero(v)}, nil
	}
	byColumn := columnsOf(rv.Type())
	targets := make([]any, len(columns))
	for i, column := range columns {
		f, ok := byColumn.index[column]
		if !ok {
			return nil, fmt.Errorf("%s has no field for column %s", rv.Type(), column)
		}
		targets[i] = orZero(rv.FieldByIndex(f).Addr().Interface())
	}
	return targets, nil
}

var scanner = reflect.TypeFor[sql.Scanner]()

// orZero lets a NULL leave the zero value in texts and numbers, so that optional
// columns need no pointers where "" and 0 say the same. It takes types made from
// string and int, too: database/sql would read those by way of a text.
func orZero(target any) any {
	switch p := target.(type) {
	case interface{ perQuery() sql.Scanner }:
		return p.perQuery()
	case sql.Scanner:
		return target
	case *string:
		return (*nullString)(p)
	case *int:
		return (*nullInt)(p)
	case *int64:
		return (*nullInt64)(p)
	}
	v := reflect.ValueOf(target)
	switch v.Type().Elem().Kind() {
	case reflect.String:
		return v.Convert(reflect.TypeFor[*nullString]()).Interface()
	case reflect.Int:
		return v.Convert(reflect.TypeFor[*nullInt]()).Interface()
	}
	return target
}

// The Scan methods look first for what drivers usually give: this is the hot path
// of every list.

type (
	nullString string
	nullInt    int
	nullInt64  int64
)

func (s *nullString) Scan(src any) error {
	if text, ok := src.(string); ok {
		*s = nullString(text)
		return nil
	}
	var n sql.NullString
	err := n.Scan(src)
	*s = nullString(n.String)
	return err
}

func (i *nullInt) Scan(src any) error {
	n, err := int64Of(src)
	*i = nullInt(n.Int64)
	return err
}

func (i *nullInt64) Scan(src any) error {
	n, err := int64Of(src)
	*i = nullInt64(n.Int64)
	return err
}

func int64Of(src any) (n sql.NullInt64, err error) {
	switch v := src.(type) {
	case int64:
		return sql.NullInt64{Int64: v, Valid: true}, nil
	case nil:
		return n, nil
	}
	err = n.Scan(src)
	return n, err
}

type columns struct {
	names []string
	index map[string][]int
}

var columnCache sync.Map // reflect.Type -> columns

// columnsOf reads the `db` tags of a struct and of the structs embedded in it.
func columnsOf(t reflect.Type) columns {
	if c, ok := columnCache.Load(t); ok {
		return c.(columns)
	}
	c := columns{index: map[string][]int{}}
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("db"); name != "" && name != "-" {
			c.names = append(c.names, name)
			c.index[name] = f.Index
		}
	}
	columnCache.Store(t, c)
	return c
}

// maxParameters keeps an INSERT of many rows below the limits of all three
// databases (SQLite: 32766).
const maxParameters = 30000

// rowsAtOnce is how many rows an INSERT has at most where it is no way to the
// database: with powers of two up to it, few different ones are to be kept prepared.
const rowsAtOnce = 16

// Insert writes rows, structs with `db` tags, into table with as few statements
// as possible. Every tagged field is written.
func Insert[T any](ctx context.Context, tx *Tx, table string, rows ...T) error {
	if len(rows) == 0 {
		return nil
	}
	cols := columnsOf(reflect.TypeFor[T]())
	if len(cols.names) == 0 {
		return errors.New("db.Insert: " + reflect.TypeFor[T]().String() + " has no db tags")
	}
	for perStatement := maxParameters / len(cols.names); len(rows) > 0; {
		n := min(perStatement, len(rows))
		if tx.writer != nil { // a statement more costs less than one that has to be prepared
			n = min(1<<(bits.Len(uint(n))-1), rowsAtOnce)
		}
		if err := insert(ctx, tx, table, cols, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func insert[T any](ctx context.Context, tx *Tx, table string, cols columns, rows []T) error {
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(cols.names)), ", ") + ")"
	query := "INSERT INTO " + table + " (" + strings.Join(cols.names, ", ") + ") VALUES " +
		strings.TrimSuffix(strings.Repeat(one+", ", len(rows)), ", ")
	args := make([]any, 0, len(rows)*len(cols.names))
	for i := range rows {
		rv := reflect.ValueOf(&rows[i]).Elem()
		for _, name := range cols.names {
			args = append(args, rv.FieldByIndex(cols.index[name]).Interface())
		}
	}
	_, err := tx.Exec(ctx, query, args...)
	return err
}

// In returns "(?, ?, ?)" for a list of values, and the values as arguments. An
// empty list gives "(NULL)", which nothing is in. The last value is repeated until
// their number is a power of two, so that there are few different queries to
// prepare; longer lists than mostPadded are not worth keeping prepared.
func In[T any](values []T) (placeholders string, args []any) {
	if len(values) == 0 {
		return "(NULL)", nil
	}
	n := len(values)
	if n <= mostPadded {
		n = 1 << bits.Len(uint(n-1))
	}
	args = make([]any, n)
	for i := range args {
		args[i] = values[min(i, len(values)-1)]
	}
	return "(" + strings.TrimSuffix(strings.Repeat("?, ", n), ", ") + ")", args
}

// mostPadded bounds the lists that In lengthens.
const mostPadded = 4096
