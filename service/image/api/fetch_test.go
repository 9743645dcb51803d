package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"kilonova/service/image/control"
)

// site is a web server that images are fetched from.
func site(t *testing.T) (host string, port int) {
	mux := http.NewServeMux()
	mux.HandleFunc("/image", func(w http.ResponseWriter, _ *http.Request) { w.Write(qcow2(false)) })
	mux.HandleFunc("/evil", func(w http.ResponseWriter, _ *http.Request) { w.Write(qcow2(true)) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		for range 64 {
			w.Write(make([]byte, 64<<10))
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte("short"))
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	u, _ := url.Parse(srv.URL)
	port, _ = strconv.Atoi(u.Port())
	return u.Hostname(), port
}

func (cl *cloud) fetch(uri string) *answer {
	cl.t.Helper()
	id := cl.create(fields{"disk_format": "qcow2"})
	a := cl.do("demo", "POST", "/v2/images/"+id+"/import", fields{"method": fields{"name": "web-download", "uri": uri}})
	if a.status != 202 {
		return a
	}
	cl.eventually("over", func() bool { s := cl.task(id)["status"]; return s == "failure" || s == "success" })
	a.status, a.body = 0, []byte(cl.task(id)["message"].(string))
	want := "queued"
	if len(a.body) == 0 {
		a.status, want = 200, "active"
	}
	if got := cl.show(id)["status"]; got != want {
		cl.t.Errorf("%s: image is %s", uri, got)
	}
	cl.do("demo", "DELETE", "/v2/images/"+id, nil).want(204)
	cl.eventually("nothing is left", func() bool { return len(cl.files("one"))+len(cl.files("stage")) == 0 })
	return a
}

func TestWebDownload(t *testing.T) {
	host, port := site(t)
	cl := start(t, func(o *control.Options) {
		o.EnabledImportMethods = []string{"web-download"}
		o.Filtering.AllowedHosts, o.Filtering.AllowedPorts = []string{host}, []int{port}
		o.ImageSizeCap = 1 << 20
	})
	cl.run()
	base := "http://" + host + ":" + strconv.Itoa(port)
	if a := cl.fetch(base + "/image"); a.status != 200 {
		t.Errorf("%s", a.body)
	}
	for uri, want := range map[string]string{
		base + "/evil":                        "backing file",
		base + "/large":                       "too large",
		base + "/cut":                         "ended before its time",
		base + "/missing":                     "status 404",
		base + "/away?to=http://10.0.0.1/":    "does not pass filtering",
		base + "/away?to=file:///etc/passwd":  "does not pass filtering",
		"http://" + host + ":1/":              "does not pass filtering",
		"ftp://" + host + "/":                 "does not pass filtering",
		"file:///etc/passwd":                  "does not pass filtering",
		"http://other.example/":               "does not pass filtering",
		"http://user@" + host + "/":           "does not pass filtering",
		"":                                    "does not pass filtering",
		"http://" + strings.Repeat("x", 3000): "does not pass filtering",
		"://":                                 "does not pass filtering",
	} {
		if a := cl.fetch(uri); !strings.Contains(string(a.body), want) {
			t.Errorf("%.60s: %d %s, want %q", uri, a.status, a.body, want)
		}
	}
}

// CVE-2026-34881: without a list of hosts, none in a network that is not public
// is asked, however its name is written or where it redirects to.
func TestWebDownloadStaysOutOfInnerNetworks(t *testing.T) {
	host, port := site(t)
	cl := start(t, func(o *control.Options) {
		o.EnabledImportMethods = []string{"web-download"}
		o.Filtering.AllowedPorts = []int{port}
	})
	cl.run()
	for _, h := range []string{host, "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
		a := cl.fetch("http://" + h + ":" + strconv.Itoa(port) + "/image")
		if a.status == 200 || !strings.Contains(string(a.body), "filtering") && !strings.Contains(string(a.body), "cannot be reached") {
			t.Errorf("%s: %d %s", h, a.status, a.body)
		}
	}
}
