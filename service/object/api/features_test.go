package api

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestExpiry(t *testing.T) {
	s := open(t, nil)
	s.must(201, "PUT", "/box", "")
	s.must(201, "PUT", "/box/o", "x", "X-Delete-After", "60")
	if at := s.must(200, "HEAD", "/box/o", "").head.Get("X-Delete-At"); at != fmt.Sprint(s.now.Unix()+60) {
		t.Error(at)
	}
	s.now = s.now.Add(time.Minute)
	for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
		s.wants(s.do(owner, method, "/v1/AUTH_p/box/o", ""), 404, method+" of what has ended")
	}
	s.must(400, "PUT", "/box/o", "x", "X-Delete-At", "12")
	s.must(400, "PUT", "/box/o", "x", "X-Delete-After", "soon")
	s.must(201, "PUT", "/box/o", "y", "X-Delete-After", "60")
	s.must(202, "POST", "/box/o", "") // without a word it stays
	s.now = s.now.Add(time.Hour)
	s.must(200, "GET", "/box/o", "")
}

func TestQuotas(t *testing.T) {
	s := open(t, nil)
	s.must(201, "PUT", "/box", "", "X-Container-Meta-Quota-Bytes", "10", "X-Container-Meta-Quota-Count", "2")
	s.must(400, "POST", "/box", "", "X-Container-Meta-Quota-Bytes", "many")
	s.must(201, "PUT", "/box/a", "123456")
	s.must(413, "PUT", "/box/b", "12345")
	s.must(201, "PUT", "/box/b", "1234")
	s.must(413, "PUT", "/box/c", "")
	s.must(413, "COPY", "/box/a", "", "Destination", "box/c")
	// An account's quota is not the owner's to say.
	s.wants(s.do(owner, "POST", "/v1/AUTH_p", "", "X-Account-Meta-Quota-Bytes", "100"), 403, "the owner sets a quota")
	s.wants(s.do(seller, "POST", "/v1/AUTH_p", "", "X-Account-Meta-Quota-Bytes", "12"), 204, "who sells sets a quota")
	s.wants(s.do(owner, "POST", "/v1/AUTH_p", "", "X-Remove-Account-Meta-Quota-Bytes", ""), 403, "the owner removes a quota")
	s.must(201, "PUT", "/other", "")
	s.must(413, "PUT", "/other/c", "123")
	s.must(201, "PUT", "/other/c", "12")
}

func TestVersionsAndHistory(t *testing.T) {
	s := open(t, nil)
	s.must(201, "PUT", "/old", "")
	s.must(201, "PUT", "/box", "", "X-Versions-Location", "old")
	for i := range 3 {
		s.must(201, "PUT", "/box/o", fmt.Sprint("content ", i))
		s.now = s.now.Add(time.Second)
	}
	if n := len(strings.Fields(s.must(200, "GET", "/old", "").body)); n != 2 {
		t.Error(n)
	}
	for i := range 3 {
		if got := s.must(200, "GET", "/box/o", "").body; got != fmt.Sprint("content ", 2-i) {
			t.Error(i, got)
		}
		s.must(204, "DELETE", "/box/o", "")
	}
	s.must(404, "GET", "/box/o", "")
	s.must(204, "GET", "/old", "")
	s.must(202, "PUT", "/box", "", "X-History-Location", "old")
	if h := s.must(204, "HEAD", "/box", "").head; h.Get("X-Versions-Location") != "" || h.Get("X-History-Location") != "old" {
		t.Error(h)
	}
	s.must(201, "PUT", "/box/o", "content")
	s.must(204, "DELETE", "/box/o", "")
	if list := s.must(200, "GET", "/old?format=json", "").body; !strings.Contains(list, "x-deleted") || strings.Count(list, `"name"`) != 2 {
		t.Error(list)
	}
	s.must(412, "PUT", "/third", "", "X-Versions-Location", "a/b")
	s.must(201, "PUT", "/third", "", "X-Versions-Location", "nowhere")
	s.must(201, "PUT", "/third/o", "1")
	s.must(412, "PUT", "/third/o", "2")
}

