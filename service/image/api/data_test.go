package api

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kilonova/service/image/control"
)

// qcow2 makes an image with a disk of 1 GiB; backing gives it a backing file.
func qcow2(backing bool) []byte {
	h := make([]byte, 128<<10)
	copy(h, "QFI\xfb")
	binary.BigEndian.PutUint32(h[4:], 3)
	binary.BigEndian.PutUint32(h[20:], 16)
	binary.BigEndian.PutUint64(h[24:], 1<<30)
	binary.BigEndian.PutUint32(h[100:], 104)
	if backing {
		binary.BigEndian.PutUint64(h[8:], 512)
		binary.BigEndian.PutUint32(h[16:], 11)
		copy(h[512:], "/etc/passwd")
	}
	return h
}

func TestUploadAndDownload(t *testing.T) {
	cl := start(t, nil)
	data := bytes.Repeat([]byte("0123456789abcdef"), 100000) // more than two chunks
	for _, size := range []int{0, 1, 1000, 512 << 10, len(data)} {
		id := cl.create(nil)
		cl.do("demo", "GET", "/v2/images/"+id+"/file", nil).want(204)
		cl.put(id, io.MultiReader(bytes.NewReader(data[:size]))).want(204) // chunked: of unknown size
		sum, multi := md5.Sum(data[:size]), sha512.Sum512(data[:size])
		got := cl.show(id)
		if got["status"] != "active" || got["size"] != float64(size) || got["virtual_size"] != float64(size) || got["checksum"] != hex.EncodeToString(sum[:]) ||
			got["os_hash_algo"] != "sha512" || got["os_hash_value"] != hex.EncodeToString(multi[:]) || got["stores"] != "one" {
			t.Errorf("%d: %v", size, got)
		}
		a := cl.do("demo", "GET", "/v2/images/"+id+"/file", nil)
		if a.want(200); !bytes.Equal(a.body, data[:size]) || a.header.Get("Content-Md5") != hex.EncodeToString(sum[:]) || a.header.Get("Content-Type") != octets {
			t.Errorf("%d: %d bytes, %v", size, len(a.body), a.header)
		}
		head := cl.do("demo", "HEAD", "/v2/images/"+id+"/file", nil)
		if head.want(200); head.header.Get("Content-Length") != fmt.Sprint(size) {
			t.Errorf("%v", head.header)
		}
	}
	id := cl.create(fields{"disk_format": "qcow2"})
	cl.do("demo", "PUT", "/v2/images/"+id+"/file", qcow2(false), "Content-Type", octets, "X-Image-Meta-Store", "two").want(204)
	if got := cl.show(id); got["virtual_size"] != float64(1<<30) || got["stores"] != "two" {
		t.Errorf("%v", got)
	}
	if got := cl.do("admin", "GET", "/v2/images/"+id+"/locations", nil); got.status != 200 || !strings.Contains(string(got.body), `"store":"two"`) {
		t.Errorf("%s", got.body)
	}
}

// TestManyLargeUploads has more streams at a time than have large pieces, all of more
// than their pieces hold.
func TestManyLargeUploads(t *testing.T) {
	cl := start(t, nil)
	data := make([]byte, 17<<20+12345)
	rand.NewChaCha8([32]byte{}).Read(data)
	sum, multi := md5.Sum(data), sha512.Sum512(data)
	var uploads sync.WaitGroup
	for range 5 {
		id := cl.create(nil)
		uploads.Go(func() {
			a := cl.put(id, io.MultiReader(bytes.NewReader(data)))
			got, back := cl.show(id), cl.do("demo", "GET", "/v2/images/"+id+"/file", nil)
			if a.status != 204 || got["checksum"] != hex.EncodeToString(sum[:]) || got["os_hash_value"] != hex.EncodeToString(multi[:]) || !bytes.Equal(back.body, data) {
				t.Errorf("%d, %v, %d bytes came back", a.status, got, len(back.body))
			}
		})
	}
	uploads.Wait()
	id := cl.create(nil)
	req, _ := http.NewRequest("PUT", cl.url+"/v2/images/"+id+"/file", &cut{9 << 20})
	req.Header.Set("X-Auth-Token", "demo")
	req.Header.Set("Content-Type", octets)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		t.Errorf("cut off, and answered %s", resp.Status)
	}
	cl.eventually("queued again", func() bool { return cl.show(id)["status"] == "queued" })
	cl.eventually("nothing is left", func() bool { return len(cl.files("one")) == 5 })
}

