package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/service/identity/control"
	"kilonova/service/identity/store"
	"kilonova/test/compat/openapi"
)

// cloud is an identity service, bootstrapped, behind its handler.
type cloud struct {
	t       testing.TB
	now     time.Time
	clock   sync.Mutex
	c       *control.Control
	db      *db.DB
	handler http.Handler
	admin   string // a token for the project admin
	options control.Options
	log     logged
}

// logged is what has been logged, to be read while more is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

type doc = map[string]any

// tables are all tables.
var tables = []string{"project_tags", "former_passwords", "memberships", "domain_configs", "implied_roles", "grants", "project_endpoints", "project_endpoint_groups",
	"policy_associations", "registered_limits", "limits", "credentials", "app_credential_roles", "app_credential_rules", "access_rules", "app_credentials",
	"trust_roles", "trusts", "revocations", "identity_providers", "remote_ids", "mappings", "federation_protocols", "service_providers", "federated_users",
	"federated_memberships", "consumers", "request_tokens", "access_tokens", "endpoints", "endpoint_groups", "policies", "regions", "services", "roles", "user_groups", "users", "projects"}

const adminPassword = "admin's secret"

func bootstrapped() control.Bootstrap {
	return control.Bootstrap{AdminPassword: adminPassword, ServiceUsers: []control.ServiceUser{{Name: "nova", Password: "nova's secret"}},
		Services: []control.BootstrapService{
			{Type: "identity", Name: "keystone", Public: "http://here/identity", Internal: "http://here/identity", Admin: "http://here/identity"},
			{Type: "compute", Name: "nova", Public: "http://here/compute/v2.1/%(project_id)s", Internal: "http://here/$(tenant_id)s", Admin: "http://here/"}}}
}

