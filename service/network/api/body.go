package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"kilonova/internal/rest"
)

// maxBulk bounds how many resources one request makes.
const maxBulk = 1000

// decodeMany reads {"one": {…}} or {"many": [{…}, …]} into inputs. Which
// attributes op ("post", "put") takes stands in the tags of In: `on`, `need`,
// `null` and `max`.
func decodeMany[T, In any](r *rest.Request, one, many, op string) (inputs []In, bulk bool, err error) {
	data, err := r.Bytes()
	if err != nil {
		return nil, false, err
	}
	var body map[string]json.RawMessage
	if json.Unmarshal(data, &body) != nil {
		return nil, false, badRequest("Malformed request body: a JSON object is needed.")
	}
	if raw, ok := body[one]; ok {
		in, err := decodeOne[T, In](raw, op)
		return []In{in}, false, err
	}
	raw, ok := body[many]
	if !ok || many == "" {
		return nil, false, badRequest("Unable to find '%s' in request body", one)
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		return nil, false, badRequest("Resources required")
	}
	if len(list) > maxBulk {
		return nil, false, badRequest("%d %s are more than the %d that one request may make.", len(list), many, maxBulk)
	}
	for _, raw := range list {
		var wrapped map[string]json.RawMessage // [{"network": {…}}, …] is taken too
		if json.Unmarshal(raw, &wrapped) == nil && len(wrapped) == 1 && wrapped[one] != nil {
			raw = wrapped[one]
		}
		in, err := decodeOne[T, In](raw, op)
		if err != nil {
			return nil, true, err
		}
		inputs = append(inputs, in)
	}
	return inputs, true, nil
}

// inputAttr is an attribute that requests may have.
type inputAttr struct {
	index      []int
	on         string
	need, null bool
	max        int
}

var inputAttrs sync.Map // reflect.Type -> map[string]inputAttr

func attrsOf(t reflect.Type) map[string]inputAttr {
	if m, ok := inputAttrs.Load(t); ok {
		return m.(map[string]inputAttr)
	}
	m := map[string]inputAttr{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || f.Anonymous {
			continue
		}
		most, _ := strconv.Atoi(f.Tag.Get("max"))
		m[name] = inputAttr{f.Index, f.Tag.Get("on"), f.Tag.Get("need") != "", f.Tag.Get("null") != "", most}
	}
	inputAttrs.Store(t, m)
	return m
}

// decodeOne reads one resource; every attribute is checked under its own name.
func decodeOne[T, In any](raw json.RawMessage, op string) (in In, err error) {
	var given map[string]json.RawMessage
	if json.Unmarshal(raw, &given) != nil || given == nil {
		return in, badRequest("Resource body required")
	}
	attrs := attrsOf(reflect.TypeFor[In]())
	v := reflect.ValueOf(&in).Elem()
	for _, name := range sorted(given) {
		a, ok := attrs[name]
		if !ok && !known(reflect.TypeFor[T](), name) {
			return in, badRequest("Unrecognized attribute(s) '%.64s'", name)
		}
		if !ok || !slices.Contains(strings.Split(a.on, ","), op) {
			return in, badRequest("Attribute '%s' not allowed in %s", name, strings.ToUpper(op))
		}
		if err := a.read(v.FieldByIndex(a.index), name, given[name]); err != nil {
			return in, err
		}
	}
	for name, a := range attrs {
		if _, ok := given[name]; a.need && !ok && op == "post" {
			return in, badRequest("Failed to parse request. Required attribute '%s' not specified", name)
		}
	}
	return in, nil
}

func (a inputAttr) read(field reflect.Value, name string, raw json.RawMessage) error {
	if string(bytes.TrimSpace(raw)) == "null" && !a.null {
		return badRequest("Invalid input for %s. Reason: 'None' is not a valid value.", name)
	}
	if err := field.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(bytes.TrimSpace(raw)); err != nil {
		return badRequest("Invalid input for %s. Reason: %s.", name, strings.TrimSuffix(err.Error(), "."))
	}
	if text := field.FieldByName("V"); text.Kind() == reflect.String {
		s := text.String()
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return badRequest("Invalid input for %s. Reason: it has characters that cannot be kept.", name)
		}
		if a.max > 0 && utf8.RuneCountInString(s) > a.max {
			return badRequest("Invalid input for %s. Reason: '%.64s…' exceeds maximum length of %d.", name, s, a.max)
		}
	}
	return nil
}

func sorted(m map[string]json.RawMessage) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// known reports whether a resource shows an attribute, so that it exists but is
// not for the client to set.
func known(t reflect.Type, name string) bool {
	for _, f := range reflect.VisibleFields(t) {
		if shown, _, _ := strings.Cut(f.Tag.Get("json"), ","); shown == name {
			return true
		}
	}
	return false
}
