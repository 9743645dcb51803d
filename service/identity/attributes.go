package identity

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
)

// Attributes are named JSON values: the options of a resource, and what callers
// store with it beyond the attributes the API knows. In a column they are JSON
// text; none are "".
type Attributes map[string]any

// Scan implements sql.Scanner.
func (a *Attributes) Scan(src any) error {
	*a = nil
	var text sql.NullString
	if err := text.Scan(src); err != nil || text.String == "" {
		return err
	}
	return json.Unmarshal([]byte(text.String), a)
}

// Value implements driver.Valuer.
func (a Attributes) Value() (driver.Value, error) {
	if len(a) == 0 {
		return "", nil
	}
	data, err := json.Marshal(map[string]any(a))
	return string(data), err
}

// True reports whether a names a true value.
func (a Attributes) True(name string) bool {
	v, _ := a[name].(bool)
	return v
}

// Merge returns a with the values of change; a null in change removes a name.
func (a Attributes) Merge(change Attributes) Attributes {
	if len(change) == 0 {
		return a
	}
	merged := Attributes{}
	for k, v := range a {
		merged[k] = v
	}
	for k, v := range change {
		if v == nil {
			delete(merged, k)
		} else {
			merged[k] = v
		}
	}
	return merged
}

// Strings is a list of texts, kept as JSON in a column.
type Strings []string

// Scan implements sql.Scanner.
func (s *Strings) Scan(src any) error {
	*s = nil
	var text sql.NullString
	if err := text.Scan(src); err != nil || text.String == "" {
		return err
	}
	return json.Unmarshal([]byte(text.String), s)
}

// Value implements driver.Valuer.
func (s Strings) Value() (driver.Value, error) {
	if len(s) == 0 {
		return "", nil
	}
	data, err := json.Marshal([]string(s))
	return string(data), err
}

// MaxURL bounds the URL of an endpoint, in bytes.
const MaxURL = 2048

// Immutable is the option that protects a role, project or domain from changes.
const Immutable = "immutable"

// Unlimited is the number that means "no limit" in limits.
const Unlimited = -1