func newCloud(t testing.TB, change ...func(*control.Options)) *cloud {
	t.Helper()
	k := &cloud{t: t, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	k.db = dbtest.New(t)
	s, err := store.New(t.Context(), k.db)
	if err != nil {
		t.Fatal(err)
	}
	o := control.Defaults()
	o.Fernet.KeyRepository, o.Credential.KeyRepository = filepath.Join(dir, "fernet"), filepath.Join(dir, "credential")
	o.Receipts.KeyRepository = filepath.Join(dir, "receipts")
	o.JWT.PublicKeyRepository, o.JWT.PrivateKeyRepository = filepath.Join(dir, "public"), filepath.Join(dir, "private")
	o.Identity.PasswordHashRounds = 4
	for _, f := range change {
		f(&o)
	}
	k.options = o
	log := slog.New(slog.NewTextHandler(&k.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	now := k.tick
	if k.c, err = control.New(control.Config{Store: s, Log: log, Now: now, Options: o}); err != nil {
		t.Fatal(err)
	}
	if err := k.c.Bootstrap(t.Context(), bootstrapped()); err != nil {
		t.Fatal(err)
	}
	k.handler = New(k.c, Options{Log: log, Now: now, AuthURL: func() string { return "http://here/identity" }}).Handler()
	k.admin = k.login("admin", adminPassword, project("admin")).token
	return k
}

// tick is the clock, which steps whenever somebody looks.
func (k *cloud) tick() time.Time {
	k.clock.Lock()
	defer k.clock.Unlock()
	k.now = k.now.Add(time.Microsecond)
	return k.now
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
	json   doc
	token  string
}

// at walks the JSON: at("user", "id").
func (a answer) at(keys ...string) any {
	var v any = a.json
	for _, k := range keys {
		m, ok := v.(doc)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

func (a answer) str(keys ...string) string { s, _ := a.at(keys...).(string); return s }

func (a answer) list(key string) []any { l, _ := a.json[key].([]any); return l }

// do sends a request; body is nil, a text, or something to be JSON.
func (k *cloud) do(token, method, path string, body any, headers ...string) answer {
	k.t.Helper()
	text := ""
	switch b := body.(type) {
	case nil:
	case string:
		text = b
	default:
		data, err := json.Marshal(b)
		if err != nil {
			k.t.Fatal(err)
		}
		text = string(data)
	}
	req := httptest.NewRequest(method, "http://here"+path, strings.NewReader(text))
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	k.handler.ServeHTTP(w, req)
	a := answer{status: w.Code, header: w.Header(), body: w.Body.String(), token: w.Header().Get("X-Subject-Token")}
	json.Unmarshal(w.Body.Bytes(), &a.json)
	if c := contract(); c != nil && strings.HasPrefix(path, "/v3/") {
		for _, v := range c.Check(method, req.URL.Path, a.status, a.header, w.Body.Bytes()) {
			k.t.Errorf("%v: %.400s", v, a.body)
		}
	}
	return a
}

// contract is upstream's OpenAPI file, against which every answer is held; nil
// where it is absent.
var contract = sync.OnceValue(func() *openapi.Contract {
	c, err := openapi.Load(filepath.Join(openapi.Folder(), "openapi", "identity", "v3.14.yaml"))
	if err != nil {
		return nil
	}
	return c
})

// must is do by the administrator; another status than want is fatal.
func (k *cloud) must(want int, method, path string, body any) answer {
	k.t.Helper()
	a := k.do(k.admin, method, path, body)
	if a.status != want {
		k.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, want)
	}
	return a
}

func project(name string) doc {
	return doc{"project": doc{"name": name, "domain": doc{"id": "default"}}}
}

func projectByID(id string) doc { return doc{"project": doc{"id": id}} }

func system() doc { return doc{"system": doc{"all": true}} }

func password(user, pass string, scope any) doc {
	auth := doc{"identity": doc{"methods": []string{"password"}, "password": doc{"user": doc{"name": user, "domain": doc{"name": "Default"}, "password": pass}}}}
	if scope != nil {
		auth["scope"] = scope
	}
	return doc{"auth": auth}
}

func byToken(token string, scope any) doc {
	auth := doc{"identity": doc{"methods": []string{"token"}, "token": doc{"id": token}}}
	if scope != nil {
		auth["scope"] = scope
	}
	return doc{"auth": auth}
}

// login logs in by password, which must succeed.
func (k *cloud) login(user, pass string, scope any) answer {
	k.t.Helper()
	a := k.do("", "POST", "/v3/auth/tokens", password(user, pass, scope))
	if a.status != 201 || a.token == "" {
		k.t.Fatalf("log in as %s: %d %s", user, a.status, a.body)
	}
	return a
}

// valid is the status of a token when it is used.
func (k *cloud) valid(token string) int {
	k.t.Helper()
	return k.do(token, "GET", "/v3/auth/projects", nil).status
}

// user makes a user with a role on a new project of the same name.
func (k *cloud) user(name, role string) (userID, projectID string) {
	k.t.Helper()
	userID = k.must(201, "POST", "/v3/users", doc{"user": doc{"name": name, "password": name + "'s secret"}}).str("user", "id")
	projectID = k.must(201, "POST", "/v3/projects", doc{"project": doc{"name": name}}).str("project", "id")
	k.must(204, "PUT", "/v3/projects/"+projectID+"/users/"+userID+"/roles/"+k.role(role), nil)
	return userID, projectID
}

// role is the id of a global role.
func (k *cloud) role(name string) string {
	k.t.Helper()
	list := k.must(200, "GET", "/v3/roles?name="+name, nil).list("roles")
	if len(list) != 1 {
		k.t.Fatalf("role %s: %v", name, list)
	}
	return list[0].(doc)["id"].(string)
}

func (k *cloud) wants(a answer, status int, what string, args ...any) {
	k.t.Helper()
	if a.status != status {
		k.t.Errorf("%s: %d %s, want %d", fmt.Sprintf(what, args...), a.status, a.body, status)
	}
}

// scalar reads one text from the database.
func (k *cloud) scalar(into *string, query string, args ...any) (err error) {
	*into, err = db.Get[string](k.t.Context(), k.db, query, args...)
	return err
}
