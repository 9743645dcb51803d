package api

import (
	"strings"
	"testing"
)

// CVE-2017-7200: version 1 reads, so that nothing is fetched from a user's address.
func TestVersionOneReads(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(fields{"name": "one\r\nX-Evil: yes", "os_distro": "debian"})
	cl.put(id, "some data").want(204)
	empty := cl.create(fields{"name": "empty", "disk_format": "qcow2"})
	brief := cl.do("demo", "GET", "/v1/images?disk_format=raw", nil).want(200)["images"].([]any)
	if len(brief) != 1 || brief[0].(map[string]any)["id"] != id || brief[0].(map[string]any)["size"] != 9. || brief[0].(map[string]any)["status"] != nil {
		t.Error(brief)
	}
	whole := cl.do("demo", "GET", "/v1/images/detail?property-os_distro=debian", nil).want(200)["images"].([]any)
	if w := whole[0].(map[string]any); len(whole) != 1 || w["status"] != "active" || w["is_public"] != false || w["properties"].(map[string]any)["os_distro"] != "debian" || w["deleted_at"] != nil {
		t.Error(whole)
	}
	head := cl.do("demo", "HEAD", "/v1/images/"+id, nil)
	for name, want := range map[string]string{"Id": id, "Size": "9", "Is_public": "False", "Status": "active", "Property-Os_distro": "debian", "Name": "one  X-Evil: yes"} {
		if got := head.header.Get("X-Image-Meta-" + name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if head.status != 200 || head.header.Get("X-Evil") != "" {
		t.Error(head.status, head.header)
	}
	if got := cl.do("demo", "GET", "/v1/images/"+id, nil); got.status != 200 || string(got.body) != "some data" || got.header.Get("X-Image-Meta-Checksum") == "" {
		t.Error(got.status, string(got.body))
	}
	cl.do("demo", "GET", "/v1/images/"+empty, nil).want(404)
	cl.do("demo", "GET", "/v1/images?nonsense=1", nil).want(400)
	cl.do("demo", "GET", "/v1/images?is_public=maybe", nil).want(400)
	if got := cl.do("demo", "GET", "/images/"+id, nil).want(200)["image"].(map[string]any); got["id"] != id {
		t.Error(got)
	}
	cl.do("demo", "POST", "/v2/images/"+id+"/members", fields{"member": "pt"}).want(200)
	if got := cl.do("demo", "GET", "/v1/images/"+id+"/members", nil); !strings.Contains(string(got.body), `"member_id":"pt"`) {
		t.Error(string(got.body))
	}
	// Version 1 shows nothing that version 2 would not, and writes nothing
	// (OSSA-2013-007, OSSA-2012-017).
	for _, path := range []string{"/v1/images/" + empty, "/images/" + empty} {
		cl.do("alt", "GET", path, nil).want(404)
		cl.do("", "GET", path, nil).want(401)
		if got := cl.do("demo", "DELETE", path, nil); got.status != 405 {
			t.Error(path, got.status)
		}
	}
	if got := cl.do("demo", "GET", "/v1/images/detail", nil); strings.Contains(string(got.body), "file://") || strings.Contains(string(got.body), "location") {
		t.Error(string(got.body))
	}
}
