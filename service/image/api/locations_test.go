package api

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"kilonova/service/image/control"
)

// web serves files, and lets the service under test read from there.
func web(t *testing.T, files map[string]string) (base string, allow func(*control.Options)) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	}))
	t.Cleanup(srv.Close)
	u, _ := url.Parse(srv.URL)
	port, _ := strconv.Atoi(u.Port())
	return srv.URL, func(o *control.Options) {
		o.Filtering.AllowedHosts, o.Filtering.AllowedPorts = []string{"127.0.0.1"}, []int{port}
	}
}

func located(o *control.Options) { o.ShowLocations, o.ShowDirectURL = true, true }

func urls(body map[string]any) (all []string) {
	for _, l := range body["locations"].([]any) {
		all = append(all, l.(map[string]any)["url"].(string))
	}
	return all
}

func TestLocationsByPatch(t *testing.T) {
	base, allow := web(t, map[string]string{"/disk": strings.Repeat("data", 1000), "/qcow2": "QFI\xfb" + strings.Repeat("\x00", 200)})
	cl := start(t, func(o *control.Options) { allow(o); located(o) })
	id := cl.create(nil)
	at := "/v2/images/" + id
	do := func(status int, changes ...any) map[string]any {
		t.Helper()
		return cl.do("demo", "PATCH", at, patch(changes...), "Content-Type", patchV21).want(status)
	}
	loc := func(path string, more fields) fields {
		f := fields{"url": base + path, "metadata": fields{"foo": "bar"}}
		for k, v := range more {
			f[k] = v
		}
		return f
	}
	for _, bad := range []any{fields{"url": "file:///etc/passwd", "metadata": fields{}}, fields{"url": "filesystem:///etc/passwd"}, fields{"url": "swift+config://x/y/z"}, "text",
		fields{"url": "gopher://127.0.0.1/"}, loc("/none", nil), fields{"url": base + "/disk", "x": 1}, fields{"url": base + "/disk", "validation_data": fields{"x": "y"}}} {
		do(400, op("add", "/locations/-", bad))
	}
	if got := cl.show(id); got["status"] != "queued" || len(urls(got)) != 0 {
		t.Fatal(got)
	}
	do(415, op("add", "/locations/-", loc("/qcow2", nil)))
	got := do(200, op("add", "/locations/-", loc("/disk", nil)))
	if got["status"] != "active" || got["size"] != 4000. || got["direct_url"] != base+"/disk" || got["os_hash_value"] != nil {
		t.Fatal(got)
	}
	do(200, op("add", "/locations/-", loc("/disk", fields{"url": base + "/disk#new"})))
	do(400, op("add", "/locations/-", loc("/disk", nil)))
	do(400, op("add", "/locations/7", loc("/disk", fields{"url": base + "/disk#more"})))
	do(409, op("add", "/locations/-", loc("/disk", fields{"url": base + "/disk#sum", "validation_data": fields{"checksum": strings.Repeat("1", 32)}})))
	do(400, op("replace", "/locations", []any{}))
	do(400, op("replace", "/locations", []any{loc("/disk", nil)}))
	got = do(200, op("replace", "/locations", []any{loc("/disk", fields{"url": base + "/disk#new"}), loc("/disk", fields{"metadata": fields{"date": "x"}})}))
	if all := urls(got); len(all) != 2 || all[0] != base+"/disk#new" {
		t.Fatal(all)
	}
	if other := cl.do("alt", "GET", at, nil); other.status != 404 {
		t.Error(other.status)
	}
	// Who may use the image need not know where it lies.
	cl.do("admin", "PATCH", at, patch(op("replace", "/visibility", "public")), "Content-Type", patchV21).want(200)
	if other := cl.do("alt", "GET", at, nil).want(200); len(urls(other)) != 0 || other["direct_url"] != nil {
		t.Error(other)
	}
	if data := cl.do("demo", "GET", at+"/file", nil); data.status != 200 || len(data.body) != 4000 {
		t.Error(data.status, len(data.body))
	}
	if part := cl.do("demo", "GET", at+"/file", nil, "Range", "bytes=5-9"); part.status != 206 || string(part.body) != "atada" {
		t.Error(part.status, string(part.body))
	}
	do(200, op("remove", "/locations/0", nil))
	do(403, op("remove", "/locations/0", nil)) // OSSA-2016-006: an active image keeps its data
	if got := cl.show(id); got["status"] != "active" || len(urls(got)) != 1 {
		t.Error(got)
	}
	cl.do("demo", "DELETE", at, nil).want(204)
}

