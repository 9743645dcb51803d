package schedule

import (
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
)

// specOperators are the first words of an extra spec's value that make it a
// comparison (nova/scheduler/filters/extra_specs_ops.py). Mind that "=" is ">=".
var specOperators = map[string]func(words []string) func(value string) bool{
	"=":  number(func(a, b float64) bool { return a >= b }),
	"==": number(func(a, b float64) bool { return a == b }),
	"!=": number(func(a, b float64) bool { return a != b }),
	">=": number(func(a, b float64) bool { return a >= b }),
	"<=": number(func(a, b float64) bool { return a <= b }),

	"s==": text(func(a, b string) bool { return a == b }),
	"s!=": text(func(a, b string) bool { return a != b }),
	"s<":  text(func(a, b string) bool { return a < b }),
	"s<=": text(func(a, b string) bool { return a <= b }),
	"s>":  text(func(a, b string) bool { return a > b }),
	"s>=": text(func(a, b string) bool { return a >= b }),

	"<in>": text(strings.Contains),
	"<all-in>": func(words []string) func(string) bool {
		return func(value string) bool {
			for _, w := range words {
				if !strings.Contains(value, w) {
					return false
				}
			}
			return true
		}
	},
	"<or>": func(words []string) func(string) bool {
		var either []string // every second word is <or> again
		for i := 0; i < len(words); i += 2 {
			either = append(either, words[i])
		}
		return func(value string) bool { return slices.Contains(either, value) }
	},
}

// compileSpec makes a test of values from an extra spec's value: an operator with
// its operands, or else the very text. An operator without operands matches
// nothing, and so does a number compared with what is no number.
func compileSpec(spec string) func(value string) bool {
	words := strings.Fields(spec)
	if len(words) > 0 {
		if operator, ok := specOperators[words[0]]; ok {
			if len(words) == 1 {
				return func(string) bool { return false }
			}
			return operator(words[1:])
		}
	}
	return func(value string) bool { return value == spec }
}

func number(compare func(a, b float64) bool) func([]string) func(string) bool {
	return func(words []string) func(string) bool {
		want, err := strconv.ParseFloat(words[0], 64)
		return func(value string) bool {
			if err != nil {
				return false
			}
			have, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return err == nil && compare(have, want)
		}
	}
}

func text(compare func(a, b string) bool) func([]string) func(string) bool {
	return func(words []string) func(string) bool {
		return func(value string) bool { return compare(value, words[0]) }
	}
}

// setting is one "name=number" of an option.
type setting struct {
	name  string
	ratio float64
}

func parseSettings(option string, texts []string) ([]setting, error) {
	settings := make([]setting, 0, len(texts))
	for _, t := range texts {
		name, value, ok := strings.Cut(t, "=")
		ratio, err := parseFloat(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || err != nil || name == "" {
			return nil, fault.Invalidf("%s has %q; write \"name=1.0\".", option, t)
		}
		settings = append(settings, setting{name, ratio})
	}
	return settings, nil
}
