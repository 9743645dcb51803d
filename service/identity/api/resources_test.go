package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/db"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// fill replaces the wildcards of a route's path.
func fill(path string, id func(name string) string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, "{") {
			parts[i] = id(strings.Trim(p, "{}"))
		}
	}
	return strings.Join(parts, "/")
}

// rows counts all records, to see what a refused request has left behind.
func (k *cloud) rows() map[string]int {
	k.t.Helper()
	counts := map[string]int{}
	for _, table := range tables {
		n, err := db.Get[int](k.t.Context(), k.db, "SELECT COUNT(*) FROM "+table)
		if err != nil {
			k.t.Fatal(err)
		}
		counts[table] = n
	}
	return counts
}

// Every route with every kind of wrong body: never a 500, never a row left.
func TestBadBodies(t *testing.T) {
	k := newCloud(t)
	members := []string{"user", "group", "project", "domain", "role", "region", "service", "endpoint", "credential", "policy", "trust", "application_credential",
		"endpoint_group", "config", "limit", "registered_limit", "limits", "registered_limits", "credentials", "tags", "tenant_id", "auth"}
	fields := []string{"name", "type", "blob", "user_id", "project_id", "domain_id", "parent_id", "service_id", "interface", "url", "description", "options", "tags",
		"enabled", "filters", "roles", "expires_at", "access_rules", "resource_name", "default_limit", "resource_limit", "impersonation", "identity", "access", "password"}
	bodies := []string{"", "{", "[]", "7", `"x"`, "null", "{}", `{"x": 1}`, "{\"\xff\": 1}", strings.Repeat("[", 20000)}
	for _, m := range members {
		for _, v := range []string{"null", "[]", "{}", "7", `"x"`, "true", `[7]`, `[{}]`, `[null]`} {
			bodies = append(bodies, fmt.Sprintf("{%q: %s}", m, v))
		}
		for _, v := range []string{"7", "[]", "{}", "[[]]", `"` + strings.Repeat("x", 5000) + `"`, `"\u0000"`} {
			var all []string
			for _, f := range fields {
				all = append(all, fmt.Sprintf("%q: %s", f, v))
			}
			bodies = append(bodies, fmt.Sprintf("{%q: {%s}}", m, strings.Join(all, ",")))
		}
	}
	before := k.rows()
	for _, r := range (&api{k.c}).routes() {
		if r.Method == "GET" || r.Method == "DELETE" || strings.HasSuffix(r.Path, "/password") {
			continue
		}
		for _, body := range bodies {
			path := fill(r.Path, func(string) string { return "nothing" })
			a := k.do(k.admin, r.Method, path, body)
			created := a.status < 300 && (r.Method == "POST" && path == "/v3/regions" || r.Path == "/v3/regions/{region_id}")
			if a.status >= 500 || a.status < 400 && !created {
				t.Errorf("%s %s %.200s: %d %.300s", r.Method, path, body, a.status, a.body)
			}
			if created { // all attributes of a region are optional
				k.must(204, "DELETE", "/v3/regions/"+a.str("region", "id"), nil)
			}
		}
	}
	for table, n := range k.rows() {
		if n != before[table] {
			t.Errorf("%s: %d rows, %d before", table, n, before[table])
		}
	}
}