func TestRefusedUploads(t *testing.T) {
	cl := start(t, func(o *control.Options) { o.ImageSizeCap, o.UserStorageQuota = 1<<20, "1 MB" })
	cl.run()
	used := cl.create(nil)
	cl.put(used, make([]byte, 700<<10)).want(204)
	before := cl.rows()
	tests := []struct {
		name, disk, container string
		data                  any
		header                []string
		status                int
		mention               string
	}{
		{"CVE-2015-5163: backing file", "qcow2", "bare", qcow2(true), nil, 415, "backing file"},
		{"CVE-2015-5163: backing file as raw", "raw", "bare", qcow2(true), nil, 415, "does not match stream data qcow2"},
		{"CVE-2015-5163: backing file in an ovf", "qcow2", "ovf", qcow2(true), nil, 415, "backing file"},
		{"raw as qcow2", "qcow2", "bare", "just text", nil, 415, "does not match"},
		{"a large one as qcow2", "qcow2", "bare", make([]byte, 300<<10), nil, 415, "does not match"},
		{"CVE-2022-47951: flat extent", "vmdk", "bare", "# Disk DescriptorFile\nversion=1\nRW 1 FLAT \"/etc/passwd\" 0\n", nil, 415, "monolithicSparse"},
		{"CVE-2014-5356: more than the cap, announced", "raw", "bare", make([]byte, 2<<20), nil, 413, "too large"},
		{"CVE-2014-9623: more than the quota, announced", "raw", "bare", make([]byte, 500<<10), nil, 413, "quota"},
		{"CVE-2014-9623: more than the quota, not announced", "raw", "bare", io.MultiReader(bytes.NewReader(make([]byte, 500<<10))), nil, 413, "quota"},
		{"less than was announced", "raw", "bare", io.MultiReader(strings.NewReader("abc")), []string{"X-Openstack-Image-Size", "5"}, 400, "announced"},
		{"other than was announced", "raw", "bare", "abc", []string{"X-Openstack-Image-Size", "5"}, 400, "image size"},
		{"nonsense announced", "raw", "bare", "abc", []string{"X-Openstack-Image-Size", "many"}, 400, "image size"},
		{"no such store", "raw", "bare", "abc", []string{"X-Image-Meta-Store", "three"}, 400, "not available"},
		{"formats not known", "", "", "abc", nil, 400, "Properties disk_format, container_format must be set"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fields{"disk_format": tt.disk, "container_format": tt.container}
			if tt.disk == "" {
				f = fields{"disk_format": nil, "container_format": nil}
			}
			id := cl.create(f)
			a := cl.do("demo", "PUT", "/v2/images/"+id+"/file", tt.data, append(tt.header, "Content-Type", octets)...)
			if a.status != tt.status || !strings.Contains(string(a.body), tt.mention) {
				t.Errorf("status %d, want %d with %q: %s", a.status, tt.status, tt.mention, a.body)
			}
			if got := cl.show(id); got["status"] != "queued" || got["size"] != nil || got["checksum"] != nil {
				t.Errorf("%v", got)
			}
			cl.eventually("nothing is left", func() bool { return len(cl.files("one")) == 1 })
			cl.do("demo", "DELETE", "/v2/images/"+id, nil).want(204)
		})
	}
	t.Run("cut off", func(t *testing.T) {
		id := cl.create(nil)
		req, _ := http.NewRequest("PUT", cl.url+"/v2/images/"+id+"/file", &cut{200 << 10})
		req.Header.Set("X-Auth-Token", "demo")
		req.Header.Set("Content-Type", octets)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			t.Errorf("answered %s", resp.Status)
		}
		cl.eventually("queued again", func() bool { return cl.show(id)["status"] == "queued" })
		cl.eventually("nothing is left", func() bool { return len(cl.files("one")) == 1 })
		cl.do("demo", "DELETE", "/v2/images/"+id, nil).want(204)
	})
	cl.eventually("no rows are left", func() bool {
		after := cl.rows()
		return after[:strings.Index(after, "image_ids")]+after[strings.Index(after, "image_prop"):] ==
			before[:strings.Index(before, "image_ids")]+before[strings.Index(before, "image_prop"):]
	})
}