// OSSA-2015-006: who may not write to a container may not have its versions come back
// either, whatever may be done with the container that they are in.
func TestOSSA2015006VersionsAreTheContainers(t *testing.T) {
	s := open(t, nil)
	s.must(201, "PUT", "/old", "", "X-Container-Write", "q:v", "X-Container-Read", "q:v")
	s.must(201, "PUT", "/box", "", "X-Versions-Location", "old", "X-Container-Read", "q:v")
	s.must(201, "PUT", "/box/o", "1")
	s.must(201, "PUT", "/box/o", "2")
	s.wants(s.do(stranger, "DELETE", "/v1/AUTH_p/box/o", ""), 403, "deleting a version")
	if got := s.must(200, "GET", "/box/o", "").body; got != "2" {
		t.Error(got)
	}
}

func TestLargeObjects(t *testing.T) {
	s := open(t, nil)
	s.must(201, "PUT", "/seg", "")
	s.must(201, "PUT", "/box", "")
	for i, part := range []string{"0123", "4567", "89ab"} {
		s.must(201, "PUT", fmt.Sprintf("/seg/%d", i), part)
	}
	s.must(400, "PUT", "/box/slo?multipart-manifest=put", `[{"path":"/seg/0","size_bytes":5}]`)
	s.must(400, "PUT", "/box/slo?multipart-manifest=put", `[{"path":"/seg/9"}]`)
	s.must(400, "PUT", "/box/slo?multipart-manifest=put", `{}`)
	s.must(201, "PUT", "/box/inner?multipart-manifest=put", `[{"path":"/seg/0"},{"path":"seg/1","range":"1-2"}]`)
	s.must(201, "PUT", "/box/slo?multipart-manifest=put", `[{"path":"/box/inner","range":"2-"},{"path":"/seg/2","size_bytes":4}]`)
	if got := s.must(200, "GET", "/box/slo", ""); got.body != "235689ab" || got.head.Get("X-Static-Large-Object") == "" || got.head.Get("Content-Length") != "8" {
		t.Error(got)
	}
	if got := s.must(206, "GET", "/box/slo", "", "Range", "bytes=1-4").body; got != "3568" {
		t.Error(got)
	}
	if got := s.must(206, "GET", "/box/slo", "", "Range", "bytes=0-0,6-").body; !strings.Contains(got, "\r\n\r\n2\r\n") || !strings.Contains(got, "\r\n\r\nab\r\n") {
		t.Error(got)
	}
	if got := s.must(200, "GET", "/box/slo?multipart-manifest=get", "").body; !strings.Contains(got, `"/box/inner"`) {
		t.Error(got)
	}
	// A copy is of the content, unless it is asked for as a list.
	s.must(201, "COPY", "/box/slo", "", "Destination", "box/plain")
	if got := s.must(200, "GET", "/box/plain", ""); got.body != "235689ab" || got.head.Get("X-Static-Large-Object") != "" {
		t.Error(got)
	}
	s.must(201, "COPY", "/box/slo?multipart-manifest=get", "", "Destination", "box/list")
	if got := s.must(200, "GET", "/box/list", ""); got.body != "235689ab" || got.head.Get("X-Static-Large-Object") == "" {
		t.Error(got)
	}
	s.must(400, "PUT", "/box/dlo", "", "X-Object-Manifest", "seg/")
	s.must(400, "PUT", "/box/dlo", "", "X-Object-Manifest", "seg")
	s.must(201, "PUT", "/seg/3", "cd")
	s.must(400, "PUT", "/box/dlo2", "", "X-Object-Manifest", "seg/?x")
	s.must(201, "PUT", "/box/dlo", "", "X-Object-Manifest", "seg/2")
	if got := s.must(206, "GET", "/box/dlo", "", "Range", "bytes=-3").body; got != "9ab" {
		t.Error(got)
	}
	// A segment that is another one now is not given out.
	s.must(201, "PUT", "/seg/2", "XXXX")
	s.wants(s.do(owner, "GET", "/v1/AUTH_p/box/slo?", "", "Range", "bytes=5-"), 409, "a changed segment")
	if got := s.must(200, "DELETE", "/box/inner?multipart-manifest=delete&format=json", "").body; !strings.Contains(got, `"Number Deleted":3`) {
		t.Error(got)
	}
	s.must(404, "GET", "/seg/0", "")
}