// CVE-2022-4134: unless an operator wants it, nobody sees or changes where an image's
// data lies, so that what an image's hash stands for is not put in another's place.
func TestLocationsHidden(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(nil)
	cl.put(id, "data").want(204)
	for _, who := range []string{"demo", "admin"} {
		cl.do(who, "PATCH", "/v2/images/"+id, patch(op("add", "/locations/-", fields{"url": "http://192.0.2.1/other", "metadata": fields{}})), "Content-Type", patchV21).want(403)
	}
	if got := cl.show(id); got["locations"] != nil || got["direct_url"] != nil {
		t.Error(got)
	}
}

// Locations of our own stores go with their data.
func TestRemovedLocationIsDeleted(t *testing.T) {
	base, allow := web(t, map[string]string{"/disk": "data"})
	cl := start(t, func(o *control.Options) { allow(o); located(o) })
	cl.run()
	id := cl.create(nil)
	cl.put(id, "data").want(204)
	cl.do("demo", "PATCH", "/v2/images/"+id, patch(op("add", "/locations/-", fields{"url": base + "/disk"}), op("remove", "/locations/0", nil)), "Content-Type", patchV21).want(200)
	cl.eventually("the blob is removed", func() bool { return len(cl.files("one")) == 0 })
}

// OSSA-2015-002, OSSA-2014-041: among others, no file of the host is an image's data.
func TestAddLocation(t *testing.T) {
	content := strings.Repeat("x", 100000)
	base, allow := web(t, map[string]string{"/disk": content})
	cl := start(t, allow)
	cl.run()
	sum := sha512.Sum512([]byte(content))
	right := hex.EncodeToString(sum[:])
	add := func(who, id string, body any) *answer {
		return cl.do(who, "POST", "/v2/images/"+id+"/locations", body)
	}
	id := cl.create(nil)
	add("alt", id, fields{"url": base + "/disk"}).want(404)
	add("reader", id, fields{"url": base + "/disk"}).want(403)
	add("demo", id, fields{"url": "file:///etc/passwd"}).want(400)
	add("demo", id, fields{"url": base + "/disk", "do_secure_hash": false}).want(400)
	add("demo", id, fields{"url": base + "/disk", "validation_data": fields{"os_hash_algo": "sha512", "os_hash_value": "beef"}}).want(400)
	if got := add("demo", id, fields{"url": base + "/disk"}); got.status != 202 || !bytes.Contains(got.body, []byte("/disk")) {
		t.Fatal(got.status, string(got.body))
	}
	cl.eventually("the image is hashed", func() bool {
		got := cl.show(id)
		return got["status"] == "active" && got["os_hash_value"] == right && got["size"] == 100000.
	})
	add("demo", id, fields{"url": base + "/disk"}).want(409)
	tasks := cl.do("demo", "GET", "/v2/images/"+id+"/tasks", nil).want(200)["tasks"].([]any)
	if len(tasks) != 1 || tasks[0].(map[string]any)["type"] != "location_import" || tasks[0].(map[string]any)["status"] != "success" {
		t.Error(tasks)
	}

	wrong := cl.create(nil)
	if got := add("demo", wrong, fields{"url": base + "/disk", "validation_data": fields{"os_hash_algo": "sha512", "os_hash_value": strings.Repeat("ab", 64)}}); got.status != 202 {
		t.Fatal(got.status)
	}
	cl.eventually("the image is queued again", func() bool {
		tasks := cl.do("demo", "GET", "/v2/images/"+wrong+"/tasks", nil).want(200)["tasks"].([]any)
		return tasks[0].(map[string]any)["status"] == "failure" && cl.show(wrong)["status"] == "queued"
	})
	good := cl.create(nil)
	if got := add("demo", good, fields{"url": base + "/disk", "validation_data": fields{"os_hash_algo": "sha512", "os_hash_value": right}}); got.status != 202 {
		t.Fatal(got.status)
	}
	cl.eventually("the image is active", func() bool { return cl.show(good)["status"] == "active" && cl.show(good)["os_hash_value"] == right })
}
