package rest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// What is written is written by plans. A plan knows how values of one type are
// written at one version; what the tags say it has been told once, so that a list
// of a thousand servers costs little more than its bytes. Every byte is as
// encoding/json would write the type's twin, and what a plan does not know, such
// as types that encode themselves, it leaves to that.

// plan is how values of a type are written.
type plan struct{ append appending }

// appending appends the value that p points to.
type appending func(b []byte, p unsafe.Pointer) ([]byte, error)

// Encode appends v as JSON at version ver to buf. v is a pointer to a struct, or
// anything that encoding/json takes.
func Encode(buf *bytes.Buffer, ver Version, v any) error {
	var b []byte
	var err error
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && !rv.IsNil() {
		b, err = planOf(rv.Type().Elem(), ver).append(buf.AvailableBuffer(), rv.UnsafePointer())
	} else {
		b, err = appendAny(buf.AvailableBuffer(), v)
	}
	if err == nil {
		buf.Write(b)
	}
	return err
}

var (
	plans    sync.Map // twinKey -> *plan
	planning sync.Mutex
)

func planOf(t reflect.Type, ver Version) *plan {
	if p, ok := plans.Load(twinKey{t, ver}); ok {
		return p.(*plan)
	}
	planning.Lock()
	defer planning.Unlock()
	m := planner{ver: ver, made: map[reflect.Type]*plan{}}
	p := m.plan(t)
	for t, p := range m.made { // now that all of them are whole
		plans.LoadOrStore(twinKey{t, ver}, p)
	}
	return p
}

// planner makes plans for a type and for what it consists of.
type planner struct {
	ver  Version
	made map[reflect.Type]*plan // also those that are not whole yet: types can contain themselves
}

func (m *planner) plan(t reflect.Type) *plan {
	if p := m.made[t]; p != nil {
		return p
	}
	p := &plan{}
	m.made[t] = p
	p.append = m.how(t)
	return p
}

func (m *planner) how(t reflect.Type) appending {
	pointer := reflect.PointerTo(t)
	switch {
	case t.Kind() == reflect.Pointer: // what it points to may encode itself
		return m.pointer(t)
	case times[t] != nil:
		write := times[t]
		return func(b []byte, p unsafe.Pointer) ([]byte, error) { return write(b, p), nil }
	case isOpt(t):
		return m.optional(t)
	case pointer.Implements(marshaler) || pointer.Implements(textMarshaler) || t.Kind() == reflect.Struct && encodesItself(t):
		return m.plainly(t)
	}
	switch t.Kind() {
	case reflect.String:
		return func(b []byte, p unsafe.Pointer) ([]byte, error) { return appendText(b, *(*string)(p)), nil }
	case reflect.Bool:
		return func(b []byte, p unsafe.Pointer) ([]byte, error) { return strconv.AppendBool(b, *(*bool)(p)), nil }
	case reflect.Int:
		return func(b []byte, p unsafe.Pointer) ([]byte, error) {
			return strconv.AppendInt(b, int64(*(*int)(p)), 10), nil
		}
	case reflect.Int64:
		return func(b []byte, p unsafe.Pointer) ([]byte, error) { return strconv.AppendInt(b, *(*int64)(p), 10), nil }
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 { // those are base64
			return m.slice(t)
		}
	case reflect.Map:
		if t.Key().Kind() == reflect.String && !encodesItself(t.Key()) {
			return m.mapping(t)
		}
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return func(b []byte, p unsafe.Pointer) ([]byte, error) { return appendAny(b, *(*any)(p)) }
		}
	case reflect.Struct:
		return m.structure(t)
	}
	return m.plainly(t)
}

// plainly leaves a type to encoding/json.
func (m *planner) plainly(t reflect.Type) appending {
	twin := twinOf(t, m.ver)
	return func(b []byte, p unsafe.Pointer) ([]byte, error) {
		return appendPlainly(b, reflect.NewAt(twin, p).Interface())
	}
}

func appendPlainly(b []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(b)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return b, err
	}
	return buf.Bytes()[:buf.Len()-1], nil // the encoder's newline
}

func (m *planner) pointer(t reflect.Type) appending {
	elem := m.plan(t.Elem())
	return func(b []byte, p unsafe.Pointer) ([]byte, error) {
		if p = *(*unsafe.Pointer)(p); p == nil {
			return append(b, "null"...), nil
		}
		return elem.append(b, p)
	}
}

