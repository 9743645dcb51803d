package schedule

import (
	"maps"
	"slices"
	"strings"

	"kilonova/service/compute/hardware"
)

// aggregateTenancy keeps an aggregate that is reserved for projects to them.
func aggregateTenancy(_ *Options, r *Request) (*filter, error) {
	return &filter{refuse: func(h *Host) string {
		reserved := false
		for _, a := range h.Aggregates {
			if slices.Contains(a.projects, r.ProjectID) {
				return ""
			}
			reserved = reserved || len(a.projects) > 0
		}
		if reserved {
			return "reserved for other projects"
		}
		return ""
	}}, nil
}

// aggregateType keeps an aggregate with the key instance_type to the flavors that
// it names.
func aggregateType(_ *Options, r *Request) (*filter, error) {
	return &filter{refuse: func(h *Host) string {
		limited := false
		for _, a := range h.Aggregates {
			names := a.values["instance_type"]
			if slices.Contains(names, r.Flavor.Name) {
				return ""
			}
			limited = limited || len(names) > 0
		}
		if limited {
			return "reserved for other flavors"
		}
		return ""
	}}, nil
}

// aggregateExtraSpecs wants each of the flavor's extra specs, without a scope or
// with the scope aggregate_instance_extra_specs, to match one of the values that
// the host's aggregates have for that key.
func aggregateExtraSpecs(_ *Options, r *Request) (*filter, error) {
	type wanted struct {
		key   string
		match func(string) bool
	}
	var all []wanted
	for _, spec := range slices.Sorted(maps.Keys(r.Flavor.ExtraSpecs)) {
		key := spec
		if scope, rest, scoped := strings.Cut(spec, ":"); scoped {
			if scope != "aggregate_instance_extra_specs" {
				continue
			}
			key = rest
		}
		all = append(all, wanted{key, compileSpec(r.Flavor.ExtraSpecs[spec])})
	}
	if len(all) == 0 {
		return nil, nil
	}
	// unmatched is the first wanted that the host's aggregates do not have.
	unmatched := func(h *Host) *wanted {
		for i := range all {
			w, ok := &all[i], false
			for _, a := range h.Aggregates {
				if ok = slices.ContainsFunc(a.values[w.key], w.match); ok {
					break
				}
			}
			if !ok {
				return w
			}
		}
		return nil
	}
	return &filter{
		refuse: func(h *Host) string {
			if unmatched(h) != nil {
				return "in no aggregate that matches the flavor's extra specs"
			}
			return ""
		},
		detail: func(h *Host) string {
			return "in no aggregate that matches the flavor's extra spec " + unmatched(h).key
		},
	}, nil
}

// aggregateImageProperties refuses hosts in an aggregate that has a key of the
// image's properties with other values; values count as equal that mean the same,
// like amd64 and x86_64. Upstream looks only at the properties that it knows itself;
// here all count.
func aggregateImageProperties(o *Options, r *Request) (*filter, error) {
	prefix := ""
	if o.Filter.PropertiesNamespace != "" {
		prefix = o.Filter.PropertiesNamespace + o.Filter.PropertiesSeparator
	}
	var all []ImageProperty
	image := hardware.ReadAll(r.Image.Properties)
	for _, name := range slices.Sorted(maps.Keys(image)) {
		if value := image[name]; value != "" && strings.HasPrefix(name, prefix) {
			all = append(all, ImageProperty{name, value})
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	other := func(h *Host) string {
		for _, p := range all {
			limited, ok := false, false
			h.aggregateValues(p.Name, func(value string) bool {
				limited, ok = true, value == p.Value || p.means(value)
				return !ok
			})
			if limited && !ok {
				return p.Name
			}
		}
		return ""
	}
	return &filter{
		refuse: func(h *Host) string {
			if other(h) != "" {
				return "in an aggregate for other images"
			}
			return ""
		},
		detail: func(h *Host) string { return "in an aggregate for images with another " + other(h) },
	}, nil
}

// means reports whether a text says the same of the property.
func (p ImageProperty) means(text string) bool {
	_, value := hardware.Read(p.Name, text)
	return value == p.Value
}
