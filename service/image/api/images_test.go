package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kilonova/service/image/control"
)

func TestVersions(t *testing.T) {
	cl := start(t, nil)
	for path, status := range map[string]int{"/": 300, "": 300, "/v2": 300, "/v2/": 300, "/versions": 200} {
		list := cl.do("", "GET", path, nil).want(status)["versions"].([]any)
		first := list[0].(map[string]any)
		if first["status"] != "CURRENT" || first["links"].([]any)[0].(map[string]any)["href"] != cl.url+"/v2/" {
			t.Errorf("%s: %v", path, first)
		}
	}
}

// contracts returns the folder of upstream's samples, or skips the test.
func contracts(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("KILONOVA_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "contracts")
	}
	dir = filepath.Join(dir, "glance", "api_samples", "v2", "samples")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("upstream's samples are not at %s; KILONOVA_CONTRACTS may say where they are", dir)
	}
	return dir
}

// TestShapesOfSamples compares our answers with upstream's samples: each member
// of theirs is in ours, with a value of the same type, or null in one of them.
func TestShapesOfSamples(t *testing.T) {
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
	id := cl.create(fields{"id": "b2173dd3-7ad6-4362-baa6-a68bce3565cb"})
	created := cl.show(id)
	cl.put(id, "data").want(204)
	member := cl.do("demo", "POST", "/v2/images/"+id+"/members", fields{"member": "pt"}).want(200)
	get := func(path string) any { return any(cl.do("admin", "GET", path, nil).want(200)) }
	for name, ours := range map[string]any{
		"image-create-response":               created,
		"image-show-response":                 cl.show(id),
		"images-list-response":                get("/v2/images?limit=1"),
		"image-member-create-response":        member,
		"image-member-details-response":       get("/v2/images/" + id + "/members/pt"),
		"image-members-list-response":         get("/v2/images/" + id + "/members"),
		"image-info-import-response":          get("/v2/info/import"),
		"schemas-image-show-response":         get("/v2/schemas/image"),
		"schemas-images-list-response":        get("/v2/schemas/images"),
		"schemas-image-member-show-response":  get("/v2/schemas/member"),
		"schemas-image-members-list-response": get("/v2/schemas/members"),
		"schemas-task-show-response":          get("/v2/schemas/task"),
		"schemas-tasks-list-response":         get("/v2/schemas/tasks"),
	} {
		for _, d := range differences("", sample(name), ours) {
			// Two things that samples have and that are off by default.
			if d != "/locations is missing" && !strings.HasSuffix(d, "/validation_data is missing") {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}

func differences(path string, theirs, ours any) (list []string) {
	switch want := theirs.(type) {
	case nil:
	case map[string]any:
		got, ok := ours.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is a %T", path, ours)}
		}
		for k, v := range want {
			if _, ok := got[k]; !ok {
				list = append(list, path+"/"+k+" is missing")
			} else {
				list = append(list, differences(path+"/"+k, v, got[k])...)
			}
		}
	case []any:
		got, ok := ours.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s is a %T", path, ours)}
		}
		if _, objects := append(want, nil)[0].(map[string]any); objects && len(got) > 0 && !strings.HasSuffix(path, "images") {
			return differences(path+"/0", want[0], got[0])
		}
	default:
		if ours != nil && reflect.TypeOf(ours) != reflect.TypeOf(theirs) {
			return []string{fmt.Sprintf("%s is a %T, want %T", path, ours, theirs)}
		}
	}
	return list
}

func TestCreate(t *testing.T) {
	cl := start(t, nil)
	a := cl.do("demo", "POST", "/v2/images", fields{"name": "ü", "tags": []string{"b", "a", "b"}, "min_disk": 3, "os_distro": "x", "kernel_id": nil, "os_hidden": true})
	got := a.want(201)
	if got["name"] != "ü" || got["status"] != "queued" || got["visibility"] != "shared" || got["owner"] != "pd" || got["min_disk"] != 3.0 ||
		got["os_distro"] != "x" || got["size"] != nil || got["disk_format"] != nil || fmt.Sprint(got["tags"]) != "[a b]" || got["os_hidden"] != true {
		t.Errorf("%v", got)
	}
	if a.header.Get("Location") != cl.url+"/v2/images/"+got["id"].(string) || a.header.Get("OpenStack-image-import-methods") != "glance-direct,copy-image" || a.header.Get("OpenStack-image-store-ids") != "one,two" {
		t.Errorf("%v", a.header)
	}
	id := "B2173DD3-7ad6-4362-baa6-a68bce3565cb"
	cl.create(fields{"id": id})
	cl.do("demo", "POST", "/v2/images", fields{"id": id}).want(409)
	cl.do("demo", "DELETE", "/v2/images/"+id, nil).want(204)
	cl.do("demo", "POST", "/v2/images", fields{"id": id}).want(409) // never again
}

// TestRefusals sends what must be refused, and looks that nothing is left of it.
func TestRefusals(t *testing.T) {
	cl := start(t, func(o *control.Options) { o.ImagePropertyQuota, o.ImageTagQuota, o.ImageMemberQuota = 3, 2, 1 })
	id := cl.create(fields{"p1": "v", "tags": []string{"t"}})
	active := cl.create(nil)
	cl.put(active, "data").want(204)
	private := cl.create(fields{"visibility": "private"})
	image := "/v2/images/" + id
	missing := "/v2/images/00000000-0000-4000-8000-000000000000"
	cl.do("demo", "POST", image+"/members", fields{"member": "px"}).want(200)
	const p21, p20 = "application/openstack-images-v2.1-json-patch", "application/openstack-images-v2.0-json-patch"
	tests := []struct {
		who, method, path string
		body              any
		kind              string // Content-Type
		status            int
		mention           string
	}{
		{"", "GET", "/v2/images", nil, "", 401, ""},
		{"bad", "GET", "/v2/images", nil, "", 401, ""},
		{"demo", "GET", "/v2/nothing", nil, "", 404, ""},
		{"demo", "GET", "/v2/images/", nil, "", 404, ""},
		{"demo", "DELETE", "/v2/images/", nil, "", 404, ""},
		{"demo", "DELETE", "/v2/images", nil, "", 405, ""},
		{"demo", "GET", missing, nil, "", 404, "No image found with ID"},
		{"demo", "GET", "/v2/images/x%00y", nil, "", 404, ""},
		{"alt", "GET", "/v2/images/" + private, nil, "", 404, ""},
		{"alt", "DELETE", image, nil, "", 404, ""},

		{"reader", "POST", "/v2/images", fields{}, "", 403, "add_image"},
		{"demo", "POST", "/v2/images", nil, "", 400, "Body expected"},
		{"demo", "POST", "/v2/images", "{", "", 400, "JSON"},
		{"demo", "POST", "/v2/images", "[]", "", 400, "JSON"},
		{"demo", "POST", "/v2/images", `{} {}`, "", 400, "more after"},
		{"demo", "POST", "/v2/images", `{"x": "` + strings.Repeat("y", 200000) + `"}`, "", 413, ""},
		{"demo", "POST", "/v2/images", fields{"id": "x"}, "", 400, "does not match"},
		{"demo", "POST", "/v2/images", fields{"id": 1}, "", 400, "does not match"},
		{"demo", "POST", "/v2/images", fields{"name": 1}, "", 400, "not of type 'string'"},
		{"demo", "POST", "/v2/images", fields{"name": strings.Repeat("x", 256)}, "", 400, "too long"},
		{"demo", "POST", "/v2/images", fields{"name": "a\x00b"}, "", 400, "null character"},
		{"demo", "POST", "/v2/images", fields{"x\x00y": "b"}, "", 400, ""},
		{"demo", "POST", "/v2/images", fields{strings.Repeat("x", 256): "b"}, "", 400, "255"},
		{"demo", "POST", "/v2/images", fields{"x": strings.Repeat("y", 70000)}, "", 400, "too long"},
		{"demo", "POST", "/v2/images", fields{"visibility": "mine"}, "", 400, "not one of"},
		{"demo", "POST", "/v2/images", fields{"disk_format": "wrong"}, "", 400, "not one of"},
		{"demo", "POST", "/v2/images", fields{"container_format": "wrong"}, "", 400, "not one of"},
		{"demo", "POST", "/v2/images", fields{"min_disk": -1}, "", 400, "negative"},
		{"demo", "POST", "/v2/images", fields{"min_ram": 1.5}, "", 400, "integer"},
		{"demo", "POST", "/v2/images", fields{"min_ram": "1"}, "", 400, "integer"},
		{"demo", "POST", "/v2/images", `{"min_ram": 99999999999999999999}`, "", 400, "integer"},
		{"demo", "POST", "/v2/images", fields{"min_ram": 3000000000}, "", 400, "above"},
		{"demo", "POST", "/v2/images", fields{"protected": "yes"}, "", 400, "boolean"},
		{"demo", "POST", "/v2/images", fields{"tags": "x"}, "", 400, "array"},
		{"demo", "POST", "/v2/images", fields{"tags": []int{1}}, "", 400, "string"},
		{"demo", "POST", "/v2/images", fields{"tags": []string{"a", "b", "c"}}, "", 413, "image tags. Attempted: 3, Maximum: 2"},
		{"demo", "POST", "/v2/images", fields{"a": "b", "b": "b", "c": "d", "d": "e"}, "", 413, "image properties. Attempted: 4, Maximum: 3"},
		{"demo", "POST", "/v2/images", fields{"foo": 1}, "", 400, "string"},
		{"demo", "POST", "/v2/images", fields{"foo": nil}, "", 400, "string"},
		{"demo", "POST", "/v2/images", fields{"kernel_id": "x"}, "", 400, "does not match"},
		{"demo", "POST", "/v2/images", fields{"status": "active"}, "", 403, "read-only"},
		{"demo", "POST", "/v2/images", fields{"checksum": "x"}, "", 403, "read-only"},
		{"demo", "POST", "/v2/images", fields{"self": "x"}, "", 403, "read-only"},
		{"demo", "POST", "/v2/images", fields{"locations": []any{}}, "", 403, "reserved"},
		{"demo", "POST", "/v2/images", fields{"deleted": "x"}, "", 403, "reserved"},
		{"demo", "POST", "/v2/images", fields{"os_glance_foo": "x"}, "", 403, "reserved"},
		{"demo", "POST", "/v2/images", fields{"visibility": "public"}, "", 403, "publicize_image"},
		{"demo", "POST", "/v2/images", fields{"owner": "other"}, "", 403, "owned by 'other'"},

		{"demo", "PATCH", image, patch(), "application/json", 415, "Content-Type"},
		{"demo", "PATCH", image, patch(), "", 415, ""},
		{"demo", "PATCH", image, "{}", p21, 400, "array"},
		{"demo", "PATCH", image, "[1]", p21, 400, "objects"},
		{"demo", "PATCH", image, patch(fields{"path": "/x"}), p21, 400, "Unable to find `op`"},
		{"demo", "PATCH", image, patch(op("move", "/x", 1)), p21, 400, "Invalid operation"},
		{"demo", "PATCH", image, patch(fields{"op": "add", "path": "/x"}), p21, 400, `requires a member named`},
		{"demo", "PATCH", image, patch(fields{"op": "add", "value": "x"}), p21, 400, "path"},
		{"demo", "PATCH", image, patch(op("add", "x", "1")), p21, 400, "does not start"},
		{"demo", "PATCH", image, patch(op("add", "/a//b", "1")), p21, 400, "adjacent"},
		{"demo", "PATCH", image, patch(op("add", "/a/", "1")), p21, 400, "end with"},
		{"demo", "PATCH", image, patch(op("add", "/a~2", "1")), p21, 400, "escape"},
		{"demo", "PATCH", image, patch(op("add", "/a/b", "1")), p21, 400, "Invalid JSON pointer"},
		{"demo", "PATCH", image, patch(op("add", "/tags/-", "1")), p21, 400, "Invalid JSON pointer"},
		{"demo", "PATCH", image, patch(op("replace", "/nothing", "1")), p21, 409, "does not exist"},
		{"demo", "PATCH", image, patch(op("remove", "/nothing", nil)), p21, 409, "does not exist"},
		{"demo", "PATCH", image, patch(op("remove", "/name", nil)), p21, 403, "may not be removed"},
		{"demo", "PATCH", image, patch(op("replace", "/id", "x")), p21, 403, "read-only"},
		{"demo", "PATCH", image, patch(op("replace", "/status", "active")), p21, 403, "read-only"},
		{"demo", "PATCH", image, patch(op("replace", "/owner", "x")), p21, 403, "Owner"},
		{"demo", "PATCH", image, patch(op("replace", "/visibility", "public")), p21, 403, "publicize"},
		{"demo", "PATCH", image, patch(op("replace", "/visibility", "x")), p21, 400, "not one of"},
		{"demo", "PATCH", image, patch(op("add", "/os_glance_x", "x")), p21, 403, "reserved"},
		{"demo", "PATCH", image, patch(op("replace", "/locations", []any{})), p21, 403, "locations"},
		{"demo", "PATCH", image, patch(op("add", "/locations/-", fields{"url": "file:///etc/passwd", "metadata": fields{}})), p21, 403, "locations"},
		{"demo", "PATCH", image, patch(op("remove", "/locations/0", nil)), p21, 403, "locations"},
		{"demo", "PATCH", image, patch(op("add", "/ok", "1"), op("add", "/min_disk", "1")), p21, 400, "integer"},
		{"demo", "PATCH", image, patch(op("add", "/a", "1"), op("add", "/b", "1"), op("add", "/c", "1")), p21, 413, "image properties"},
		{"demo", "PATCH", image, patch(fields{"add": "/p1", "value": "w"}), p20, 409, "already present"},
		{"demo", "PATCH", image, patch(fields{"add": "/x", "replace": "/y", "value": "w"}), p20, 400, "only one member"},
		{"demo", "PATCH", image, patch(fields{"value": "w"}), p20, 400, "exactly one"},
		{"demo", "PATCH", "/v2/images/" + active, patch(op("replace", "/disk_format", "qcow2")), p21, 403, "queued image"},
		{"alt", "PATCH", image, patch(op("add", "/x", "1")), p21, 404, ""},
		{"reader", "PATCH", image, patch(op("add", "/x", "1")), p21, 403, "modify_image"},
		{"demo", "PATCH", missing, patch(op("add", "/x", "1")), p21, 404, ""},

		{"demo", "GET", "/v2/images?limit=x", nil, "", 400, "integer"},
		{"demo", "GET", "/v2/images?limit=-1", nil, "", 400, "positive"},
		{"demo", "GET", "/v2/images?marker=x", nil, "", 400, "marker"},
		{"alt", "GET", "/v2/images?marker=" + private, nil, "", 400, "marker"},
		{"demo", "GET", "/v2/images?sort_key=foo", nil, "", 400, "Invalid sort key"},
		{"demo", "GET", "/v2/images?sort_dir=up", nil, "", 400, "Invalid sort direction"},
		{"demo", "GET", "/v2/images?sort=name:up", nil, "", 400, "Invalid sort direction"},
		{"demo", "GET", "/v2/images?sort=name&sort_key=id", nil, "", 400, "combined"},
		{"demo", "GET", "/v2/images?sort_key=name&sort_dir=asc&sort_dir=desc", nil, "", 400, "does not match"},
		{"demo", "GET", "/v2/images?visibility=x", nil, "", 400, "visibility"},
		{"demo", "GET", "/v2/images?member_status=x", nil, "", 400, "status"},
		{"demo", "GET", "/v2/images?protected=x", nil, "", 400, "protected"},
		{"demo", "GET", "/v2/images?os_hidden=1", nil, "", 400, "os_hidden"},
		{"demo", "GET", "/v2/images?size_min=x", nil, "", 400, "non-numeric"},
		{"demo", "GET", "/v2/images?created_at=gt:yesterday", nil, "", 400, "ISO 8601"},
		{"demo", "GET", "/v2/images?created_at=xx:2026-01-01T00:00:00Z", nil, "", 400, "operator"},
		{"demo", "GET", "/v2/images?name=xx:a", nil, "", 400, "operator"},
		{"demo", "GET", `/v2/images?name=in:"a`, nil, "", 400, "quote"},
		{"demo", "GET", "/v2/images?changes-since=2026-01-01", nil, "", 400, "no longer"},
		{"demo", "GET", "/v2/images?x=%00", nil, "", 400, "null"},
		{"demo", "GET", "/v2/images?tag=%00", nil, "", 400, "null"},
		{"demo", "GET", "/v2/images?%zz", nil, "", 400, "malformed"},

		{"demo", "PUT", image + "/tags/" + strings.Repeat("x", 256), nil, "", 400, "too long"},
		{"demo", "PUT", missing + "/tags/x", nil, "", 404, ""},
		{"alt", "PUT", image + "/tags/x", nil, "", 404, ""},
		{"demo", "DELETE", image + "/tags/x", nil, "", 404, "no tag"},

		{"demo", "POST", image + "/members", fields{}, "", 400, "not specified"},
		{"demo", "POST", image + "/members", fields{"member": ""}, "", 400, "empty"},
		{"demo", "POST", image + "/members", fields{"member": 1}, "", 400, "Expected a member"},
		{"demo", "POST", image + "/members", "[]", "", 400, "Expected a member"},
		{"demo", "POST", image + "/members", fields{"member": "px"}, "", 413, "members"},
		{"demo", "POST", "/v2/images/" + private + "/members", fields{"member": "px"}, "", 403, "Only shared"},
		{"demo", "GET", "/v2/images/" + private + "/members", nil, "", 403, "Only shared"},
		{"demo", "GET", "/v2/images/" + private + "/members/px", nil, "", 404, ""},
		{"demo", "GET", image + "/members/none", nil, "", 404, "not found in the member list"},
		{"demo", "DELETE", image + "/members/none", nil, "", 404, ""},
		{"alt", "GET", image + "/members", nil, "", 404, ""},
		{"demo", "PUT", image + "/members/px", fields{"status": "accepted"}, "", 403, ""},
		{"admin", "PUT", image + "/members/px", fields{"status": "x"}, "", 400, "Status must be"},
		{"admin", "PUT", image + "/members/px", fields{}, "", 400, "not specified"},

		{"demo", "PUT", image + "/file", "x", "text/plain", 415, "octet-stream"},
		{"demo", "PUT", missing + "/file", "x", octets, 404, ""},
		{"alt", "PUT", image + "/file", "x", octets, 404, ""},
		{"reader", "PUT", image + "/file", "x", octets, 403, ""},
		{"demo", "PUT", "/v2/images/" + active + "/file", "x", octets, 409, "from active to saving"},
		{"demo", "PUT", "/v2/images/" + active + "/stage", "x", octets, 409, "from active to uploading"},
		{"demo", "POST", image + "/actions/deactivate", nil, "", 403, "status 'queued'"},
		{"demo", "POST", image + "/actions/reactivate", nil, "", 403, "status 'queued'"},
		{"demo", "POST", image + "/actions/other", nil, "", 404, ""},

		{"demo", "POST", image + "/import", fields{}, "", 400, "'method'"},
		{"demo", "POST", image + "/import", fields{"method": fields{}}, "", 400, "'name'"},
		{"demo", "POST", image + "/import", fields{"method": fields{"name": "web-download", "uri": "http://x/"}}, "", 400, "Unknown import method"},
		{"demo", "POST", image + "/import", fields{"method": fields{"name": "glance-direct"}}, "", 409, "staged"},
		{"demo", "POST", "/v2/images/" + active + "/import", fields{"method": fields{"name": "glance-direct"}}, "", 409, "status active"},
		{"demo", "POST", "/v2/images/" + active + "/import", fields{"method": fields{"name": "copy-image"}, "stores": []string{"two"}}, "", 403, "copy_image"},
		{"admin", "POST", "/v2/images/" + active + "/import", fields{"method": fields{"name": "copy-image"}, "stores": []string{"one"}}, "", 400, "already present"},
		{"admin", "POST", "/v2/images/" + active + "/import", fields{"method": fields{"name": "copy-image"}, "stores": []string{"no"}}, "", 409, "not available"},
		{"admin", "POST", "/v2/images/" + active + "/import", fields{"method": fields{"name": "copy-image"}, "stores": "two"}, "", 400, "list"},
		{"admin", "POST", "/v2/images/" + active + "/import", fields{"method": fields{"name": "copy-image"}, "all_stores": 1}, "", 400, "boolean"},
		{"admin", "DELETE", "/v2/stores/one/" + active, nil, "", 403, "only store"},
		{"admin", "DELETE", "/v2/stores/two/" + active, nil, "", 404, "not stored"},
		{"admin", "DELETE", "/v2/stores/no/" + active, nil, "", 409, "not available"},
		{"demo", "DELETE", "/v2/stores/one/" + active, nil, "", 403, ""},
		{"demo", "GET", "/v2/tasks", nil, "", 403, ""},
		{"admin", "GET", "/v2/tasks/x%00", nil, "", 404, ""},
		{"admin", "GET", "/v2/tasks?marker=x", nil, "", 400, ""},
		{"demo", "GET", "/v2/info/stores/detail", nil, "", 403, ""},
		{"demo", "GET", "/v2/images/" + active + "/locations", nil, "", 403, ""},
	}
	before, shown := cl.rows(), fmt.Sprint(cl.show(id), cl.show(active))
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s %.60s %d", tt.method, tt.path[:min(len(tt.path), 80)], fmt.Sprint(tt.body), tt.status), func(t *testing.T) {
			a := cl.do(tt.who, tt.method, tt.path, tt.body, "Content-Type", tt.kind)
			if a.status != tt.status || !strings.Contains(string(a.body), tt.mention) {
				t.Errorf("status %d, want %d with %q: %s", a.status, tt.status, tt.mention, a.body)
			}
			if after := cl.rows(); after != before {
				t.Errorf("rows were left: %s, before %s", after, before)
				before = after
			}
		})
	}
	if after := fmt.Sprint(cl.show(id), cl.show(active)); after != shown {
		t.Errorf("images changed: %s", after)
	}
	if len(cl.files("one")) != 1 || len(cl.files("stage")) != 0 {
		t.Error(cl.files("one"), cl.files("stage"))
	}
}

