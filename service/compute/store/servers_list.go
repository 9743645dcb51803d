package store

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// serverColumns are the columns of compute.ServerSortKeys.
var serverColumns = map[string]string{"access_ip_v4": "access_ip_v4", "access_ip_v6": "access_ip_v6", "auto_disk_config": "disk_config",
	"availability_zone": "availability_zone", "config_drive": "config_drive", "created_at": "created_at", "display_description": "description",
	"display_name": "display_name", "host": "host", "hostname": "hostname", "image_ref": "image_id", "instance_type_id": "flavor_id",
	"kernel_id": "image_id", "key_name": "key_name", "launch_index": "launch_index", "launched_at": "launched_at", "locked_by": "locked", "locked": "locked",
	"node": "node", "power_state": "power_state", "progress": "progress", "project_id": "project_id", "ramdisk_id": "image_id",
	"root_device_name": "root_device", "task_state": "task_state", "terminated_at": "terminated_at", "updated_at": "updated_at",
	"user_id": "user_id", "uuid": "id", "vm_state": "vm_state"}

// absent says how NULL sorts in the columns that may be NULL: like the smallest
// value. The databases themselves do not agree on it.
var absent = map[string]string{"description": "''", "launched_at": "-1", "terminated_at": "-1"}

// columns are what a list reads, with their parameters.
func columns(q *compute.ServerQuery) (string, []any) {
	switch {
	case q.Extent == compute.Whole:
		return `*`, nil
	case q.Extent == compute.Brief && q.Match == nil:
		return `id, display_name`, nil
	}
	return visible, []any{packSeparator}
}

// Servers yields the servers that q selects, in its order.
func (s *Store) Servers(ctx context.Context, query db.Querier, q compute.ServerQuery) iter.Seq2[*compute.Server, error] {
	return func(yield func(*compute.Server, error) bool) {
		conditions, args := where(&q)
		order := ordering(q.Sort)
		if q.Marker != "" {
			after, values, err := s.after(ctx, query, q.Marker, order)
			if err != nil {
				yield(nil, err)
				return
			}
			conditions, args = append(conditions, after), append(args, values...)
		}
		selected, first := columns(&q)
		args = append(first, args...)
		text := `SELECT ` + selected + ` FROM servers`
		if len(conditions) > 0 {
			text += ` WHERE ` + strings.Join(conditions, ` AND `)
		}
		var keys []string
		for _, o := range order {
			keys = append(keys, o.expr()+map[bool]string{true: " DESC", false: " ASC"}[o.desc])
		}
		text += ` ORDER BY ` + strings.Join(keys, ", ")
		if q.Limit > 0 && q.Match == nil {
			text, args = text+` LIMIT ?`, append(args, q.Limit)
		}
		n := 0
		for server, err := range read(ctx, query, selected == visible, text, args) {
			if err != nil {
				yield(nil, err)
				return
			}
			if q.Match != nil && !q.Match(server) {
				continue
			}
			if n++; !yield(server, nil) || n == q.Limit {
				return
			}
		}
	}
}

