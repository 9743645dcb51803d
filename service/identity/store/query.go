package store

import (
	"context"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
)

// clause collects the conditions of a WHERE.
type clause struct {
	terms []string
	args  []any
}

func (c *clause) add(term string, args ...any) {
	c.terms = append(c.terms, term)
	c.args = append(c.args, args...)
}

func (c *clause) String() string {
	if len(c.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.terms, " AND ")
}

// list returns the rows of table that q selects. Every attribute that q filters
// or sorts by must be a key of attributes, which names its column.
func list[T any](ctx context.Context, db_ db.Querier, table string, attributes map[string]string, q identity.Query, where clause) ([]T, error) {
	for _, f := range q.Filters {
		column, ok := attributes[f.Attribute]
		if !ok {
			return nil, fault.Invalidf("%s cannot be filtered by %q.", table, f.Attribute)
		}
		where.compare(column, f)
	}
	order, err := where.page(table, attributes, q)
	if err != nil {
		return nil, err
	}
	query := "SELECT " + columns[T]() + " FROM " + table + where.String() + order
	if q.Limit > 0 {
		query += " LIMIT ?"
		where.args = append(where.args, q.Limit)
	}
	return db.Select[T](ctx, db_, query, where.args...)
}

// comparisons are the operators of SQL for those of filters.
var comparisons = map[identity.Op]string{identity.Equal: "=", identity.NotEqual: "<>", identity.Less: "<", identity.LessEq: "<=",
	identity.Greater: ">", identity.GreaterEq: ">="}

func (c *clause) compare(column string, f identity.Filter) {
	if t, ok := f.Value.(time.Time); ok {
		f.Value = db.At(t)
	}
	if op, ok := comparisons[f.Op]; ok {
		c.add(column+" "+op+" ?", f.Value)
		return
	}
	text, _ := f.Value.(string)
	pattern := strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
	op, folded := strings.CutPrefix(string(f.Op), "i")
	switch identity.Op(op) {
	case identity.Contains:
		pattern = "%" + pattern + "%"
	case identity.StartsWith:
		pattern += "%"
	case identity.EndsWith:
		pattern = "%" + pattern
	}
	if folded {
		column, pattern = "LOWER("+column+")", strings.ToLower(pattern)
	}
	c.add(column+" LIKE ? ESCAPE '!'", pattern)
}

// absent says how NULL sorts in columns that may be NULL: like the smallest value.
// The databases themselves do not agree on it, and nothing comes after NULL.
var absent = map[string]string{"description": "''", "password_expires_at": "-1"}

// page adds the condition for what lies behind the marker, and returns the order.
func (c *clause) page(table string, attributes map[string]string, q identity.Query) (order string, err error) {
	column := "id"
	if q.SortKey != "" && q.SortKey != "id" {
		var ok bool
		if column, ok = attributes[q.SortKey]; !ok {
			return "", fault.Invalidf("%s cannot be sorted by %q.", table, q.SortKey)
		}
	}
	if value, ok := absent[column]; ok {
		column = "COALESCE(" + column + ", " + value + ")"
	}
	after, direction := ">", ""
	if q.Desc {
		after, direction = "<", " DESC"
	}
	if column == "id" {
		if q.Marker != "" {
			c.add("id "+after+" ?", q.Marker)
		}
		return " ORDER BY id" + direction, nil
	}
	if q.Marker != "" {
		mark := "(SELECT " + column + " FROM " + table + " WHERE id = ?)"
		c.add("("+column+" "+after+" "+mark+" OR "+column+" = "+mark+" AND id > ?)", q.Marker, q.Marker, q.Marker)
	}
	return " ORDER BY " + column + direction + ", id", nil
}