func TestPatch(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(fields{"foo": "bar"})
	for _, kind := range []string{"v2.1", "v2.0"} {
		op := func(op, path string, value any) fields {
			if kind == "v2.0" {
				return fields{op: path, "value": value}
			}
			return fields{"op": op, "path": path, "value": value}
		}
		got := cl.do("demo", "PATCH", "/v2/images/"+id, []any{
			op("replace", "/name", "y"+kind), op("replace", "/tags", []string{"z", "a"}), op("add", "/a~1b~0c", "d"),
			op("replace", "/a~1b~0c", "e"), op("replace", "/foo", kind), op("replace", "/min_disk", 7), op("replace", "/protected", true),
			op("replace", "/visibility", "community"), op("replace", "/disk_format", "qcow2"),
		}, "Content-Type", "application/openstack-images-"+kind+"-json-patch").want(200)
		if got["name"] != "y"+kind || fmt.Sprint(got["tags"]) != "[a z]" || got["a/b~c"] != "e" || got["foo"] != kind || got["min_disk"] != 7.0 ||
			got["protected"] != true || got["visibility"] != "community" || got["disk_format"] != "qcow2" {
			t.Errorf("%v", got)
		}
		cl.do("demo", "DELETE", "/v2/images/"+id, nil).want(403)
		cl.do("demo", "PATCH", "/v2/images/"+id, []any{op("remove", "/a~1b~0c", nil), op("replace", "/protected", false)},
			"Content-Type", "application/openstack-images-"+kind+"-json-patch").want(200)
	}
	if got := cl.do("admin", "PATCH", "/v2/images/"+id, []any{fields{"op": "replace", "path": "/owner", "value": "px"}, fields{"op": "replace", "path": "/visibility", "value": "public"}},
		"Content-Type", "application/openstack-images-v2.1-json-patch").want(200); got["owner"] != "px" || got["visibility"] != "public" || got["a/b~c"] != nil {
		t.Errorf("%v", got)
	}
	cl.do("alt", "GET", "/v2/images/"+id, nil).want(200)
}

