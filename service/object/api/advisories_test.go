package api

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"

	"kilonova/service/object/control"
)

// OSSA-2013-016: names are escaped in lists.
func TestOSSA2013016NamesInLists(t *testing.T) {
	s := open(t, nil)
	const name = `a<b>&"c'`
	s.must(201, "PUT", "/a%3Cb%3E&%22c'", "")
	s.must(201, "PUT", "/a%3Cb%3E&%22c'/a%3Cb%3E&%22c'", "x", "Content-Type", "text/<x>")
	for _, path := range []string{"?format=xml", "/a%3Cb%3E&%22c'?format=xml", "/a%3Cb%3E&%22c'?format=xml&delimiter=%3C"} {
		body, seen := s.must(200, "GET", path, "").body, 0
		for d := xml.NewDecoder(strings.NewReader(body)); ; {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v in %s", path, err, body)
			}
			if text, ok := token.(xml.CharData); ok && (string(text) == name || string(text) == "a<") {
				seen++
			}
		}
		if seen != 1 {
			t.Errorf("%s: %s", path, body)
		}
	}
}

// OSSA-2014-034: limits of metadata hold for all of them, and not for each request.
func TestOSSA2014034MetadataAddUp(t *testing.T) {
	s := open(t, nil)
	many := func(from int) (h []string) {
		for i := range 60 {
			h = append(h, fmt.Sprintf("X-Container-Meta-K%d", from+i), "v")
		}
		return h
	}
	s.must(201, "PUT", "/box", "", many(0)...)
	s.must(400, "POST", "/box", "", many(60)...)
	s.must(204, "POST", "/box", "", many(0)...)
	s.must(400, "POST", "/box", "", "X-Container-Meta-Long", strings.Repeat("x", 257))
	s.must(400, "POST", "/box", "", "X-Container-Meta-"+strings.Repeat("x", 129), "v")
	s.must(201, "PUT", "/box/o", "x")
	s.must(400, "POST", "/box/o", "", "X-Object-Meta-Long", strings.Repeat("x", 257))
	s.must(400, "PUT", "/box/"+strings.Repeat("x", 1025), "x")
	s.must(400, "PUT", "/"+strings.Repeat("x", 257), "")
	s.must(412, "PUT", "/box/a%00b", "x")
	s.must(412, "PUT", "/box/a%ffb", "x")
}

// OSSA-2014-020: nothing of a request comes back as it is in what browsers show.
func TestOSSA2014020NothingIsReflected(t *testing.T) {
	s := open(t, nil)
	const script = "<script>"
	for _, path := range []string{"/v1/AUTH_p/%3Cscript%3E", "/v1/AUTH_%3Cscript%3E", "/v1/AUTH_p/box/%3Cscript%3E?temp_url_sig=%3Cscript%3E&temp_url_expires=%3Cscript%3E", "/%3Cscript%3E"} {
		a := s.do("", "GET", path, "")
		if a.status != 401 && a.status != 404 {
			t.Error(path, a.status)
		}
		if strings.Contains(a.body, script) || strings.Contains(fmt.Sprint(a.head), script) {
			t.Errorf("%s: %v %s", path, a.head, a.body)
		}
	}
	s.must(201, "PUT", "/box", "")
	if a := s.must(400, "PUT", "/box", "", "X-Container-Read", ".x:"+script); strings.Contains(a.body, script) {
		t.Error(a.body)
	}
}