// Whoever has no role can do nothing, and who is not known can do less.
func TestStrangers(t *testing.T) {
	k := newCloud(t)
	k.user("alice", "member")
	k.user("victim", "member")
	victim := k.must(200, "GET", "/v3/users?name=victim", nil).list("users")[0].(doc)["id"].(string)
	token := k.login("alice", "alice's secret", project("alice")).token
	open := []string{"/v3/auth/catalog", "/v3/auth/projects", "/v3/OS-FEDERATION/projects", "/v3/auth/domains", "/v3/OS-FEDERATION/domains", "/v3/auth/system", "/v3/regions",
		"/v3/registered_limits", "/v3/limits", "/v3/limits/model", "/v3/credentials", "/v3/domains/default"}
	ids := map[string]string{"user_id": victim, "project_id": k.must(200, "GET", "/v3/projects?name=victim", nil).list("projects")[0].(doc)["id"].(string),
		"domain_id": "default", "role_id": k.role("reader"), "region_id": "RegionOne"}
	before := k.rows()
	for _, r := range (&api{k.c}).routes() {
		path := fill(r.Path, func(name string) string {
			if id := ids[name]; id != "" {
				return id
			}
			return "nothing"
		})
		if !r.Public {
			if a := k.do("", r.Method, path, "{}"); a.status != 401 {
				t.Errorf("without a token %s %s: %d", r.Method, path, a.status)
			}
			if a := k.do("rubbish", r.Method, path, "{}"); a.status != 401 {
				t.Errorf("with a wrong token %s %s: %d", r.Method, path, a.status)
			}
		}
		a := k.do(token, r.Method, path, "{}")
		if a.status >= 500 || a.status < 300 && !r.Public && !slices.Contains(open, path) && r.Path != "/v3/regions/{region_id}" {
			t.Errorf("%s %s: %d %s", r.Method, path, a.status, a.body)
		}
	}
	if after := k.rows(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error(before, after)
	}
}