// read yields what a query selects, which is packed or are columns.
func read(ctx context.Context, q db.Querier, packed bool, text string, args []any) iter.Seq2[*compute.Server, error] {
	return func(yield func(*compute.Server, error) bool) {
		if packed {
			var u unpacker
			for row, err := range db.Each[visibleRow](ctx, q, text, args...) {
				var s *compute.Server
				if err == nil {
					s, err = u.server(row)
				}
				if !yield(s, err) {
					return
				}
			}
			return
		}
		for row, err := range db.Each[serverRow](ctx, q, text, args...) {
			var s *compute.Server
			if err == nil {
				s = row.server()
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// sortColumn is a column to sort by.
type sortColumn struct {
	name string
	desc bool
}

// ordering turns keys into columns, the newest first if none are given, and makes
// the order whole by the id.
func ordering(keys []compute.Order) []sortColumn {
	var order []sortColumn
	for _, k := range keys {
		order = append(order, sortColumn{serverColumns[k.Key], k.Desc})
	}
	if len(order) == 0 {
		order = []sortColumn{{"created_at", true}}
	}
	if !slices.ContainsFunc(order, func(o sortColumn) bool { return o.name == "id" }) {
		order = append(order, sortColumn{"id", order[len(order)-1].desc})
	}
	return order
}

// expr is the column as it sorts.
func (o sortColumn) expr() string {
	if value, ok := absent[o.name]; ok {
		return "COALESCE(" + o.name + ", " + value + ")"
	}
	return o.name // and an index serves
}

// after is the condition "comes after the marker": for keys a, b, c it is
// a>A OR (a=A AND (b>B OR (b=B AND c>C))). The marker's values are read by
// sub-queries, so that they need no types here.
func (s *Store) after(ctx context.Context, q db.Querier, marker string, order []sortColumn) (string, []any, error) {
	if _, err := db.Get[int64](ctx, q, `SELECT seq FROM servers WHERE id = ?`, marker); errors.Is(err, db.ErrNoRow) {
		return "", nil, fault.Invalidf("marker [%s] not found", marker)
	} else if err != nil {
		return "", nil, err
	}
	var args []any
	condition := ""
	// What comes after the marker begins at its first key: an index is entered there,
	// and not at its beginning.
	first := order[0]
	begin := first.expr() + map[bool]string{true: " <= ", false: " >= "}[first.desc] + `(SELECT ` + first.expr() + ` FROM servers WHERE id = ?)`
	for i := len(order) - 1; i >= 0; i-- {
		o := order[i]
		value := `(SELECT ` + o.expr() + ` FROM servers WHERE id = ?)`
		compare := map[bool]string{true: " < ", false: " > "}[o.desc]
		if condition == "" {
			condition, args = o.expr()+compare+value, []any{marker}
			continue
		}
		condition = `(` + o.expr() + compare + value + ` OR (` + o.expr() + ` = ` + value + ` AND ` + condition + `))`
		args = append([]any{marker, marker}, args...)
	}
	return begin + ` AND ` + condition, append([]any{marker}, args...), nil
}

func where(q *compute.ServerQuery) (where []string, args []any) {
	add := func(condition string, values ...any) { where, args = append(where, condition), append(args, values...) }
	for _, c := range []struct{ column, v string }{{"project_id", q.ProjectID}, {"user_id", q.UserID}, {"host", q.Host}, {"node", q.Node},
		{"image_id", q.ImageID}, {"key_name", q.KeyName}, {"availability_zone", q.Zone}, {"reservation_id", q.Reservation}, {"flavor_id", q.FlavorID}} {
		if c.v != "" {
			add(c.column+" = ?", c.v)
		}
	}
	if q.IDs != nil {
		in, values := db.In(q.IDs)
		add("id IN "+in, values...)
	}
	if q.States != nil {
		in, values := db.In(q.States)
		add("vm_state IN "+in, texts(values)...)
	}
	if q.Tasks != nil {
		in, values := db.In(q.Tasks)
		add("task_state IN "+in, texts(values)...)
	}
	if q.Power != nil {
		add("power_state = ?", int(*q.Power))
	}
	if q.Locked != nil {
		add("locked = ?", *q.Locked)
	}
	if q.ConfigDrive != nil {
		add("config_drive = ?", *q.ConfigDrive)
	}
	if q.Shown {
		add("vm_state <> ?", string(compute.SoftDeleted))
	}
	if q.Deleted != nil {
		add(map[bool]string{true: "deleted_at > 0", false: "deleted_at IS NULL"}[*q.Deleted])
	}
	if !q.ChangesSince.IsZero() {
		add("updated_at >= ?", db.At(q.ChangesSince))
	}
	if !q.ChangesBefore.IsZero() {
		add("updated_at <= ?", db.At(q.ChangesBefore))
	}
	if !q.CreatedAt.IsZero() {
		add("created_at = ?", db.At(q.CreatedAt))
	}
	return where, args
}

// Unsettled returns existing servers that are on the way to something and have not
// changed since before, at most limit.
func (s *Store) Unsettled(ctx context.Context, q db.Querier, before time.Time, limit int) ([]*compute.Server, error) {
	busy, err := collect(db.Each[serverRow](ctx, q, `SELECT * FROM servers WHERE deleted_at IS NULL AND task_state > '' AND updated_at <= ? LIMIT ?`, db.At(before), limit))
	if err != nil || len(busy) == limit {
		return busy, err
	}
	building, err := collect(db.Each[serverRow](ctx, q, `SELECT * FROM servers WHERE deleted_at IS NULL AND vm_state = ? AND task_state = '' AND updated_at <= ? LIMIT ?`,
		string(compute.Building), db.At(before), limit-len(busy)))
	return append(busy, building...), err
}