func TestWhoMay(t *testing.T) {
	s := open(t, nil)
	s.must(201, "PUT", "/box", "")
	s.must(201, "PUT", "/box/o", "x")
	const box = "/v1/AUTH_p/box"
	for _, tt := range []struct {
		token, method, path string
		status              int
	}{
		{"", "GET", box + "/o", 401}, {"forged", "GET", box + "/o", 401}, {stranger, "GET", box + "/o", 403}, {colleague, "GET", box + "/o", 403}, {seller, "GET", box + "/o", 200},
		{stranger, "PUT", box + "/o", 403}, {stranger, "PUT", "/v1/AUTH_p/new", 403}, {stranger, "GET", "/v1/AUTH_p", 403}, {colleague, "GET", "/v1/AUTH_p", 403}, {"", "GET", "/v1/AUTH_p", 401},
		{stranger, "GET", "/v1/AUTH_p/nothing", 403}, {stranger, "POST", "/v1/AUTH_p", 403}, {owner, "DELETE", "/v1/AUTH_p", 403}, {seller, "DELETE", "/v1/AUTH_p", 409},
		{owner, "GET", "/v1/other_p", 404}, {owner, "GET", "/v1/AUTH_", 404}, {owner, "GET", box + "/nothing", 404},
	} {
		s.wants(s.do(tt.token, tt.method, tt.path, ""), tt.status, fmt.Sprint(tt.token, " ", tt.method, " ", tt.path))
	}
	// With a list for reading.
	s.must(204, "POST", "/box", "", "X-Container-Read", "q:v,member,.r:*.example.org")
	s.must(400, "POST", "/box", "", "X-Container-Write", ".r:*")
	s.wants(s.do(stranger, "GET", box+"/o", ""), 200, "who is listed reads")
	s.wants(s.do(stranger, "GET", box, ""), 200, "who is listed lists")
	s.wants(s.do("q:other:swiftoperator", "GET", box+"/o", ""), 403, "another one of that project")
	s.wants(s.do(colleague, "GET", box+"/o", ""), 200, "a role")
	s.wants(s.do("z:z:member", "GET", box+"/o", ""), 403, "the role in another project")
	s.wants(s.do("", "GET", box+"/o", "", "Referer", "https://www.example.org/x"), 200, "a page")
	s.wants(s.do("", "GET", box, "", "Referer", "https://www.example.org/x"), 401, "a page lists")
	s.wants(s.do(stranger, "POST", box+"/o", "", "X-Object-Meta-A", "b"), 403, "who reads writes")
	s.must(204, "POST", "/box", "", "X-Container-Write", "q:*")
	s.wants(s.do(stranger, "PUT", box+"/new", "x"), 201, "who is listed for writing")
	s.wants(s.do(stranger, "POST", box, "", "X-Container-Read", ".r:*"), 403, "who writes changes the list")
	// What may be read cannot be copied to where one may not write, nor the other way round.
	s.wants(s.do(stranger, "PUT", "/v1/AUTH_q/mine", ""), 201, "a container")
	s.wants(s.do(stranger, "PUT", "/v1/AUTH_q/mine/copy", "", "X-Copy-From", "box/o", "X-Copy-From-Account", "AUTH_p"), 201, "a copy of what may be read")
	s.must(204, "POST", "/box", "", "X-Remove-Container-Read", "x")
	s.wants(s.do(stranger, "PUT", "/v1/AUTH_q/mine/copy", "", "X-Copy-From", "box/o", "X-Copy-From-Account", "AUTH_p"), 403, "a copy of what may not")
	s.wants(s.do(stranger, "COPY", "/v1/AUTH_q/mine/copy", "", "Destination", "box2/o", "Destination-Account", "AUTH_p"), 403, "a copy to where one may not write")
}

func TestLimits(t *testing.T) {
	s := open(t, func(o *control.Options) { o.Constraints.MaxFileSize = 10 })
	s.must(201, "PUT", "/box", "")
	s.must(413, "PUT", "/box/o", "0123456789a")
	s.must(201, "PUT", "/box/o", "0123456789")
	s.must(412, "GET", "/box?limit=10001", "")
	s.must(412, "PUT", "/box/o", "x", "If-None-Match", "*")
	s.must(422, "PUT", "/box/o", "x", "Etag", strings.Repeat("0", 32))
	if got := s.must(200, "GET", "/box/o", ""); got.body != "0123456789" || got.head.Get("Etag") != "781e5e245d69b566979b86e28d23f2c7" {
		t.Error(got)
	}
	s.must(304, "GET", "/box/o", "", "If-None-Match", "781e5e245d69b566979b86e28d23f2c7")
	s.must(416, "GET", "/box/o", "", "Range", "bytes=10-")
	s.must(406, "GET", "/box", "", "Accept", "image/png")
}
