package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/service/image"
)

// Query says which images to list.
type Query struct {
	// Everything lists all projects' images; otherwise Viewer's own, public and
	// community ones, and those that Viewer is a member of with MemberStatus
	// ("" any).
	Everything   bool
	Viewer       string
	MemberStatus image.MemberStatus
	// Visibility keeps only images of that visibility. "" leaves out community
	// images of others; "all" leaves out nothing.
	Visibility string

	Where      []image.Condition
	Properties [][2]string // name, value
	Tags       []string    // an image must have them all

	Sort   []image.Order
	Marker *image.Image // begin after this one
	Limit  int
}

// Columns are those that Condition and Order may name: what the API calls them,
// and how they sort. Images without a value come before all others.
var Columns = map[string]string{
	"id": "i.id", "name": "COALESCE(i.name, '')", "status": "i.status", "container_format": "i.container_format",
	"disk_format": "i.disk_format", "size": "COALESCE(i.size, -1)", "virtual_size": "COALESCE(i.virtual_size, -1)",
	"created_at": "i.created_at", "updated_at": "i.updated_at", "min_disk": "i.min_disk", "min_ram": "i.min_ram",
	"owner": "i.owner", "checksum": "i.checksum", "os_hash_algo": "i.os_hash_algo", "os_hash_value": "i.os_hash_value",
	"protected": "i.protected", "os_hidden": "i.os_hidden",
}

type listQuery struct {
	where []string
	args  []any
}

func (l *listQuery) and(text string, args ...any) {
	l.where = append(l.where, text)
	l.args = append(l.args, args...)
}

// List returns the images that q asks for, whole, with four statements in all.
func (s *Store) List(ctx context.Context, q Query) ([]image.Image, error) {
	var l listQuery
	l.visible(&q)
	for _, c := range q.Where {
		column, ok := Columns[c.Column]
		if !ok {
			return nil, fmt.Errorf("image store: no column %s", c.Column)
		}
		values := stored(c.Values)
		switch c.Op {
		case "IN":
			in, args := db.In(values)
			l.and(column+` IN `+in, args...)
		case "BETWEEN", "NOT BETWEEN":
			l.and(column+` `+c.Op+` ? AND ?`, values...)
		default:
			l.and(column+` `+c.Op+` ?`, values...)
		}
	}
	for _, p := range q.Properties {
		l.and(`EXISTS (SELECT 1 FROM image_properties AS p WHERE p.image_id = i.id AND p.name = ? AND p.value = ?)`, p[0], p[1])
	}
	for _, t := range q.Tags {
		l.and(`EXISTS (SELECT 1 FROM image_tags AS t WHERE t.image_id = i.id AND t.value = ?)`, t)
	}
	order, err := l.page(&q)
	if err != nil {
		return nil, err
	}
	rows, err := db.Select[row](ctx, s.DB, `SELECT i.* FROM images AS i`+l.text()+` ORDER BY `+order+` LIMIT ?`, append(l.args, q.Limit)...)
	if err != nil {
		return nil, err
	}
	list := make([]image.Image, len(rows))
	for i := range rows {
		list[i] = rows[i].image()
	}
	return list, s.details(ctx, s.DB, list)
}

// stored gives times the form that they have in the database.
func stored(values []any) []any {
	all := slices.Clone(values)
	for n, v := range all {
		if t, ok := v.(time.Time); ok {
			all[n] = db.At(t)
		}
	}
	return all
}

// text is the condition, from WHERE on.
func (l *listQuery) text() string {
	if len(l.where) == 0 {
		return ""
	}
	return ` WHERE ` + strings.Join(l.where, ` AND `)
}

func (l *listQuery) visible(q *Query) {
	if !q.Everything {
		status, args := ``, []any{q.Viewer, q.Viewer}
		if q.MemberStatus != "" {
			status, args = ` AND m.status = ?`, append(args, string(q.MemberStatus))
		}
		l.and(`(i.visibility IN ('public', 'community') OR i.owner = ? OR i.visibility = 'shared' AND EXISTS (
			SELECT 1 FROM image_members AS m WHERE m.image_id = i.id AND m.project_id = ?`+status+`))`, args...)
	}
	switch q.Visibility {
	case "all":
	case "":
		l.and(`(i.visibility <> 'community' OR i.owner = ?)`, q.Viewer)
	default:
		l.and(`i.visibility = ?`, q.Visibility)
	}
}

// page adds the condition "after the marker" and returns the order.
func (l *listQuery) page(q *Query) (string, error) {
	var order, equal []string
	var after []string
	var afterArgs, equalArgs []any
	for _, o := range q.Sort {
		column, ok := Columns[o.Column]
		if !ok {
			return "", fmt.Errorf("image store: no column %s", o.Column)
		}
		direction, compare := ` ASC`, ` > ?`
		if o.Desc {
			direction, compare = ` DESC`, ` < ?`
		}
		order = append(order, column+direction)
		if q.Marker == nil {
			continue
		}
		value := sortValue(q.Marker, o.Column)
		after = append(after, `(`+strings.Join(append(equal[:len(equal):len(equal)], column+compare), ` AND `)+`)`)
		afterArgs = append(append(afterArgs, equalArgs...), value)
		equal, equalArgs = append(equal, column+` = ?`), append(equalArgs, value)
	}
	if q.Marker != nil {
		l.and(`(`+strings.Join(after, ` OR `)+`)`, afterArgs...)
	}
	return strings.Join(order, `, `), nil
}

// sortValue is what an image has in a column, as Columns sorts it.
func sortValue(i *image.Image, column string) any {
	orNone := func(n *int64) int64 {
		if n == nil {
			return -1
		}
		return *n
	}
	switch column {
	case "name":
		if i.Name == nil {
			return ""
		}
		return *i.Name
	case "status":
		return string(i.Status)
	case "container_format":
		return i.ContainerFormat
	case "disk_format":
		return i.DiskFormat
	case "size":
		return orNone(i.Size)
	case "virtual_size":
		return orNone(i.VirtualSize)
	case "created_at":
		return db.At(i.CreatedAt)
	case "updated_at":
		return db.At(i.UpdatedAt)
	case "min_disk":
		return i.MinDisk
	case "min_ram":
		return i.MinRAM
	case "owner":
		return i.Owner
	}
	return i.ID
}
