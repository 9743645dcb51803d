package api

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"kilonova/service/image/control"
)

// The published advisories on Glance that can apply to us; docs/advisories.md
// says where the others' tests are, and why some cannot apply.

// endless is data that says nothing of its length.
func endless(n int) io.Reader {
	return io.MultiReader(strings.NewReader(strings.Repeat("x", n)), strings.NewReader(""))
}

// OSSA-2015-019 (CVE-2015-5251), OSSA-2012-017: nobody sets an image's status by
// a header or a member, by any version of the API.
func TestOSSA2015019StatusIsNotTheClients(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(nil)
	cl.put(id, "data").want(204)
	for _, method := range []string{"PUT", "POST", "DELETE", "PATCH"} {
		if got := cl.do("demo", method, "/v1/images/"+id, "x", "X-Image-Meta-Status", "queued"); got.status != 405 {
			t.Error(method, got.status)
		}
	}
	cl.do("demo", "PUT", "/v2/images/"+id+"/file", "other", "Content-Type", octets, "X-Image-Meta-Status", "queued").want(409)
	cl.do("demo", "PATCH", "/v2/images/"+id, patch(op("replace", "/status", "queued")), "Content-Type", patchV21).want(403)
	cl.do("demo", "POST", "/v2/images", fields{"status": "active"}).want(403)
	if got := cl.show(id); got["status"] != "active" {
		t.Error(got["status"])
	}
}

// OSSA-2015-020 (CVE-2015-5286), OSSA-2014-028 (CVE-2014-5356): neither quota nor
// cap is got around by not saying how much will come, or by deleting meanwhile.
func TestOSSA2015020QuotaOfDataWithoutLength(t *testing.T) {
	cl := start(t, func(o *control.Options) { o.UserStorageQuota, o.ImageSizeCap = "1000 B", 5000 })
	cl.run()
	id := cl.create(nil)
	if got := cl.put(id, endless(1001)); got.status != 413 {
		t.Error("above the quota:", got.status)
	}
	if got := cl.put(id, endless(6000)); got.status != 413 {
		t.Error("above the cap:", got.status)
	}
	gone := cl.create(nil)
	body, status := cl.slowPut(gone)
	cl.do("demo", "DELETE", "/v2/images/"+gone, nil).want(204)
	body.release()
	if got := <-status; got != 410 {
		t.Error(got)
	}
	cl.put(id, endless(1000)).want(204)
	if got := cl.put(cl.create(nil), endless(1)); got.status != 413 {
		t.Error("beside another:", got.status)
	}
	cl.eventually("only the one is there", func() bool { return len(cl.files("one")) == 1 })
}

// OSSA-2015-004 (CVE-2014-9684), OSSA-2015-013 (CVE-2015-3289): an import whose
// image is deleted, or that fails, leaves nothing in any store.
func TestOSSA2015004ImportsLeaveNothing(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(nil)
	cl.do("demo", "PUT", "/v2/images/"+id+"/stage", strings.Repeat("x", 100000), "Content-Type", octets).want(204)
	cl.do("demo", "POST", "/v2/images/"+id+"/import", fields{"method": fields{"name": "glance-direct"}, "all_stores": true}).want(202)
	cl.do("demo", "DELETE", "/v2/images/"+id, nil).want(204)
	wrong := cl.create(fields{"disk_format": "qcow2"})
	cl.do("demo", "PUT", "/v2/images/"+wrong+"/stage", "no qcow2", "Content-Type", octets).want(204)
	cl.do("demo", "POST", "/v2/images/"+wrong+"/import", fields{"method": fields{"name": "glance-direct"}, "all_stores": true}).want(202)
	cl.run()
	cl.eventually("the import fails", func() bool { return cl.show(wrong)["status"] == "queued" })
	cl.eventually("nothing is left", func() bool { return len(cl.files("one"))+len(cl.files("two"))+len(cl.files("stage")) == 0 })
}

