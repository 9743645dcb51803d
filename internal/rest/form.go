package rest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kilonova/internal/fault"
)

// DecodeExact is Decode for services whose contract tells null and "" from what
// is missing: null is refused but where the tag `check` has null, "" has to pass
// the field's constraints but where it has empty, and a member is known only by its
// exact name.
func DecodeExact(data []byte, ver Version, strict bool, v any) error {
	if err := decode(data, ver, strict, v); err != nil {
		return err
	}
	f := form{data: data, ver: ver, strict: strict}
	if err := f.value(reflect.TypeOf(v), false); err != nil {
		return err
	}
	return Check(ver, v)
}

// form walks a JSON text beside the type that it was read into, since the value
// that came of it no longer says what was null, empty or spelled otherwise. The
// text is known to be right.
type form struct {
	data   []byte
	at     int
	ver    Version
	strict bool
	path   []string
}

// value walks one value of type t, which may be null if nulls says so.
func (f *form) value(t reflect.Type, nulls bool) error {
	f.blanks()
	k := kindOf(t)
	if f.data[f.at] == 'n' {
		f.skip()
		if nulls || k.anything {
			return nil
		}
		return fault.Invalidf("Invalid input for field/attribute %s. Value: None. None is not of type %s", fieldName(strings.Join(f.path, "/")), jsonType(k.t))
	}
	if k.optional {
		return f.value(k.t, false)
	}
	opens := f.data[f.at]
	switch {
	case k.itself:
	case k.t.Kind() == reflect.Struct && opens == '{':
		return f.members(func(name string) error { return f.member(k.t, name) })
	case k.t.Kind() == reflect.Map && opens == '{':
		return f.members(func(name string) error { return f.below(name, k.t.Elem(), k.t.Elem().Kind() == reflect.Pointer) })
	case k.t.Kind() == reflect.Slice && opens == '[':
		return f.elements(k.t.Elem())
	}
	f.skip()
	return nil
}

// typeKind is what a form has to know of a type.
type typeKind struct {
	t        reflect.Type // what pointers lead to, or an Opt has
	optional bool         // an Opt
	anything bool         // null too
	itself   bool         // reads itself, so that there is nothing more to know
}

var typeKinds sync.Map // reflect.Type -> typeKind

func kindOf(t reflect.Type) typeKind {
	if k, ok := typeKinds.Load(t); ok {
		return k.(typeKind)
	}
	k := typeKind{t: t}
	for k.t.Kind() == reflect.Pointer {
		k.t = k.t.Elem()
	}
	k.anything = k.t.Kind() == reflect.Interface || k.t == rawType
	if k.optional = k.t.Implements(optionalType); k.optional {
		inner, _ := k.t.FieldByName("V")
		k.t = inner.Type
	} else {
		k.itself = encodesItself(k.t)
	}
	typeKinds.Store(t, k)
	return k
}

// member walks a struct's member.
func (f *form) member(t reflect.Type, name string) error {
	c, known := fieldNamed(t, name, f.ver)
	if !known {
		if f.strict || f.taken(t, name) {
			return unexpected(name)
		}
		f.skip()
		return nil
	}
	if f.blanks(); !c.empty && bytes.HasPrefix(f.data[f.at:], []byte(`""`)) {
		for _, r := range c.rules {
			if r.word == "len" || r.word == "required" {
				continue // Check looks at those
			}
			if why := checkers[r.word](reflect.ValueOf(""), r.arg); why != "" {
				return unfit(strings.Join(append(f.path, name), "/"), reflect.ValueOf(""), why)
			}
		}
	}
	return f.below(name, c.typ, c.null != nil && c.null.Contains(f.ver))
}

// taken reports names that are read though they are not spelled as the field's:
// encoding/json does not look at their case.
func (f *form) taken(t reflect.Type, name string) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return slices.ContainsFunc(checksOf(t), func(c fieldCheck) bool {
		return c.embedded && f.taken(c.typ, name) || c.window.Contains(f.ver) && strings.EqualFold(c.name, name)
	})
}

// fieldNamed finds a struct's field, or that of one embedded, by its exact name.
func fieldNamed(t reflect.Type, name string, ver Version) (fieldCheck, bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for _, c := range checksOf(t) {
		if c.embedded {
			if inner, ok := fieldNamed(c.typ, name, ver); ok {
				return inner, true
			}
		} else if c.name == name && c.window.Contains(ver) {
			return c, true
		}
	}
	return fieldCheck{}, false
}

func (f *form) below(name string, t reflect.Type, nulls bool) error {
	f.path = append(f.path, name)
	if err := f.value(t, nulls); err != nil {
		return err
	}
	f.path = f.path[:len(f.path)-1]
	return nil
}

// members calls each with the name of every member of an object, at its value.
func (f *form) members(each func(name string) error) error {
	for f.at++; f.more('}'); {
		name, err := f.name()
		if err != nil {
			return err
		}
		f.blanks()
		f.at++ // the colon
		if err := each(name); err != nil {
			return err
		}
	}
	return nil
}

func (f *form) elements(t reflect.Type) error {
	f.at++
	for i := 0; f.more(']'); i++ {
		if err := f.below(strconv.Itoa(i), t, t.Kind() == reflect.Pointer); err != nil {
			return err
		}
	}
	return nil
}

// more steps to the next member or element, or over the end of what it is in.
func (f *form) more(end byte) bool {
	f.blanks()
	if f.data[f.at] == ',' {
		f.at++
		f.blanks()
	}
	if f.data[f.at] == end {
		f.at++
		return false
	}
	return true
}

func (f *form) name() (string, error) {
	from := f.at
	f.text()
	if quoted := f.data[from:f.at]; bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var name string
	err := json.Unmarshal(f.data[from:f.at], &name)
	return name, err
}

func (f *form) blanks() {
	for strings.IndexByte(" \t\r\n", f.data[f.at]) >= 0 {
		f.at++
	}
}

// text steps over a string.
func (f *form) text() {
	for f.at++; f.data[f.at] != '"'; f.at++ {
		if f.data[f.at] == '\\' {
			f.at++
		}
	}
	f.at++
}

// skip steps over a value.
func (f *form) skip() {
	f.blanks()
	for depth := 0; f.at < len(f.data); {
		switch f.data[f.at] {
		case '{', '[':
			depth++
			f.at++
		case '}', ']':
			if depth == 0 {
				return // of what the value is in
			}
			depth--
			f.at++
		case '"':
			f.text()
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return
			}
			f.at++
			continue
		default:
			for f.at < len(f.data) && strings.IndexByte("{}[],: \t\r\n\"", f.data[f.at]) < 0 {
				f.at++
			}
		}
		if depth == 0 {
			return
		}
	}
}

var (
	optionalType = reflect.TypeFor[optional]()
	rawType      = reflect.TypeFor[json.RawMessage]()
)
