package api

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
	"kilonova/service/image/control"
)

// maxFilters bounds what one list may be filtered by.
const maxFilters = 64

// page is the address of a list's page after marker, as the image API gives it:
// below its own root.
func page(r *rest.Request, path, marker string) string {
	q := url.Values{}
	for k, v := range r.Query {
		q[k] = v
	}
	q.Del("marker")
	if marker != "" {
		q.Set("marker", marker)
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// list reads the query of a list of images.
func (a *api) list(q url.Values) (control.List, error) {
	l := control.List{Marker: q.Get("marker"), Visibility: q.Get("visibility"), MemberStatus: image.Accepted}
	var err error
	if l.Limit, err = a.limit(q); err != nil {
		return l, err
	}
	if q.Has("member_status") {
		status := q.Get("member_status")
		if status != "all" && !slices.Contains(image.MemberStatuses, image.MemberStatus(status)) {
			return l, fault.Invalidf("Invalid status: %.64s", status)
		}
		l.MemberStatus = image.MemberStatus(strings.TrimSuffix(status, "all"))
	}
	if v := l.Visibility; v != "" && v != "all" && !slices.Contains(image.Visibilities, image.Visibility(v)) {
		return l, fault.Invalidf("Invalid visibility value: %.64s", v)
	}
	for _, t := range q["tag"] {
		l.Tags = append(l.Tags, strings.TrimSpace(t))
	}
	if l.Sort, err = sorting(q); err != nil {
		return l, err
	}
	return l, filters(q, &l)
}

// limit reads how many items a list may have.
func (a *api) limit(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return min(a.o.LimitParamDefault, a.o.APILimitMax), nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fault.Invalidf("limit param must be an integer")
	}
	if n < 0 {
		return 0, fault.Invalidf("limit param must be positive")
	}
	return min(n, a.o.APILimitMax), nil
}

var sortKeys = []string{"name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"}

// sorting reads "sort=name:asc,size" or pairs of sort_key and sort_dir. The
// creation time and the id always come last, so that pages are definite.
func sorting(q url.Values) ([]image.Order, error) {
	keys, dirs := q["sort_key"], q["sort_dir"]
	if q.Has("sort") {
		if len(keys) > 0 || len(dirs) > 0 {
			return nil, fault.Invalidf("Old and new sorting syntax cannot be combined")
		}
		for part := range strings.SplitSeq(q.Get("sort"), ",") {
			key, dir, _ := strings.Cut(part, ":")
			if dir == "" {
				dir = "desc"
			}
			keys, dirs = append(keys, strings.TrimSpace(key)), append(dirs, strings.TrimSpace(dir))
		}
	}
	if len(keys) == 0 {
		keys = []string{"created_at"}
	}
	if len(dirs) > 1 && len(dirs) != len(keys) {
		return nil, fault.Invalidf("Number of sort dirs does not match the number of sort keys")
	}
	last := "desc"
	if len(dirs) == 1 {
		last = dirs[0]
	}
	var order []image.Order
	seen := map[string]bool{}
	for i, key := range keys {
		dir := last
		if len(dirs) > 1 {
			dir = dirs[i]
		}
		if !slices.Contains(sortKeys, key) {
			return nil, fault.Invalidf("Invalid sort key: %.64s. It must be one of the following: %s.", key, strings.Join(sortKeys, ", "))
		}
		if dir != "asc" && dir != "desc" {
			return nil, fault.Invalidf("Invalid sort direction: %.64s", dir)
		}
		if !seen[key] {
			order, seen[key] = append(order, image.Order{Column: key, Desc: dir == "desc"}), true
		}
	}
	for _, key := range []string{"created_at", "id"} {
		if !seen[key] {
			order = append(order, image.Order{Column: key, Desc: last == "desc"})
		}
	}
	return order, nil
}

// notFilters are parameters of lists with a meaning of their own.
var notFilters = []string{"limit", "marker", "member_status", "visibility", "tag", "sort", "sort_key", "sort_dir"}

// filters reads everything else. What is no member of all images is a property.
func filters(q url.Values, l *control.List) error {
	hidden := "false"
	if len(q) > maxFilters || len(l.Tags) > maxFilters {
		return fault.Invalidf("A list can be filtered by at most %d values.", maxFilters)
	}
	for _, t := range append([]string{l.Marker}, l.Tags...) {
		if strings.ContainsRune(t, 0) {
			return fault.Invalidf("A null character cannot be in a filter.")
		}
	}
	for name, values := range q {
		if slices.Contains(notFilters, name) {
			continue
		}
		value := values[0]
		if strings.ContainsRune(name+value, 0) {
			return fault.Invalidf("A null character cannot be in a filter.")
		}
		if name == "os_hidden" {
			hidden = value
			continue
		}
		where, ok, err := condition(name, value)
		if err != nil {
			return err
		}
		if ok {
			l.Where = append(l.Where, where)
		} else {
			l.Properties = append(l.Properties, [2]string{name, value})
		}
	}
	where, err := boolCondition("os_hidden", hidden)
	l.Where = append(l.Where, where)
	// The same filters make the same statement, whatever order they came in.
	slices.SortFunc(l.Where, func(a, b image.Condition) int {
		return strings.Compare(a.Column+a.Op, b.Column+b.Op)
	})
	slices.SortFunc(l.Properties, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return err
}

// condition reads one filter; false: it is about no column.
func condition(name, value string) (image.Condition, bool, error) {
	switch name {
	case "changes-since":
		return image.Condition{}, false, fault.Invalidf(`The "changes-since" filter is no longer available on v2.`)
	case "protected":
		c, err := boolCondition(name, value)
		return c, true, err
	case "created_at", "updated_at":
		c, err := timeCondition(name, value)
		return c, true, err
	case "name", "id", "status", "container_format", "disk_format":
		c, err := textCondition(name, value)
		return c, true, err
	case "owner", "checksum", "os_hash_value", "os_hash_algo":
		return image.Condition{Column: name, Op: "=", Values: []any{value}}, true, nil
	}
	column, op := name, "="
	if c, ok := strings.CutSuffix(name, "_min"); ok {
		column, op = c, ">="
	} else if c, ok := strings.CutSuffix(name, "_max"); ok {
		column, op = c, "<="
	}
	if !slices.Contains([]string{"size", "virtual_size", "min_disk", "min_ram"}, column) {
		return image.Condition{}, false, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return image.Condition{}, false, fault.Invalidf("Unable to filter on a range with a non-numeric value.")
	}
	return image.Condition{Column: column, Op: op, Values: []any{n}}, true, nil
}

func boolCondition(name, value string) (image.Condition, error) {
	b, err := strconv.ParseBool(strings.ToLower(value))
	if err != nil || len(value) < 4 {
		return image.Condition{}, fault.Invalidf("Invalid value '%.64s' for '%s' filter. Valid values are 'true' or 'false'.", value, name)
	}
	return image.Condition{Column: name, Op: "=", Values: []any{b}}, nil
}

// textCondition reads "value", "eq:value" or `in:one,"two, with comma"`.
func textCondition(name, value string) (image.Condition, error) {
	op, rest, ok := strings.Cut(value, ":")
	switch {
	case !ok:
		return image.Condition{Column: name, Op: "=", Values: []any{value}}, nil
	case op == "eq":
		return image.Condition{Column: name, Op: "=", Values: []any{rest}}, nil
	case op != "in":
		return image.Condition{}, fault.Invalidf("Unable to filter by unknown operator '%.64s'.", op)
	}
	list, err := quotedList(rest)
	if err != nil {
		return image.Condition{}, err
	}
	if len(list) > 1000 {
		return image.Condition{}, fault.Invalidf("A filter can have at most 1000 values.")
	}
	for n := 1; len(list) > n; n *= 8 { // lists of all lengths share a few statements
		if len(list) < 8*n {
			list = append(list, slices.Repeat(list[len(list)-1:], 8*n-len(list))...)
		}
	}
	return image.Condition{Column: name, Op: "IN", Values: list}, nil
}

func quotedList(text string) ([]any, error) {
	var list []any
	for {
		if rest, ok := strings.CutPrefix(text, `"`); ok {
			value, after, closed := strings.Cut(rest, `"`)
			if !closed || after != "" && after[0] != ',' {
				return nil, fault.Invalidf("Invalid filter value %.64q. The quote is not closed.", text)
			}
			list = append(list, value)
			if after == "" {
				return list, nil
			}
			text = after[1:]
			continue
		}
		value, after, more := strings.Cut(text, ",")
		if strings.Contains(value, `"`) {
			return nil, fault.Invalidf("Invalid filter value %.64q. There is no comma before opening quotation mark.", text)
		}
		list = append(list, value)
		if !more {
			return list, nil
		}
		text = after
	}
}

// timeLayouts are the forms of ISO 8601 that clients use.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02"}

func parseTime(text string) (time.Time, bool) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// timeCondition reads "gt:2026-01-02T03:04:05Z" and the like. Clients see whole
// seconds; a time without a fraction stands for all of its second.
func timeCondition(name, value string) (image.Condition, error) {
	op := "eq"
	t, ok := parseTime(value)
	if !ok {
		var text string
		op, text, _ = strings.Cut(value, ":")
		if t, ok = parseTime(text); !ok {
			return image.Condition{}, fault.Invalidf(`Bad "%s" query filter format. Use ISO 8601 DateTime notation.`, name)
		}
	}
	end := t
	if t.Nanosecond() == 0 {
		end = t.Add(time.Second - time.Microsecond)
	}
	from, to := t, end
	c := image.Condition{Column: name}
	switch op {
	case "gt":
		c.Op, c.Values = ">", []any{to}
	case "gte":
		c.Op, c.Values = ">=", []any{from}
	case "lt":
		c.Op, c.Values = "<", []any{from}
	case "lte":
		c.Op, c.Values = "<=", []any{to}
	case "eq":
		c.Op, c.Values = "BETWEEN", []any{from, to}
	case "neq":
		c.Op, c.Values = "NOT BETWEEN", []any{from, to}
	default:
		return c, fault.Invalidf("Unable to filter on a unknown operator '%.64s'.", op)
	}
	return c, nil
}