// Each resource from making to deleting: shape, duplicate, change, 404.
func TestLifeOfResources(t *testing.T) {
	k := newCloud(t)
	u, p := k.user("alice", "member")
	service := k.must(200, "GET", "/v3/services?type=identity", nil).list("services")[0].(doc)["id"].(string)
	k.must(201, "POST", "/v3/registered_limits", doc{"registered_limits": []doc{{"service_id": service, "resource_name": "users", "default_limit": 5}}})
	tests := []struct {
		path, member  string
		body, change  doc
		duplicate     int
		missing       string // a required attribute
		notFound      string
		beforeDelete  doc
		list, listKey string
	}{
		{"/v3/users", "user", doc{"name": "bob", "email": "bob@example.com", "description": "d"}, doc{"email": "b@example.com"}, 409, "name", "Could not find user: ", nil, "?name=bob", "users"},
		{"/v3/groups", "group", doc{"name": "staff", "description": "d"}, doc{"name": "crew"}, 409, "name", "Could not find group: ", nil, "?name=staff", "groups"},
		{"/v3/projects", "project", doc{"name": "p", "cost": 7.5}, doc{"description": "x"}, 409, "name", "Could not find project: ", nil, "?name=p", "projects"},
		{"/v3/domains", "domain", doc{"name": "d"}, doc{"description": "x"}, 409, "name", "Could not find domain: ", doc{"enabled": false}, "?name=d", "domains"},
		{"/v3/roles", "role", doc{"name": "operator"}, doc{"description": "x"}, 409, "name", "Could not find role: ", nil, "?name=operator", "roles"},
		{"/v3/regions", "region", doc{"id": "RegionTwo", "description": "d"}, doc{"parent_region_id": "RegionOne"}, 409, "", "Could not find region: ", nil, "", "regions"},
		{"/v3/services", "service", doc{"type": "dns", "name": "designate", "description": "d"}, doc{"enabled": false}, 201, "type", "Could not find service: ", nil, "?type=dns", "services"},
		{"/v3/endpoints", "endpoint", doc{"service_id": service, "interface": "public", "url": "http://x", "region_id": "RegionOne"}, doc{"url": "http://y"}, 201, "url", "Could not find endpoint: ", nil, "?interface=public", "endpoints"},
		{"/v3/credentials", "credential", doc{"user_id": u, "type": "cert", "blob": "b"}, doc{"blob": "c"}, 201, "blob", "Could not find credential: ", nil, "?type=cert", "credentials"},
		{"/v3/policies", "policy", doc{"type": "text", "blob": "b"}, doc{"blob": "c"}, 201, "blob", "Could not find policy: ", nil, "?type=text", "policies"},
		{"/v3/OS-EP-FILTER/endpoint_groups", "endpoint_group", doc{"name": "g", "filters": doc{"interface": "admin"}}, doc{"name": "h"}, 201, "filters", "Could not find Endpoint Group: ", nil, "?name=g", "endpoint_groups"},
	}
	for _, tt := range tests {
		created := k.must(201, "POST", tt.path, doc{tt.member: tt.body})
		id := created.str(tt.member, "id")
		path := tt.path + "/" + id
		if self := created.str(tt.member, "links", "self"); self != "http://here"+path {
			t.Errorf("%s links to %s", path, self)
		}
		for name, v := range tt.body {
			if got := created.at(tt.member, name); fmt.Sprint(got) != fmt.Sprint(v) {
				t.Errorf("%s: %s is %v, given %v", path, name, got, v)
			}
		}
		if shown := k.must(200, "GET", path, nil); shown.body != created.body {
			t.Errorf("%s: shown %s, made %s", path, shown.body, created.body)
		}
		if a := k.do(k.admin, "HEAD", path, nil); a.status != 200 || a.body != "" {
			t.Errorf("HEAD %s: %d %q", path, a.status, a.body)
		}
		listed := k.must(200, "GET", tt.path+tt.list, nil)
		if n := len(listed.list(tt.listKey)); n == 0 || !strings.Contains(listed.body, id) {
			t.Errorf("%s%s: %d: %s", tt.path, tt.list, n, listed.body)
		}
		k.must(tt.duplicate, "POST", tt.path, doc{tt.member: tt.body})
		if tt.missing != "" {
			less := doc{}
			for name, v := range tt.body {
				if name != tt.missing {
					less[name] = v
				}
			}
			k.must(400, "POST", tt.path, doc{tt.member: less})
			k.must(400, "POST", tt.path, doc{tt.member: doc{tt.missing: " "}})
		}
		k.must(400, "PATCH", path, doc{tt.member: doc{}})
		k.must(400, "PATCH", path, doc{tt.member: doc{"id": "another"}})
		changed := k.must(200, "PATCH", path, doc{tt.member: tt.change})
		for name, v := range tt.change {
			if got := changed.at(tt.member, name); got != v {
				t.Errorf("%s: %s is %v, changed to %v", path, name, got, v)
			}
		}
		if shown := k.must(200, "GET", path, nil); shown.body != changed.body {
			t.Errorf("%s: shown %s, changed to %s", path, shown.body, changed.body)
		}
		if tt.beforeDelete != nil {
			k.must(403, "DELETE", path, nil)
			k.must(200, "PATCH", path, doc{tt.member: tt.beforeDelete})
		}
		k.must(204, "DELETE", path, nil)
		for _, method := range []string{"GET", "DELETE"} {
			if a := k.must(404, method, path, nil); !strings.HasPrefix(a.str("error", "message"), tt.notFound) {
				t.Errorf("%s %s: %s", method, path, a.body)
			}
		}
		k.must(404, "PATCH", path, doc{tt.member: tt.change})
	}
	limit := k.must(201, "POST", "/v3/limits", doc{"limits": []doc{{"service_id": service, "resource_name": "users", "resource_limit": 9, "project_id": p}}}).list("limits")[0].(doc)["id"].(string)
	k.must(403, "POST", "/v3/limits", doc{"limits": []doc{{"service_id": service, "resource_name": "cows", "resource_limit": 9, "project_id": p}}})
	k.must(200, "PATCH", "/v3/limits/"+limit, doc{"limit": doc{"resource_limit": -1}})
	registered := k.must(200, "GET", "/v3/registered_limits", nil).list("registered_limits")[0].(doc)["id"].(string)
	k.must(403, "DELETE", "/v3/registered_limits/"+registered, nil)
	k.must(204, "DELETE", "/v3/limits/"+limit, nil)
	k.must(404, "GET", "/v3/limits/"+limit, nil)
	k.must(204, "DELETE", "/v3/registered_limits/"+registered, nil)
}

