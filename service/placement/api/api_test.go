package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/db/dbtest"
	"kilonova/internal/rest"
	"kilonova/service/placement"
	"kilonova/service/placement/control"
	"kilonova/service/placement/store"
)

func service(t testing.TB) http.Handler {
	t.Helper()
	s, err := store.New(t.Context(), dbtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	return handler(t, s, control.Defaults())
}

const (
	one      = "11111111-1111-4111-8111-11111111abcd"
	other    = "22222222-2222-4222-8222-222222222222"
	consumer = "33333333-3333-4333-8333-333333333333"
)

// furnished has a provider with VCPU and a consumer that uses some.
func furnished(t testing.TB) http.Handler {
	h := service(t)
	for _, step := range []struct{ method, path, body string }{
		{"POST", "/resource_providers", `{"name": "one", "uuid": "` + one + `"}`},
		{"PUT", "/resource_providers/" + one + "/inventories", `{"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 8, "allocation_ratio": 2.0}}}`},
		{"PUT", "/resource_providers/" + one + "/traits", `{"resource_provider_generation": 1, "traits": ["HW_CPU_X86_AVX"]}`},
		{"PUT", "/allocations/" + consumer, `{"allocations": {"` + one + `": {"resources": {"VCPU": 3}}}, "project_id": "p1", "user_id": "u", "consumer_generation": null, "consumer_type": "INSTANCE"}`},
	} {
		if w := call(h, step.method, step.path, step.body); w.Code >= 300 {
			t.Fatalf("%s %s: %d %s", step.method, step.path, w.Code, w.Body)
		}
	}
	return h
}

// TestBadInput has one request for each kind of nonsense: the answer is a 4xx in
// placement's words, and nothing is left behind.
func TestBadInput(t *testing.T) {
	h := furnished(t)
	rp, long := "/resource_providers/"+one, strings.Repeat("X", 300)
	claim := func(middle string) string {
		return `{"allocations": {"` + one + `": {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u", "consumer_generation": 1, "consumer_type": "I"` + middle + `}`
	}
	for _, tt := range []struct {
		method, path, body string
		status             int
		words              string
	}{
		{"POST", "/resource_providers", `{"name": `, 400, "Malformed JSON"},
		{"POST", "/resource_providers", `{"name": "a"} {}`, 400, "Malformed JSON"},
		{"POST", "/resource_providers", `[]`, 400, "is not of type 'object'"},
		{"POST", "/resource_providers", `{"name": ""}`, 400, "is too short"},
		{"POST", "/resource_providers", `{"name": "` + long + `"}`, 400, "is too long"},
		{"POST", "/resource_providers", `{"name": "a\u0000b"}`, 400, "cannot be stored"},
		{"POST", "/resource_providers", `{"name": 5}`, 400, "5 is not of type 'string'"},
		{"POST", "/resource_providers", `{"name": null}`, 400, "None is not of type 'string'"},
		{"POST", "/resource_providers", `{"name": "a", "uuid": "b"}`, 400, "'b' is not a 'uuid'"},
		{"POST", "/resource_providers", `{"name": "a", "parent_provider_uuid": "` + other + `"}`, 400, "does not exist"},
		{"POST", "/resource_providers", `{"name": "a", "color": "blue", "size": 1}`, 400, "'color', 'size' were unexpected"},
		{"POST", "/resource_providers", `{"name": "one"}`, 409, "placement.duplicate_name"},
		{"POST", "/resource_providers", `{"name": "one", "parent_provider_uuid": "` + other + `"}`, 400, "does not exist"},
		{"PUT", rp, `{"name": "one", "parent_provider_uuid": "` + one + `"}`, 400, "loop"},
		{"GET", "/resource_providers/nonsense", "", 404, "No resource provider with uuid nonsense found"},
		{"GET", "/resource_providers/%00", "", 404, "could not be found"},
		{"GET", "/resource_providers/%ff", "", 404, "could not be found"},
		{"GET", "/resource_providers?name=%00", "", 400, "not valid UTF-8"},
		{"GET", "/resource_providers?name=%ff", "", 400, "not valid UTF-8"},
		{"GET", "/resource_providers?required=%20", "", 400, "empty trait"},
		{"GET", "/resource_providers?resources=VCPU:99999999999999999999", "", 400, "expected positive integer amount"},
		{"PUT", rp + "/inventories", `{"resource_provider_generation": 3, "inventories": {"VCPU": {"total": 99999999999999999999}}}`, 400, "greater than the maximum of 2147483647"},
		{"PUT", rp + "/inventories", `{"resource_provider_generation": 3, "inventories": {"VCPU": {"total": 8, "allocation_ratio": 1e400}}}`, 400, "greater than the maximum"},
		{"PUT", rp + "/inventories", `{"resource_provider_generation": 3, "inventories": {"VCPU": {"total": 8.5}}}`, 400, "8.5 is not of type 'integer'"},
		{"PUT", rp + "/inventories", `{"resource_provider_generation": 3, "inventories": {"VCPU": {"total": 8, "allocation_ratio": -1}}}`, 400, "Unable to update inventory"},
		{"PUT", rp + "/inventories", `{"resource_provider_generation": 3, "inventories": {"vcpu": {"total": 8}}}`, 400, "does not match any of the regexes"},
		{"PUT", rp + "/inventories", `{"resource_provider_generation": 3, "inventories": {"` + long + `": {"total": 8}}}`, 400, "Unknown resource class"},
		{"PUT", rp + "/inventories", `{"resource_provider_generation": 3, "inventories": {"CUSTOM_NONE": {"total": 8}}}`, 400, "Unknown resource class"},
		{"PUT", rp + "/inventories", `{"resource_provider_generation": 3, "inventories": {}}`, 409, "placement.inventory.inuse"},
		{"PUT", rp + "/inventories", `{"resource_provider_generation": 2, "inventories": {}}`, 409, "placement.concurrent_update"},
		{"PUT", rp + "/inventories/VCPU", `{"resource_provider_generation": 3, "total": 0}`, 400, "0 is less than the minimum of 1"},
		{"PUT", rp + "/inventories/NOTHING", `{"resource_provider_generation": 3, "total": 1}`, 404, "No such resource class NOTHING"},
		{"PUT", rp + "/inventories", `{"resource_provider_generation": 2, "inventories": {"VCPU": {"total": 1, "reserved": 2}}}`, 409, "placement.concurrent_update"},
		{"PUT", rp + "/inventories/VCPU", `{"resource_provider_generation": 2, "total": 1, "reserved": 2}`, 409, "placement.concurrent_update"},
		{"POST", rp + "/inventories", `{"resource_class": "VCPU", "total": 1}`, 409, "placement.concurrent_update"},
		{"DELETE", rp + "/inventories/VCPU", "", 409, "in use"},
		{"DELETE", rp + "/inventories/NOTHING", "", 404, "No inventory of class NOTHING"},
		{"PUT", rp + "/aggregates", `{"resource_provider_generation": 3, "aggregates": ["` + one + `", "` + one + `"]}`, 400, "has non-unique elements"},
		{"PUT", rp + "/aggregates", `{"resource_provider_generation": 3, "aggregates": ["x"]}`, 400, "is not a 'uuid'"},
		{"PUT", rp + "/traits", `{"resource_provider_generation": 3, "traits": ["` + long + `"]}`, 400, "is too long"},
		{"PUT", rp + "/traits", `{"resource_provider_generation": 3, "traits": ["NOPE"]}`, 400, "No such trait NOPE"},
		{"PUT", "/traits/nope", "", 400, "The trait is invalid"},
		{"PUT", "/traits/CUSTOM_" + long, "", 400, "The trait is invalid"},
		{"DELETE", "/traits/HW_CPU_X86_AVX", "", 400, "Cannot delete standard trait"},
		{"DELETE", "/traits/CUSTOM_NONE", "", 404, "No such trait"},
		{"GET", "/traits?name=x", "", 400, "Badly formatted name parameter"},
		{"PUT", "/resource_classes/nope", "", 400, "does not match"},
		{"DELETE", "/resource_classes/VCPU", "", 400, "Cannot delete standard resource class"},
		{"DELETE", "/resource_classes/CUSTOM_NONE", "", 404, "No such resource class"},
		{"PUT", "/allocations/nope", claim(""), 400, "Malformed consumer_uuid"},
		{"PUT", "/allocations/" + consumer, claim(`, "mappings": {"": []}`), 400, "minItems"},
		{"PUT", "/allocations/" + consumer, claim(`, "mappings": {"": ["x"]}`), 400, "is not a 'uuid'"},
		{"PUT", "/allocations/" + consumer, claim(`, "consumer_type": "lower"`), 400, "does not match"},
		{"PUT", "/allocations/" + consumer, strings.ReplaceAll(claim(""), `"VCPU": 1`, `"VCPU": 99`), 409, "would exceed the capacity"},
		{"PUT", "/allocations/" + consumer, strings.ReplaceAll(claim(""), `"VCPU": 1`, `"VCPU": 9999999999999`), 400, "greater than the maximum"},
		{"PUT", "/allocations/" + consumer, strings.ReplaceAll(claim(""), `"VCPU": 1`, `"DISK_GB": 1`), 409, "Unable to allocate inventory"},
		{"PUT", "/allocations/" + consumer, strings.ReplaceAll(claim(""), `"VCPU": 1`, `"CUSTOM_NONE": 1`), 400, "No such resource class"},
		{"PUT", "/allocations/" + consumer, strings.ReplaceAll(claim(""), one, other), 400, "that does not exist"},
		{"PUT", "/allocations/" + consumer, strings.ReplaceAll(claim(""), `"consumer_generation": 1`, `"consumer_generation": 7`), 409, "placement.concurrent_update"},
		{"POST", "/allocations", `{}`, 400, "does not have enough properties"},
		{"POST", "/allocations", `{"x": ` + claim("") + `}`, 400, "does not match any of the regexes"},
		{"DELETE", "/allocations/" + other, "", 404, "No allocations for consumer"},
		{"POST", "/reshaper", `{"inventories": {}, "allocations": {}}`, 403, "placement:reshaper:reshape"},
		{"GET", "/usages", "", 400, "'project_id' is a required property"},
		{"GET", "/usages?project_id=p&consumer_type=lower", "", 400, "does not match"},
		{"GET", "/allocation_candidates", "", 400, "There must be at least one resources"},
		{"GET", "/allocation_candidates?resources=VCPU:1&limit=0", "", 400, "does not match"},
		{"GET", "/allocation_candidates?resources=VCPU:1&in_tree=x", "", 400, "format of uuid"},
		{"GET", "/allocation_candidates?resources=VCPU:1&in_tree=x&in_tree=" + one, "", 400, "format of uuid"},
		{"GET", "/allocation_candidates?resources1=VCPU&resources1=VCPU:1", "", 400, "Badly formed resources"},
		{"GET", "/allocation_candidates?resources=VCPU:1&member_of=x", "", 400, "valid UUID"},
		{"GET", "/allocation_candidates?resources=NOPE:1", "", 400, "No such resource class NOPE"},
		{"GET", "/allocation_candidates?resources=VCPU:1&required=NOPE", "", 400, "No such trait(s): NOPE"},
		{"GET", "/allocation_candidates?resources=VCPU:1&resources_1=VCPU:1&same_subtree=_2", "", 400, "['_2'] not found in ['', '_1']"},
		{"GET", "/allocation_candidates?resources_1=VCPU:1&resources_2=VCPU:1", "", 400, "group_policy"},
		{"DELETE", rp, "", 409, "placement.resource_provider.inuse"},
		{"PATCH", rp, "", 405, "not allowed"},
		{"GET", "/nothing", "", 404, "could not be found"},
	} {
		w := call(h, tt.method, tt.path, tt.body)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.words) {
			t.Errorf("%s %.100s %.100s: %d %s, want %d %q", tt.method, tt.path, tt.body, w.Code, w.Body, tt.status, tt.words)
		}
	}
	if w := call(h, "GET", "/resource_providers", ""); strings.Count(w.Body.String(), `"uuid"`) != 1 || !strings.Contains(w.Body.String(), `"generation":3`) {
		t.Errorf("nonsense left something behind: %s", w.Body)
	}
	if w := call(h, "GET", "/allocations/"+consumer, ""); !strings.Contains(w.Body.String(), `"VCPU":3`) || !strings.Contains(w.Body.String(), `"consumer_generation":1`) {
		t.Errorf("nonsense changed a claim: %s", w.Body)
	}
}

