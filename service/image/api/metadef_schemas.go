package api

// metadefSchemas describes metadata definitions as JSON Schema.
func metadefSchemas() []schema {
	names := props{"type": "array", "items": props{"type": "string"}, "uniqueItems": true}
	natural := props{"type": "integer", "minimum": 0}
	types := append([]any{}, nil)
	for _, t := range jsonTypes {
		types = append(types, t)
	}
	str, flag, list := props{"type": "string"}, props{"type": "boolean"}, props{"type": "array"}
	property := props{
		"name": props{"type": "string", "maxLength": 80}, "title": str, "description": str, "operators": props{"type": "array", "items": str},
		"type": props{"type": "string", "enum": types}, "required": props{"$ref": "#/definitions/stringArray"},
		"minimum": props{"type": "number"}, "maximum": props{"type": "number"},
		"maxLength": props{"$ref": "#/definitions/positiveInteger"}, "minLength": props{"$ref": "#/definitions/positiveIntegerDefault0"},
		"pattern": props{"type": "string", "format": "regex"}, "enum": list, "readonly": flag, "default": props{},
		"items":    props{"type": "object", "properties": props{"type": props{"type": "string", "enum": types}, "enum": list}},
		"maxItems": props{"$ref": "#/definitions/positiveInteger"}, "minItems": props{"$ref": "#/definitions/positiveIntegerDefault0"},
		"uniqueItems": props{"type": "boolean", "default": false}, "additionalItems": flag}
	definitions := props{"stringArray": names, "positiveInteger": natural,
		"positiveIntegerDefault0": props{"allOf": []any{props{"$ref": "#/definitions/positiveInteger"}, props{"default": 0}}},
		"property":                props{"type": "object", "additionalProperties": props{"type": "object", "required": []string{"title", "type"}, "properties": property}}}
	times := func(p props) props {
		for _, name := range []string{"created_at", "updated_at"} {
			p[name] = props{"type": "string", "readOnly": true, "format": "date-time", "description": "When it was created or last changed"}
		}
		return p
	}
	href := props{"type": "string", "readOnly": true}
	object := times(props{"name": props{"type": "string", "maxLength": 255}, "description": str, "required": props{"$ref": "#/definitions/stringArray"},
		"properties": props{"$ref": "#/definitions/property"}, "schema": href, "self": href})
	tag := times(props{"name": props{"type": "string", "maxLength": 80}})
	association := times(props{"name": props{"type": "string", "maxLength": 80, "description": "A type of resource, by its name in Heat where it has one"},
		"prefix":            props{"type": "string", "maxLength": 80, "description": "What properties begin with on that type of resource"},
		"properties_target": props{"type": "string", "maxLength": 80, "description": "Which of a resource's properties, where it has several sets"}})
	namespace := times(props{
		"namespace":    props{"type": "string", "maxLength": 80, "description": "The unique namespace text."},
		"display_name": props{"type": "string", "maxLength": 80, "description": "The user friendly name for the namespace."},
		"description":  props{"type": "string", "maxLength": 500, "description": "What the namespace is for."},
		"visibility":   props{"type": "string", "enum": []string{"public", "private"}, "description": "Scope of namespace accessibility."},
		"protected":    props{"type": "boolean", "description": "If true, namespace will not be deletable."},
		"owner":        props{"type": "string", "maxLength": 255, "description": "Owner of the namespace."},
		"schema":       href, "self": href,
		"resource_type_associations": props{"type": "array", "items": props{"type": "object", "properties": props{"name": str, "prefix": str, "properties_target": str}}},
		"properties":                 props{"$ref": "#/definitions/property"},
		"objects": props{"type": "array", "items": props{"type": "object", "properties": props{"name": str, "description": str,
			"required": props{"$ref": "#/definitions/stringArray"}, "properties": props{"$ref": "#/definitions/property"}}}},
		"tags": props{"type": "array", "items": props{"type": "object", "properties": props{"name": str}}}})

	one := func(name string, properties props, required ...string) props {
		return props{"name": name, "properties": properties, "required": required, "definitions": definitions, "additionalProperties": false}
	}
	many := func(name, item string, s props) schema {
		links := []link{{"first", "{first}"}, {"next", "{next}"}, {"describedby", "{schema}"}}
		member := props{"type": "array", "items": s}
		if item == "property" {
			member = props{"type": "object", "additionalProperties": s}
		}
		return schema{"metadefs/" + name, props{"name": name, "definitions": definitions, "links": links,
			"properties": props{name: member, "first": str, "next": str, "schema": str}}}
	}
	ns, ob, pr := one("namespace", namespace, "namespace"), one("object", object, "name"), one("property", property, "type", "title", "name")
	tg, rt := one("tag", tag, "name"), one("resource_type_association", association, "name")
	resourceTypes := many("resource_type_associations", "", rt)
	resourceTypes.name = "metadefs/resource_types"
	return []schema{{"metadefs/namespace", ns}, many("namespaces", "", ns), {"metadefs/object", ob}, many("objects", "", ob),
		{"metadefs/property", pr}, many("properties", "property", pr), {"metadefs/tag", tg}, many("tags", "", tg),
		{"metadefs/resource_type", rt}, resourceTypes}
}
