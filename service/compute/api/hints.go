package api

import (
	"regexp"
	"slices"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
)

// hintForms are what the scheduler's hints look like that upstream knows; others may
// be anything.
var hintForms = map[string]struct {
	kind  string                 // of what it is, in the words of JSON Schema
	one   func(text string) bool // a text that stands alone; nil: there is none
	some  func(text string) bool // the elements of a list; nil: it is none
	trees bool                   // objects, too
}{
	"group":              {"'uuid'", rest.IsUUID, rest.IsUUID, false},
	"different_host":     {"'uuid'", rest.IsUUID, rest.IsUUID, false},
	"same_host":          {"'uuid'", anyText, rest.IsUUID, false},
	"different_cell":     {"'string', 'array'", anyText, anyText, false},
	"query":              {"'string', 'object'", anyText, nil, true},
	"target_cell":        {"'name'", isName, nil, false},
	"build_near_host_ip": {"'ipv4', 'ipv6'", rest.IsIP, nil, false},
	"cidr":               {"'^/[0-9a-f.:]+$'", hintedNetwork.MatchString, nil, false},
}

var hintedNetwork = regexp.MustCompile(`^/[0-9a-f.:]+$`)

func anyText(string) bool { return true }

func isName(text string) bool {
	return text != "" && len([]rune(text)) <= 255 && rest.IsName(text)
}

// checkHints refuses hints that upstream's schema refuses.
func checkHints(hints map[string]any) error {
	for name, hint := range hints {
		form, known := hintForms[name]
		if !known {
			continue
		}
		fits := false
		switch hint := hint.(type) {
		case string:
			fits = form.one(hint)
		case map[string]any:
			fits = form.trees
		case []any:
			fits = form.some != nil && !slices.ContainsFunc(hint, func(x any) bool {
				text, is := x.(string)
				return !is || !form.some(text)
			})
		}
		if !fits {
			return fault.Invalidf("Invalid input for field/attribute %s. Value: %.64v. It is not a %s", name, hint, form.kind)
		}
	}
	return nil
}
