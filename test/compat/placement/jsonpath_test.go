package placement_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A path is a list of steps; each takes values to those that it selects below
// them. Only what the gabbits use is here, with the meaning of jsonpath-ng.
type step func(v any) []any

// find returns what path selects in data.
func find(data any, path string) ([]any, error) {
	steps, err := parsePath(path)
	if err != nil {
		return nil, err
	}
	return walk([]any{data}, steps), nil
}

func walk(values []any, steps []step) []any {
	for _, s := range steps {
		var next []any
		for _, v := range values {
			next = append(next, s(v)...)
		}
		values = next
	}
	return values
}

func parsePath(path string) ([]step, error) {
	rest := strings.TrimPrefix(strings.TrimSpace(path), "$")
	var steps []step
	for rest != "" {
		deep := false
		if after, ok := strings.CutPrefix(rest, ".."); ok {
			rest, deep = after, true
		} else {
			rest = strings.TrimPrefix(rest, ".")
		}
		s, after, err := parseStep(rest)
		if err != nil {
			return nil, fmt.Errorf("path %s: %w", path, err)
		}
		if deep {
			s = descend(s)
		}
		steps, rest = append(steps, s), after
	}
	return steps, nil
}

// parseStep reads one step and returns what follows it.
func parseStep(text string) (step, string, error) {
	switch {
	case text == "":
		return nil, "", fmt.Errorf("it ends too early")
	case strings.HasPrefix(text, "`len`"):
		return length, text[len("`len`"):], nil
	case strings.HasPrefix(text, "`sorted`"):
		return sorted, text[len("`sorted`"):], nil
	case text[0] == '[':
		end := closing(text)
		if end < 0 {
			return nil, "", fmt.Errorf("a bracket is not closed: %s", text)
		}
		s, err := inBrackets(strings.TrimSpace(text[1:end]))
		return s, text[end+1:], err
	case text[0] == '\'' || text[0] == '"':
		end := strings.IndexByte(text[1:], text[0])
		if end < 0 {
			return nil, "", fmt.Errorf("a quote is not closed: %s", text)
		}
		return member(text[1 : end+1]), text[end+2:], nil
	}
	end := strings.IndexAny(text, ".[")
	if end < 0 {
		end = len(text)
	}
	return member(text[:end]), text[end:], nil
}

// closing returns where the bracket that text begins with is closed.
func closing(text string) int {
	var quote byte
	for i := range len(text) {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == ']':
			return i
		}
	}
	return -1
}

func inBrackets(text string) (step, error) {
	if filter, ok := strings.CutPrefix(text, "?"); ok {
		return parseFilter(strings.TrimSpace(filter))
	}
	if i, err := strconv.Atoi(text); err == nil {
		return func(v any) []any {
			if list, ok := v.([]any); ok && i < len(list) {
				return list[i : i+1]
			}
			return nil
		}, nil
	}
	return member(strings.Trim(text, `'"`)), nil
}

func member(name string) step {
	return func(v any) []any {
		if m, ok := v.(map[string]any); ok {
			if value, there := m[name]; there {
				return []any{value}
			}
		}
		return nil
	}
}

func length(v any) []any {
	switch v := v.(type) {
	case []any:
		return []any{float64(len(v))}
	case map[string]any:
		return []any{float64(len(v))}
	case string:
		return []any{float64(len(v))}
	}
	return nil
}

// sorted orders a list of texts.
func sorted(v any) []any {
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	return []any{slices.SortedFunc(slices.Values(list), func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })}
}

// descend applies s to a value and to all below it.
func descend(s step) step {
	var all step
	all = func(v any) []any {
		found := s(v)
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				found = append(found, all(e)...)
			}
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				found = append(found, all(v[key])...)
			}
		}
		return found
	}
	return all
}

// parseFilter reads a comparison: PATH OP VALUE.
func parseFilter(text string) (step, error) {
	text = strings.TrimSuffix(strings.TrimPrefix(text, "("), ")")
	for _, op := range []string{"<=", ">=", "=", "<", ">"} {
		left, right, ok := strings.Cut(text, op)
		if !ok {
			continue
		}
		steps, err := parsePath(strings.TrimSpace(left))
		if err != nil {
			return nil, err
		}
		want := strings.Trim(strings.TrimSpace(right), `'"`)
		return func(v any) []any {
			var found []any
			list, _ := v.([]any)
			for _, e := range list {
				if slices.ContainsFunc(walk([]any{e}, steps), func(x any) bool { return compare(x, op, want) }) {
					found = append(found, e)
				}
			}
			return found
		}, nil
	}
	return nil, fmt.Errorf("there is no comparison in %s", text)
}

func compare(v any, op, want string) bool {
	n, isNumber := v.(float64)
	w, err := strconv.ParseFloat(want, 64)
	if !isNumber || err != nil {
		return op == "=" && fmt.Sprint(v) == want
	}
	switch op {
	case "<=":
		return n <= w
	case ">=":
		return n >= w
	case "<":
		return n < w
	case ">":
		return n > w
	}
	return n == w
}

func TestPaths(t *testing.T) {
	data := map[string]any{"a": []any{
		map[string]any{"k": "x", "n": 1.0, "m": map[string]any{"p-q": 5.0, "": "e"}},
		map[string]any{"k": "y", "n": 2.0, "m": map[string]any{"p-q": 6.0}},
	}}
	for path, want := range map[string]string{
		"$.a.`len`":                  "[2]",
		"a[1].k":                     "[y]",
		`$.a[?k = "x"].n`:            "[1]",
		`$.a..m["p-q"]`:              "[5 6]",
		`$.a[?(n>1)].m`:              "[map[p-q:6]]",
		`$.a[?(m.'p-q'<=5)]..m[p-q]`: "[5]",
		`$.a[0].m['']`:               "[e]",
		`$.a.["k"]`:                  "[]",
		"$.a..k.`sorted`":            "[]",
		`$.nothing`:                  "[]",
		`$.a[0].m.'p-q'`:             "[5]",
	} {
		got, err := find(data, path)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v (%v), want %s", path, got, err, want)
		}
	}
}
