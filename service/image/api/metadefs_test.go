package api

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const nsPath = "/v2/metadefs/namespaces"

// TestMetadefShapesOfSamples sends upstream's sample requests and compares the
// answers with its sample answers.
func TestMetadefShapesOfSamples(t *testing.T) {
	dir := contracts(t)
	cl := start(t, nil)
	sample := func(name string) (v any) {
		data, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	ns := nsPath + "/OS::Compute::Hypervisor"
	for _, step := range []struct {
		method, path, request string
		status                int
		response              string
	}{
		{"GET", "/v2/metadefs/resource_types", "", 200, "metadef-resource-types-list-response"},
		{"POST", nsPath, "metadef-namespace-create-request-simple", 201, "metadef-namespace-create-response-simple"},
		{"POST", nsPath, "metadef-namespace-create-request", 201, "metadef-namespace-create-response"},
		{"GET", ns, "", 200, "metadef-namespace-create-response"},
		{"GET", nsPath + "?sort_dir=asc", "", 200, "metadef-namespaces-list-response"},
		{"PUT", ns, "metadef-namespace-update-request", 200, "metadef-namespace-update-response"},
		{"POST", ns + "/objects", "metadef-object-create-request", 201, "metadef-object-create-response"},
		{"GET", ns + "/objects/CPU Limits", "", 200, "metadef-object-details-response"},
		{"GET", ns + "/objects", "", 200, "metadef-objects-list-response"},
		{"PUT", ns + "/objects/CPU Limits", "metadef-object-update-request", 200, "metadef-object-update-response"},
		{"DELETE", ns + "/properties", "", 204, ""},
		{"POST", ns + "/properties", "metadef-property-create-request", 201, "metadef-property-create-response"},
		{"GET", ns + "/properties/hypervisor_type", "", 200, "metadef-property-details-response"},
		{"PUT", ns + "/properties/hypervisor_type", "metadef-property-update-request", 200, "metadef-property-update-response"},
		{"POST", ns + "/tags", "metadef-tags-create-request", 201, "metadef-tags-create-response"},
		{"GET", ns + "/tags", "", 200, "metadef-tags-list-response"},
		{"POST", ns + "/tags/added-sample-tag", "", 201, "metadef-tag-create-response"},
		{"GET", ns + "/tags/sample-tag2", "", 200, "metadef-tag-details-response"},
		{"PUT", ns + "/tags/sample-tag2", "metadef-tag-update-request", 200, "metadef-tag-update-response"},
		{"POST", ns + "/resource_types", "metadef-resource-type-create-request", 201, "metadef-resource-type-assoc-create-response"},
		{"GET", ns + "/resource_types", "", 200, ""},
		{"DELETE", ns + "/resource_types/OS::Cinder::Volume", "", 204, ""},
		{"GET", "/v2/schemas/metadefs/namespace", "", 200, "schemas-metadef-namespace-show-response"},
		{"GET", "/v2/schemas/metadefs/namespaces", "", 200, "schemas-metadef-namespaces-list-response"},
		{"GET", "/v2/schemas/metadefs/object", "", 200, "schemas-metadef-object-show-response"},
		{"GET", "/v2/schemas/metadefs/objects", "", 200, "schemas-metadef-objects-list-response"},
		{"GET", "/v2/schemas/metadefs/property", "", 200, "schemas-metadef-property-show-response"},
		{"GET", "/v2/schemas/metadefs/properties", "", 200, "schemas-metadef-properties-list-response"},
		{"GET", "/v2/schemas/metadefs/tag", "", 200, "schemas-metadef-tag-show-response"},
		{"GET", "/v2/schemas/metadefs/tags", "", 200, "schemas-metadef-tags-list-response"},
		{"GET", "/v2/schemas/metadefs/resource_type", "", 200, "schemas-metadef-resource-type-association-show-response"},
		{"GET", "/v2/schemas/metadefs/resource_types", "", 200, "schemas-metadef-resource-type-associations-list-response"},
	} {
		var body any
		if step.request != "" {
			body = sample(step.request)
		}
		got := cl.do("admin", step.method, strings.ReplaceAll(step.path, " ", "%20"), body).want(step.status)
		if step.response == "" {
			continue
		}
		for _, d := range differences("", sample(step.response), any(got)) {
			// Lists are of other things than the sample's, and lists of strings may
			// be empty in newer versions.
			if !strings.HasSuffix(d, "/stringArray/minItems is missing") && !strings.Contains(d, "/namespaces/") && !strings.Contains(d, "/objects/0/properties/") {
				t.Errorf("%s %s: %s", step.method, step.path, d)
			}
		}
	}
}

func TestMetadefRefusals(t *testing.T) {
	cl := start(t, nil)
	create := func(more fields) {
		f := fields{"namespace": "n", "visibility": "public"}
		for k, v := range more {
			f[k] = v
		}
		cl.do("admin", "POST", nsPath, f).want(201)
	}
	create(fields{"protected": true, "tags": []fields{{"name": "t"}}})
	create(fields{"namespace": "p", "visibility": "private"})
	prop := fields{"name": "x", "title": "X", "type": "string"}
	for _, tt := range []struct {
		who, method, path string
		body              any
		status            int
	}{
		{"demo", "POST", nsPath, fields{"namespace": "q"}, 403},
		{"demo", "GET", nsPath + "/p", nil, 404},
		{"demo", "GET", nsPath + "/p/objects", nil, 404},
		{"demo", "DELETE", nsPath + "/n", nil, 403},
		{"demo", "PUT", nsPath + "/n", fields{"namespace": "n"}, 403},
		{"demo", "POST", nsPath + "/n/tags/x", nil, 403},
		{"admin", "DELETE", nsPath + "/n", nil, 403}, // protected
		{"admin", "GET", nsPath + "/none", nil, 404},
		{"admin", "GET", nsPath + "/a%00b", nil, 404},
		{"admin", "GET", nsPath + "/n/tags/a%00b", nil, 404},
		{"admin", "POST", nsPath, fields{"namespace": "n"}, 409},
		{"admin", "POST", nsPath, fields{}, 400},
		{"admin", "POST", nsPath, nil, 400},
		{"admin", "POST", nsPath, "[]", 400},
		{"admin", "POST", nsPath, fields{"namespace": strings.Repeat("x", 81)}, 400},
		{"admin", "POST", nsPath, fields{"namespace": "a\x00b"}, 400},
		{"admin", "POST", nsPath, fields{"namespace": "q", "visibility": "shared"}, 400},
		{"admin", "POST", nsPath, fields{"namespace": "q", "protected": "yes"}, 400},
		{"admin", "POST", nsPath, fields{"namespace": "q", "self": "x"}, 403},
		{"admin", "POST", nsPath, fields{"namespace": "q", "foo": "x"}, 400},
		{"admin", "POST", nsPath, fields{"namespace": "q", "description": strings.Repeat("x", 501)}, 400},
		{"admin", "POST", nsPath, fields{"namespace": "q", "tags": []fields{{"name": "a"}, {"name": "a"}}}, 409},
		{"admin", "POST", nsPath, fields{"namespace": "q", "tags": []int{1}}, 400},
		{"admin", "POST", nsPath, fields{"namespace": "q", "properties": fields{"x": fields{"title": "X"}}}, 400},
		{"admin", "POST", nsPath, fields{"namespace": "q", "objects": []fields{{"name": "o", "properties": fields{"x": 1}}}}, 400},
		{"admin", "POST", nsPath + "/n/properties", fields{"name": "x", "title": "X", "type": "text"}, 400},
		{"admin", "POST", nsPath + "/n/properties", fields{"title": "X", "type": "string"}, 400},
		{"admin", "POST", nsPath + "/n/properties", fields{"name": "x", "title": "X", "type": "string", "maxLength": -1}, 400},
		{"admin", "POST", nsPath + "/n/properties", fields{"name": "x", "title": "X", "type": "array", "items": fields{"type": "foo"}}, 400},
		{"admin", "POST", nsPath + "/n/objects", fields{"name": "o", "required": []string{"a", "a"}}, 400},
		{"admin", "POST", nsPath + "/none/properties", prop, 404},
		{"admin", "PUT", nsPath + "/n/properties/none", prop, 404},
		{"admin", "DELETE", nsPath + "/n/properties/none", nil, 404},
		{"admin", "POST", nsPath + "/n/tags", fields{}, 400},
		{"admin", "POST", nsPath + "/n/tags/t", nil, 409},
		{"admin", "POST", nsPath + "/n/tags/" + strings.Repeat("x", 81), nil, 400},
		{"admin", "GET", nsPath + "?limit=x", nil, 400},
		{"admin", "GET", nsPath + "?visibility=x", nil, 400},
		{"admin", "GET", nsPath + "?sort_dir=x", nil, 400},
		{"admin", "GET", nsPath + "?marker=none", nil, 404},
		{"admin", "GET", nsPath + "/n/tags?marker=none", nil, 404},
	} {
		before := cl.show2(nsPath)
		if a := cl.do(tt.who, tt.method, tt.path, tt.body); a.status != tt.status {
			t.Errorf("%s %s %v: %d, want %d: %s", tt.method, tt.path, tt.body, a.status, tt.status, a.body)
		}
		if after := cl.show2(nsPath); after != before {
			t.Errorf("%s %s %v left something: %s", tt.method, tt.path, tt.body, after)
		}
	}
}

func (cl *cloud) show2(path string) string {
	cl.t.Helper()
	return fmt.Sprint(cl.do("admin", "GET", path, nil).want(200), cl.do("admin", "GET", path+"/n", nil).want(200))
}

func TestMetadefPrefixesAndRenames(t *testing.T) {
	cl := start(t, nil)
	property := fields{"title": "B", "type": "string"}
	cl.do("admin", "POST", nsPath, fields{"namespace": "n", "visibility": "public", "properties": fields{"boot_menu": property},
		"objects":                    []fields{{"name": "o", "properties": fields{"x": property}}},
		"resource_type_associations": []fields{{"name": "OS::Nova::Flavor", "prefix": "hw:"}, {"name": "My::Type"}}}).want(201)
	got := cl.do("demo", "GET", nsPath+"/n?resource_type=OS::Nova::Flavor", nil).want(200)
	if fmt.Sprint(got["properties"]) != "map[hw:boot_menu:map[title:B type:string]]" || !strings.Contains(fmt.Sprint(got["objects"]), "hw:x") {
		t.Errorf("%v", got)
	}
	cl.do("demo", "GET", nsPath+"/n/properties/hw:boot_menu?resource_type=OS::Nova::Flavor", nil).want(200)
	cl.do("demo", "GET", nsPath+"/n/properties/boot_menu?resource_type=OS::Nova::Flavor", nil).want(404)
	if got := cl.do("demo", "GET", nsPath+"?resource_types=My::Type,x", nil).want(200); len(got["namespaces"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
	if got := cl.do("demo", "GET", nsPath+"?resource_types=x", nil).want(200); len(got["namespaces"].([]any)) != 0 {
		t.Errorf("%v", got)
	}
	cl.do("admin", "PUT", nsPath+"/n", fields{"namespace": "m"}).want(200)
	cl.do("demo", "GET", nsPath+"/n", nil).want(404)
	cl.do("demo", "GET", nsPath+"/m/properties/boot_menu", nil).want(200)
	for n := range 5 {
		cl.do("admin", "POST", nsPath, fields{"namespace": fmt.Sprint("x", n)}).want(201)
	}
	seen := 0
	for next := nsPath + "?limit=4"; next != ""; {
		page := cl.do("admin", "GET", next, nil).want(200)
		seen += len(page["namespaces"].([]any))
		next, _ = page["next"].(string)
	}
	if seen != 6 {
		t.Errorf("%d namespaces in pages", seen)
	}
	cl.do("admin", "DELETE", nsPath+"/m", nil).want(204)
	cl.do("admin", "POST", nsPath, fields{"namespace": "m"}).want(201)
	if got := cl.do("admin", "GET", nsPath+"/m", nil).want(200); got["properties"] != nil {
		t.Errorf("%v", got)
	}
}