func TestLenientMatchStillRefusesDanger(t *testing.T) {
	cl := start(t, func(o *control.Options) { o.Format.RequireMatch = false })
	cl.put(cl.create(nil), qcow2(false)).want(204)
	cl.put(cl.create(fields{"disk_format": "vdi"}), "text").want(204)
	cl.put(cl.create(nil), qcow2(true)).want(415)
}

// slow is a body that goes on when it is told to.
type slow struct {
	started chan struct{}
	goOn    chan struct{}
	data    io.Reader
	once    bool
	release func()
}

func (s *slow) Read(p []byte) (int, error) {
	if !s.once {
		s.once = true
		return copy(p, "begin"), nil
	}
	if s.started != nil {
		close(s.started)
		s.started = nil
		<-s.goOn
	}
	return s.data.Read(p)
}

func (cl *cloud) slowPut(id string) (body *slow, status chan int) {
	body, status = &slow{started: make(chan struct{}), goOn: make(chan struct{}), data: strings.NewReader("end")}, make(chan int, 1)
	started := body.started
	body.release = sync.OnceFunc(func() { close(body.goOn) })
	cl.t.Cleanup(body.release) // or the server would wait for a test that failed
	go func() {
		req, _ := http.NewRequest("PUT", cl.url+"/v2/images/"+id+"/file", body)
		req.Header.Set("X-Auth-Token", "demo")
		req.Header.Set("Content-Type", octets)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	<-started
	cl.eventually("saving", func() bool { return cl.show(id)["status"] == "saving" })
	return body, status
}

// What is deleted while it is uploaded leaves nothing.
func TestDeleteDuringUpload(t *testing.T) {
	cl := start(t, nil)
	cl.run()
	id := cl.create(nil)
	body, status := cl.slowPut(id)
	cl.put(id, "second").want(409)
	cl.do("demo", "DELETE", "/v2/images/"+id, nil).want(204)
	body.release()
	if got := <-status; got != 410 {
		t.Errorf("status %d", got)
	}
	cl.do("demo", "GET", "/v2/images/"+id, nil).want(404)
	cl.eventually("nothing is left", func() bool { return len(cl.files("one")) == 0 })
}

// The writer of an upload dies: after its lease the image is queued again.
func TestAbandonedUploadIsSweptAndCannotComeBack(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(nil)
	body, status := cl.slowPut(id)
	cl.eventually("begun", func() bool { return len(cl.files("one")) == 1 })
	cl.clock.advance(time.Hour)
	cl.run()
	cl.eventually("queued again", func() bool { return cl.show(id)["status"] == "queued" })
	cl.eventually("nothing is left", func() bool { return len(cl.files("one")) == 0 })
	cl.put(id, "again").want(204)
	body.release() // it was not dead after all
	if got := <-status; got != 410 && got != 409 {
		t.Errorf("status %d", got)
	}
	if got := cl.show(id); got["status"] != "active" || got["size"] != 5.0 {
		t.Errorf("%v", got)
	}
	if a := cl.do("demo", "GET", "/v2/images/"+id+"/file", nil); string(a.body) != "again" {
		t.Errorf("%q", a.body)
	}
	cl.eventually("one blob", func() bool { return len(cl.files("one")) == 1 })
}

// OSSA-2015-003: uploads side by side cannot have together what each may have.
func TestQuotaHoldsForUploadsAtTheSameTime(t *testing.T) {
	cl := start(t, func(o *control.Options) { o.UserStorageQuota = "10 B" })
	cl.run()
	id := cl.create(nil)
	body, status := cl.slowPut(id)
	cl.put(cl.create(nil), "12345").want(204)
	body.release() // "begin" and "end" are 8 bytes
	if got := <-status; got != 413 {
		t.Errorf("status %d", got)
	}
	if got := cl.show(id); got["status"] != "queued" {
		t.Errorf("%v", got)
	}
	cl.eventually("nothing is left", func() bool { return len(cl.files("one")) == 1 })
}

// Nor can imports.
func TestQuotaHoldsForImportsAtTheSameTime(t *testing.T) {
	cl := start(t, func(o *control.Options) { o.UserStorageQuota = "10 B" })
	var ids []string
	for range 6 {
		id := cl.create(nil)
		cl.stage(id, "12345").want(204)
		cl.do("demo", "POST", "/v2/images/"+id+"/import", fields{"method": fields{"name": "glance-direct"}}).want(202)
		ids = append(ids, id)
	}
	cl.run()
	count := map[any]int{}
	cl.eventually("all imports are over", func() bool {
		clear(count)
		for _, id := range ids {
			count[cl.show(id)["status"]]++
		}
		return count["importing"] == 0
	})
	if count["active"] != 2 || count["queued"] != 4 {
		t.Errorf("%v", count)
	}
	cl.eventually("nothing is left", func() bool { return len(cl.files("one")) == 2 && len(cl.files("stage")) == 0 })
}

func TestDeleteDuringDownload(t *testing.T) {
	cl := start(t, nil)
	cl.run()
	id := cl.create(nil)
	data := bytes.Repeat([]byte("x"), 32<<20) // more than sockets hold
	cl.put(id, data).want(204)
	req, _ := http.NewRequest("GET", cl.url+"/v2/images/"+id+"/file", nil)
	req.Header.Set("X-Auth-Token", "demo")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, 1000)
	cl.do("demo", "DELETE", "/v2/images/"+id, nil).want(204)
	cl.eventually("the file is gone", func() bool { return len(cl.files("one")) == 0 })
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(data))-1000 {
		t.Errorf("%d bytes, %v", n, err)
	}
	cl.do("demo", "GET", "/v2/images/"+id+"/file", nil).want(404)
}