func (m *planner) optional(t reflect.Type) appending {
	value, _ := t.FieldByName("V")
	elem := m.plan(value.Type)
	return func(b []byte, p unsafe.Pointer) ([]byte, error) {
		if o := (*Opt[struct{}])(p); !o.Set || o.Null { // these come first in all of them
			return append(b, "null"...), nil
		}
		return elem.append(b, unsafe.Add(p, value.Offset))
	}
}

func (m *planner) slice(t reflect.Type) appending {
	elem, size := m.plan(t.Elem()), t.Elem().Size()
	return func(b []byte, p unsafe.Pointer) (_ []byte, err error) {
		list := *(*[]byte)(p) // its data and length are those of any slice
		if list == nil {
			return append(b, "null"...), nil
		}
		b = append(b, '[')
		first := unsafe.Pointer(unsafe.SliceData(list))
		for i := range len(list) {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = elem.append(b, unsafe.Add(first, uintptr(i)*size)); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	}
}

// mapping writes a map's members in the order of their keys.
func (m *planner) mapping(t reflect.Type) appending {
	elem := m.plan(t.Elem())
	if t.Elem().Kind() == reflect.String && !encodesItself(t.Elem()) {
		return func(b []byte, p unsafe.Pointer) ([]byte, error) {
			return appendMap(b, *(*map[string]string)(p), func(b []byte, v string) ([]byte, error) { return appendText(b, v), nil })
		}
	}
	switch kind := t.Elem().Kind(); {
	case kind == reflect.Pointer || kind == reflect.Interface:
	case kind == reflect.Slice && !encodesItself(t.Elem()):
	default: // a map's values have no address, and so no methods of their pointers
		return m.plainly(t)
	}
	twinOf(t, m.ver) // which refuses windows in a map's values
	return func(b []byte, p unsafe.Pointer) (_ []byte, err error) {
		rv := reflect.NewAt(t, p).Elem()
		if rv.IsNil() {
			return append(b, "null"...), nil
		}
		keys := rv.MapKeys()
		slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
		value := reflect.New(t.Elem())
		b = append(b, '{')
		for i, key := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, key.String()), ':')
			value.Elem().Set(rv.MapIndex(key))
			if b, err = elem.append(b, value.UnsafePointer()); err != nil {
				return b, err
			}
		}
		return append(b, '}'), nil
	}
}

func appendMap[T any](b []byte, all map[string]T, value func(b []byte, v T) ([]byte, error)) (_ []byte, err error) {
	if all == nil {
		return append(b, "null"...), nil
	}
	var few [16]string
	keys := few[:0]
	for key := range all {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	b = append(b, '{')
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, key), ':')
		if b, err = value(b, all[key]); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

// appendAny writes what an interface holds, which has no windows.
func appendAny(b []byte, v any) (_ []byte, err error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return appendText(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case map[string]any:
		return appendMap(b, v, appendAny)
	case []any:
		return planOf(reflect.TypeFor[[]any](), Version{}).append(b, unsafe.Pointer(&v))
	}
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && !rv.IsNil() {
		return planOf(rv.Type().Elem(), Version{}).append(b, rv.UnsafePointer())
	}
	return appendPlainly(b, v)
}

// member is a field as it is written.
type member struct {
	name   string // quoted, with its colon
	offset uintptr
	value  *plan
	absent func(p unsafe.Pointer) bool // nil: it is always there
}

func (m *planner) structure(t reflect.Type) appending {
	var members []member
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || strings.Contains(","+options+",", ",string,") || strings.Trim(name, plainName) != "" {
			return m.plainly(t)
		}
		if !f.IsExported() || f.Tag.Get("json") == "-" {
			continue
		}
		if window, err := ParseWindow(f.Tag.Get("mv")); err == nil && !window.Contains(m.ver) {
			continue
		}
		if name == "" {
			name = f.Name
		}
		members = append(members, member{string(appendText(nil, name)) + ":", f.Offset, m.plan(f.Type), absence(f.Type, options)})
	}
	twinOf(t, m.ver) // which refuses what cannot have windows
	return func(b []byte, p unsafe.Pointer) (_ []byte, err error) {
		b = append(b, '{')
		for i, some := 0, false; i < len(members); i++ {
			f := &members[i]
			at := unsafe.Add(p, f.offset)
			if f.absent != nil && f.absent(at) {
				continue
			}
			if some {
				b = append(b, ',')
			}
			some = true
			b = append(b, f.name...)
			if b, err = f.value.append(b, at); err != nil {
				return b, err
			}
		}
		return append(b, '}'), nil
	}
}