// TestPlainUUIDs: a UUID in a query may be without hyphens, or in capitals, and is the same.
func TestPlainUUIDs(t *testing.T) {
	h := furnished(t)
	for _, query := range []string{"/resource_providers?uuid=", "/resource_providers?in_tree=", "/allocation_candidates?resources=VCPU:1&in_tree="} {
		for _, text := range []string{one, strings.ReplaceAll(one, "-", ""), strings.ToUpper(one)} {
			if w := call(h, "GET", query+text, ""); w.Code != 200 || !strings.Contains(w.Body.String(), one) {
				t.Errorf("%s%s: %d %s", query, text, w.Code, w.Body)
			}
		}
	}
}

// TestAllowed: whoever is refused a method is told of the others, also where it is the
// version that has not the one.
func TestAllowed(t *testing.T) {
	h := furnished(t)
	for _, tt := range [][4]string{
		{"1.39", "PATCH", "/resource_providers/" + one, "DELETE, GET, PUT"},
		{"1.4", "DELETE", "/resource_providers/" + one + "/inventories", "GET, POST, PUT"},
	} {
		if w := callAs(h, "admin", tt[0], tt[1], tt[2], ""); w.Code != 405 || w.Header().Get("Allow") != tt[3] {
			t.Errorf("%v: %d %q", tt, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	h := furnished(t)
	for _, tt := range []struct {
		token, method, path string
		status              int
	}{
		{"", "GET", "/", 200}, {"wrong", "GET", "/", 200},
		{"", "GET", "/resource_providers", 401}, {"wrong", "GET", "/resource_providers", 401}, {"", "GET", "/nothing", 401},
		{"reader", "GET", "/resource_providers", 403}, {"system", "GET", "/resource_providers", 403},
		{"reader", "GET", "/usages?project_id=p1", 200}, {"reader", "GET", "/usages?project_id=p2", 403},
		{"service", "GET", "/usages?project_id=p2", 200}, {"service", "GET", "/resource_providers", 200},
		{"admin", "POST", "/reshaper", 403}, {"service", "POST", "/reshaper", 400},
		{"reader", "GET", "/allocation_candidates", 403}, {"reader", "PUT", "/traits/CUSTOM_A", 403},
	} {
		body := ""
		if tt.method == "POST" {
			body = `{}`
		}
		if w := callAs(h, tt.token, "1.39", tt.method, tt.path, body); w.Code != tt.status {
			t.Errorf("%q %s %s: %d, want %d: %s", tt.token, tt.method, tt.path, w.Code, tt.status, w.Body)
		}
	}
	// An open policy asks for more than roles: every row must have a rule.
	for _, r := range (&api{}).routes() {
		if r.rule != public && r.rule != ownRule && !slices.Contains(control.Rules(), r.rule) {
			t.Errorf("%s %s has the rule %q, which is not in the table", r.method, r.path, r.rule)
		}
	}
}

// TestWindows walks all tags and rows: each version that they name is one that
// there is.
func TestWindows(t *testing.T) {
	known := func(where, window string) {
		w, err := rest.ParseWindow(window)
		if err != nil {
			t.Errorf("%s: %v", where, err)
		}
		for _, v := range []rest.Version{w.Min, w.Max} {
			if !v.IsZero() && !slices.Contains(versions, v) {
				t.Errorf("%s: there is no version %s", where, v)
			}
		}
	}
	for _, r := range (&api{}).routes() {
		known(r.method+" "+r.path, r.versions)
	}
	for _, v := range []any{providerView{}, createProvider{}, updateProvider{}, aggregatesView{}, consumerView{}, claimList{}, claimBody{}, claimed{}, records{}, record{}, newRecord{}, replaceRecord{}, setTraits{}, setAggregates{}, reshapeBody{}, namedClass{}} {
		rt := reflect.TypeOf(v)
		for i := range rt.NumField() {
			known(rt.String()+"."+rt.Field(i).Name, rt.Field(i).Tag.Get("mv"))
		}
		fieldsOf(rt) // panics on a check that is not one
	}
	for i := 1; i < len(versions); i++ {
		if !versions[i-1].Less(versions[i]) {
			t.Errorf("%s is not before %s", versions[i-1], versions[i])
		}
	}
}

// TestSamples compares the shape of answers with the samples of upstream's API
// reference: the same keys of the same types.
func TestSamples(t *testing.T) {
	contracts := os.Getenv("KILONOVA_CONTRACTS")
	if contracts == "" {
		contracts = filepath.Join("..", "..", "..", "..", "shared", "contracts")
	}
	dir := filepath.Join(contracts, "placement", "api_samples")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the contracts are not here (%v); KILONOVA_CONTRACTS says where they are", err)
	}
	h := furnished(t)
	if w := call(h, "PUT", "/resource_providers/"+one+"/aggregates", `{"aggregates": ["`+other+`"], "resource_provider_generation": 3}`); w.Code != 200 {
		t.Fatal(w.Body)
	}
	for _, tt := range []struct{ sample, version, path string }{
		{"root/get-root.json", "1.28", "/"},
		{"resource_providers/get-resource_provider.json", "1.39", "/resource_providers/" + one},
		{"resource_providers/get-resource_providers.json", "1.39", "/resource_providers"},
		{"inventories/get-inventories.json", "1.39", "/resource_providers/" + one + "/inventories"},
		{"inventories/get-inventory.json", "1.39", "/resource_providers/" + one + "/inventories/VCPU"},
		{"aggregates/get-aggregates.json", "1.1", "/resource_providers/" + one + "/aggregates"},
		{"aggregates/get-aggregates-1.19.json", "1.19", "/resource_providers/" + one + "/aggregates"},
		{"resource_provider_traits/get-resource_provider-traits.json", "1.39", "/resource_providers/" + one + "/traits"},
		{"resource_provider_usages/get-resource_provider_usages.json", "1.39", "/resource_providers/" + one + "/usages"},
		{"traits/get-traits.json", "1.39", "/traits"},
		{"resource_classes/get-resource_class.json", "1.39", "/resource_classes/VCPU"},
		{"resource_classes/get-resource_classes.json", "1.39", "/resource_classes"},
		{"allocations/get-allocations.json", "1.12", "/allocations/" + consumer},
		{"allocations/get-allocations-1.28.json", "1.28", "/allocations/" + consumer},
		{"allocations/get-allocations-1.38.json", "1.38", "/allocations/" + consumer},
		{"allocation_candidates/get-allocation_candidates.json", "1.10", "/allocation_candidates?resources=VCPU:1"},
		{"allocation_candidates/get-allocation_candidates-1.12.json", "1.12", "/allocation_candidates?resources=VCPU:1"},
		{"allocation_candidates/get-allocation_candidates-1.17.json", "1.17", "/allocation_candidates?resources=VCPU:1"},
		{"allocation_candidates/get-allocation_candidates-1.29.json", "1.29", "/allocation_candidates?resources=VCPU:1"},
		{"allocation_candidates/get-allocation_candidates-1.34.json", "1.34", "/allocation_candidates?resources=VCPU:1"},
		{"usages/get-usages.json", "1.9", "/usages?project_id=p1"},
		{"usages/get-usages-1.38.json", "1.38", "/usages?project_id=p1"},
	} {
		data, err := os.ReadFile(filepath.Join(dir, tt.sample))
		if err != nil {
			t.Errorf("%s: %v", tt.sample, err)
			continue
		}
		var want, got any
		w := callAs(h, "admin", tt.version, "GET", tt.path, "")
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
			t.Errorf("%s at %s: %d %s (%v)", tt.path, tt.version, w.Code, w.Body, err)
			continue
		}
		if a, b := shape(want), shape(got); a != b {
			t.Errorf("%s at %s: %s, the sample is %s", tt.path, tt.version, b, a)
		}
	}
}

// shape writes down keys and types. Keys that are names or UUIDs are one to it,
// and a list is as its first element.
func shape(v any) string {
	switch v := v.(type) {
	case map[string]any:
		parts := map[string]string{}
		for key, value := range v {
			if rest.IsUUID(key) || strings.ToUpper(key) == key || key == placement.UnknownConsumer {
				key = "NAME"
			}
			if s := shape(value); len(s) > len(parts[key]) {
				parts[key] = s // of several under one name the fullest, which is always the same
			}
		}
		return fmt.Sprint(parts)
	case []any:
		if len(v) == 0 {
			return "[string]" // all lists that may be empty have these
		}
		return "[" + shape(v[0]) + "]"
	case nil:
		return "string" // of all that can be null
	}
	return fmt.Sprintf("%T", v)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name": "x", "uuid": "` + one + `"}`))
	f.Add([]byte(`{"` + one + `": {"allocations": {}, "mappings": {"a": [""]}}}`))
	f.Add([]byte(`{"inventories": {"VCPU": {"total": 1e9}}, "resource_provider_generation": 1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []any{&createProvider{}, &map[string]claimBody{}, &records{}, &reshapeBody{}, &claimList{}, &setTraits{}} {
			for _, version := range []string{"1.0", "1.12", "1.39"} {
				decodeAt(data, rest.V(version), v, "keys=uuid") // must not panic
			}
		}
	})
}
