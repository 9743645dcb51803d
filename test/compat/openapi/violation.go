package openapi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Violation is where an answer differs from the contract.
type Violation struct {
	Service string
	Operation
	Status  int
	Where   string // in the body, /users/0/name; "" all of it
	Problem string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s %s %d %s: %s", v.Service, v.Operation, v.Status, v.Where, v.Problem)
}

var english = message.NewPrinter(language.English)

// violations takes a validation error apart, down to its leaves.
func (c *Contract) violations(o Operation, status int, err error) []Violation {
	e, ok := err.(*jsonschema.ValidationError)
	if !ok {
		if err == nil {
			return nil
		}
		return []Violation{{Service: c.Service, Operation: o, Status: status, Problem: err.Error()}}
	}
	var all []Violation
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			all = append(all, Violation{c.Service, o, status, where(e.InstanceLocation), e.ErrorKind.LocalizedString(english)})
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(e)
	return all
}

// where writes a place with the numbers of list items as *, so that the same
// fault of many items is one.
func where(location []string) string {
	var b strings.Builder
	for _, part := range location {
		if strings.Trim(part, "0123456789") == "" {
			part = "*"
		}
		b.WriteString("/" + part)
	}
	return b.String()
}

// Summary has each violation once, sorted, with how often it was seen.
func Summary(all []Violation) []string {
	seen := map[string]int{}
	for _, v := range all {
		seen[v.String()]++
	}
	var lines []string
	for text, n := range seen {
		lines = append(lines, fmt.Sprintf("%s (%d times)", text, n))
	}
	slices.Sort(lines)
	return lines
}
