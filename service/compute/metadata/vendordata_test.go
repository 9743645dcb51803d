package metadata

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kilonova/internal/fault"
)

// source is a service of the operator's that says something of each guest.
type source struct {
	*httptest.Server
	token    string
	question map[string]any
	answer   string
	status   int
}

func newSource(t *testing.T) *source {
	s := &source{answer: `{"a": 1}`, status: http.StatusOK}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.token, s.question = r.Header.Get("X-Auth-Token"), nil
		if err := json.NewDecoder(r.Body).Decode(&s.question); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s, %v", r.Method, err)
		}
		w.WriteHeader(s.status)
		io.WriteString(w, s.answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestVendorData(t *testing.T) {
	s := newSource(t)
	file := filepath.Join(t.TempDir(), "vendor.json")
	if err := os.WriteFile(file, []byte(`{"static": true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := DefaultOptions()
	o.Providers, o.File, o.Targets = []string{"StaticJSON", "DynamicJSON"}, file, []string{"source@" + s.URL, "gone@http://127.0.0.1:1/"}
	vendor := func() *Vendor {
		v, err := NewVendor(o, func(context.Context) (string, error) { return "service token", nil }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v := vendor()
	w := newWorld(t)
	w.Handler.config.Vendor = v
	v.Static(w.inst)
	w.inst.ShortName, w.inst.BootRoles = "name", "member,reader"
	read := func(path string) (int, string) {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("X-Instance-ID", w.inst.UUID)
		r.Header.Set("X-Tenant-ID", w.inst.ProjectID)
		r.Header.Set("X-Instance-ID-Signature", Sign(secret, w.inst.UUID))
		out := httptest.NewRecorder()
		w.ServeHTTP(out, r)
		return out.Code, out.Body.String()
	}
	if code, body := read("/openstack/latest/vendor_data.json"); code != 200 || body != `{"static": true}` && body != `{"static":true}` {
		t.Errorf("%d %s", code, body)
	}
	code, body := read("/openstack/latest/vendor_data2.json")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 || len(got) != 3 || got["source"].(map[string]any)["a"] != 1.0 ||
		len(got["gone"].(map[string]any)) != 0 || got["static"].(map[string]any)["static"] != true {
		t.Errorf("%d %s, %v", code, body, err)
	}
	if s.token != "service token" || s.question["instance-id"] != w.inst.UUID || s.question["project-id"] != w.inst.ProjectID || s.question["boot-roles"] != "member,reader" ||
		s.question["hostname"] != "name" {
		t.Errorf("token %q, %v", s.token, s.question)
	}
	for _, bad := range []string{"no JSON", strings.Repeat(" ", MaxVendorData) + "{}"} {
		s.answer = bad
		if _, body := read("/openstack/latest/vendor_data2.json"); !strings.Contains(body, `"source":{}`) {
			t.Errorf("after %.10q: %.200s", bad, body)
		}
	}
	o.FailureFatal = true
	w.Handler.config.Vendor = vendor()
	if code, _ := read("/openstack/latest/vendor_data2.json"); code != 500 {
		t.Errorf("a failure that is fatal: %d", code)
	}
	if code, _ := read("/openstack/latest/meta_data.json"); code != 200 {
		t.Errorf("what has no vendor data: %d", code)
	}
	for _, wrong := range []Options{{Providers: []string{"XML"}}, {Providers: []string{"DynamicJSON"}, Targets: []string{"no name"}},
		{Providers: []string{"StaticJSON"}, File: filepath.Join(t.TempDir(), "none")}} {
		if _, err := NewVendor(wrong, nil, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}

// Without the proxy a guest is who has its address, whatever headers it sends.
func TestByAddress(t *testing.T) {
	w := newWorld(t)
	w.Handler.config.ServerAt = func(_ context.Context, a netip.Addr) (string, error) {
		switch a.String() {
		case "10.0.0.5":
			return w.inst.UUID, nil
		case "10.0.0.6":
			return "", fault.Conflictf("Two have it.")
		}
		return "", fault.NotFoundf("Nobody has %s.", a)
	}
	ask := func(remote, forwarded string) int {
		r := httptest.NewRequest("GET", "/openstack/latest/meta_data.json", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Instance-ID", "another")
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		out := httptest.NewRecorder()
		w.ServeHTTP(out, r)
		return out.Code
	}
	for _, c := range []struct {
		remote, forwarded string
		want              int
	}{{"10.0.0.5:1234", "", 200}, {"[::ffff:10.0.0.5]:1234", "", 200}, {"10.0.0.7:1", "", 404}, {"10.0.0.6:1", "", 404}, {"10.0.0.7:1", "10.0.0.5", 404}, {"nobody", "", 404}} {
		if got := ask(c.remote, c.forwarded); got != c.want {
			t.Errorf("%s (%s): %d, want %d", c.remote, c.forwarded, got, c.want)
		}
	}
	w.Handler.config.ForwardedFor = true
	if got := ask("10.0.0.7:1", "10.0.0.5"); got != 200 {
		t.Errorf("by the operator's proxy: %d", got)
	}
	if got := ask("10.0.0.5:1", "x"); got != 404 {
		t.Errorf("with nonsense: %d", got)
	}
}
