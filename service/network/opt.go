package network

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Opt is an attribute of a request, of which it matters whether it was given:
// Set is true when the body has it, Null when its value is null.
type Opt[T any] struct {
	Set, Null bool
	V         T
}

// Some returns a given value.
func Some[T any](v T) Opt[T] { return Opt[T]{Set: true, V: v} }

// Null returns a given null.
func Null[T any]() Opt[T] { return Opt[T]{Set: true, Null: true} }

// Or returns the value if one was given, else other.
func (o Opt[T]) Or(other T) T {
	if o.Set && !o.Null {
		return o.V
	}
	return other
}

// Given reports whether the attribute was there, null or not.
func (o Opt[T]) Given() bool { return o.Set }

// IsNull reports whether the attribute was there and null.
func (o Opt[T]) IsNull() bool { return o.Set && o.Null }

// UnmarshalJSON implements json.Unmarshaler. Truth values and whole numbers may
// also be written as strings, and truth values as 0 and 1, as upstream takes
// them. The error is the reason alone, without the attribute's name.
func (o *Opt[T]) UnmarshalJSON(data []byte) error {
	*o = Opt[T]{Set: true}
	if string(data) == "null" {
		o.Null = true
		return nil
	}
	text := strings.Trim(string(data), `"`)
	switch p := any(&o.V).(type) {
	case *bool:
		switch strings.ToLower(text) {
		case "true", "1":
			*p = true
		case "false", "0":
		default:
			return fmt.Errorf("'%.64s' cannot be converted to boolean", text)
		}
		return nil
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("'%.64s' is not an integer", text)
		}
		*p = n
		return nil
	case *string:
		if json.Unmarshal(data, p) != nil {
			return fmt.Errorf("'%.64s' is not a valid string", text)
		}
		return nil
	}
	if err := json.Unmarshal(data, &o.V); err != nil {
		return fmt.Errorf("'%.64s' is not of the form that is needed here", text)
	}
	return nil
}

// MarshalJSON writes the value, or null.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if !o.Set || o.Null {
		return []byte("null"), nil
	}
	return json.Marshal(o.V)
}

// Time is an instant as this API writes it: 2026-11-20T18:45:00Z.
type Time struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(t.UTC().Format(`"2006-01-02T15:04:05Z"`)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	parsed, err := time.Parse(`"2006-01-02T15:04:05Z"`, string(data))
	t.Time = parsed
	return err
}

// Standard holds the attributes that every resource has.
type Standard struct {
	ID string `json:"id"`
	Owner
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
	CreatedAt   Time     `json:"created_at"`
	UpdatedAt   Time     `json:"updated_at"`
	Revision    int      `json:"revision_number"` // grows with every change
}

// Owner is the project that something belongs to, under its two names.
type Owner struct {
	TenantID  string `json:"tenant_id"`
	ProjectID string `json:"project_id"`
}

// OwnedBy returns the owner with both names.
func OwnedBy(projectID string) Owner { return Owner{projectID, projectID} }

// OwnerInput is how a request names the owner; only administrators may name
// another project than their own.
type OwnerInput struct {
	TenantID  Opt[string] `json:"tenant_id" on:"post" max:"255"`
	ProjectID Opt[string] `json:"project_id" on:"post" max:"255"`
}

// Project returns the owner that a request names, else other.
func (o OwnerInput) Project(other string) string {
	return o.ProjectID.Or(o.TenantID.Or(other))
}

// Statuses of networks, ports, routers and floating IPs; a binding of a port is
// Active or Inactive.
const (
	Active   = "ACTIVE"
	Inactive = "INACTIVE"
	Down     = "DOWN"
	Build    = "BUILD"
	Failed   = "ERROR"
)

// Match is what a client assumes of a resource: its revision. The zero value
// assumes nothing.
type Match struct {
	Set      bool
	Revision int
}

// Query selects and orders a list.
type Query struct {
	// Filters has the values that an attribute may have; several are alternatives.
	Filters map[string][]string
	Sort    []SortKey
	Limit   int    // 0: no limit
	Marker  string // the id after which the page begins
	Reverse bool   // the page before the marker, instead of after
}

// SortKey is one attribute to order by.
type SortKey struct {
	Attribute  string
	Descending bool
}