// OSSA-2016-012 (CVE-2015-5162): an image that claims to be huge is refused
// before a program opens it.
func TestOSSA2016012HugeDisksAreNotConverted(t *testing.T) {
	cl := start(t, func(o *control.Options) { o.ImportOpts.Plugins, o.ImageSizeCap = []string{"image_conversion"}, 1<<30 })
	cl.run()
	head := make([]byte, 64<<10)
	copy(head, "QFI\xfb")
	binary.BigEndian.PutUint32(head[4:], 2)
	binary.BigEndian.PutUint32(head[20:], 16)
	binary.BigEndian.PutUint64(head[24:], 1<<50)
	id := cl.create(fields{"disk_format": "qcow2"})
	cl.importing(id, head)
	if status, message := cl.ended(id); status != "failure" || !strings.Contains(message, "too large") {
		t.Error(status, message)
	}
}

// OSSA-2015-014 (CVE-2015-5163), OSSA-2024-001 (CVE-2024-32498), OSSA-2023-002
// (CVE-2022-47951): what reaches for files of the host is refused at the door, as
// whatever it is offered.
func TestOSSA2024001ImagesThatReachForFiles(t *testing.T) {
	cl := start(t, nil)
	cl.run()
	qcow := func(backing, features uint64) []byte {
		head := make([]byte, 64<<10)
		copy(head, "QFI\xfb")
		binary.BigEndian.PutUint32(head[4:], 3)
		binary.BigEndian.PutUint64(head[8:], backing)
		binary.BigEndian.PutUint32(head[16:], uint32(backing/20))
		binary.BigEndian.PutUint32(head[20:], 16)
		binary.BigEndian.PutUint64(head[24:], 1<<20)
		binary.BigEndian.PutUint64(head[72:], features)
		binary.BigEndian.PutUint32(head[100:], 104)
		copy(head[200:], "/etc/passwd")
		return head
	}
	flat := "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 2048 FLAT \"/etc/passwd\" 0\n"
	for name, data := range map[string][]byte{"backing file": qcow(200, 0), "data file": qcow(0, 4), "flat VMDK": []byte(flat), "spaced VMDK": []byte("\n\n  " + flat)} {
		for _, format := range []string{"raw", "qcow2", "vmdk", "iso", "ami", "vhd"} {
			id := cl.create(fields{"disk_format": format, "container_format": map[bool]string{true: "ami", false: "bare"}[format == "ami"]})
			if got := cl.put(id, bytes.NewReader(data)); got.status != 415 {
				t.Errorf("%s as %s: %d %s", name, format, got.status, got.body)
			}
		}
	}
	cl.eventually("nothing is left", func() bool { return len(cl.files("one")) == 0 })
}

// OSSA-2026-004 (CVE-2026-34881): imports cannot be led to where only this
// service can go, however the address is written.
func TestOSSA2026004ImportsAreNotLedInside(t *testing.T) {
	cl := start(t, func(o *control.Options) {
		o.EnabledImportMethods = []string{"web-download"}
		o.Filtering.AllowedPorts = nil
	})
	cl.run()
	for _, uri := range []string{"http://127.0.0.1/", "http://[::1]/", "http://2130706433/", "http://0x7f.1/", "http://017700000001/", "http://localhost./",
		"http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://10.0.0.1/", "http://user@127.0.0.1/", "file:///etc/passwd", "http://"} {
		id := cl.create(nil)
		got := cl.do("demo", "POST", "/v2/images/"+id+"/import", fields{"method": fields{"name": "web-download", "uri": uri}})
		if got.status == 400 {
			continue
		}
		got.want(202)
		if status, message := cl.ended(id); status != "failure" {
			t.Errorf("%s: %s %s", uri, status, message)
		}
	}
	if len(cl.files("one")) != 0 {
		t.Error("something was fetched")
	}
}
