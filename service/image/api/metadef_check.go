package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
	"kilonova/service/image/control"
)

// maxDefinitions bounds what one request defines.
const maxDefinitions = 1000

// kinds of JSON values, for the tables below.
type jsonKind string

const (
	anything  jsonKind = "anything"
	aString   jsonKind = "string"
	aName     jsonKind = "string of 1 to 80 characters"
	aBool     jsonKind = "boolean"
	aNumber   jsonKind = "number"
	aNatural  jsonKind = "integer that is not negative"
	anArray   jsonKind = "array"
	someNames jsonKind = "array of different strings"
	anObject  jsonKind = "object"
	aJSONType jsonKind = "one of array, boolean, integer, number, object, string"
)

var jsonTypes = []string{"array", "boolean", "integer", "number", "object", "string"}

// The members that definitions may have.
var (
	propertyMembers = map[string]jsonKind{"name": aName, "title": aString, "description": aString, "operators": anArray, "type": aJSONType,
		"required": someNames, "minimum": aNumber, "maximum": aNumber, "maxLength": aNatural, "minLength": aNatural, "pattern": aString,
		"enum": anArray, "readonly": aBool, "default": anything, "items": anObject, "maxItems": aNatural, "minItems": aNatural,
		"uniqueItems": aBool, "additionalItems": aBool}
	objectMembers      = map[string]jsonKind{"name": aName, "description": aString, "required": someNames, "properties": anObject}
	tagMembers         = map[string]jsonKind{"name": aName}
	associationMembers = map[string]jsonKind{"name": aName, "prefix": aString, "properties_target": aString}
	namespaceMembers   = map[string]jsonKind{"namespace": aName, "display_name": aString, "description": aString, "visibility": aString,
		"protected": aBool, "owner": aString, "resource_type_associations": anArray, "properties": anObject, "objects": anArray, "tags": anArray}
	fixedMembers = []string{"self", "schema", "created_at", "updated_at"}
)

// lengths bounds strings, in characters; all others may have 65535 bytes.
var lengths = map[string]int{"display_name": 80, "prefix": 80, "properties_target": 80, "owner": 255, "description": 500}

func unlike(path, format string, args ...any) error {
	return fault.Invalidf("Provided object does not match schema: %.200s: %s", path, fmt.Sprintf(format, args...))
}

// checkMembers compares an object with a table.
func checkMembers(path string, body map[string]any, table map[string]jsonKind, required ...string) error {
	for _, name := range slices.Sorted(maps.Keys(body)) {
		kind, ok := table[name]
		switch {
		case slices.Contains(fixedMembers, name):
			return fault.Forbiddenf("Attribute '%s' is read-only.", name)
		case !ok:
			return unlike(path, "additional properties are not allowed (%.80q was unexpected)", name)
		case !kind.fits(body[name]):
			return unlike(path+"/"+name, "a value of type %s is needed", kind)
		}
		if s, ok := body[name].(string); ok {
			most := lengths[name]
			if most == 0 || name == "description" && path != "namespace" {
				most = 65535
			}
			if utf8.RuneCountInString(s) > most || len(s) > 65535 {
				return unlike(path+"/"+name, "it is too long: at most %d characters are allowed", most)
			}
		}
	}
	for _, name := range required {
		if _, ok := body[name]; !ok {
			return unlike(path, "'%s' is a required property", name)
		}
	}
	return nil
}

func (k jsonKind) fits(v any) bool {
	switch k {
	case aString, aName, aJSONType:
		s, ok := v.(string)
		return ok && !strings.ContainsRune(s, 0) && (k != aName || s != "" && utf8.RuneCountInString(s) <= 80) &&
			(k != aJSONType || slices.Contains(jsonTypes, s))
	case aBool:
		_, ok := v.(bool)
		return ok
	case aNumber, aNatural:
		n, ok := v.(json.Number)
		if !ok {
			return false
		}
		i, err := n.Int64()
		return k == aNumber || err == nil && i >= 0
	case anArray, someNames:
		list, ok := v.([]any)
		seen := map[string]bool{}
		for _, item := range list {
			s, isString := item.(string)
			if k == someNames && (!isString || seen[s]) {
				return false
			}
			seen[s] = true
		}
		return ok
	case anObject:
		_, ok := v.(map[string]any)
		return ok
	}
	return true
}

