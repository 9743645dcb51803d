package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"kilonova/internal/fault"
)

// Opt is a field of which it matters whether it was there: Set is true when the
// body has the field, Null when its value is null.
type Opt[T any] struct {
	Set, Null bool
	V         T
}

// Some returns a set value.
func Some[T any](v T) Opt[T] { return Opt[T]{Set: true, V: v} }

// UnmarshalJSON implements json.Unmarshaler.
func (o *Opt[T]) UnmarshalJSON(data []byte) error {
	o.Set = true
	if o.Null = string(data) == "null"; o.Null {
		return nil
	}
	return json.Unmarshal(data, &o.V)
}

// MarshalJSON writes the value, or null.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if !o.Set || o.Null {
		return []byte("null"), nil
	}
	return appendPlainly(nil, &o.V)
}

// IsZero has omitzero leave out what is not set.
func (o Opt[T]) IsZero() bool { return !o.Set }

// Or returns the value if there is one, else other.
func (o Opt[T]) Or(other T) T {
	if o.Set && !o.Null {
		return o.V
	}
	return other
}

type optional interface{ inner() (any, bool) }

func (o Opt[T]) inner() (any, bool) { return o.V, o.Set && !o.Null }

// Int is a whole number that clients may also write as a string, as upstream's
// schemas allow.
type Int int

// UnmarshalJSON implements json.Unmarshaler.
func (i *Int) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fault.Invalidf("Invalid input for a field/attribute. Value: %.64s. It is not of type 'integer'", data)
	}
	*i = Int(n)
	return nil
}

// Bool is a truth value that clients may also write as one of the strings of
// upstream's schemas ("True", "yes", "1", "off", …).
type Bool bool

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bool) UnmarshalJSON(data []byte) error {
	v, err := ParseBool(strings.Trim(string(data), `"`))
	if err != nil || bytes.HasPrefix(data, []byte("1")) || bytes.HasPrefix(data, []byte("0")) {
		return fault.Invalidf("Invalid input for a field/attribute. Value: %.64s. It is not of type 'boolean'", data)
	}
	*b = Bool(v)
	return nil
}

// ParseBool reads a truth value as upstream's query parameters and strings give it.
func ParseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "on", "yes", "t", "y":
		return true, nil
	case "false", "0", "off", "no", "f", "n":
		return false, nil
	}
	return false, fmt.Errorf("%q is not a boolean", text)
}

// Base64 decodes standard encoding as upstream does: with padding, and passing over
// what does not belong to the alphabet, line breaks for example. Nothing counts
// after the padding. Control characters, which no column should have to keep, are
// not passed over.
func Base64(text string) ([]byte, error) {
	if i := strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }); i >= 0 {
		return nil, base64.CorruptInputError(i)
	}
	digits := make([]byte, 0, len(text))
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/':
			digits = append(digits, c)
		case c == '=' && len(digits)%4 >= 2 && len(digits)%4+strings.Count(text[i:], "=") >= 4:
			return base64.RawStdEncoding.DecodeString(string(digits))
		}
	}
	return base64.StdEncoding.DecodeString(string(digits)) // without padding it is of whole groups
}

// Time is an instant as the compute API writes it: 2026-11-20T18:45:00Z; null
// when it is zero.
type Time struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) { return t.appendJSON(nil), nil }

func (t Time) appendJSON(b []byte) []byte { return appendTime(b, t.Time, "Z") }

// Text is what stands between the quotes.
func (t Time) Text() string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// MicroTime is an instant with microseconds and without a zone, as most services
// write it: 2026-11-20T18:45:00.000000; null when it is zero.
type MicroTime struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t MicroTime) MarshalJSON() ([]byte, error) { return t.appendJSON(nil), nil }

func (t MicroTime) appendJSON(b []byte) []byte { return appendTime(b, t.Time, ".000000") }

// Text is what stands between the quotes.
func (t MicroTime) Text() string { return t.UTC().Format("2006-01-02T15:04:05.000000") }

// MicroTimeZ is MicroTime with the zone Z, as identity writes it.
type MicroTimeZ struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (t MicroTimeZ) MarshalJSON() ([]byte, error) { return t.appendJSON(nil), nil }

func (t MicroTimeZ) appendJSON(b []byte) []byte { return appendTime(b, t.Time, ".000000Z") }

// appendTime writes t in UTC, to the second and with whatever follows the second.
func appendTime(b []byte, t time.Time, end string) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	t = t.UTC()
	b = append(b, '"')
	b = t.AppendFormat(b, time.RFC3339) // which package time does without reading the layout
	return append(t.AppendFormat(b[:len(b)-len("Z")], end), '"')
}
