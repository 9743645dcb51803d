package rest

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"kilonova/internal/fault"
)

// Check tests the constraints in the tag `check` of v's fields, of the structs
// in them and of slices of these; fields outside ver are passed over. A tag is a
// list of words separated by spaces:
//
//	required      the field must be there and not null (strings: not absent)
//	null          the field may be null; null=2.91- at these versions (exact services)
//	empty         "" passes the other words (exact services)
//	len=1..255    length: characters of a string, elements of a list, keys of a map
//	range=0..65535   of a number
//	uuid          32 hexadecimal digits, with or without hyphens
//	name          as upstream's names: printable, no white space at either end
//	printable     no control characters
//	cidr, ip, ipv4, ipv6, mac, url   as it says
//	base64        see Base64
//	enum=a|b|c    one of these
//	match=NAME    a pattern from the table Patterns
//
// Optional fields are pointers, Opt values or have zero values that mean
// "absent"; only required looks at those. The same tags are the source of the
// published schema.
func Check(ver Version, v any) error {
	return checkValue(ver, "", reflect.ValueOf(v))
}

func checkValue(ver Version, path string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() || v.Kind() == reflect.Interface {
			return nil
		}
		return checkValue(ver, path, v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return nil
		}
		for i := range v.Len() {
			if err := checkValue(ver, fmt.Sprintf("%s/%d", path, i), v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		if o, ok := v.Interface().(optional); ok {
			if inner, set := o.inner(); set {
				return checkValue(ver, path, reflect.ValueOf(inner))
			}
			return nil
		}
		for _, f := range checksOf(v.Type()) {
			if !f.window.Contains(ver) {
				continue
			}
			fv := v.FieldByIndex(f.index)
			fieldPath := path
			if !f.embedded {
				fieldPath = strings.TrimPrefix(path+"/"+f.name, "/")
			}
			for _, rule := range f.rules {
				if err := rule.test(fieldPath, fv); err != nil {
					return err
				}
			}
			if err := checkValue(ver, fieldPath, fv); err != nil {
				return err
			}
		}
	}
	return nil
}

type fieldCheck struct {
	index    []int
	name     string
	typ      reflect.Type
	embedded bool
	window   Window
	rules    []checkRule // all words but null and empty
	null     *Window     // at which versions it may be null; nil: never
	empty    bool
}

type checkRule struct{ word, arg string }

var checkCache sync.Map // reflect.Type -> []fieldCheck

func checksOf(t reflect.Type) []fieldCheck {
	if c, ok := checkCache.Load(t); ok {
		return c.([]fieldCheck)
	}
	var list []fieldCheck
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		window, err := ParseWindow(f.Tag.Get("mv"))
		if err != nil {
			panic(fmt.Sprintf("rest: %s.%s: %v", t, f.Name, err))
		}
		fc := fieldCheck{index: f.Index, name: name, typ: f.Type, embedded: f.Anonymous && name == "", window: window}
		for _, word := range strings.Fields(f.Tag.Get("check")) {
			w, arg, _ := strings.Cut(word, "=")
			switch {
			case w == "null":
				nulls, err := ParseWindow(arg)
				if err != nil {
					panic(fmt.Sprintf("rest: %s.%s: %v", t, f.Name, err))
				}
				fc.null = &nulls
			case w == "empty":
				fc.empty = true
			case checkers[w] == nil:
				panic(fmt.Sprintf("rest: %s.%s: unknown check %q", t, f.Name, word))
			default:
				fc.rules = append(fc.rules, checkRule{w, arg})
			}
		}
		list = append(list, fc)
	}
	checkCache.Store(t, list)
	return list
}