// A domain takes along all that it owns, and leaves nothing.
func TestDeleteDomain(t *testing.T) {
	k := newCloud(t)
	before := k.rows()
	d := k.must(201, "POST", "/v3/domains", doc{"domain": doc{"name": "d", "tags": []string{"x"}}}).str("domain", "id")
	p := k.must(201, "POST", "/v3/projects", doc{"project": doc{"name": "p", "domain_id": d, "tags": []string{"a", "b"}}}).str("project", "id")
	child := k.must(201, "POST", "/v3/projects", doc{"project": doc{"name": "c", "domain_id": d, "parent_id": p}}).str("project", "id")
	u := k.must(201, "POST", "/v3/users", doc{"user": doc{"name": "u", "domain_id": d, "password": "u's secret"}}).str("user", "id")
	g := k.must(201, "POST", "/v3/groups", doc{"group": doc{"name": "g", "domain_id": d}}).str("group", "id")
	r := k.must(201, "POST", "/v3/roles", doc{"role": doc{"name": "r", "domain_id": d}}).str("role", "id")
	k.must(204, "PUT", "/v3/groups/"+g+"/users/"+u, nil)
	k.must(204, "PUT", "/v3/projects/"+child+"/users/"+u+"/roles/"+r, nil)
	k.must(204, "PUT", "/v3/domains/"+d+"/groups/"+g+"/roles/"+k.role("reader"), nil)
	k.must(204, "PUT", "/v3/OS-INHERIT/domains/"+d+"/users/"+u+"/roles/"+k.role("member")+"/inherited_to_projects", nil)
	k.must(201, "PUT", "/v3/domains/"+d+"/config", doc{"config": doc{"identity": doc{"driver": "sql"}}})
	k.must(201, "POST", "/v3/credentials", doc{"credential": doc{"user_id": u, "type": "cert", "blob": "b"}})
	login := doc{"auth": doc{"identity": doc{"methods": []string{"password"}, "password": doc{"user": doc{"id": u, "password": "u's secret"}}}, "scope": projectByID(child)}}
	token := k.do("", "POST", "/v3/auth/tokens", login).token
	k.wants(k.do(token, "POST", "/v3/users/"+u+"/application_credentials", doc{"application_credential": doc{"name": "a", "access_rules": []doc{{"path": "/v2/x", "method": "GET", "service": "image"}}}}), 201, "application credential")
	k.wants(k.do(token, "POST", "/v3/OS-TRUST/trusts", doc{"trust": doc{"trustor_user_id": u, "trustee_user_id": u, "impersonation": true, "project_id": child, "roles": []doc{{"name": "member"}}}}), 201, "trust")
	k.must(403, "DELETE", "/v3/domains/default", nil)
	k.must(403, "DELETE", "/v3/projects/"+p, nil)
	k.must(200, "PATCH", "/v3/domains/"+d, doc{"domain": doc{"enabled": false}})
	k.must(204, "DELETE", "/v3/domains/"+d, nil)
	after := k.rows()
	delete(before, "revocations")
	for table, n := range before {
		if after[table] != n {
			t.Errorf("%s: %d rows, %d before", table, after[table], n)
		}
	}
}

