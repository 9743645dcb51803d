package api

import (
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

// truths are the attributes whose filters are truth values.
var truths = []string{"enabled", "is_domain"}

// ops are the comparisons that a query string may ask for.
var ops = []identity.Op{identity.Contains, identity.StartsWith, identity.EndsWith, identity.IContains, identity.IStarts, identity.IEnds, identity.IEqual}

// query reads filters by the attributes, order and page from a query string.
// Parameters that it does not know are passed over, as upstream does.
func query(r *rest.Request, attributes ...string) (identity.Query, error) {
	q := identity.Query{Marker: r.Query.Get("marker")}
	limit, err := r.QueryInt("limit", 0)
	if err != nil {
		return q, err
	}
	q.Limit = limit
	for key, values := range r.Query {
		attribute, op, _ := strings.Cut(key, "__")
		if !slices.Contains(attributes, attribute) || len(values) == 0 {
			continue
		}
		if op != "" && !slices.Contains(ops, identity.Op(op)) {
			continue
		}
		f := identity.Filter{Attribute: attribute, Op: identity.Op(op), Value: values[0]}
		if slices.Contains(truths, attribute) {
			b, err := rest.ParseBool(values[0])
			f.Value = b || err != nil // upstream: whatever is not a "false" is true
		}
		q.Filters = append(q.Filters, f)
	}
	slices.SortFunc(q.Filters, func(a, b identity.Filter) int {
		return strings.Compare(a.Attribute+string(a.Op), b.Attribute+string(b.Op))
	})
	if key := r.Query.Get("sort_key"); slices.Contains(attributes, key) {
		q.SortKey = key
	}
	switch dir := r.Query.Get("sort_dir"); dir {
	case "", "asc":
	case "desc":
		q.Desc = true
	default:
		return q, fault.Invalidf("sort_dir is asc or desc, and not %.64q.", dir)
	}
	return q, nil
}

// isSet reports whether a flag is in the query string: ?effective, ?effective=1.
func isSet(r *rest.Request, name string) bool {
	values, ok := r.Query[name]
	if !ok || len(values) == 0 {
		return false
	}
	b, err := rest.ParseBool(values[0])
	return b || err != nil
}

// collection answers with a list and its links. When the list fills a page that
// was asked for, there is a link to the next one.
func collection[T any](r *rest.Request, key string, list []T, q identity.Query, view func(*rest.Request, *T) map[string]any, id func(*T) string) *rest.Response {
	var next any
	if q.Limit > 0 && len(list) == q.Limit {
		next = r.NextLink(r.URL.Path, id(&list[len(list)-1]))
	}
	self := r.Link(r.URL.Path)
	if r.URL.RawQuery != "" {
		self += "?" + r.URL.RawQuery
	}
	links := map[string]any{"self": self, "previous": nil, "next": next}
	return &rest.Response{Items: &rest.Items{Key: key,
		Each: func(yield func(any) error) error {
			for i := range list {
				if err := yield(view(r, &list[i])); err != nil {
					return err
				}
			}
			return nil
		},
		Tail: func() map[string]any { return map[string]any{"links": links} }}}
}

// one answers with a single resource.
func one[T any](r *rest.Request, key string, v *T, view func(*rest.Request, *T) map[string]any, status int) *rest.Response {
	return &rest.Response{Status: status, Body: map[string]any{key: view(r, v)}}
}

// cutOp splits "lt:TIME".
func cutOp(text string) (op identity.Op, rest string, ok bool) {
	word, rest, ok := strings.Cut(text, ":")
	switch identity.Op(word) {
	case "eq":
		return identity.Equal, rest, ok
	case identity.NotEqual, identity.Less, identity.LessEq, identity.Greater, identity.GreaterEq:
		return identity.Op(word), rest, ok
	}
	return "", "", false
}
