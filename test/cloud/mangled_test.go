package cloud

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/rest"
)

// atLeast is how many mangled requests there have to be.
const atLeast = 1000

// TestMangledRequests sends what no client should send to every operation of
// every service. No answer is a failure of the service; each refusal is in the
// service's own envelope and leaves not one row more or less in any database.
func TestMangledRequests(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		per := 3
		if len(c.stacks) > 1 || testing.Short() {
			per = 1 // the same code behind other wires
		}
		mangle(t, c, openRows(t, c.folders()...), per)
	})
}

// mangle mangles each value of each seed, and what is around each operation, per
// times or more.
func mangle(t *testing.T, c *cloud, r *rows, per int) {
	t.Helper()
	w := newWorld(t, c)
	j := newJudge(t, w, r)
	m := &mangler{w, rand.New(rand.NewPCG(4, 2026))}
	var all []mangled
	for _, s := range seeds {
		whole := m.whole(s)
		if a := w.do(t.Context(), t, whole); a.status >= 400 && !slices.Contains(s.refused, a.status) {
			t.Errorf("%s is no valid request to begin with: %d %s", s, a.status, a.body)
		} else {
			j.forget(t, mangled{request: whole}, a)
			r.quiet(t) // the next may need what this one is still busy with
		}
		all = append(all, m.bodies(s, per)...)
	}
	j.before = j.rows.quiet(t) // the seeds themselves have changed things
	for _, st := range c.stacks {
		for _, svc := range st.Services() {
			for _, route := range svc.Routes {
				all = append(all, m.around(svc.Name, route, per)...)
			}
		}
	}
	if len(all) < atLeast {
		t.Fatalf("only %d requests", len(all))
	}
	j.all(t, all)
}

// around mangles what is about a body: path, query, headers, token, version.
func (m *mangler) around(service string, route rest.Route, per int) []mangled {
	base := request{service: service, method: route.Method, path: m.path(service, route.Path), token: m.tokens["good"], header: map[string]string{}}
	writes := route.Method != "GET" && route.Method != "HEAD"
	if writes && route.Method != "DELETE" {
		base.body = []byte("{}")
		if route.Action != "" {
			base.body = []byte(`{"` + route.Action + `": null}`)
		}
	}
	var all []mangled
	add := func(how string, change func(r *request)) {
		r := base
		r.header = maps.Clone(base.header)
		change(&r)
		all = append(all, mangled{r, how})
	}
	for range per {
		if bad := m.pick([]string{"none", "garbage", "cut", "turned", "long", "expired"}); !route.Public {
			add("token "+bad, func(r *request) { r.token = m.tokens[bad] })
		}
		version := m.pick(wrongVersions)
		add("version "+fmt.Sprintf("%.20s", version), func(r *request) {
			r.header["OpenStack-API-Version"] = service + " " + version
			if writes { // identity, image and network have no versions to be wrong
				r.token = m.tokens["garbage"]
			}
		})
		if strings.Contains(route.Path, "{") {
			id := m.pick(ids)
			add("id "+fmt.Sprintf("%.20s", id), func(r *request) { r.path = m.wrongID(service, route.Path, id) })
		}
		if !writes {
			query := m.pick(queries)
			add("query "+fmt.Sprintf("%.30s", query), func(r *request) { r.path += "?" + query })
			header := headers[m.rnd.IntN(len(headers))]
			add(fmt.Sprintf("header %.40v", header), func(r *request) { maps.Copy(r.header, header) })
		} else if route.Method != "DELETE" && !strings.Contains(route.Path, "/file") && !strings.Contains(route.Path, "/stage") {
			whole := m.pick(wholes)
			add("whole = "+fmt.Sprintf("%.30s", whole), func(r *request) { r.body = []byte(whole) })
			if route.Action != "" {
				value := m.fill(m.pick(values))
				add("action = "+fmt.Sprintf("%.30s", value), func(r *request) { r.body = []byte(`{"` + route.Action + `": ` + value + `}`) })
			}
		}
	}
	add("method BREW", func(r *request) { r.method = "BREW" })
	add("of a stranger", func(r *request) { r.token = m.tokens["stranger"] })
	add("path ..", func(r *request) { r.path = "/.." + r.path; r.token = m.tokens["garbage"] })
	add("path //", func(r *request) { r.path = "/" + r.path; r.token = m.tokens["garbage"] })
	return all
}

// wrongID puts the wrong id where one of the route's wildcards is.
func (m *mangler) wrongID(service, route, id string) string {
	parts := strings.Split(route, "/")
	var wild []int
	for i, p := range parts {
		if strings.HasPrefix(p, "{") {
			wild = append(wild, i)
		}
	}
	at := wild[m.rnd.IntN(len(wild))]
	parts[at] = id
	return m.path(service, strings.Join(parts, "/"))
}