func (cl *cloud) names(who, query string) []string {
	cl.t.Helper()
	list := []string{}
	for _, i := range cl.do(who, "GET", "/v2/images"+query, nil).want(200)["images"].([]any) {
		list = append(list, i.(map[string]any)["name"].(string))
	}
	return list
}

func TestListFilters(t *testing.T) {
	cl := start(t, nil)
	for n := range 4 {
		id := cl.create(fields{"name": fmt.Sprint("n", n), "disk_format": []string{"raw", "ami"}[n%2], "tags": []string{"t", fmt.Sprint("t", n)}, "k": fmt.Sprint(n / 2), "protected": n == 2})
		if n != 3 {
			cl.put(id, strings.Repeat("x", 100*(n+1))).want(204)
		}
	}
	cl.create(fields{"name": "hidden", "os_hidden": true})
	cl.create(fields{"name": "a, b"})
	tests := map[string][]string{
		"?name=n1":                                     {"n1"},
		"?name=in:n1,n3,zz":                            {"n3", "n1"},
		`?name=in:"a, b",n0`:                           {"a, b", "n0"},
		"?name=eq:n2":                                  {"n2"},
		"?status=active&sort=name:asc":                 {"n0", "n1", "n2"},
		"?status=in:queued,saving":                     {"a, b", "n3"},
		"?disk_format=ami":                             {"n3", "n1"},
		"?tag=t&tag=t2":                                {"n2"},
		"?k=1&sort_key=name&sort_dir=desc":             {"n3", "n2"},
		"?size_min=150&size_max=300":                   {"n2", "n1"},
		"?size=100":                                    {"n0"},
		"?protected=true":                              {"n2"},
		"?protected=True":                              {"n2"},
		"?os_hidden=true":                              {"hidden"},
		"?owner=pd&limit=2":                            {"a, b", "n3"},
		"?owner=other":                                 {},
		"?visibility=public":                           {},
		"?visibility=shared&limit=1":                   {"a, b"},
		"?sort=size:asc,name:desc&limit=3":             {"n3", "a, b", "n0"},
		"?limit=0":                                     {},
		"?nothing=x":                                   {},
		"?created_at=gt:2020-01-01T00:00:00Z&limit=1":  {"a, b"},
		"?created_at=lte:2020-01-01":                   {},
		"?updated_at=neq:2020-01-01T00:00:00Z&limit=1": {"a, b"},
		"?min_disk_max=0&name=n0":                      {"n0"},
	}
	for query, want := range tests {
		q := strings.ReplaceAll(strings.ReplaceAll(query, " ", "%20"), `"`, "%22")
		if got := cl.names("demo", q); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	second := cl.show(cl.do("demo", "GET", "/v2/images?name=n1", nil).want(200)["images"].([]any)[0].(map[string]any)["id"].(string))["created_at"].(string)
	if got := cl.names("demo", "?name=n1&created_at=eq:"+url.QueryEscape(second)); !slices.Equal(got, []string{"n1"}) {
		t.Errorf("a time as it is shown finds %v", got)
	}
}

func TestPages(t *testing.T) {
	cl := start(t, nil)
	for n := range 7 {
		cl.create(fields{"name": fmt.Sprint("n", n)})
	}
	var got []string
	next := "/v2/images?limit=3&sort=name:asc&owner=pd"
	for pages := 0; next != ""; pages++ {
		if pages > 3 {
			t.Fatal("no end")
		}
		body := cl.do("demo", "GET", next, nil).want(200)
		if body["schema"] != "/v2/schemas/images" || !strings.HasPrefix(body["first"].(string), "/v2/images?") || strings.Contains(body["first"].(string), "marker") {
			t.Errorf("%v", body)
		}
		for _, i := range body["images"].([]any) {
			got = append(got, i.(map[string]any)["name"].(string))
		}
		next, _ = body["next"].(string)
	}
	if fmt.Sprint(got) != "[n0 n1 n2 n3 n4 n5 n6]" {
		t.Error(got)
	}
}

func TestMembers(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(fields{"visibility": "shared"})
	path := "/v2/images/" + id
	cl.do("alt", "GET", path, nil).want(404)
	if m := cl.do("demo", "POST", path+"/members", fields{"member": "pt"}).want(200); m["status"] != "pending" || m["member_id"] != "pt" || m["image_id"] != id {
		t.Errorf("%v", m)
	}
	cl.do("demo", "POST", path+"/members", fields{"member": "pt"}).want(409)
	cl.do("demo", "POST", path+"/members", fields{"member": "pz"}).want(200)
	cl.do("alt", "GET", path, nil).want(200)
	if got := cl.names("alt", ""); len(got) != 0 {
		t.Error(got)
	}
	if got := cl.names("alt", "?member_status=pending&visibility=shared"); len(got) != 1 {
		t.Error(got)
	}
	cl.do("alt", "PUT", path+"/members/pz", fields{"status": "accepted"}).want(404) // not even known to it
	cl.do("alt", "PUT", path+"/members/pt", fields{"status": "accepted"}).want(200)
	if got := cl.names("alt", ""); len(got) != 1 {
		t.Error(got)
	}
	if list := cl.do("alt", "GET", path+"/members", nil).want(200)["members"].([]any); len(list) != 1 {
		t.Errorf("a member sees %v", list)
	}
	if list := cl.do("demo", "GET", path+"/members", nil).want(200)["members"].([]any); len(list) != 2 {
		t.Errorf("the owner sees %v", list)
	}
	cl.do("alt", "PATCH", path, []any{fields{"op": "add", "path": "/x", "value": "y"}}, "Content-Type", "application/openstack-images-v2.1-json-patch").want(403)
	cl.do("alt", "DELETE", path, nil).want(403)
	cl.do("alt", "POST", path+"/members", fields{"member": "p4"}).want(403)
	cl.do("alt", "DELETE", path+"/members/pt", nil).want(403)
	cl.do("demo", "DELETE", path+"/members/pt", nil).want(204)
	cl.do("alt", "GET", path, nil).want(404)
}

func TestTags(t *testing.T) {
	cl := start(t, func(o *control.Options) { o.ImageTagQuota = 2 })
	id := cl.create(nil)
	for _, tag := range []string{"b", "a%20b", "b"} {
		cl.do("demo", "PUT", "/v2/images/"+id+"/tags/"+tag, nil).want(204)
	}
	cl.do("demo", "PUT", "/v2/images/"+id+"/tags/c", nil).want(413)
	if got := cl.show(id)["tags"]; fmt.Sprint(got) != "[a b b]" || len(got.([]any)) != 2 {
		t.Error(got)
	}
	cl.do("demo", "DELETE", "/v2/images/"+id+"/tags/b", nil).want(204)
	cl.do("demo", "DELETE", "/v2/images/"+id+"/tags/b", nil).want(404)
}
