package api

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

// decode reads a body {"KEY": {…}} into T. What T has no field for are the
// further attributes that identity keeps for its callers; id and links, which
// it gives itself, are not among them.
func decode[T any](r *rest.Request, key string) (T, identity.Attributes, error) {
	var v T
	raw, err := member(r, key)
	if err != nil {
		return v, nil, err
	}
	var all map[string]any
	if err := json.Unmarshal(raw, &all); err != nil || all == nil {
		return v, nil, fault.Invalidf("Invalid input for field '%s': it is not of type 'object'.", key)
	}
	if err := rest.Decode(raw, rest.Version{}, false, &v); err != nil {
		return v, nil, err
	}
	for i := range reflect.TypeFor[T]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[T]().Field(i).Tag.Get("json"), ",")
		delete(all, name)
	}
	delete(all, "links")
	extra := identity.Attributes(all)
	return v, extra, nil
}

// change is decode for updates: it must change something, and not the id.
func change[T any](r *rest.Request, key, id string) (T, identity.Attributes, error) {
	v, extra, err := decode[T](r, key)
	if err != nil {
		return v, nil, err
	}
	if given, ok := extra["id"]; ok && given != id {
		return v, nil, fault.Invalidf("Cannot change %s ID", key)
	}
	if raw, _ := member(r, key); strings.TrimSpace(string(raw)) == "{}" {
		return v, nil, fault.Invalidf("Invalid input for field '%s': at least one property is needed.", key)
	}
	delete(extra, "id")
	return v, extra, nil
}

// create is decode for what gets its id from identity.
func create[T any](r *rest.Request, key string) (T, identity.Attributes, error) {
	v, extra, err := decode[T](r, key)
	delete(extra, "id")
	return v, extra, err
}

// only refuses attributes that a resource does not have.
func only(extra identity.Attributes, err error) error {
	for name := range extra {
		return fault.Invalidf("Additional properties are not allowed ('%.64s' was unexpected)", name)
	}
	return err
}

// member returns the value of the one key that a body is about.
func member(r *rest.Request, key string) (json.RawMessage, error) {
	data, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	var body map[string]json.RawMessage
	if err := rest.Decode(data, rest.Version{}, false, &body); err != nil {
		return nil, err
	}
	raw, ok := body[key]
	if !ok {
		return nil, fault.Invalidf("'%s' is a required property", key)
	}
	return raw, nil
}

// text is an attribute as control takes it: nil when absent, "" for null.
func text(o rest.Opt[string]) *string {
	if !o.Set {
		return nil
	}
	return &o.V
}

// flag is text for truth values; a null is as if absent.
func flag(o rest.Opt[rest.Bool]) *bool {
	if !o.Set || o.Null {
		return nil
	}
	b := bool(o.V)
	return &b
}

// nullable is an attribute that keeps null and "" apart: a null is as if absent.
func nullable(o rest.Opt[string]) *string {
	if !o.Set || o.Null {
		return nil
	}
	return &o.V
}

// name is an attribute that must not be blank where it is given, and is required
// when making something.
func name(field string, o rest.Opt[string], required bool) (*string, error) {
	if !o.Set && !required {
		return nil, nil
	}
	if !o.Set {
		return nil, fault.Invalidf("'%s' is a required property", field)
	}
	if o.Null || strings.TrimSpace(o.V) == "" {
		return nil, fault.Invalidf("Invalid input for field '%s': it must not be null or blank.", field)
	}
	return &o.V, nil
}

// need lists required attributes of which one is missing.
func need(fields ...string) error {
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i+1] == "" {
			return fault.Invalidf("'%s' is a required property", fields[i])
		}
	}
	return nil
}

// instant reads a time in ISO 8601, with or without a fraction and a zone.
func instant(field string, o rest.Opt[string]) (time.Time, error) {
	if !o.Set || o.Null {
		return time.Time{}, nil
	}
	return parseTime(field, o.V)
}

func parseTime(field, s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05-0700", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.Invalidf("Timestamp of '%s' not in expected format: %.64s. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.", field, s)
}

// isURL reports whether s is the address of something on the web.
func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