func checkProperty(path string, body map[string]any) error {
	if err := checkMembers(path, body, propertyMembers, "title", "type"); err != nil {
		return err
	}
	items, _ := body["items"].(map[string]any)
	if t, ok := items["type"]; ok && !aJSONType.fits(t) {
		return unlike(path+"/items/type", "a value of type %s is needed", aJSONType)
	}
	return nil
}

func checkProperties(path string, value any) error {
	list, _ := value.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(list)) {
		body, ok := list[name].(map[string]any)
		if !ok || !aName.fits(name) {
			return unlike(path+"/"+name, "a value of type %s with a name of at most 80 characters is needed", anObject)
		}
		if err := checkProperty(path+"/"+name, body); err != nil {
			return err
		}
	}
	return nil
}

func checkObject(path string, body map[string]any) error {
	if err := checkMembers(path, body, objectMembers, "name"); err != nil {
		return err
	}
	return checkProperties(path+"/properties", body["properties"])
}

func checkTag(path string, body map[string]any) error {
	return checkMembers(path, body, tagMembers, "name")
}

func checkAssociation(path string, body map[string]any) error {
	return checkMembers(path, body, associationMembers, "name")
}

// readDefinition reads and checks the body of a request.
func readDefinition(r *rest.Request, k definitions) (*image.Definition, error) {
	var body map[string]any
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	if err := k.check(string(k.kind), body); err != nil {
		return nil, err
	}
	if _, ok := body["name"]; !ok {
		return nil, unlike(string(k.kind), "'name' is a required property")
	}
	return definitionOf(k, body), nil
}

func definitionOf(k definitions, body map[string]any) *image.Definition {
	name, _ := body["name"].(string)
	body = maps.Clone(body)
	delete(body, "name")
	return &image.Definition{Kind: k.kind, Name: name, Body: body}
}

// readList reads a list of definitions; nil for none.
func readList(path string, value any, k definitions) ([]image.Definition, error) {
	if value == nil {
		return nil, nil
	}
	items, ok := value.([]any)
	if !ok || len(items) > maxDefinitions {
		return nil, unlike(path, "an array of at most %d elements is needed", maxDefinitions)
	}
	list := []image.Definition{}
	for i, item := range items {
		body, ok := item.(map[string]any)
		at := fmt.Sprintf("%s/%d", path, i)
		if !ok {
			return nil, unlike(at, "a value of type %s is needed", anObject)
		}
		body = maps.Clone(body)
		for _, name := range fixedMembers { // what was exported may be imported
			delete(body, name)
		}
		if err := k.check(at, body); err != nil {
			return nil, err
		}
		list = append(list, *definitionOf(k, body))
	}
	return list, nil
}

// readNamespace reads and checks a namespace with its definitions.
func readNamespace(r *rest.Request) (*control.NamespaceWithAll, error) {
	var body map[string]any
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	return ReadNamespace(body)
}

// ReadNamespace checks a namespace with all its definitions as a client, or a
// file of upstream's, has it.
func ReadNamespace(body map[string]any) (*control.NamespaceWithAll, error) {
	if err := checkMembers("namespace", body, namespaceMembers, "namespace"); err != nil {
		return nil, err
	}
	text := func(name string) string { s, _ := body[name].(string); return s }
	n := &control.NamespaceWithAll{Namespace: image.Namespace{Name: text("namespace"), DisplayName: text("display_name"),
		Description: text("description"), Visibility: image.Visibility(text("visibility")), Owner: text("owner")}}
	n.Protected, _ = body["protected"].(bool)
	if v := n.Visibility; body["visibility"] != nil && v != image.Public && v != image.Private {
		return nil, unlike("namespace/visibility", "%.80q is not one of ['public', 'private']", v)
	}
	if err := checkProperties("namespace/properties", body["properties"]); err != nil {
		return nil, err
	}
	props, _ := body["properties"].(map[string]any)
	if len(props) > maxDefinitions {
		return nil, unlike("namespace/properties", "at most %d are allowed", maxDefinitions)
	}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		d := definitionOf(properties, props[name].(map[string]any))
		d.Name = name
		n.Definitions = append(n.Definitions, *d)
	}
	for _, k := range []definitions{objects, tagDefinitions, associations} {
		list, err := readList("namespace/"+k.listed, body[k.listed], k)
		if err != nil {
			return nil, err
		}
		n.Definitions = append(n.Definitions, list...)
	}
	return n, nil
}
