package rest

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"unsafe"

	"kilonova/internal/fault"
)

// The codec reads and writes structs as they were at a version. A field's window
// stands in its tag:
//
//	Description *string `json:"description" mv:"2.19-"`
//
// For each type and version it derives, once, a twin of the struct in which the
// fields outside their windows are hidden from encoding/json. Twin and original
// have the same memory layout, since only tags differ, so that a value is read
// as its twin in place, without a copy. What is written looks like the twin, too,
// but is written faster than encoding/json can: see encode.go.

// Decode reads one JSON text into v, a pointer to a struct, at version ver, and
// checks the fields' constraints (the tag `check`, see check.go). Unknown fields
// are refused when strict. Errors are fault.Invalid and name the field.
func Decode(data []byte, ver Version, strict bool, v any) error {
	if err := decode(data, ver, strict, v); err != nil {
		return err
	}
	return Check(ver, v)
}

func decode(data []byte, ver Version, strict bool, v any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return fault.Invalidf("Malformed request body: it is empty, and a JSON object is needed.")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if strict {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(atVersion(ver, v)); err != nil {
		return malformed(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.Invalidf("Malformed request body: there is more after the JSON text.")
	}
	return nil
}

// malformed tells a decoding error in the words that clients of OpenStack know.
func malformed(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fault.Invalidf("Invalid input for field/attribute %s. A JSON %s is not of type %s.", fieldName(wrong.Field), wrong.Value, jsonType(wrong.Type))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return unexpected(strings.Trim(name, `"`))
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	return fault.Invalidf("Malformed request body: it is not valid JSON (%v).", err)
}

func unexpected(name string) error {
	return fault.Invalidf("Additional properties are not allowed ('%.255s' was unexpected).", name)
}

func fieldName(path string) string {
	if path == "" {
		return "body"
	}
	return path
}

func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "'boolean'"
	case reflect.String:
		return "'string'"
	case reflect.Slice, reflect.Array:
		return "'array'"
	case reflect.Struct, reflect.Map:
		return "'object'"
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Float32, reflect.Float64:
		return "'number'"
	}
	return "'integer'"
}

// atVersion returns v, a pointer, as a pointer to its type's twin at ver.
func atVersion(ver Version, v any) any {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return v
	}
	t := rv.Type().Elem()
	twin := twinOf(t, ver)
	if twin == t {
		return v
	}
	return reflect.NewAt(twin, unsafe.Pointer(rv.Pointer())).Interface()
}

type twinKey struct {
	t   reflect.Type
	ver Version
}

var twins sync.Map // twinKey -> reflect.Type

func twinOf(t reflect.Type, ver Version) reflect.Type {
	if ver.IsZero() { // which is in every window
		return t
	}
	key := twinKey{t, ver}
	if twin, ok := twins.Load(key); ok {
		return twin.(reflect.Type)
	}
	twin := deriveTwin(t, ver)
	twins.Store(key, twin)
	return twin
}

// deriveTwin returns t with the fields hidden that do not exist at ver, and t
// itself when none is. Types that encode themselves are left alone.
func deriveTwin(t reflect.Type, ver Version) reflect.Type {
	switch t.Kind() {
	case reflect.Pointer:
		if e := twinOf(t.Elem(), ver); e != t.Elem() {
			return reflect.PointerTo(e)
		}
	case reflect.Slice:
		if e := twinOf(t.Elem(), ver); e != t.Elem() {
			return reflect.SliceOf(e)
		}
	case reflect.Map:
		if e := twinOf(t.Elem(), ver); e != t.Elem() {
			panic(fmt.Sprintf("rest: %s: a map's values cannot have versioned fields", t))
		}
	case reflect.Struct:
		if encodesItself(t) || t.Name() != "" && t.PkgPath() == "time" {
			return t
		}
		return deriveStruct(t, ver)
	}
	return t
}

func deriveStruct(t reflect.Type, ver Version) reflect.Type {
	fields := make([]reflect.StructField, t.NumField())
	changed := false
	for i := range fields {
		f := t.Field(i)
		window, err := ParseWindow(f.Tag.Get("mv"))
		if err != nil {
			panic(fmt.Sprintf("rest: %s.%s: %v", t, f.Name, err))
		}
		ft := twinOf(f.Type, ver)
		if !window.Contains(ver) {
			f.Tag, ft = `json:"-"`, f.Type
		}
		changed = changed || ft != f.Type || f.Tag != t.Field(i).Tag
		f.Type, f.Offset = ft, 0
		fields[i] = f
	}
	if !changed {
		return t
	}
	for _, f := range fields {
		if !f.IsExported() {
			panic(fmt.Sprintf("rest: %s.%s: a versioned struct cannot have unexported fields", t, f.Name))
		}
	}
	return reflect.StructOf(fields)
}

var (
	marshaler       = reflect.TypeFor[json.Marshaler]()
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func encodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(marshaler) || p.Implements(unmarshaler) || p.Implements(textMarshaler) || p.Implements(textUnmarshaler)
}
