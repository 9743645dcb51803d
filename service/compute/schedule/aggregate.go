package schedule

import (
	"math"
	"strconv"
	"strings"
)

// Aggregate is a set of hosts with properties, as the scheduler uses it: made
// once, when aggregates change, and then shared by all hosts in it. It does not
// change.
type Aggregate struct {
	ID   string
	Name string

	raw         map[string]string
	values      map[string][]string // split at commas
	projects    []string            // of all keys that begin with filter_tenant_id
	multipliers map[string]float64
}

// projectKey begins the keys that reserve an aggregate for projects. A suffix
// keeps several of them apart, because one value is at most 255 characters.
const projectKey = "filter_tenant_id"

// NewAggregate prepares an aggregate from its metadata.
func NewAggregate(id, name string, metadata map[string]string) *Aggregate {
	a := &Aggregate{ID: id, Name: name, raw: metadata, values: make(map[string][]string, len(metadata))}
	for key, value := range metadata {
		parts := strings.Split(value, ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		a.values[key] = parts
		if strings.HasPrefix(key, projectKey) {
			a.projects = append(a.projects, parts...)
		}
		if isMultiplier(key) {
			if m, err := parseFloat(strings.TrimSpace(value)); err == nil {
				if a.multipliers == nil {
					a.multipliers = make(map[string]float64)
				}
				a.multipliers[key] = m
			}
		}
	}
	return a
}

// aggregateValues calls yield with each value that the host's aggregates have for
// key, split at commas, until yield returns false.
func (h *Host) aggregateValues(key string, yield func(value string) bool) {
	for _, a := range h.Aggregates {
		for _, v := range a.values[key] {
			if !yield(v) {
				return
			}
		}
	}
}

// aggregateNumber is the least number that the host's aggregates have for key,
// and otherwise, or when one of them is no number, the fallback.
func aggregateNumber[T int | float64](h *Host, key string, parse func(string) (T, error), fallback T) T {
	found := false
	var least T
	for _, a := range h.Aggregates {
		text, ok := a.raw[key]
		if !ok {
			continue
		}
		n, err := parse(strings.TrimSpace(text))
		if err != nil {
			return fallback
		}
		if !found || n < least {
			least, found = n, true
		}
	}
	if !found {
		return fallback
	}
	return least
}

// parseFloat reads a finite number: one that is not would make every weight it
// touches incomparable.
func parseFloat(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err == nil && !finite(f) {
		err = strconv.ErrRange
	}
	return f, err
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
