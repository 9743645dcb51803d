package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
)

// decode reads the body into v, a pointer, as it looked at the request's
// version, and checks it. Fields have the tags json and mv, and check with these
// words:
//
//	required      the field must be there
//	null          it may be null
//	len=1..255    characters of a string, keys of a map
//	items=1..     elements of a list
//	range=1..9    of a number
//	uuid          as it says
//	match=NAME    a pattern of the table patterns
//	keys=NAME     each key of a map matches the pattern, or it is refused
//	unique        no element of a list is there twice
//
// What a list or a map has no use for is checked of its elements.
// Fields that no version has are refused. rules are those of v itself.
func decode(r *rest.Request, v any, rules ...string) error {
	data, err := r.Bytes()
	if err != nil {
		return err
	}
	return decodeAt(data, r.Version, v, rules...)
}

func decodeAt(data []byte, version rest.Version, v any, rules ...string) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var body any
	err := dec.Decode(&body)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			err = errors.New("there is more after the JSON text")
		}
	}
	if err != nil {
		return fault.Invalidf("Malformed JSON: %s", err.Error())
	}
	d := decoder{version: version}
	if err := d.value("", rulesOf(rules), body, reflect.ValueOf(v).Elem()); err != nil {
		return fault.Invalidf("JSON does not validate: %s", err.Error())
	}
	return nil
}

// violation is a place where a body does not follow its schema, in the words of
// JSON Schema's usual validator.
type violation struct{ message, validator, path string }

func (v *violation) Error() string {
	return v.message + "\n\nFailed validating '" + v.validator + "' in schema" + v.path
}

type decoder struct{ version rest.Version }

// optional is a text field of which it matters whether it was there.
type optional struct {
	Set   bool
	Value string // "" for null
}

func (d *decoder) value(path string, rules []rule, v any, into reflect.Value) error {
	if v == nil && has(rules, "null") {
		if o, ok := into.Addr().Interface().(*optional); ok {
			o.Set = true
		}
		return nil
	}
	if o, ok := into.Addr().Interface().(*optional); ok {
		o.Set = true
		into = reflect.ValueOf(&o.Value).Elem()
	}
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	switch into.Kind() {
	case reflect.Struct:
		return d.object(path, v, into)
	case reflect.Map:
		return d.mapping(path, rules, v, into)
	case reflect.Slice:
		return d.list(path, rules, v, into)
	case reflect.String:
		s, ok := v.(string)
		if !ok {
			return wrongType(path, v, "string")
		}
		into.SetString(s)
		return checkString(path, rules, s)
	case reflect.Int64:
		n, ok := integer(v)
		if !ok {
			return wrongType(path, v, "integer")
		}
		into.SetInt(n)
		return checkNumber(path, rules, v, float64(n))
	case reflect.Float64:
		n, ok := v.(json.Number)
		if !ok {
			return wrongType(path, v, "number")
		}
		f, err := n.Float64()
		if err != nil {
			return &violation{n.String() + " is greater than the maximum", "maximum", path}
		}
		into.SetFloat(f)
		return checkNumber(path, rules, v, f)
	}
	panic(fmt.Sprintf("placement: no field of a body can be a %s", into.Type()))
}

// integer takes 5 and 5.0. What does not fit becomes the largest number there is,
// which no range allows.
func integer(v any) (int64, bool) {
	number, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil {
		return n, true
	} else if errors.Is(err, strconv.ErrRange) {
		return n, true
	}
	f, err := number.Float64()
	if err != nil || f != float64(int64(f)) {
		return 0, false
	}
	return int64(f), true
}

func wrongType(path string, v any, want string) error {
	return &violation{show(v) + " is not of type '" + want + "'", "type", path}
}

func (d *decoder) object(path string, v any, into reflect.Value) error {
	body, ok := v.(map[string]any)
	if !ok {
		return wrongType(path, v, "object")
	}
	fields := map[string]bool{}
	for _, f := range fieldsOf(into.Type()) {
		if !f.window.Contains(d.version) {
			continue
		}
		fields[f.name] = true
		if _, there := body[f.name]; !there && has(f.rules, "required") {
			return &violation{"'" + f.name + "' is a required property", "required", path}
		}
	}
	var unexpected []string
	for key := range body {
		if !fields[key] {
			unexpected = append(unexpected, show(key))
		}
	}
	if len(unexpected) > 0 {
		slices.Sort(unexpected)
		return &violation{"Additional properties are not allowed (" + plural(unexpected, "was", "were") + " unexpected)", "additionalProperties", path}
	}
	for _, f := range fieldsOf(into.Type()) {
		if value, there := body[f.name]; there && f.window.Contains(d.version) {
			if err := d.value(path+"['properties']["+show(f.name)+"]", f.rules, value, into.Field(f.index)); err != nil {
				return err
			}
		}
	}
	return nil
}

func plural(list []string, one, many string) string {
	if len(list) == 1 {
		return list[0] + " " + one
	}
	return strings.Join(list, ", ") + " " + many
}

