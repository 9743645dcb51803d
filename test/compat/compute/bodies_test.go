package compute

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/rest"
)

// mutant is a body with one thing changed.
type mutant struct {
	what string // where, and how
	body any
}

// strangers are values that stand in for what is there.
var strangers = []struct {
	name  string
	value any
}{
	{"null", nil}, {"true", true}, {"-1", -1.0}, {"12345678901", 12345678901.0}, {"1.5", 1.5}, {"an empty text", ""}, {"a text with blanks around it", " x "},
	{"a text of 300", strings.Repeat("x", 300)}, {"a text with a zero byte", "a\x00b"}, {"[]", []any{}}, {"{}", map[string]any{}},
}

// mutants changes one thing at a time of a body: a member is missing, is spelled in
// capitals, or is one too many, a value is another, a member that the schema knows
// and the body has not is there.
func mutants(body any, schema map[string]any) []mutant {
	var all []mutant
	var change func(at string, v any, schema map[string]any, depth int, put func(any) any)
	strange := func(at string, put func(any) any) {
		for _, s := range strangers {
			all = append(all, mutant{at + " = " + s.name, put(s.value)})
		}
	}
	change = func(at string, v any, schema map[string]any, depth int, put func(any) any) {
		strange(at, put)
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
			known := propertiesOf(schema)
			for _, key := range slices.Sorted(maps.Keys(v)) {
				all = append(all, mutant{at + "." + key + " is missing", with(key, nil, false)})
				c := maps.Clone(v)
				delete(c, key)
				c[strings.ToUpper(key)] = v[key]
				all = append(all, mutant{at + "." + key + " is in capitals", put(c)})
				if depth < 5 {
					change(at+"."+key, v[key], known[key], depth+1, func(x any) any { return with(key, x, true) })
				}
			}
			for _, key := range slices.Sorted(maps.Keys(known)) {
				if _, has := v[key]; !has {
					strange(at+"."+key, func(x any) any { return with(key, x, true) })
				}
			}
		case []any:
			if len(v) > 0 && depth < 5 {
				change(at+"[]", v[0], schema, depth+1, func(x any) any {
					c := slices.Clone(v)
					c[0] = x
					return put(c)
				})
				all = append(all, mutant{at + " has an element twice", put(append(slices.Clone(v), v[0]))})
			}
		}
	}
	change("", body, schema, 0, func(x any) any { return x })
	return all
}

// propertiesOf are the members that a schema knows of an object, or of a list's
// elements.
func propertiesOf(schema map[string]any) map[string]map[string]any {
	known := map[string]map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	for name, s := range properties {
		known[name], _ = s.(map[string]any)
	}
	parts := []any{schema["items"]}
	for _, word := range []string{"oneOf", "anyOf", "allOf"} {
		some, _ := schema[word].([]any)
		parts = append(parts, some...)
	}
	for _, s := range parts {
		if s, ok := s.(map[string]any); ok {
			maps.Copy(known, propertiesOf(s))
		}
	}
	return known
}

// keeper counts bodies and those that are taken or refused though upstream's schemas
// say otherwise, by their places.
type keeper struct {
	*walker
	sent             int
	looser, stricter map[string]string
}

// keeps sends all mutants of an operation's right body.
func (k *keeper) keeps(o operation, v rest.Version, path string, right any, ref schemaRef) {
	k.t.Helper()
	schema, err := k.c.schema(ref.Schema)
	if err != nil {
		k.t.Fatal(err)
	}
	var body any
	data, err := json.Marshal(right)
	if err != nil {
		k.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &body); err != nil || schema.Validate(body) != nil {
		return // an operation without a body
	}
	for _, m := range mutants(body, k.c.raw(ref.Schema)) {
		takes := schema.Validate(m.body) == nil
		if takes && strings.Contains(m.what, "=") && !strings.Contains(m.what, ".") {
			continue // the whole body
		}
		k.sent++
		status, said := k.call(o.Method, k.url+path, v, m.body)
		place := fmt.Sprintf("%s at %s: %s", o.key(), v, m.what)
		switch form := status == 400 && strings.Contains(string(said), "nvalid input for field/attribute"); {
		case !takes && status != 400:
			k.looser[place] = fmt.Sprintf("%d %.200s", status, said)
		case takes && form:
			k.stricter[place] = fmt.Sprintf("%.200s", said)
		}
	}
}