// OSSA-2014-002 and OSSA-2015-016: signatures are compared as a whole, and what is
// written by one cannot name other objects.
func TestTemporaryURLs(t *testing.T) {
	s := open(t, nil)
	s.must(201, "PUT", "/box", "", "X-Container-Meta-Temp-Url-Key", "box's")
	s.must(204, "POST", "", "", "X-Account-Meta-Temp-Url-Key", "all")
	s.must(201, "PUT", "/box/dir/o", "content")
	s.must(201, "PUT", "/secret", "")
	s.must(201, "PUT", "/secret/o", "secret")
	signed := func(key, method, path, query string) string {
		text := fmt.Sprintf("%s\n%d\n%s", method, s.now.Unix()+60, path)
		mac := hmac.New(sha512.New, []byte(key))
		mac.Write([]byte(text))
		sig := hex.EncodeToString(mac.Sum(nil))
		if method == "HEAD" {
			sig = "sha512:" + base64.URLEncoding.EncodeToString(mac.Sum(nil))
		}
		return fmt.Sprintf("?temp_url_sig=%s&temp_url_expires=%d%s", url.QueryEscape(sig), s.now.Unix()+60, query)
	}
	const path = "/v1/AUTH_p/box/dir/o"
	for _, key := range []string{"all", "box's"} {
		got := s.do("", "GET", path+signed(key, "GET", path, ""), "")
		if s.wants(got, 200, key); got.body != "content" || !strings.Contains(got.head.Get("Content-Disposition"), `filename="o"`) {
			t.Error(got)
		}
		s.wants(s.do("", "HEAD", path+signed(key, "GET", path, ""), ""), 200, "HEAD with the address for GET")
		s.wants(s.do("", "HEAD", path+signed(key, "HEAD", path, ""), ""), 200, "HEAD, in base64")
		s.wants(s.do("", "PUT", path+signed(key, "GET", path, ""), "x"), 401, "PUT with the address for GET")
	}
	s.wants(s.do("", "GET", path+signed("guessed", "GET", path, ""), ""), 401, "a guessed key")
	s.wants(s.do("", "GET", path+signed("", "GET", path, ""), ""), 401, "an empty key")
	s.wants(s.do("", "GET", "/v1/AUTH_p/secret/o"+signed("box's", "GET", "/v1/AUTH_p/secret/o", ""), ""), 401, "another container's key")
	s.wants(s.do("", "GET", "/v1/AUTH_p/box/other"+signed("all", "GET", path, ""), ""), 401, "another object")
	s.wants(s.do("", "GET", path+signed("all", "GET", "prefix:/v1/AUTH_p/box/di", "&temp_url_prefix=di"), ""), 200, "a prefix")
	s.wants(s.do("", "GET", "/v1/AUTH_p/box/x"+signed("all", "GET", "prefix:/v1/AUTH_p/box/di", "&temp_url_prefix=di"), ""), 401, "outside of the prefix")
	put := path + signed("box's", "PUT", path, "")
	s.wants(s.do("", "PUT", put, "new"), 201, "PUT")
	// OSSA-2015-016
	s.wants(s.do("", "PUT", put, "", "X-Object-Manifest", "secret/o"), 400, "a manifest")
	s.wants(s.do("", "PUT", put, "", "X-Copy-From", "secret/o"), 400, "a copy")
	s.wants(s.do("", "PUT", put+"&multipart-manifest=put", `[{"path":"/secret/o"}]`), 400, "a list of segments")
	s.wants(s.do("", "PUT", put+"&extract-archive=tar", "rubbish"), 400, "an archive")
	get := path + signed("all", "GET", path, "")
	s.now = s.now.Add(61 * time.Second)
	s.wants(s.do("", "GET", get, ""), 401, "too late")
	// Keys are shown to owners only.
	s.must(202, "PUT", "/box", "", "X-Container-Read", "q:*")
	if got := s.do(stranger, "HEAD", "/v1/AUTH_p/box", ""); got.head.Get("X-Container-Meta-Temp-Url-Key") != "" || got.head.Get("X-Container-Read") != "" || got.status != 204 {
		t.Error(got)
	}
}

