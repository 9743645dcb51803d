package db

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
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
	n, err := int64Of(src)
	if err != nil {
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
	var zero T
	j.V = zero
	var text []byte
	switch v := src.(type) {
	case nil:
		return nil
	case string:
		text = []byte(v)
	case []byte:
		text = v
	default:
		return fmt.Errorf("%T is no JSON", src)
	}
	if len(text) == 0 || string(text) == "null" {
		return nil
	}
	return json.Unmarshal(text, &j.V)
}

// Value implements driver.Valuer.
func (j JSON[T]) Value() (driver.Value, error) {
	data, err := json.Marshal(j.V)
	return string(data), err
}

// Shared is JSON in a column that has the same text in many rows, as a flavor has
// in those of its servers: within one query a text that is the one of the row
// before is not decoded again. The rows then share the value, which is not to be
// changed.
type Shared[T any] struct{ V T }

// AsShared wraps v.
func AsShared[T any](v T) Shared[T] { return Shared[T]{v} }

// Value implements driver.Valuer.
func (s Shared[T]) Value() (driver.Value, error) { return JSON[T](s).Value() }

// perQuery returns a scanner that remembers the last row.
func (s *Shared[T]) perQuery() sql.Scanner { return &sharedScanner[T]{into: s} }

type sharedScanner[T any] struct {
	into *Shared[T]
	last Last[T]
}

// Scan implements sql.Scanner.
func (s *sharedScanner[T]) Scan(src any) (err error) {
	if text, ok := src.(string); ok {
		s.into.V, err = s.last.Of(text)
		return err
	}
	return (*JSON[T])(s.into).Scan(src)
}

// Last decodes JSON, and remembers what the last text was. Its zero value is usable.
type Last[T any] struct {
	text string
	json JSON[T]
}

// Of decodes text, unless it is the one before. What it returns is shared, and not to
// be changed; "" is the zero value.
func (l *Last[T]) Of(text string) (T, error) {
	if text != l.text || text == "" {
		l.text = ""
		if err := l.json.Scan(text); err != nil {
			return l.json.V, err
		}
		l.text = text
	}
	return l.json.V, nil
}