// judge watches what requests do.
type judge struct {
	*world
	rows     *rows
	before   map[string]int
	statuses map[int]int
	accepted map[string]int
	faults   int
}

func newJudge(t *testing.T, w *world, r *rows) *judge {
	return &judge{world: w, rows: r, before: r.quiet(t), statuses: map[int]int{}, accepted: map[string]int{}}
}

func (j *judge) all(t *testing.T, all []mangled) {
	for _, m := range all {
		j.one(t, m)
		if j.faults > 200 {
			t.Fatal("that is enough")
		}
	}
	var said []string
	for _, status := range slices.Sorted(maps.Keys(j.statuses)) {
		said = append(said, fmt.Sprintf("%d of %d", j.statuses[status], status))
	}
	t.Logf("%d mangled requests: %s", len(all), strings.Join(said, ", "))
}

func (j *judge) one(t *testing.T, m mangled) {
	a := j.do(t.Context(), t, m.request)
	j.statuses[a.status]++
	complain := func(format string, args ...any) {
		j.faults++
		t.Errorf("%s %s %.120s (%s), %s; body %.300q", m.service, m.method, m.path, m.how, fmt.Sprintf(format, args...), m.body)
	}
	switch {
	case a.err != nil:
		complain("no answer: %v", a.err)
	case a.status >= 500 && a.status != http.StatusNotImplemented:
		complain("%d %.300s", a.status, a.body)
	case a.status >= 400:
		if why := envelope(m.service, m.path, a); why != "" && m.method != http.MethodHead { // which has no body
			complain("%d with a body that is not the service's: %s: %.300s", a.status, why, a.body)
		}
	}
	if a.status < 400 {
		if m.method != "GET" && m.method != "HEAD" { // it was right after all
			j.forget(t, m, a)
			j.before = j.rows.quiet(t)
		}
		return
	}
	if after := j.rows.count(t); !maps.Equal(j.before, after) {
		// It may have been what an earlier, right request has set going; what a
		// refused one leaves, it leaves again.
		j.before = j.rows.quiet(t)
		j.do(t.Context(), t, m.request)
		if after = j.rows.quiet(t); !maps.Equal(j.before, after) {
			complain("%d, and yet rows have changed: %s", a.status, difference(j.before, after))
		}
		j.before = after
	}
}

// forget deletes what a request made that was right after all, so that no quota
// keeps later ones from being looked at.
func (j *judge) forget(t *testing.T, m mangled, a answer) {
	j.accepted[m.service+" "+m.method]++
	id := idIn(a.body)
	if m.method != "POST" || id == "" || strings.HasSuffix(m.path, "/action") || strings.Contains(m.path, "/auth/") {
		return
	}
	path, _, _ := strings.Cut(m.path, "?")
	j.do(t.Context(), t, request{service: m.service, method: "DELETE", path: strings.TrimSuffix(path, "/") + "/" + id, token: j.tokens["good"]})
}

// envelope says what is wrong with how a refusal is dressed; "" nothing.
func envelope(service, path string, a answer) string {
	if a.status == http.StatusExpectationFailed {
		return "" // said by the HTTP server, before any service sees the request
	}
	var body map[string]json.RawMessage
	if service == "image" && bytes.HasPrefix(a.body, []byte("<html>")) && bytes.HasSuffix(a.body, []byte("</html>")) {
		return "" // for those who do not ask for JSON, as WebOb does
	}
	if service == "object-store" { // Swift's: a little page
		switch {
		case !bytes.HasPrefix(a.body, []byte("<html><h1>")) || !bytes.HasSuffix(a.body, []byte("</p></html>")):
			return "it is no page"
		case a.header.Get("X-Trans-Id") == "" || a.header.Get("X-Openstack-Request-Id") == "":
			return "it has no transaction's id"
		}
		return ""
	}
	if err := json.Unmarshal(a.body, &body); err != nil {
		return err.Error()
	}
	if a.header.Get("X-Openstack-Request-Id") == "" {
		return "it has no request id"
	}
	if service == "identity" && strings.Contains(path, "/OS-OAUTH2/") && body["error_description"] != nil {
		return "" // RFC 6749's form, which clients of OAuth 2 read
	}
	has := func(raw json.RawMessage, names ...string) string {
		var inner map[string]any
		if json.Unmarshal(raw, &inner) != nil {
			return "it has no object"
		}
		for _, name := range names {
			if _, ok := inner[name]; !ok {
				return "it has no " + name
			}
		}
		return ""
	}
	switch service {
	case "compute":
		if len(body) != 1 {
			return "it has not one key"
		}
		for _, inner := range body {
			return has(inner, "code", "message")
		}
	case "identity":
		return has(body["error"], "code", "message", "title")
	case "network":
		return has(body["NeutronError"], "type", "message", "detail")
	case "placement":
		var list []json.RawMessage
		if json.Unmarshal(body["errors"], &list) != nil || len(list) != 1 {
			return "it has no list of one error"
		}
		return has(list[0], "status", "title", "detail")
	case "image":
		return has(a.body, "code", "title", "message")
	}
	return ""
}