func TestProjectTree(t *testing.T) {
	k := newCloud(t)
	parent, ids := "default", []string{}
	for i := range 5 {
		parent = k.must(201, "POST", "/v3/projects", doc{"project": doc{"name": fmt.Sprint("p", i), "parent_id": parent}}).str("project", "id")
		ids = append(ids, parent)
	}
	k.must(403, "POST", "/v3/projects", doc{"project": doc{"name": "too deep", "parent_id": parent}})
	k.must(400, "POST", "/v3/projects", doc{"project": doc{"name": "p", "parent_id": "nothing"}})
	a := k.must(200, "GET", "/v3/projects/"+ids[2]+"?parents_as_ids&subtree_as_ids", nil)
	want := fmt.Sprintf("map[%s:map[%s:map[default:<nil>]]] map[%s:map[%s:<nil>]]", ids[1], ids[0], ids[3], ids[4])
	if got := fmt.Sprint(a.at("project", "parents"), a.at("project", "subtree")); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	k.must(400, "GET", "/v3/projects/"+ids[2]+"?parents_as_ids&parents_as_list", nil)
	self := k.must(200, "GET", "/v3/users?name=admin", nil).list("users")[0].(doc)["id"].(string)
	k.must(204, "PUT", "/v3/OS-INHERIT/projects/"+ids[0]+"/users/"+self+"/roles/"+k.role("member")+"/inherited_to_projects", nil)
	a = k.must(200, "GET", "/v3/projects/"+ids[2]+"?parents_as_list&subtree_as_list", nil)
	if n, m := len(a.at("project", "parents").([]any)), len(a.at("project", "subtree").([]any)); n != 1 || m != 2 {
		t.Errorf("%d parents and %d below on which there is a role: %s", n, m, a.body)
	}
	k.must(403, "PATCH", "/v3/projects/"+ids[0], doc{"project": doc{"enabled": false}})
	k.must(403, "PATCH", "/v3/projects/"+ids[0], doc{"project": doc{"parent_id": "x"}})
	k.must(400, "PATCH", "/v3/projects/"+ids[0], doc{"project": doc{"domain_id": "x"}})
	k.must(403, "DELETE", "/v3/projects/"+ids[0], nil)
	k.must(200, "PATCH", "/v3/projects/"+ids[4], doc{"project": doc{"options": doc{"immutable": true}}})
	k.must(403, "DELETE", "/v3/projects/"+ids[4], nil)
	k.must(403, "PATCH", "/v3/projects/"+ids[4], doc{"project": doc{"name": "x"}})
	k.must(200, "PATCH", "/v3/projects/"+ids[4], doc{"project": doc{"options": doc{"immutable": nil}}})
	k.must(204, "DELETE", "/v3/projects/"+ids[4], nil)
}

