package schedule

import (
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
		if strings.HasSuffix(key, "_weight_multiplier") {
			if m, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				if a.multipliers == nil {
					a.multipliers = make(map[string]float64)
				}
				a.multipliers[key] = m
			}
		}
	}
	return a
}
