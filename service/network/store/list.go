package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
)

// listing says how a resource is listed: where its rows are, who sees them, and
// what each attribute of the API is in SQL. In visible and in the expressions
// every ? stands for the caller's project.
type listing struct {
	resource string // as the API says it: "network"
	missing  string // upstream's name of the fault: "NetworkNotFound"
	table    string // its rows are t
	columns  string
	visible  string // for those who do not see all
	attrs    map[string]attr
}

// attr is an attribute that can be filtered by and, if it is an expression,
// sorted by.
type attr struct {
	kind kind
	expr string
	// where makes the condition of attributes that are no expression.
	where func(values []string) (string, []any, error)
}

// absent is the expression of an attribute that no row has.
const absent = "''"

type kind int

const (
	word kind = iota
	number
	boolean
)

// standardAttrs adds the attributes that every resource has to those given.
func standardAttrs(own map[string]attr) map[string]attr {
	all := map[string]attr{
		"id": {expr: "t.id"}, "project_id": {expr: "t.project_id"}, "tenant_id": {expr: "t.project_id"},
		"description": {expr: "t.description"}, "revision_number": {kind: number, expr: "t.revision"},
		"tags": {where: tagged("", true)}, "tags-any": {where: tagged("", false)},
		"not-tags": {where: tagged("NOT ", true)}, "not-tags-any": {where: tagged("NOT ", false)},
		"created_at": {kind: number, expr: "t.created_at", where: never}, "updated_at": {kind: number, expr: "t.updated_at", where: never},
	}
	for name, a := range own {
		all[name] = a
	}
	return all
}

// never is the condition of attributes that are sorted by and not filtered by.
func never([]string) (string, []any, error) {
	return "", nil, fault.Invalidf("Timestamps are no filter.").WithCode("HTTPBadRequest")
}

// tagged makes the condition on tags, which are separated by commas.
func tagged(not string, all bool) func([]string) (string, []any, error) {
	return func(values []string) (string, []any, error) {
		var tags []string
		for _, v := range values {
			tags = append(tags, strings.Split(v, ",")...)
		}
		slices.Sort(tags)
		tags = slices.Compact(tags)
		list, args := db.In(tags)
		cond := `t.id ` + not + `IN (SELECT g.resource_id FROM tags AS g WHERE g.tag IN ` + list
		if all {
			cond += ` GROUP BY g.resource_id HAVING COUNT(*) = ` + strconv.Itoa(len(tags))
		}
		return cond + ")", args, nil
	}
}

