package hardware

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"kilonova/service/compute"
)

// value says what is wrong with a text, "" if nothing is.
type value func(text string) string

func anything(string) string { return "" }

// enum is one of a few words.
func enum(words ...string) value {
	return func(text string) string {
		if slices.Contains(words, text) {
			return ""
		}
		return fmt.Sprintf("'%.64s' is not one of: %s.", text, strings.Join(words, ", "))
	}
}

// lowerEnum is enum for settings that are read in lower case.
func lowerEnum(words ...string) value {
	check := enum(words...)
	return func(text string) string { return check(strings.ToLower(text)) }
}

// truth is a word that stands for true or false.
func truth(text string) string {
	if _, ok := compute.Truth(text); ok {
		return ""
	}
	return fmt.Sprintf("'%.64s' is not a valid boolean-like value.", text)
}

// whole is a whole number, of any size.
func whole(text string) string { return bounded(text, nil, nil) }

func atLeast(lo int64) value {
	return func(text string) string { return bounded(text, &lo, nil) }
}

func between(lo, hi int64) value {
	return func(text string) string { return bounded(text, &lo, &hi) }
}

func bounded(text string, lo, hi *int64) string {
	n, ok := new(big.Int).SetString(strings.TrimSpace(text), 10)
	switch {
	case !ok || len(text) > 64:
		return fmt.Sprintf("'%.64s' is not a valid integer value.", text)
	case lo != nil && n.Cmp(big.NewInt(*lo)) < 0:
		return fmt.Sprintf("'%s' is less than the min value of '%d'.", n, *lo)
	case hi != nil && n.Cmp(big.NewInt(*hi)) > 0:
		return fmt.Sprintf("'%s' is greater than the max value of '%d'.", n, *hi)
	}
	return ""
}

// pattern is a text of a form.
func pattern(expr string) value {
	re := regexp.MustCompile(`^(?:` + expr + `)$`)
	return func(text string) string {
		if re.MatchString(text) {
			return ""
		}
		return fmt.Sprintf("'%.64s' is not of the format '%s'.", text, expr)
	}
}

// cpuSet is a list of processors: "0-3,^2".
func cpuSet(text string) string {
	if _, err := parseCPUs(text); err != nil {
		return err.Error()
	}
	return ""
}