func (d *decoder) mapping(path string, rules []rule, v any, into reflect.Value) error {
	body, ok := v.(map[string]any)
	if !ok {
		return wrongType(path, v, "object")
	}
	pattern := patterns[argument(rules, "keys")]
	into.Set(reflect.MakeMapWithSize(into.Type(), len(body)))
	if lo, _ := bounds(argument(rules, "len")); len(body) < lo {
		return &violation{"{} does not have enough properties", "minProperties", path}
	}
	for key := range body {
		if !pattern.MatchString(key) {
			return &violation{show(key) + " does not match any of the regexes: '" + pattern.String() + "'", "additionalProperties", path}
		}
	}
	for key, value := range body {
		element := reflect.New(into.Type().Elem()).Elem()
		if err := d.value(path+"['patternProperties']["+show(pattern.String())+"]", without(rules, "required", "null", "keys", "len"), value, element); err != nil {
			return err
		}
		into.SetMapIndex(reflect.ValueOf(key), element)
	}
	return nil
}

func (d *decoder) list(path string, rules []rule, v any, into reflect.Value) error {
	body, ok := v.([]any)
	if !ok {
		return wrongType(path, v, "array")
	}
	if lo, _ := bounds(argument(rules, "items")); len(body) < lo {
		return &violation{"[] should be non-empty", "minItems", path}
	}
	into.Set(reflect.MakeSlice(into.Type(), len(body), len(body)))
	of := without(rules, "required", "null", "items", "unique")
	for i, value := range body {
		if err := d.value(path+"['items']", of, value, into.Index(i)); err != nil {
			return err
		}
	}
	if has(rules, "unique") {
		seen := map[any]bool{}
		for i := range body {
			if element := into.Index(i).Interface(); seen[element] {
				return &violation{show(v) + " has non-unique elements", "uniqueItems", path}
			} else {
				seen[element] = true
			}
		}
	}
	return nil
}

func checkString(path string, rules []rule, s string) error {
	if !isText(s) {
		return &violation{show(s) + " is not a text: it has a character that cannot be stored", "pattern", path}
	}
	for _, r := range rules {
		switch r.word {
		case "len":
			lo, hi := bounds(r.argument)
			if n := utf8.RuneCountInString(s); n < lo {
				return &violation{show(s) + " is too short", "minLength", path}
			} else if n > hi {
				return &violation{show(s) + " is too long", "maxLength", path}
			}
		case "uuid":
			if !rest.IsUUID(s) {
				return &violation{show(s) + " is not a 'uuid'", "format", path}
			}
		case "match":
			if p := patterns[r.argument]; !p.MatchString(s) {
				return &violation{show(s) + " does not match '" + p.String() + "'", "pattern", path}
			}
		}
	}
	return nil
}

func checkNumber(path string, rules []rule, v any, f float64) error {
	limits := argument(rules, "range")
	if limits == "" {
		return nil
	}
	lo, hi, _ := strings.Cut(limits, "..")
	if least, err := strconv.ParseFloat(lo, 64); err == nil && f < least {
		return &violation{show(v) + " is less than the minimum of " + lo, "minimum", path}
	}
	if most, err := strconv.ParseFloat(hi, 64); err == nil && f > most {
		return &violation{show(v) + " is greater than the maximum of " + hi, "maximum", path}
	}
	return nil
}

// show writes a value as the validator that clients know does, cut where it is
// long.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case json.Number:
		return v.String()
	case string:
		text := strings.ToValidUTF8(v, "?")
		if len(text) > 300 {
			text = strings.ToValidUTF8(text[:300], "") + "…"
		}
		return "'" + text + "'"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "the value"
	}
	if len(data) > 300 {
		return strings.ToValidUTF8(string(data[:300]), "") + "…"
	}
	return string(data)
}

type field struct {
	index  int
	name   string
	window rest.Window
	rules  []rule
}

type rule struct{ word, argument string }

func rulesOf(words []string) []rule {
	rules := make([]rule, len(words))
	for i, w := range words {
		word, argument, _ := strings.Cut(w, "=")
		if !slices.Contains(ruleWords, word) || (word == "match" || word == "keys") && patterns[argument] == nil {
			panic("placement: there is no check " + w)
		}
		rules[i] = rule{word, argument}
	}
	return rules
}

var ruleWords = []string{"required", "null", "len", "items", "range", "uuid", "match", "keys", "unique"}

var fieldCache sync.Map // reflect.Type -> []field

func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldCache.Load(t); ok {
		return known.([]field)
	}
	list := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		window, err := rest.ParseWindow(f.Tag.Get("mv"))
		if err != nil {
			panic(fmt.Sprintf("placement: %s.%s: %v", t, f.Name, err))
		}
		list = append(list, field{i, f.Tag.Get("json"), window, rulesOf(strings.Fields(f.Tag.Get("check")))})
	}
	fieldCache.Store(t, list)
	return list
}

func has(rules []rule, word string) bool {
	return slices.ContainsFunc(rules, func(r rule) bool { return r.word == word })
}

func argument(rules []rule, word string) string {
	for _, r := range rules {
		if r.word == word {
			return r.argument
		}
	}
	return ""
}

func without(rules []rule, words ...string) []rule {
	return slices.DeleteFunc(slices.Clone(rules), func(r rule) bool { return slices.Contains(words, r.word) })
}

func bounds(limits string) (lo, hi int) {
	a, b, _ := strings.Cut(limits, "..")
	lo, _ = strconv.Atoi(a)
	hi, err := strconv.Atoi(b)
	if err != nil {
		hi = 1 << 31
	}
	return lo, hi
}
