package compute

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kilonova/internal/rest"
	"kilonova/stack"
	"kilonova/test/cinder"
	"kilonova/test/ironic"
	"kilonova/test/manila"
)

// walker calls the compute API of a cloud as its administrator.
type walker struct {
	t       testing.TB
	c       *contract
	url     string // of the compute API
	token   string
	project string
	ids     map[string]string // what the paths' wildcards stand for
	n       int               // for names
	cinder  *cinder.Service
	manila  *manila.Service
	answers []answer // of the walk
	demo    stack.Login
	user    *walker // who is no administrator
	makers  map[string]func(*walker, rest.Version) request
}

// call sends one request and returns status and body.
func (w *walker) call(method, path string, v rest.Version, body any) (int, []byte) {
	w.t.Helper()
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(w.t.Context()), method, path, in) // also while tidying up
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", w.token)
	req.Header.Set("OpenStack-API-Version", "compute "+v.String())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, data
}

// must is call for preparations.
func (w *walker) must(method, path string, v string, body any) map[string]any {
	w.t.Helper()
	status, data := w.call(method, w.url+path, rest.V(v), body)
	if status >= 300 {
		w.t.Fatalf("%s %s: %d %s", method, path, status, data)
	}
	var out map[string]any
	if len(data) > 0 {
		if err := json.Unmarshal(data, &out); err != nil {
			w.t.Fatal(err)
		}
	}
	return out
}

type obj = map[string]any

func (w *walker) name(kind string) string {
	w.n++
	return fmt.Sprintf("%s%d", kind, w.n)
}

// newCloud starts a cloud in this process, with one server, flavor and keypair.
func newCloud(t testing.TB) *walker {
	t.Helper()
	s, others := startCloud(t)
	w := cloudOf(t, s)
	w.cinder, w.manila = others.cinder, others.manila
	w.ids["node"] = others.ironic.Add("node", w.ids["server"], "fa:16:3e:00:00:01", map[string]any{"cpus": "2", "memory_mb": "1024", "local_gb": "10"})
	return w
}

// foreigners are the stand-ins of the services that are none of ours.
type foreigners struct {
	cinder *cinder.Service
	manila *manila.Service
	ironic *ironic.Service
}

// startCloud starts one with stand-ins.
func startCloud(t testing.TB) (*stack.Stack, foreigners) {
	t.Helper()
	return startWith(t, stack.Dev(t.TempDir(), "127.0.0.1:0", 2))
}