// TestImagesThatLie uploads data that are not what their image says.
func TestImagesThatLie(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		w := newWorld(t, c)
		r := openRows(t, c.folders()...)
		files := imageFiles(t, c)
		for name, lie := range lies() {
			before := r.quiet(t)
			id := w.make(t, "image", "/v2/images", fmt.Sprintf(`{"name": "lie", "disk_format": %q, "container_format": "bare"}`, lie.says))
			there := r.quiet(t)
			a := c.do(t.Context(), t, request{service: "image", method: "PUT", path: "/v2/images/" + id + "/file", token: w.tokens["good"], body: lie.data,
				header: map[string]string{"Content-Type": "application/octet-stream"}})
			if a.status < 400 || a.status >= 500 {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			} else if why := envelope("image", "", a); why != "" {
				t.Errorf("%s: %s: %s", name, why, a.body)
			}
			if after := r.quiet(t); !maps.Equal(there, after) {
				t.Errorf("%s: rows have changed: %s", name, difference(there, after))
			}
			shown := c.do(t.Context(), t, request{service: "image", method: "GET", path: "/v2/images/" + id, token: w.tokens["good"]})
			if !bytes.Contains(shown.body, []byte(`"status":"queued"`)) && !bytes.Contains(shown.body, []byte(`"status": "queued"`)) {
				t.Errorf("%s: the image is %s", name, shown.body)
			}
			if a := c.do(t.Context(), t, request{service: "image", method: "DELETE", path: "/v2/images/" + id, token: w.tokens["good"]}); a.status != 204 {
				t.Errorf("%s: delete: %d %s", name, a.status, a.body)
			}
			after := r.quiet(t)
			delete(before, "image.image_ids") // ids are never given twice
			delete(after, "image.image_ids")
			if !maps.Equal(before, after) {
				t.Errorf("%s: rows are left: %s", name, difference(before, after))
			}
		}
		if now := imageFiles(t, c); !slices.Equal(files, now) {
			t.Errorf("files are left: %v, there were %v", now, files)
		}
	})
}

// imageFiles lists what lies in the image service's folder.
func imageFiles(t *testing.T, c *cloud) []string {
	t.Helper()
	var all []string
	for _, st := range c.stacks {
		err := filepath.WalkDir(filepath.Join(st.Config.Data, "images"), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// lie is an image's data and the format that it claims to be.
type lie struct {
	says string
	data []byte
}

// lies are such images.
func lies() map[string]lie {
	qcow2 := func(change func(head []byte)) []byte { // version 3, 1 MiB, nothing in it
		head := make([]byte, 256<<10)
		copy(head, "QFI\xfb")
		for at, v := range map[int]byte{7: 3, 23: 16, 30: 0x10, 39: 1, 45: 3, 55: 1, 61: 1, 63: 0, 99: 4, 103: 104} {
			head[at] = v
		}
		change(head)
		return head
	}
	plain := qcow2(func([]byte) {})
	vmdk := append([]byte("KDMV\x01\x00\x00\x00"), make([]byte, 64<<10)...)
	return map[string]lie{
		"raw as qcow2":        {"qcow2", bytes.Repeat([]byte("raw "), 32<<10)},
		"qcow2 as raw":        {"raw", plain},
		"qcow2 as vmdk":       {"vmdk", plain},
		"vmdk as raw":         {"raw", vmdk},
		"cut qcow2":           {"qcow2", plain[:40]},
		"nothing as qcow2":    {"qcow2", []byte("Q")},
		"with a backing file": {"qcow2", qcow2(func(head []byte) { head[14], head[15], head[19] = 2, 0, 11; copy(head[512:], "/etc/shadow") })},
		"with a data file":    {"qcow2", qcow2(func(head []byte) { head[79] |= 4 })},
		"unknown features":    {"qcow2", qcow2(func(head []byte) { head[72] = 0xff })},
		"vhd as qcow2":        {"qcow2", append([]byte("conectix"), make([]byte, 64<<10)...)},
	}
}
