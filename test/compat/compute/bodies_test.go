package compute

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// mutant is a body with one thing changed.
type mutant struct {
	what string // where, and how
	body any
}

// strangers are values that stand in for what is there.
var strangers = []any{nil, true, -1.0, 12345678901.0, 1.5, "", " x ", strings.Repeat("x", 300), "a\x00b", []any{}, map[string]any{}}

// mutants changes one thing at a time of a body: a member is missing, one is too
// many, a value is another.
func mutants(body any) []mutant {
	var all []mutant
	var change func(at string, v any, depth int, put func(any) any)
	change = func(at string, v any, depth int, put func(any) any) {
		for _, s := range strangers {
			text, _ := json.Marshal(s)
			all = append(all, mutant{at + " = " + fmt.Sprintf("%.20s", text), put(s)})
		}
		switch v := v.(type) {
		case map[string]any:
			with := func(key string, x any, keep bool) any {
				c := maps.Clone(v)
				if c[key] = x; !keep {
					delete(c, key)
				}
				return put(c)
			}
			all = append(all, mutant{at + " has a member too many", with("unexpected_member", "x", true)})
			for _, key := range slices.Sorted(maps.Keys(v)) {
				all = append(all, mutant{at + "." + key + " is missing", with(key, nil, false)})
				if depth < 5 {
					change(at+"."+key, v[key], depth+1, func(x any) any { return with(key, x, true) })
				}
			}
		case []any:
			if len(v) > 0 && depth < 5 {
				change(at+"[]", v[0], depth+1, func(x any) any {
					c := slices.Clone(v)
					c[0] = x
					return put(c)
				})
				all = append(all, mutant{at + " has an element twice", put(append(slices.Clone(v), v[0]))})
			}
		}
	}
	change("", body, 0, func(x any) any { return x })
	return all
}

// TestBodiesKeepTheSchemas changes one thing at a time of each operation's right
// body. What upstream's schema refuses is 400 here, and what it takes is not
// refused for its form.
func TestBodiesKeepTheSchemas(t *testing.T) {
	c := openContract(t)
	w := newCloud(t)
	w.c, w.makers = c, requestsByKey()
	sent, looser, stricter := 0, map[string][]string{}, map[string][]string{}
	for _, o := range c.sorted() {
		make := w.makers[alike(o.key())]
		if o.Removed != nil || make == nil {
			continue
		}
		for _, ref := range o.Requests {
			if ref.Max != nil && *ref.Max == "2.0" { // of the API before microversions, whose schema was looser
				continue
			}
			lo, hi := version(o.Min, lowest), version(o.Max, highest)
			v := version(ref.Max, highest)
			if hi.Less(v) {
				v = hi
			}
			if v.Less(lo) || v.Less(version(ref.Min, lowest)) {
				continue
			}
			schema, err := c.schema(ref.Schema)
			if err != nil {
				t.Fatal(err)
			}
			r := make(w, v)
			w.down("")
			var body any
			data, err := json.Marshal(r.body)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, &body); err != nil || schema.Validate(body) != nil {
				continue // an operation without a body
			}
			for _, m := range mutants(body) {
				takes := schema.Validate(m.body) == nil
				if takes && strings.Contains(m.what, "=") && !strings.Contains(m.what, ".") {
					continue // the whole body
				}
				sent++
				status, said := w.call(o.Method, w.url+r.path, v, m.body)
				place := fmt.Sprintf("%s at %s: %s", o.key(), v, m.what)
				switch form := status == 400 && strings.Contains(string(said), "nvalid input for field/attribute"); {
				case !takes && status != 400:
					looser[place] = append(looser[place], fmt.Sprintf("%d %.200s", status, said))
				case takes && form:
					stricter[place] = append(stricter[place], fmt.Sprintf("%.200s", said))
				}
			}
		}
	}
	t.Logf("%d bodies: %d are taken that upstream's schemas refuse, %d are refused that they take", sent, len(looser), len(stricter))
	for kind, all := range map[string]map[string][]string{"taken": looser, "refused": stricter} {
		for _, place := range slices.Sorted(maps.Keys(all)) {
			if _, ok := formReason(place); !ok {
				t.Errorf("%s, though upstream's schema says otherwise: %s: %s", kind, place, all[place])
			}
		}
	}
}

// forms are the differences that there are, by what their places contain, and what
// they come from. Those called ours are to be mended.
var forms = map[string]string{
	" = null":                 "ours: null in place of a text, a number or a map counts as if the member were missing",
	".events[].status = \"\"": "ours: an empty status counts as none, which is completed",
	".server.networks = \"\"": "ours: until 2.36 an empty text counts as none",
	".force_complete = ":      "ours: the argument counts for nothing",
	".create_info.id = \"\"":  "ours: it is only given back",
	"PUT /os-hosts/{id}":      "ours: an empty text counts as if the member were missing",
	"PUT /os-services/{id}":   "ours: hosts' names are not looked at before they are looked for",
	".flavor.description":     "ours: characters that cannot be printed are taken",
	".networks":               "upstream's code refuses what its schema takes: 2.37 needs networks, and an element a uuid or a port",
	"keypair.public_key":      "upstream's code refuses what its schema takes: 2.92 needs a key, and an empty one is none",
	"max_server_per_host":     "a number larger than any cloud",
	".snapshot.volume_id":     "upstream's code finds no volume of an empty id",
	"SecurityGroup.name":      "no security group has such a name",
	"dminPass":                "a password is of 255 characters at most",
	".createBackup.":          "images have no such names, and upstream's image service refuses them",
	".interfaceAttachment is": "ours: without the member a port on any network is meant",
}

func formReason(place string) (string, bool) {
	for part, why := range forms {
		if strings.Contains(place, part) {
			return why, true
		}
	}
	return "", false
}