func startWith(t testing.TB, config stack.Config) (*stack.Stack, foreigners) {
	t.Helper()
	config.Fake.LiveDelay = 60_000_000_000 // a minute: long enough to be looked at
	others := foreigners{cinder.New(), manila.New(), ironic.New()}
	serve := func(h http.Handler) string {
		served := httptest.NewServer(h)
		t.Cleanup(served.Close)
		return served.URL
	}
	config.Peers = map[string]string{"volume": serve(others.cinder) + "/v3", "shared-file-system": serve(others.manila) + "/v2", "baremetal": serve(others.ironic)}
	config.Default.UsageAudit, config.Default.UsageAuditPeriod = true, "hour"
	config.Default.ShelvedOffload, config.Default.ReclaimInterval = -1, 3600 // for states that are passed over else
	s, err := stack.StartDev(t.Context(), config, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, others
}

// cloudOf fills a cloud with one of each.
func cloudOf(t testing.TB, s *stack.Stack) *walker {
	t.Helper()
	w := &walker{t: t, url: s.URL() + "/compute/v2.1", ids: map[string]string{}}
	admin, demo := s.Logins()
	w.demo = demo
	w.login(admin)
	var images struct{ Images []struct{ ID string } }
	w.get(s.URL()+"/image/v2/images", &images)
	var networks struct{ Networks []struct{ ID, Name string } }
	w.get(s.URL()+"/network/v2.0/networks?name=private", &networks)
	w.ids["image"], w.ids["network"] = images.Images[0].ID, networks.Networks[0].ID
	w.ids["project"] = w.project
	w.await("/os-hypervisors", func(out obj) bool { return len(out["hypervisors"].([]any)) == 2 })
	w.ids["server"] = w.server()
	w.must("POST", "/flavors", "2.1", obj{"flavor": obj{"id": "f-private", "name": "f-private", "ram": 1, "vcpus": 1, "disk": 0, "os-flavor-access:is_public": false}})
	w.must("POST", "/flavors/1/os-extra_specs", "2.1", obj{"extra_specs": obj{"a": "b"}})
	w.must("POST", "/os-keypairs", "2.1", obj{"keypair": obj{"name": "k"}})
	w.ids["aggregate"] = w.aggregate("walked")
	w.ids["group"] = w.group()
	actions := w.must("GET", "/servers/"+w.ids["server"]+"/os-instance-actions", "2.1", nil)
	w.ids["request"] = actions["instanceActions"].([]any)[0].(obj)["request_id"].(string)
	ports := w.must("GET", "/servers/"+w.ids["server"]+"/os-interface", "2.1", nil)
	w.ids["port"] = ports["interfaceAttachments"].([]any)[0].(obj)["port_id"].(string)
	return w
}

func (w *walker) login(l stack.Login) {
	w.t.Helper()
	body, err := json.Marshal(obj{"auth": obj{"identity": obj{"methods": []string{"password"}, "password": obj{"user": obj{"name": l.Username, "password": l.Password,
		"domain": obj{"name": "Default"}}}}, "scope": obj{"project": obj{"name": l.Project, "domain": obj{"name": "Default"}}}}})
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.Post(l.AuthURL+"/auth/tokens", "application/json", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct {
		Token struct{ Project struct{ ID string } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		w.t.Fatal(err)
	}
	w.token, w.project = resp.Header.Get("X-Subject-Token"), out.Token.Project.ID
}

// someUser is who is no administrator, with a server.
func (w *walker) someUser() *walker {
	w.t.Helper()
	user := &walker{t: w.t, url: w.url, ids: map[string]string{"image": w.ids["image"], "network": w.ids["network"]}}
	user.login(w.demo)
	user.ids["server"] = user.server()
	actions := user.must("GET", "/servers/"+user.ids["server"]+"/os-instance-actions", "2.1", nil)
	user.ids["request"] = actions["instanceActions"].([]any)[0].(obj)["request_id"].(string)
	return user
}

func (w *walker) get(url string, into any) {
	w.t.Helper()
	status, data := w.call("GET", url, rest.V("2.1"), nil)
	if err := json.Unmarshal(data, into); err != nil || status != 200 {
		w.t.Fatalf("%s: %d %s, %v", url, status, data, err)
	}
}

// await asks until ok, or fails after half a minute.
func (w *walker) await(path string, ok func(obj) bool) {
	w.t.Helper()
	w.awaitAt("2.1", path, ok)
}

func (w *walker) awaitAt(v, path string, ok func(obj) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok(w.must("GET", path, v, nil)) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("%s is not as awaited: %.2000v", path, w.must("GET", path, v, nil))
		}
	}
}

// server boots a server and returns its id when it is ACTIVE.
func (w *walker) server() string {
	w.t.Helper()
	out := w.must("POST", "/servers", "2.1", obj{"server": obj{"name": w.name("server"), "flavorRef": "1", "imageRef": w.ids["image"],
		"networks": []obj{{"uuid": w.ids["network"]}}, "metadata": obj{"a": "b"}}})
	id := out["server"].(obj)["id"].(string)
	w.status(id, "ACTIVE")
	return id
}

func (w *walker) status(id, status string) {
	w.t.Helper()
	w.await("/servers/"+id, func(out obj) bool {
		return out["server"].(obj)["status"] == status && out["server"].(obj)["OS-EXT-STS:task_state"] == nil
	})
}

// request is how an operation is called: what fills the path, and the body.
type request struct {
	path string
	body any
}

// tables are the requests, by the operation's key in the contract. Whoever adds
// operations adds a table.
var tables = []map[string]func(*walker, rest.Version) request{requests, oldRequests, groupRequests, moveRequests, actionRequests, guestRequests, volumeRequests}

// wildcards makes keys alike whatever the wildcards of their paths are called.
var wildcards = regexp.MustCompile(`\{[^}]*\}`)

func alike(key string) string { return wildcards.ReplaceAllString(key, "{}") }

// requestsByKey joins the tables; of two requests the later table's counts.
func requestsByKey() map[string]func(*walker, rest.Version) request {
	all := map[string]func(*walker, rest.Version) request{}
	for _, table := range tables {
		for key, make := range table {
			all[alike(key)] = make
		}
	}
	return all
}

// TestOperationsKeepTheContract calls every operation of this API that the
// contract has at each of its boundary versions.
func TestOperationsKeepTheContract(t *testing.T) {
	c := openContract(t)
	w := newCloud(t)
	w.c = c
	apis, err := stack.APIs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ours, missing := map[string]bool{}, []string{}
	for _, api := range apis {
		if api.Name == "compute" {
			for _, route := range api.Routes {
				ours[alike(strings.TrimSpace(route.Method+" "+route.Path+" "+route.Action))] = true
			}
		}
	}
	w.makers = requestsByKey()
	var table strings.Builder
	called, covered := 0, 0
	for _, o := range c.sorted() {
		key := alike(o.key())
		if o.Method == "REDIRECT" { // of the API's root without a slash
			key, o.Method, o.Path = "GET /", "GET", "/"
		}
		if !ours[key] {
			fmt.Fprintf(&table, "%-60s not there yet\n", o.key())
			continue
		}
		make := w.makers[key]
		if o.Removed != nil {
			make = anything(o)
		}
		if make == nil {
			missing = append(missing, o.key())
			continue
		}
		covered++
		var row strings.Builder
		t.Run(strings.ReplaceAll(o.key(), "/", "|"), func(t *testing.T) {
			w.t = t
			for _, v := range o.versions() {
				called++
				r := make(w, v)
				w.checkQuery(o, v, r)
				if w.check(o, v, r) {
					row.WriteString(" " + v.String())
				} else {
					row.WriteString(" " + v.String() + "(FAILS)")
				}
			}
		})
		fmt.Fprintf(&table, "%-60s%s\n", o.key(), row.String())
	}
	t.Logf("%d calls cover %d of the contract's %d operations:\n%s", called, covered, len(c.operations), table.String())
	w.t = t
	verdicts := w.sendSamples(t)
	maps.Copy(verdicts, likeSamples(t, c, append(w.answers, w.varied(w.user)...)))
	logSamples(t, c, verdicts)
	if len(missing) > 0 {
		t.Errorf("not called: %s", strings.Join(missing, "; "))
	}
}

// anything calls an operation that is gone: what for does not matter.
func anything(o operation) func(*walker, rest.Version) request {
	return func(w *walker, _ rest.Version) request {
		r := request{path: wildcards.ReplaceAllString(strings.NewReplacer("{server_id}", w.ids["server"], "/servers/{id}", "/servers/"+w.ids["server"]).Replace(o.Path), "1")}
		if o.Action != nil {
			r.body = obj{*o.Action: obj{}}
		}
		return r
	}
}

// checkQuery calls an operation that only reads with queries that its schema
// refuses, or that it passes over.
func (w *walker) checkQuery(o operation, v rest.Version, r request) {
	w.t.Helper()
	schema, err := w.c.queryAt(o, v)
	if err != nil {
		w.t.Fatal(err)
	}
	if schema == nil || o.Method != "GET" || o.Removed != nil || refused[o.key()] != 0 {
		return
	}
	path, _, _ := strings.Cut(r.path, "?")
	ask := func(query string, refused bool) {
		w.t.Helper()
		status, data := w.call("GET", w.url+path+"?"+query, v, nil)
		if refused != (status == 400 && bytes.Contains(data, []byte("query parameters"))) {
			w.t.Errorf("at %s with %s: %d %.200s", v, query, status, data)
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	if len(properties) == 0 || properties["start"] == nil { // usage wants a start
		ask("nonsense=1", schema["additionalProperties"] == false)
	}
	if properties["limit"] != nil {
		ask("limit=-1", true)
		ask("limit=x", true)
	}
	if properties["with_servers"] != nil {
		ask("with_servers=perhaps", true)
	}
	if properties["tags"] != nil {
		ask("name=%2A%5B", true)
	}
}

// check makes one call and holds its answer to the contract.
func (w *walker) check(o operation, v rest.Version, r request) (ok bool) {
	w.t.Helper()
	status, data := w.call(o.Method, w.url+r.path, v, r.body)
	want := 200
	if o.Status != nil {
		want = *o.Status
	}
	if special, ok := statuses[o.key()]; ok {
		want = special(v)
	}
	if o.Removed != nil {
		want = 410
	}
	if r, ok := refused[o.key()]; ok {
		if want = r; !slices.Contains(o.Errors, r) {
			w.t.Errorf("the contract knows no refusal with %d", r)
		}
	}
	if status != want {
		w.t.Errorf("at %s: status %d, want %d: %.300s", v, status, want, data)
		return false
	}
	var said any
	if json.Unmarshal(data, &said) == nil {
		w.answers = append(w.answers, answer{o.key(), v, said})
	}
	name := o.responseAt(v)
	if name == "" || want >= 400 {
		return true
	}
	schema, err := w.c.schema(name)
	if err != nil {
		w.t.Errorf("at %s: %v", v, err)
		return false
	}
	if schema == nil || len(data) == 0 {
		return true
	}
	var body any
	if err := json.Unmarshal(data, &body); err != nil {
		w.t.Errorf("at %s: %v", v, err)
		return false
	}
	if err := schema.Validate(body); err != nil {
		w.t.Errorf("at %s against %s: %v\n%.1500s", v, name, err, data)
		return false
	}
	return true
}