func TestTags(t *testing.T) {
	k := newCloud(t)
	for name, tags := range map[string][]string{"a": {"red", "blue"}, "b": {"red"}, "c": {}} {
		k.must(201, "POST", "/v3/projects", doc{"project": doc{"name": name, "tags": tags}})
	}
	for query, want := range map[string]string{"tags=red": "a b", "tags=red,blue": "a", "tags-any=blue,green": "a", "not-tags=red,blue": "admin b c service", "not-tags-any=red,green": "admin c service"} {
		if got := strings.Join(names(k.must(200, "GET", "/v3/projects?"+query, nil).list("projects")), " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	id := k.must(200, "GET", "/v3/projects?name=b", nil).list("projects")[0].(doc)["id"].(string)
	k.must(201, "PUT", "/v3/projects/"+id+"/tags/green", nil)
	k.must(201, "PUT", "/v3/projects/"+id+"/tags/green", nil)
	k.must(204, "GET", "/v3/projects/"+id+"/tags/green", nil)
	k.must(404, "GET", "/v3/projects/"+id+"/tags/grey", nil)
	k.must(404, "DELETE", "/v3/projects/"+id+"/tags/grey", nil)
	k.must(400, "PUT", "/v3/projects/"+id+"/tags/a,b", nil)
	if got := fmt.Sprint(k.must(200, "GET", "/v3/projects/"+id+"/tags", nil).json["tags"]); got != "[green red]" {
		t.Error(got)
	}
	many := make([]string, 81)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	k.must(400, "PUT", "/v3/projects/"+id+"/tags", doc{"tags": many})
	k.must(204, "DELETE", "/v3/projects/"+id+"/tags", nil)
}

// fillUsers writes many users at once.
func (k *cloud) fillUsers(n int) {
	k.t.Helper()
	err := k.db.Tx(k.t.Context(), func(tx *db.Tx) error {
		for i := range n {
			u := identity.User{ID: fmt.Sprintf("%032d", i), Name: fmt.Sprintf("user%d", n-i), DomainID: "default", Enabled: i%2 == 0, Extra: identity.Attributes{"email": "x@example.com"}}
			if err := store.AddUser(k.t.Context(), tx, u, store.Login{}, db.At(k.now)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

func TestPaging(t *testing.T) {
	k := newCloud(t)
	k.fillUsers(25)
	for _, query := range []string{"", "&sort_key=name", "&sort_key=name&sort_dir=desc", "&sort_key=enabled", "&enabled=true", "&name__icontains=USER1", "&name__startswith=user2"} {
		whole := k.must(200, "GET", "/v3/users?limit=0"+query, nil).list("users")
		var paged []any
		next := "/v3/users?limit=4" + query
		for pages := 0; next != "" && pages < 20; pages++ {
			a := k.must(200, "GET", next, nil)
			paged = append(paged, a.list("users")...)
			next = strings.TrimPrefix(a.str("links", "next"), "http://here")
		}
		if len(whole) == 0 || fmt.Sprint(paged) != fmt.Sprint(whole) {
			t.Errorf("%s: %d in pages, %d at once", query, len(paged), len(whole))
		}
	}
	if n := len(k.must(200, "GET", "/v3/users?name__contains=%25", nil).list("users")); n != 0 {
		t.Errorf("%d users with a %% in their names", n)
	}
	k.must(400, "GET", "/v3/users?limit=x", nil)
	k.must(400, "GET", "/v3/users?sort_dir=up", nil)
	k.must(400, "GET", "/v3/users?password_expires_at=soon", nil)
	k.must(400, "GET", "/v3/users?password_expires_at=lt:soon", nil)
	k.must(200, "GET", "/v3/users?password_expires_at=lt:2030-01-01T00:00:00Z", nil)
}

func TestBadAddresses(t *testing.T) {
	k := newCloud(t)
	for path, want := range map[string]int{"/v3/users/%00": 404, "/v3/users/%ff": 404, "/v3/users?name=%00": 400, "/v3/users?name=%ff": 400, "/v3/users/..": 404,
		"/v3/nothing": 404, "/v3/users/" + strings.Repeat("x", 2100): 404, "/v3/domains/config/nothing/default": 403, "/v3/domains/a/b": 404} {
		k.wants(k.do(k.admin, "GET", path, nil), want, "%.80s", path)
	}
	k.wants(k.do(k.admin, "PATCH", "/v3/users", doc{}), 405, "a method that users do not have")
}

func TestVersions(t *testing.T) {
	k := newCloud(t)
	a := k.do("", "GET", "/", nil)
	if a.status != http.StatusMultipleChoices || a.header.Get("Location") != "http://here/v3/" || !strings.Contains(a.body, `"v3.14"`) {
		t.Error(a.status, a.header, a.body)
	}
	if a := k.do("", "GET", "/v3/", nil); a.status != 200 || a.str("version", "status") != "stable" {
		t.Error(a.status, a.body)
	}
}

func BenchmarkValidate(b *testing.B) {
	k := newCloud(b)
	k.user("alice", "admin")
	token := k.login("alice", "alice's secret", project("alice")).token
	v := k.c.Validator()
	b.ResetTimer()
	for b.Loop() {
		if _, err := v.Validate(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkShowToken(b *testing.B) {
	k := newCloud(b)
	for b.Loop() {
		if a := k.do(k.admin, "GET", "/v3/auth/tokens", nil, "X-Subject-Token", k.admin); a.status != 200 {
			b.Fatal(a.body)
		}
	}
}

func BenchmarkListUsers(b *testing.B) {
	k := newCloud(b)
	k.fillUsers(1000)
	b.ResetTimer()
	for b.Loop() {
		if a := k.do(k.admin, "GET", "/v3/users", nil); a.status != 200 {
			b.Fatal(a.body)
		}
	}
}