func (r checkRule) test(path string, v reflect.Value) error {
	if r.word == "required" {
		if o, ok := v.Interface().(optional); ok {
			if _, set := o.inner(); !set {
				return missing(path)
			}
		} else if v.IsZero() {
			return missing(path)
		}
		return nil
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if o, ok := v.Interface().(optional); ok {
		inner, set := o.inner()
		if !set {
			return nil
		}
		v = reflect.ValueOf(inner)
		for v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
	}
	if !v.IsValid() || v.IsZero() && r.word != "range" && r.word != "len" {
		return nil
	}
	if (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.IsNil() {
		return nil // an absent list is not one that is too short
	}
	if v.Kind() == reflect.Slice && r.word != "len" {
		for i := range v.Len() {
			if why := checkers[r.word](v.Index(i), r.arg); why != "" {
				return unfit(fmt.Sprintf("%s/%d", path, i), v.Index(i), why)
			}
		}
		return nil
	}
	if why := checkers[r.word](v, r.arg); why != "" {
		return unfit(path, v, why)
	}
	return nil
}

func missing(path string) error {
	parent, name := "body", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	return fault.Invalidf("Invalid input for field/attribute %s. '%s' is a required property.", parent, name)
}

func unfit(path string, v reflect.Value, why string) error {
	shown := fmt.Sprint(v.Interface())
	if len(shown) > 128 {
		shown = shown[:128] + "…"
	}
	return fault.Invalidf("Invalid input for field/attribute %s. Value: %s. %s", path, strings.ToValidUTF8(shown, "?"), why)
}

// Patterns are what match=NAME may name.
var Patterns = map[string]*regexp.Regexp{
	"hostname":  regexp.MustCompile(`^[a-zA-Z0-9-._]*$`),
	"id":        regexp.MustCompile(`^[a-zA-Z0-9-]+$`),
	"flavorid":  regexp.MustCompile(`^[a-zA-Z0-9. _-]*$`),
	"key":       regexp.MustCompile(`^[a-zA-Z0-9-_:. ]{1,255}$`),
	"device":    regexp.MustCompile(`^[a-zA-Z0-9._/-]*$`),
	"devpath":   regexp.MustCompile(`(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$`),
	"devicetag": regexp.MustCompile(`^[^,/]*$`),
	"keypair":   regexp.MustCompile(`^[a-zA-Z0-9 _-]+$`),
	// since compute 2.92 also these
	"keypairdots": regexp.MustCompile(`^[a-zA-Z0-9 _@.-]+$`),
}

var uuidPattern = regexp.MustCompile(`^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$`)

// IsUUID reports whether s looks like a UUID, with or without hyphens.
func IsUUID(s string) bool { return uuidPattern.MatchString(s) }

// IsName reports whether s may name something as far as its characters go: it is
// printable and has no white space at either end.
func IsName(s string) bool { return strings.TrimSpace(s) == s && Printable(s) }

// checkers return what is wrong with a value, "" if nothing is.
var checkers = map[string]func(v reflect.Value, arg string) string{
	"required": func(reflect.Value, string) string { return "" },
	"len": func(v reflect.Value, arg string) string {
		n := 0
		switch v.Kind() {
		case reflect.String:
			n = utf8.RuneCountInString(v.String())
		case reflect.Slice, reflect.Map:
			n = v.Len()
		}
		lo, hi := bounds(arg)
		if n < lo {
			return fmt.Sprintf("It is too short: %d, where at least %d is needed.", n, lo)
		}
		if n > hi {
			return fmt.Sprintf("It is too long: %d, where at most %d is allowed.", n, hi)
		}
		return ""
	},
	"range": func(v reflect.Value, arg string) string {
		var n int
		switch {
		case v.CanInt():
			n = int(v.Int())
		case v.CanUint():
			n = int(v.Uint())
		default:
			return ""
		}
		lo, hi := bounds(arg)
		if n < lo {
			return fmt.Sprintf("%d is less than the minimum of %d", n, lo)
		}
		if n > hi {
			return fmt.Sprintf("%d is greater than the maximum of %d", n, hi)
		}
		return ""
	},
	"uuid":      text(IsUUID, "is not a 'uuid'"),
	"name":      text(IsName, "does not match: a name is printable and has no white space at its ends"),
	"printable": text(Printable, "has characters that cannot be printed"),
	"cidr":      text(func(s string) bool { _, err := netip.ParsePrefix(s); return err == nil }, "is not a valid IP subnet (CIDR)"),
	"ip":        text(func(s string) bool { return IsIP(s) }, "is not a valid IP address"),
	"ipv4":      text(func(s string) bool { return isIP(s, 4) }, "is not a 'ipv4'"),
	"ipv6":      text(func(s string) bool { return isIP(s, 6) }, "is not a 'ipv6'"),
	"mac":       text(IsMAC, "is not a valid MAC address"),
	"url": text(func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && u.Scheme != "" && u.Host != ""
	}, "is not a 'uri'"),
	"base64": text(func(s string) bool { _, err := Base64(s); return err == nil }, "is not a 'base64'"),
	"enum": func(v reflect.Value, arg string) string {
		if v.Kind() == reflect.String {
			for option := range strings.SplitSeq(arg, "|") {
				if v.String() == option {
					return ""
				}
			}
		}
		return fmt.Sprintf("%v is not one of ['%s']", v.Interface(), strings.ReplaceAll(arg, "|", "', '"))
	},
	"match": func(v reflect.Value, arg string) string {
		if p := Patterns[arg]; p == nil {
			panic("rest: no pattern " + arg)
		} else if v.Kind() == reflect.String && !p.MatchString(v.String()) {
			return fmt.Sprintf("'%s' does not match '%s'", v.String(), p)
		}
		return ""
	},
}

var macPattern = regexp.MustCompile(`^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$`)

// IsMAC reports whether s is a MAC address of six octets separated by colons.
func IsMAC(s string) bool { return macPattern.MatchString(s) }

// IsIP reports whether s is an address.
func IsIP(s string) bool { return isIP(s, 0) }

// isIP reports whether s is an address of that version, 0 for any. One with a zone
// means something only to the host that wrote it.
func isIP(s string, version int) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == "" && (version == 0 || (version == 4) == a.Is4())
}

func text(ok func(string) bool, why string) func(reflect.Value, string) string {
	return func(v reflect.Value, _ string) string {
		if v.Kind() == reflect.String && !ok(v.String()) {
			return fmt.Sprintf("'%s' %s", v.String(), why)
		}
		return ""
	}
}

// Printable reports whether s has no control characters.
func Printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) && r != ' ' && r != '\u00a0' {
			return false
		}
	}
	return true
}

func bounds(arg string) (lo, hi int) {
	a, b, ranged := strings.Cut(arg, "..")
	lo, _ = strconv.Atoi(a)
	hi = 1<<62 - 1
	if !ranged {
		hi = lo
	} else if n, err := strconv.Atoi(b); err == nil {
		hi = n
	}
	return lo, hi
}
