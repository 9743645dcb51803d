package schedule

import (
	"encoding/json"
	"strings"

	"kilonova/internal/fault"
)

// Bounds of a query, which comes from a user.
const (
	maxQueryBytes = 16 << 10
	maxQueryDepth = 16
)

// jsonFilter keeps the hosts that satisfy the user's query, an expression in
// JSON like ["and", [">=", "$free_ram_mb", 1024], ["=", "$host", "a"]]. A "$"
// begins the name of a fact, with dots for its parts; a comparison holds when the
// first operand compares so with each of the others. Operands that a host does
// not have are left out.
func jsonFilter(_ *Options, r *Request) (*filter, error) {
	if r.Hints.Query == "" {
		return nil, nil
	}
	if len(r.Hints.Query) > maxQueryBytes {
		return nil, fault.Invalidf("The hint query has %d bytes; the limit is %d.", len(r.Hints.Query), maxQueryBytes)
	}
	var tree any
	if err := json.Unmarshal([]byte(r.Hints.Query), &tree); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The hint query is no JSON.")
	}
	query, err := compileQuery(tree, 0)
	if err != nil {
		return nil, err
	}
	return &filter{refuse: func(h *Host) string {
		if !query(h) {
			return "not matching the query"
		}
		return ""
	}}, nil
}

// test is a compiled expression; operand a compiled operand, nil where the host
// lacks the fact.
type (
	test    func(h *Host) bool
	operand func(h *Host) any
)

func compileQuery(tree any, depth int) (test, error) {
	list, ok := tree.([]any)
	if !ok {
		return nil, fault.Invalidf("The hint query has %.64s where an expression like [\"=\", ...] is due.", plain(tree))
	}
	if depth >= maxQueryDepth {
		return nil, fault.Invalidf("The hint query is nested more than %d deep.", maxQueryDepth)
	}
	if len(list) == 0 {
		return func(*Host) bool { return true }, nil
	}
	word, _ := list[0].(string)
	operator, ok := queryOperators[word]
	if !ok {
		return nil, fault.Invalidf("The hint query has the operator %.64s, which is not known.", plain(list[0]))
	}
	operands := make([]operand, 0, len(list)-1)
	for _, arg := range list[1:] {
		o, err := compileOperand(arg, depth)
		if err != nil {
			return nil, err
		}
		operands = append(operands, o)
	}
	return func(h *Host) bool {
		values := make([]any, 0, len(operands))
		for _, o := range operands {
			if v := o(h); v != nil {
				values = append(values, v)
			}
		}
		return operator(values)
	}, nil
}

func compileOperand(arg any, depth int) (operand, error) {
	switch a := arg.(type) {
	case []any:
		nested, err := compileQuery(a, depth+1)
		return func(h *Host) any { return nested(h) }, err
	case string:
		if a == "" {
			return func(*Host) any { return nil }, nil
		}
		if name, ok := strings.CutPrefix(a, "$"); ok {
			path := strings.Split(name, ".")
			return func(h *Host) any { return h.attribute(path) }, nil
		}
	}
	return func(*Host) any { return arg }, nil
}

// queryOperators judge operands that are there. "not" of several holds when one
// of them does not. (Within "and" and "or" upstream's always holds.)
var queryOperators = map[string]func(values []any) bool{
	"=":  comparison(func(c int) bool { return c == 0 }),
	"<":  comparison(func(c int) bool { return c < 0 && c != unlike }),
	">":  comparison(func(c int) bool { return c > 0 }),
	"<=": comparison(func(c int) bool { return c <= 0 && c != unlike }),
	">=": comparison(func(c int) bool { return c >= 0 }),
	"in": func(values []any) bool {
		for i := 1; i < len(values); i++ {
			if compare(values[0], values[i]) == 0 {
				return true
			}
		}
		return false
	},
	"not": func(values []any) bool {
		for _, v := range values {
			if !truth(v) {
				return true
			}
		}
		return false
	},
	"or": func(values []any) bool {
		for _, v := range values {
			if truth(v) {
				return true
			}
		}
		return false
	},
	"and": func(values []any) bool {
		for _, v := range values {
			if !truth(v) {
				return false
			}
		}
		return true
	},
}

func comparison(holds func(c int) bool) func([]any) bool {
	return func(values []any) bool {
		if len(values) < 2 {
			return false
		}
		for _, v := range values[1:] {
			if !holds(compare(values[0], v)) {
				return false
			}
		}
		return true
	}
}

// unlike is compare's answer for operands that have no order.
const unlike = -2

// compare is -1, 0 or 1 for two numbers or two texts, and otherwise unlike. As in
// Python a truth is a number, 0 or 1.
func compare(a, b any) int {
	x, isNumber := numeric(a)
	y, areNumbers := numeric(b)
	if isNumber && areNumbers {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	s, isText := a.(string)
	t, areTexts := b.(string)
	if isText && areTexts {
		return strings.Compare(s, t)
	}
	return unlike
}

func numeric(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case bool:
		if n {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// truth is what Python takes for true.
func truth(v any) bool {
	switch t := v.(type) {
	case bool:
		return t
	case string:
		return t != ""
	case float64:
		return t != 0
	case int:
		return t != 0
	case []any:
		return len(t) > 0
	case map[string]any:
		return len(t) > 0
	}
	return v != nil
}
