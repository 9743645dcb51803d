package api

import (
	"context"
	"mime"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image/control"
)

// The forms of a patch: drafts 4 and 10 of what became RFC 6902.
const (
	patchV20 = "application/openstack-images-v2.0-json-patch"
	patchV21 = "application/openstack-images-v2.1-json-patch"
)

// maxChanges bounds one patch.
const maxChanges = 1000

func (a *api) updateImage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	form, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if form != patchV20 && form != patchV21 {
		return (&rest.Response{Status: 415, Body: map[string]string{"code": "415 Unsupported Media Type", "title": "Unsupported Media Type",
			"message": "Image PATCH expects Content-Type one of: " + patchV20 + ", " + patchV21}}).With("Accept-Patch", patchV20+", "+patchV21), nil
	}
	var body any
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	list, ok := body.([]any)
	if !ok {
		return nil, fault.Invalidf("Request body must be a JSON array of operation objects.")
	}
	if len(list) > maxChanges {
		return nil, fault.Invalidf("A patch can have at most %d operations.", maxChanges)
	}
	var changes []control.Change
	for _, item := range list {
		raw, ok := item.(map[string]any)
		if !ok {
			return nil, fault.Invalidf("Operations must be JSON objects.")
		}
		c, err := change(raw, form)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	i, err := a.c.Update(ctx, r.Path("id"), changes)
	if err != nil {
		return nil, err
	}
	return rest.OK(a.view(ctx, i)), nil
}

// operations of both forms.
var operations = []string{"add", "remove", "replace"}

func change(raw map[string]any, form string) (control.Change, error) {
	var c control.Change
	var pointer any
	if form == patchV20 {
		for _, op := range operations {
			if p, ok := raw[op]; ok {
				if c.Op != "" {
					return c, fault.Invalidf(`Operation objects must contain only one member named "add", "remove", or "replace".`)
				}
				c.Op, pointer = op, p
			}
		}
		if c.Op == "" {
			return c, fault.Invalidf(`Operation objects must contain exactly one member named "add", "remove", or "replace".`)
		}
		c.New = true
	} else {
		op, ok := raw["op"].(string)
		if !ok {
			return c, fault.Invalidf("Unable to find `op` in JSON Schema change. It must be one of the following: add, remove, replace.")
		}
		if op != "add" && op != "remove" && op != "replace" {
			return c, fault.Invalidf("Invalid operation: `%.64s`. It must be one of the following: add, remove, replace.", op)
		}
		if pointer, ok = raw["path"]; !ok {
			return c, fault.Invalidf("Unable to find 'path' in JSON Schema change")
		}
		c.Op = op
	}
	text, ok := pointer.(string)
	if !ok {
		return c, fault.Invalidf("A JSON pointer must be a string.")
	}
	var err error
	if c.Path, err = decodePointer(text); err != nil {
		return c, err
	}
	if c.Op != "remove" {
		if c.Value, ok = raw["value"]; !ok {
			return c, fault.Invalidf(`Operation "%s" requires a member named "value".`, c.Op)
		}
	}
	return c, nil
}

// decodePointer reads a JSON pointer: "/a~1b" is the member "a/b".
func decodePointer(p string) ([]string, error) {
	rest, ok := strings.CutPrefix(p, "/")
	if !ok {
		return nil, fault.Invalidf("Pointer `%.300s` does not start with \"/\".", p)
	}
	parts := strings.Split(rest, "/")
	for n, part := range parts {
		if strings.TrimSpace(part) == "" {
			if n == len(parts)-1 {
				return nil, fault.Invalidf("Pointer `%.300s` end with \"/\".", p)
			}
			return nil, fault.Invalidf("Pointer `%.300s` contains adjacent \"/\".", p)
		}
		if unescaped := strings.NewReplacer("~0", "", "~1", "").Replace(part); strings.Contains(unescaped, "~") {
			return nil, fault.Invalidf("Pointer `%.300s` contains \"~\" not part of a recognized escape sequence.", p)
		}
		parts[n] = strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~"))
	}
	return parts, nil
}