// TestBodiesKeepTheSchemas changes one thing at a time of each operation's right
// body, and of upstream's samples. What upstream's schema refuses is 400 here, and
// what it takes is not refused for its form.
func TestBodiesKeepTheSchemas(t *testing.T) {
	c := openContract(t)
	w := newCloud(t)
	w.c, w.makers = c, requestsByKey()
	k := &keeper{walker: w, looser: map[string]string{}, stricter: map[string]string{}}
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
			w.unlimited()
			w.sweep()
			r := make(w, v)
			w.down("")
			k.keeps(o, v, r.path, r.body, ref)
		}
	}
	seen := map[string]map[string]bool{} // members of samples, by their operations
	for _, s := range c.allSamples(t) {
		o, known := c.operationOf(s)
		if !c.isSent(s) || !known || o.Removed != nil || w.byUser(s) {
			continue
		}
		if seen[o.key()] == nil {
			seen[o.key()] = map[string]bool{}
		}
		before := len(seen[o.key()])
		if paths("", s.body, seen[o.key()]); len(seen[o.key()]) == before {
			continue // nothing in it is new
		}
		for _, ref := range o.Requests {
			if ref.Max != nil && *ref.Max == "2.0" || s.version.Less(version(ref.Min, lowest)) || version(ref.Max, highest).Less(s.version) {
				continue
			}
			w.unlimited()
			w.sweep()
			w.down("")
			for _, host := range []string{"dev-1", "dev-2"} { // that samples have disabled
				w.must("PUT", "/os-services/enable", "2.1", obj{"host": host, "binary": "nova-compute"})
			}
			r := w.sampleRequest(o, s)
			k.keeps(o, s.version, r.path, r.body, ref)
		}
	}
	t.Logf("%d bodies: %d are taken that upstream's schemas refuse, %d are refused that they take", k.sent, len(k.looser), len(k.stricter))
	for place, said := range k.looser {
		t.Errorf("taken, though upstream's schema says otherwise: %s: %s", place, said)
	}
	unused := maps.Clone(forms)
	for place, said := range k.stricter {
		form := versionsOf.ReplaceAllString(strings.Replace(place, "/os-volumes_boot", "/servers", 1), ":") // which is another name for it
		if delete(unused, form); forms[form] == "" {
			t.Errorf("refused, though upstream's schema says otherwise: %s: %s", place, said)
		}
	}
	for form := range unused {
		t.Errorf("is no longer refused, and its reason is to be struck out: %s", form)
	}
}

// unlimited takes the project's quotas away, which what is taken would use up.
func (w *walker) unlimited() {
	w.t.Helper()
	quotas := obj{"instances": -1, "cores": -1, "ram": -1, "key_pairs": -1, "server_groups": -1, "metadata_items": -1}
	w.must("PUT", w.fill("/os-quota-sets/<project>"), "2.1", obj{"quota_set": quotas})
	w.network("PUT", "/quotas/"+w.project, obj{"quota": obj{"security_group": -1, "security_group_rule": -1, "port": -1, "floatingip": -1, "network": -1, "subnet": -1}})
}

// sweep removes the servers that nobody asks for again, since hosts are no larger
// than they are.
func (w *walker) sweep() {
	w.t.Helper()
	kept := slices.Collect(maps.Values(w.ids))
	if w.user != nil {
		kept = append(kept, w.user.ids["server"])
	}
	w.await("/servers?all_tenants=1", func(out obj) bool {
		gone := true
		for _, s := range out["servers"].([]any) {
			if id := s.(obj)["id"].(string); !slices.Contains(kept, id) {
				gone = false
				w.call("POST", w.url+"/servers/"+id+"/action", rest.V(lowest), obj{"forceDelete": nil}) // refused while it is being deleted
			}
		}
		return gone
	})
}

// versionsOf are those in the names of places.
var versionsOf = regexp.MustCompile(` at 2\.\d+:`)

// forms are the bodies that are refused though upstream's schemas take them, and why.
// There are none that are taken though they refuse them.
var forms = map[string]string{
	"POST /os-keypairs: .keypair.user_id = a text of 300":                                 "upstream's table of keypairs has room for 255 characters, and answers 500 to more",
	"POST /servers: .server.max_count = 12345678901":                                      "one request makes 1000 servers at most: upstream has a quota only, which may be unlimited",
	"POST /servers: .server.min_count = 12345678901":                                      "one request makes 1000 servers at most: upstream has a quota only, which may be unlimited",
	"POST /servers: .server.adminPass = a text of 300":                                    longPassword,
	"POST /servers/{id}/action rebuild: .rebuild.adminPass = a text of 300":               longPassword,
	"POST /servers/{id}/action evacuate: .evacuate.adminPass = a text of 300":             longPassword,
	"POST /servers/{id}/action rescue: .rescue.adminPass = a text of 300":                 longPassword,
	"POST /servers/{id}/action changePassword: .changePassword.adminPass = a text of 300": longPassword,
	"POST /servers/{id}/action createBackup: .createBackup.backup_type = an empty text":   "backups of a kind are told from snapshots by its name",
}

const longPassword = "a password has 255 characters at most, as there is room for; upstream leaves the length to the guest"