func TestDeactivate(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(fields{"visibility": "community"})
	cl.put(id, "data").want(204)
	for range 2 {
		cl.do("demo", "POST", "/v2/images/"+id+"/actions/deactivate", nil).want(204)
	}
	cl.do("demo", "GET", "/v2/images/"+id+"/file", nil).want(403)
	cl.do("admin", "GET", "/v2/images/"+id+"/file", nil).want(200)
	cl.do("alt", "POST", "/v2/images/"+id+"/actions/reactivate", nil).want(403)
	for range 2 {
		cl.do("demo", "POST", "/v2/images/"+id+"/actions/reactivate", nil).want(204)
	}
	cl.do("alt", "GET", "/v2/images/"+id+"/file", nil).want(200)
}

func (cl *cloud) stage(id string, data any) *answer {
	cl.t.Helper()
	return cl.do("demo", "PUT", "/v2/images/"+id+"/stage", data, "Content-Type", octets)
}

func (cl *cloud) task(id string) map[string]any {
	cl.t.Helper()
	return cl.do("demo", "GET", "/v2/images/"+id+"/tasks", nil).want(200)["tasks"].([]any)[0].(map[string]any)
}

func TestImportStaged(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(fields{"disk_format": "qcow2"})
	cl.stage(id, qcow2(false)).want(204)
	if got := cl.show(id); got["status"] != "uploading" || got["size"] != float64(128<<10) {
		t.Errorf("%v", got)
	}
	a := cl.do("demo", "POST", "/v2/images/"+id+"/import", fields{"method": fields{"name": "glance-direct"}, "all_stores": true})
	a.want(202)
	if got := cl.show(id); got["status"] != "importing" || got["os_glance_importing_to_stores"] != "one,two" {
		t.Errorf("%v", got)
	}
	if got := cl.task(id); got["status"] != "pending" || got["request_id"] != a.header.Get("X-Openstack-Request-Id") || got["image_id"] != id {
		t.Errorf("%v", got)
	}
	cl.do("demo", "POST", "/v2/images/"+id+"/import", fields{"method": fields{"name": "glance-direct"}}).want(409)
	cl.run()
	cl.eventually("active", func() bool { return cl.show(id)["status"] == "active" })
	if got := cl.show(id); got["stores"] != "one,two" || got["virtual_size"] != float64(1<<30) || got["os_glance_importing_to_stores"] != "" || got["os_glance_import_task"] != nil {
		t.Errorf("%v", got)
	}
	if got := cl.task(id); got["status"] != "success" || got["expires_at"] == nil {
		t.Errorf("%v", got)
	}
	cl.eventually("the stage is empty", func() bool { return len(cl.files("stage")) == 0 })
	if a := cl.do("demo", "GET", "/v2/images/"+id+"/file?prefer=two", nil); !bytes.Equal(a.body, qcow2(false)) {
		t.Error("other data")
	}
	cl.do("admin", "DELETE", "/v2/stores/one/"+id, nil).want(204)
	cl.eventually("gone from one", func() bool { return len(cl.files("one")) == 0 })
	cl.do("admin", "POST", "/v2/images/"+id+"/import", fields{"method": fields{"name": "copy-image"}, "all_stores": true}).want(202)
	cl.eventually("copied back", func() bool { return cl.show(id)["stores"] == "two,one" })
	cl.do("demo", "DELETE", "/v2/images/"+id, nil).want(204)
	cl.eventually("nothing is left", func() bool { return len(cl.files("one"))+len(cl.files("two")) == 0 })
	if got := cl.do("admin", "GET", "/v2/tasks?limit=1", nil).want(200); len(got["tasks"].([]any)) != 1 || got["next"] == nil {
		t.Errorf("%v", got)
	}
}

