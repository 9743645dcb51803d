package db

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"time"
)

// Time is an instant in a column: microseconds since 1970 in a BIGINT, NULL for
// the zero value. It means the same in every database, sorts and compares in
// SQL, and no time zone can creep in.
type Time struct{ time.Time }

// At wraps t, cut to the microseconds that a column keeps, in UTC.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Truncate(time.Microsecond)}
}

// Scan implements sql.Scanner.
func (t *Time) Scan(src any) error {
	var n sql.NullInt64
	if err := n.Scan(src); err != nil {
		return err
	}
	*t = Time{}
	if n.Valid {
		t.Time = time.UnixMicro(n.Int64).UTC()
	}
	return nil
}

// Value implements driver.Valuer.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil
	}
	return t.UnixMicro(), nil
}

// JSON is a value kept as JSON in a @text@ column; NULL and "" leave the zero value.
type JSON[T any] struct{ V T }

// AsJSON wraps v.
func AsJSON[T any](v T) JSON[T] { return JSON[T]{v} }

// Scan implements sql.Scanner.
func (j *JSON[T]) Scan(src any) error {
	var n sql.NullString
	if err := n.Scan(src); err != nil {
		return err
	}
	var zero T
	j.V = zero
	if n.String == "" {
		return nil
	}
	return json.Unmarshal([]byte(n.String), &j.V)
}

// Value implements driver.Valuer.
func (j JSON[T]) Value() (driver.Value, error) {
	data, err := json.Marshal(j.V)
	return string(data), err
}
