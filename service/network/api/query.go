package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/network"
)

func badRequest(format string, args ...any) error {
	return fault.Invalidf(format, args...).WithCode("HTTPBadRequest")
}

// query reads what a list's query string asks for.
func query(r *rest.Request) (q network.Query, fields []string, err error) {
	q.Filters = map[string][]string{}
	for name, values := range r.Query {
		switch name {
		case "fields":
			fields = values
		case "limit":
			n, err := strconv.Atoi(values[0])
			if err != nil || n < 0 {
				return q, nil, badRequest("Limit must be an integer 0 or greater and not '%.64s'", values[0])
			}
			q.Limit = n
		case "marker":
			q.Marker = values[0]
		case "page_reverse":
			if q.Reverse, err = rest.ParseBool(values[0]); err != nil {
				return q, nil, badRequest("Invalid input for page_reverse. Reason: %s.", err)
			}
		case "sort_key", "sort_dir":
		default:
			q.Filters[name] = values
		}
	}
	q.Sort, err = sortKeys(r.Query["sort_key"], r.Query["sort_dir"])
	return q, fields, err
}

func sortKeys(keys, dirs []string) ([]network.SortKey, error) {
	if len(dirs) > 0 && len(keys) != len(dirs) {
		return nil, badRequest("The number of sort_keys and sort_dirs must be same")
	}
	var out []network.SortKey
	for i, key := range keys {
		k := network.SortKey{Attribute: key}
		if len(dirs) > 0 {
			switch dirs[i] {
			case "asc":
			case "desc":
				k.Descending = true
			default:
				return nil, badRequest("The value for sort_dir is invalid. Valid sort directions are: asc, desc")
			}
		}
		out = append(out, k)
	}
	return out, nil
}

// pick returns item with only the fields asked for; all if none are.
func pick(item any, fields []string) (any, error) {
	if len(fields) == 0 {
		return item, nil
	}
	var buf bytes.Buffer
	if err := rest.Encode(&buf, rest.Version{}, item); err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(buf.Bytes(), &all); err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	for _, f := range fields {
		for name := range strings.SplitSeq(f, ",") {
			if v, ok := all[name]; ok {
				out[name] = v
			}
		}
	}
	return out, nil
}