// query builds the SELECT for a list.
func (l *listing) query(scope Scope, q network.Query) (string, []any, error) {
	var b strings.Builder
	var args []any
	b.WriteString("SELECT " + l.columns + " FROM " + l.table + " AS t")
	args = append(args, projects(l.columns, scope)...)
	where, more, err := l.where(scope, q.Filters)
	if err != nil {
		return "", nil, err
	}
	sorts, err := l.sorts(q)
	if err != nil {
		return "", nil, err
	}
	args = append(args, more...)
	if q.Marker != "" && q.Limit > 0 {
		after, more := l.after(sorts, q.Marker, scope)
		where = append(where, after)
		args = append(args, more...)
	}
	if len(where) > 0 {
		b.WriteString(" WHERE " + strings.Join(where, " AND "))
	}
	for i, s := range sorts {
		b.WriteString([2]string{", ", " ORDER BY "}[btoi(i == 0)] + s.expr)
		args = append(args, projects(s.expr, scope)...)
		if s.descending {
			b.WriteString(" DESC")
		}
	}
	if q.Limit > 0 {
		b.WriteString(" LIMIT " + strconv.Itoa(q.Limit))
	}
	return b.String(), args, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// projects returns the caller's project once for every ? of an expression.
func projects(expr string, scope Scope) []any {
	args := make([]any, strings.Count(expr, "?"))
	for i := range args {
		args[i] = scope.ProjectID
	}
	return args
}

func (l *listing) where(scope Scope, filters map[string][]string) (conds []string, args []any, err error) {
	if !scope.All && l.visible != "" {
		conds = append(conds, "("+l.visible+")")
		args = append(args, projects(l.visible, scope)...)
	}
	names := make([]string, 0, len(filters))
	for name := range filters {
		names = append(names, name)
	}
	slices.Sort(names) // one text for one set of filters
	for _, name := range names {
		a, ok := l.attrs[name]
		if !ok {
			return nil, nil, fault.Invalidf("['%.64s'] is invalid attribute for filtering", name).WithCode("HTTPBadRequest")
		}
		cond, more, err := a.condition(name, filters[name], scope)
		if err != nil {
			return nil, nil, err
		}
		conds = append(conds, cond)
		args = append(args, more...)
	}
	return conds, args, nil
}

// maxValues bounds how many values a filter may have.
const maxValues = 8192

func (a attr) condition(name string, values []string, scope Scope) (string, []any, error) {
	if len(values) > maxValues {
		return "", nil, fault.Invalidf("The filter %s has %d values; at most %d are taken.", name, len(values), maxValues)
	}
	if a.where != nil {
		return a.where(values)
	}
	typed := make([]any, 0, len(values))
	for _, v := range values {
		switch a.kind {
		case number:
			n, err := strconv.Atoi(v)
			if err != nil {
				return "", nil, fault.Invalidf("Invalid input for %s. Reason: '%.64s' is not an integer.", name, v).WithCode("HTTPBadRequest")
			}
			typed = append(typed, n)
		case boolean:
			switch strings.ToLower(v) {
			case "true", "1":
				typed = append(typed, true)
			case "false", "0":
				typed = append(typed, false)
			default:
				return "", nil, fault.Invalidf("Invalid input for %s. Reason: '%.64s' cannot be converted to boolean.", name, v).WithCode("HTTPBadRequest")
			}
		default:
			typed = append(typed, v)
		}
	}
	list, args := db.In(typed)
	return a.expr + " IN " + list, append(projects(a.expr, scope), args...), nil
}

type sortExpr struct {
	expr       string
	descending bool
}

// sorts returns the order of a query: what it asks for, or by age, and at last
// the id, so that it is total and pages do not overlap.
func (l *listing) sorts(q network.Query) ([]sortExpr, error) {
	var list []sortExpr
	byID := false
	keys := q.Sort
	if _, ok := l.attrs["created_at"]; ok && len(keys) == 0 {
		keys = []network.SortKey{{Attribute: "created_at"}}
	}
	for _, key := range keys {
		a, ok := l.attrs[key.Attribute]
		if !ok || a.expr == "" {
			return nil, fault.Invalidf("'%.64s' is an invalid attribute for sort key", key.Attribute).WithCode("HTTPBadRequest")
		}
		if a.expr == absent {
			continue // they are all the same
		}
		list = append(list, sortExpr{a.expr, key.Descending != q.Reverse})
		byID = byID || key.Attribute == "id"
	}
	if !byID {
		list = append(list, sortExpr{"t.id", q.Reverse})
	}
	return list, nil
}

// after is the condition that a row comes after the marker's.
func (l *listing) after(sorts []sortExpr, marker string, scope Scope) (string, []any) {
	var options []string
	var args []any
	same := ""
	var sameArgs []any
	for _, s := range sorts {
		theirs := "(SELECT " + strings.ReplaceAll(s.expr, "t.", "m.") + " FROM " + l.table + " AS m WHERE m.id = ?)"
		theirArgs := append(projects(s.expr, scope), marker)
		op := " > "
		if s.descending {
			op = " < "
		}
		options = append(options, "("+same+s.expr+op+theirs+")")
		args = append(args, sameArgs...)
		args = append(args, projects(s.expr, scope)...)
		args = append(args, theirArgs...)
		same += s.expr + " = " + theirs + " AND "
		sameArgs = append(sameArgs, projects(s.expr, scope)...)
		sameArgs = append(sameArgs, theirArgs...)
	}
	return "(" + strings.Join(options, " OR ") + ")", args
}

// rows runs a list's query.
func rows[R any](ctx context.Context, q db.Querier, l *listing, scope Scope, query network.Query) ([]R, error) {
	if query.Marker != "" && query.Limit > 0 {
		n, err := db.Get[int](ctx, q, `SELECT COUNT(*) FROM `+l.table+` WHERE id = ?`, query.Marker)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, l.notFound(query.Marker)
		}
	}
	text, args, err := l.query(scope, query)
	if err != nil {
		return nil, err
	}
	list, err := db.Select[R](ctx, q, text, args...)
	if query.Reverse {
		slices.Reverse(list)
	}
	return list, err
}

// one reads a single row that the scope sees.
func one[R any](ctx context.Context, q db.Querier, l *listing, scope Scope, id string) ([]R, error) {
	list, err := rows[R](ctx, q, l, scope, network.Query{Filters: map[string][]string{"id": {id}}})
	if err == nil && len(list) == 0 {
		err = l.notFound(id)
	}
	return list, err
}

func (l *listing) notFound(id string) error {
	name := strings.ToUpper(l.resource[:1]) + l.resource[1:]
	return fault.NotFoundf("%s %.64s could not be found.", name, id).WithCode(l.missing)
}

// Exists reports whether a table has a row with the id.
func (s *Store) Exists(ctx context.Context, q db.Querier, table, id string) (bool, error) {
	n, err := db.Get[int](ctx, q, `SELECT COUNT(*) FROM `+table+` WHERE id = ?`, id)
	return n > 0, err
}

func likeContains(column, value string) (string, []any) {
	escaped := strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(value)
	return fmt.Sprintf("%s LIKE ? ESCAPE '!'", column), []any{"%" + escaped + "%"}
}