func TestWebSites(t *testing.T) {
	s := open(t, nil)
	s.must(201, "PUT", "/site", "", "X-Container-Read", ".r:*,.rlistings", "X-Container-Meta-Web-Index", "index.html", "X-Container-Meta-Web-Error", "error.html", "X-Container-Meta-Web-Listings", "true")
	s.must(201, "PUT", "/site/index.html", "home")
	s.must(201, "PUT", "/site/404error.html", "gone fishing")
	s.must(201, "PUT", "/site/docs/<b>.txt", "x")
	for path, want := range map[string][2]string{"/site/": {"200", "home"}, "/site": {"301", ""}, "/site/docs": {"301", ""}, "/site/docs/": {"200", "&lt;b&gt;.txt"}, "/site/nothing": {"404", "gone fishing"}} {
		if got := s.do("", "GET", "/v1/AUTH_p"+path, ""); fmt.Sprint(got.status) != want[0] || !strings.Contains(got.body, want[1]) || strings.Contains(got.body, "<b>") {
			t.Error(path, got.status, got.body)
		}
	}
	if got := s.must(200, "GET", "/site", "").body; !strings.HasPrefix(got, "404error.html\n") {
		t.Error("with a token it is a list:", got)
	}
}

func TestBulk(t *testing.T) {
	s := open(t, nil)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range map[string]string{"one/a": "A", "./one/b": "B", "two/dir/c": "C"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Typeflag: tar.TypeReg, Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if w.Close() != nil || z.Close() != nil {
		t.Fatal("the archive")
	}
	if got := s.must(200, "PUT", "?extract-archive=tar.gz", b.String(), "Accept", "application/json").body; !strings.Contains(got, `"Number Files Created":3`) || !strings.Contains(got, "201 Created") {
		t.Error(got)
	}
	if got := s.must(200, "GET", "/two/dir/c", "").body; got != "C" {
		t.Error(got)
	}
	s.must(200, "PUT", "/three?extract-archive=tar.gz", b.String())
	s.must(200, "PUT", "/three/under/?extract-archive=tar.gz", b.String())
	if got := s.must(200, "GET", "/three", "").body; got != "one/a\none/b\ntwo/dir/c\nunder/one/a\nunder/one/b\nunder/two/dir/c" {
		t.Error(got)
	}
	if got := s.must(200, "PUT", "?extract-archive=tar", "rubbish", "Accept", "application/json").body; !strings.Contains(got, "400 Bad Request") {
		t.Error(got)
	}
	got := s.must(200, "POST", "?bulk-delete", "/one/a\none/b\none\n/two\nnowhere/x\n", "Accept", "application/json").body
	if !strings.Contains(got, `"Number Deleted":3`) || !strings.Contains(got, `"Number Not Found":1`) || !strings.Contains(got, "409 Conflict") {
		t.Error(got)
	}
	s.wants(s.do(stranger, "POST", "/v1/AUTH_p?bulk-delete", "/two/dir/c"), 200, "a stranger deletes")
	s.must(200, "GET", "/two/dir/c", "")
}

func TestPagesOfOtherOrigins(t *testing.T) {
	s := open(t, nil)
	s.must(201, "PUT", "/box", "", "X-Container-Meta-Access-Control-Allow-Origin", "https://a.example", "X-Container-Read", ".r:*")
	s.must(201, "PUT", "/box/o", "x")
	if got := s.do("", "OPTIONS", "/v1/AUTH_p/box/o", "", "Origin", "https://a.example", "Access-Control-Request-Method", "GET"); got.status != 200 || got.head.Get("Access-Control-Allow-Origin") != "https://a.example" {
		t.Error(got)
	}
	s.wants(s.do("", "OPTIONS", "/v1/AUTH_p/box/o", "", "Origin", "https://b.example", "Access-Control-Request-Method", "GET"), 401, "another origin asks")
	if got := s.do("", "GET", "/v1/AUTH_p/box/o", "", "Origin", "https://b.example"); got.status != 200 || got.head.Get("Access-Control-Allow-Origin") != "" {
		t.Error(got)
	}
	if got := s.do("", "GET", "/v1/AUTH_p/box/o", "", "Origin", "https://a.example"); got.head.Get("Access-Control-Allow-Origin") != "https://a.example" {
		t.Error(got)
	}
}