// plainName is what names in tags are made of; others are encoding/json's.
const plainName = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/$"

// absence tells when a field is left out by its options, omitempty and omitzero;
// nil: never.
func absence(t reflect.Type, options string) func(p unsafe.Pointer) bool {
	var empty, zero func(p unsafe.Pointer) bool
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			empty = emptiness(t)
		case "omitzero":
			zero = zeroness(t)
		}
	}
	switch {
	case empty == nil:
		return zero
	case zero == nil:
		return empty
	}
	return func(p unsafe.Pointer) bool { return empty(p) || zero(p) }
}

// emptiness is encoding/json's: false, 0, nil, and what has a length of 0. Structs
// never are.
func emptiness(t reflect.Type) func(p unsafe.Pointer) bool {
	switch t.Kind() {
	case reflect.String:
		return func(p unsafe.Pointer) bool { return *(*string)(p) == "" }
	case reflect.Pointer:
		return func(p unsafe.Pointer) bool { return *(*unsafe.Pointer)(p) == nil }
	case reflect.Slice:
		return func(p unsafe.Pointer) bool { return len(*(*[]byte)(p)) == 0 }
	case reflect.Map, reflect.Array:
		return func(p unsafe.Pointer) bool { return reflect.NewAt(t, p).Elem().Len() == 0 }
	case reflect.Struct:
		return nil
	}
	return func(p unsafe.Pointer) bool { return reflect.NewAt(t, p).Elem().IsZero() }
}

// zeroness is encoding/json's, too: what a method IsZero says, or the zero value.
func zeroness(t reflect.Type) func(p unsafe.Pointer) bool {
	if isOpt(t) {
		return func(p unsafe.Pointer) bool { return !(*Opt[struct{}])(p).Set }
	}
	if kind := t.Kind(); kind != reflect.Pointer && kind != reflect.Interface && reflect.PointerTo(t).Implements(zeroerType) {
		return func(p unsafe.Pointer) bool { return reflect.NewAt(t, p).Interface().(zeroer).IsZero() }
	}
	method := t.Implements(zeroerType)
	if t.Kind() == reflect.Pointer && !method {
		return emptiness(t)
	}
	return func(p unsafe.Pointer) bool {
		v := reflect.NewAt(t, p).Elem()
		return v.IsZero() || method && v.Interface().(zeroer).IsZero()
	}
}

type zeroer interface{ IsZero() bool }

var zeroerType = reflect.TypeFor[zeroer]()

// times are this package's types that encode themselves, to the same effect but
// without garbage.
var times = map[reflect.Type]func(b []byte, p unsafe.Pointer) []byte{
	reflect.TypeFor[Time]():       func(b []byte, p unsafe.Pointer) []byte { return (*Time)(p).appendJSON(b) },
	reflect.TypeFor[MicroTime]():  func(b []byte, p unsafe.Pointer) []byte { return (*MicroTime)(p).appendJSON(b) },
	reflect.TypeFor[MicroTimeZ](): func(b []byte, p unsafe.Pointer) []byte { return (*MicroTimeZ)(p).appendJSON(b) },
}

// isOpt reports whether t is an Opt.
func isOpt(t reflect.Type) bool {
	return t.PkgPath() == reflect.TypeFor[plan]().PkgPath() && t.Implements(reflect.TypeFor[optional]())
}

// asIs are the bytes that are written as they are.
var asIs = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// appendText appends a string as encoding/json does that does not escape HTML.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	begin := 0
	for i := 0; i < len(s); {
		c := s[i]
		if asIs[c] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if c >= utf8.RuneSelf && r != '\u2028' && r != '\u2029' && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		b = append(b, s[begin:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, `\u`...)
			for shift := 12; shift >= 0; shift -= 4 {
				b = append(b, "0123456789abcdef"[r>>shift&0xf])
			}
		}
		i += size
		begin = i
	}
	return append(append(b, s[begin:]...), '"')
}