func TestImportRefusesLies(t *testing.T) {
	cl := start(t, nil)
	cl.run()
	id := cl.create(fields{"disk_format": "qcow2"})
	cl.stage(id, qcow2(true)).want(204)
	cl.do("demo", "POST", "/v2/images/"+id+"/import", fields{"method": fields{"name": "glance-direct"}}).want(202)
	cl.eventually("failed", func() bool { return cl.task(id)["status"] == "failure" })
	if got := cl.show(id); got["status"] != "queued" || got["os_glance_failed_import"] != "one" || !strings.Contains(cl.task(id)["message"].(string), "backing file") {
		t.Errorf("%v %v", got, cl.task(id))
	}
	cl.eventually("nothing is left", func() bool { return len(cl.files("one"))+len(cl.files("stage")) == 0 })
	cl.put(id, qcow2(false)).want(204) // it may be tried again
}

func TestForgottenStageIsSwept(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(nil)
	cl.stage(id, "data").want(204)
	cl.clock.advance(time.Hour)
	cl.run()
	cl.stage(id, "data").want(409)
	cl.clock.advance(100 * time.Hour)
	if err := cl.c.Run(timeout(t)); err != nil {
		t.Fatal(err)
	}
	if got := cl.show(id)["status"]; got != "queued" {
		t.Error(got)
	}
	cl.eventually("nothing is left", func() bool { return len(cl.files("stage")) == 0 })
}

// timeout is a context for one sweep.
func timeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestImportOfDeletedImage(t *testing.T) {
	cl := start(t, nil)
	id := cl.create(nil)
	cl.stage(id, "data").want(204)
	cl.do("demo", "POST", "/v2/images/"+id+"/import", fields{"method": fields{"name": "glance-direct"}}).want(202)
	cl.do("demo", "DELETE", "/v2/images/"+id, nil).want(204)
	cl.run()
	cl.eventually("nothing is left", func() bool {
		return len(cl.files("one"))+len(cl.files("stage")) == 0 && strings.HasSuffix(cl.rows(), " tasks 0 ")
	})
}

func TestInfo(t *testing.T) {
	cl := start(t, nil)
	cl.put(cl.create(nil), make([]byte, 3<<20)).want(204)
	if got := cl.do("demo", "GET", "/v2/info/stores", nil); string(got.body) != `{"stores":[{"id":"one","description":"store one","default":"true"},{"id":"two","description":"store two"},{"id":"web","read-only":"true"}]}` {
		t.Errorf("%s", got.body)
	}
	if got := cl.do("admin", "GET", "/v2/info/stores/detail", nil).want(200); got["stores"].([]any)[0].(map[string]any)["type"] != "file" {
		t.Errorf("%v", got)
	}
	if got := cl.do("demo", "GET", "/v2/info/usage", nil); !strings.Contains(string(got.body), `"image_size_total":{"limit":-1,"usage":3}`) {
		t.Errorf("%s", got.body)
	}
	names := cl.do("demo", "GET", "/v2/info/import", nil).want(200)["import-methods"].(map[string]any)["value"].([]any)
	if !slices.Equal(names, []any{"glance-direct", "copy-image"}) {
		t.Error(names)
	}
}
