package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// told is an assignment in a line: who, what, where, and whence.
func told(e any) string {
	a := answer{json: e.(doc)}
	who := a.str("user", "name")
	if who == "" {
		who = "group " + a.str("group", "name")
	}
	where := a.str("scope", "project", "name") + a.str("scope", "domain", "name")
	if where == "" {
		where = "system"
	}
	if a.str("scope", "OS-INHERIT:inherited_to") != "" {
		where += " below"
	}
	return who + " " + a.str("role", "name") + " " + where
}

func (k *cloud) assignments(query string) string {
	k.t.Helper()
	var lines []string
	for _, e := range k.must(200, "GET", "/v3/role_assignments?include_names&"+query, nil).list("role_assignments") {
		lines = append(lines, told(e))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

func TestAssignments(t *testing.T) {
	k := newCloud(t)
	d := k.must(201, "POST", "/v3/domains", doc{"domain": doc{"name": "D"}}).str("domain", "id")
	top := k.must(201, "POST", "/v3/projects", doc{"project": doc{"name": "top", "domain_id": d}}).str("project", "id")
	sub := k.must(201, "POST", "/v3/projects", doc{"project": doc{"name": "sub", "domain_id": d, "parent_id": top}}).str("project", "id")
	u := k.must(201, "POST", "/v3/users", doc{"user": doc{"name": "u", "domain_id": d, "password": "u's secret"}}).str("user", "id")
	g := k.must(201, "POST", "/v3/groups", doc{"group": doc{"name": "g", "domain_id": d}}).str("group", "id")
	k.must(204, "PUT", "/v3/groups/"+g+"/users/"+u, nil)
	special := k.must(201, "POST", "/v3/roles", doc{"role": doc{"name": "special", "domain_id": d}}).str("role", "id")
	member, reader := k.role("member"), k.role("reader")
	k.must(201, "PUT", "/v3/roles/"+special+"/implies/"+reader, nil)
	k.must(403, "PUT", "/v3/roles/"+reader+"/implies/"+special, nil)
	k.must(403, "PUT", "/v3/roles/"+reader+"/implies/"+k.role("admin"), nil)
	k.must(403, "PUT", "/v3/roles/"+reader+"/implies/"+member, nil) // member implies reader
	k.must(204, "PUT", "/v3/OS-INHERIT/domains/"+d+"/groups/"+g+"/roles/"+member+"/inherited_to_projects", nil)
	k.must(204, "PUT", "/v3/projects/"+sub+"/users/"+u+"/roles/"+special, nil)
	k.must(403, "PUT", "/v3/projects/"+k.must(200, "GET", "/v3/projects?name=admin", nil).list("projects")[0].(doc)["id"].(string)+"/users/"+u+"/roles/"+special, nil)
	for query, want := range map[string]string{
		"scope.domain.id=" + d:                                     "group g member D below",
		"user.id=" + u:                                             "u special sub",
		"group.id=" + g:                                            "group g member D below",
		"role.id=" + special:                                       "u special sub",
		"scope.OS-INHERIT:inherited_to=projects":                   "group g member D below",
		"user.id=" + u + "&effective":                              "u member sub below, u member top below, u reader sub, u reader sub below, u reader top below",
		"user.id=" + u + "&effective&scope.project.id=" + top:      "u member top below, u reader top below",
		"role.id=" + reader + "&effective&scope.project.id=" + sub: "u reader sub, u reader sub below",
		"include_subtree&scope.project.id=" + top:                  "u special sub",
		"include_subtree&effective&role.id=" + member + "&scope.project.id=" + top: "u member sub below, u member top below",
		"scope.system=all": "admin admin system",
	} {
		if got := k.assignments(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"scope.domain.id=a&scope.project.id=b", "user.id=a&group.id=b", "effective&group.id=a", "scope.system=all&scope.project.id=a", "scope.system=all&scope.domain.id=a",
		"effective&scope.domain.id=a&scope.OS-INHERIT:inherited_to=projects", "include_subtree"} {
		k.must(400, "GET", "/v3/role_assignments?"+query, nil)
	}
	login := func(id string) answer {
		return k.do("", "POST", "/v3/auth/tokens", doc{"auth": doc{"identity": doc{"methods": []string{"password"}, "password": doc{"user": doc{"id": u, "password": "u's secret"}}}, "scope": projectByID(id)}})
	}
	if got := roleNames(login(sub)); got != "member reader" {
		t.Errorf("roles by inheritance: %q", got)
	}
	unscoped := login(top).token
	if got := strings.Join(names(k.do(unscoped, "GET", "/v3/auth/projects", nil).list("projects")), " "); got != "sub top" {
		t.Errorf("projects by inheritance: %q", got)
	}
	if got := len(k.must(200, "GET", "/v3/OS-INHERIT/domains/"+d+"/groups/"+g+"/roles/inherited_to_projects", nil).list("roles")); got != 1 {
		t.Error(got)
	}
	k.must(204, "HEAD", "/v3/OS-INHERIT/domains/"+d+"/groups/"+g+"/roles/"+member+"/inherited_to_projects", nil)
	k.must(404, "GET", "/v3/domains/"+d+"/groups/"+g+"/roles/"+member, nil)
	k.must(204, "DELETE", "/v3/OS-INHERIT/domains/"+d+"/groups/"+g+"/roles/"+member+"/inherited_to_projects", nil)
	k.must(404, "DELETE", "/v3/OS-INHERIT/domains/"+d+"/groups/"+g+"/roles/"+member+"/inherited_to_projects", nil)
	if got := roleNames(login(sub)); got != "reader" { // through the domain's own role
		t.Errorf("roles by a role of the domain: %q", got)
	}
	k.wants(login(top), 401, "no role any more")
	if a := k.must(200, "GET", "/v3/role_inferences", nil); len(a.list("role_inferences")) != 4 {
		t.Error(a.body)
	}
}

// A manager of a domain rules in it, and nowhere else.
func TestDomainManager(t *testing.T) {
	k := newCloud(t)
	d := k.must(201, "POST", "/v3/domains", doc{"domain": doc{"name": "D"}}).str("domain", "id")
	u := k.must(201, "POST", "/v3/users", doc{"user": doc{"name": "boss", "domain_id": d, "password": "boss's secret"}}).str("user", "id")
	k.must(204, "PUT", "/v3/domains/"+d+"/users/"+u+"/roles/"+k.role("manager"), nil)
	boss := k.do("", "POST", "/v3/auth/tokens", doc{"auth": doc{"identity": doc{"methods": []string{"password"}, "password": doc{"user": doc{"id": u, "password": "boss's secret"}}}, "scope": doc{"domain": doc{"id": d}}}}).token
	made := k.do(boss, "POST", "/v3/users", doc{"user": doc{"name": "new"}})
	if made.str("user", "domain_id") != d {
		t.Fatal(made.status, made.body)
	}
	p := k.do(boss, "POST", "/v3/projects", doc{"project": doc{"name": "p"}})
	if p.str("project", "domain_id") != d {
		t.Fatal(p.status, p.body)
	}
	on := "/v3/projects/" + p.str("project", "id") + "/users/" + made.str("user", "id") + "/roles/"
	admin := k.must(200, "GET", "/v3/users?name=admin", nil).list("users")[0].(doc)["id"].(string)
	for _, tt := range []struct {
		method, path string
		body         any
		want         int
	}{
		{"PUT", on + k.role("member"), nil, 204},
		{"PUT", on + k.role("admin"), nil, 403},
		{"DELETE", on + k.role("member"), nil, 204},
		{"PUT", "/v3/domains/default/users/" + u + "/roles/" + k.role("member"), nil, 403},
		{"POST", "/v3/users", doc{"user": doc{"name": "x", "domain_id": "default"}}, 403},
		{"GET", "/v3/users/" + admin, nil, 403},
		{"PATCH", "/v3/users/" + admin, doc{"user": doc{"password": "mine"}}, 403},
		{"POST", "/v3/domains", doc{"domain": doc{"name": "x"}}, 403},
		{"GET", "/v3/domains/" + d, nil, 200},
		{"GET", "/v3/domains/default", nil, 403},
		{"POST", "/v3/roles", doc{"role": doc{"name": "x"}}, 403},
		{"GET", "/v3/roles", nil, 200},
		{"GET", "/v3/roles/" + k.role("admin"), nil, 403},
		{"DELETE", "/v3/users/" + made.str("user", "id"), nil, 204},
	} {
		k.wants(k.do(boss, tt.method, tt.path, tt.body), tt.want, "%s %s", tt.method, tt.path)
	}
	for path, want := range map[string]int{"users": 1, "projects": 1, "domains": 1, "groups": 0, "role_assignments": 1} {
		if got := k.do(boss, "GET", "/v3/"+path, nil).list(path); len(got) != want {
			t.Errorf("%s: %d, want %d: %v", path, len(got), want, fmt.Sprint(got))
		}
	}
}

func TestEndpointFilter(t *testing.T) {
	k := newCloud(t)
	id := k.login("admin", adminPassword, project("admin")).str("token", "project", "id")
	faces := func() string {
		seen := map[string]int{}
		for _, e := range k.must(200, "GET", "/v3/auth/catalog", nil).list("catalog") {
			for _, p := range e.(doc)["endpoints"].([]any) {
				seen[p.(doc)["interface"].(string)]++
			}
		}
		return fmt.Sprint(seen)
	}
	if got := faces(); got != "map[admin:2 internal:2 public:2]" {
		t.Fatal(got)
	}
	group := k.must(201, "POST", "/v3/OS-EP-FILTER/endpoint_groups", doc{"endpoint_group": doc{"name": "public ones", "filters": doc{"interface": "public"}}}).str("endpoint_group", "id")
	k.must(400, "POST", "/v3/OS-EP-FILTER/endpoint_groups", doc{"endpoint_group": doc{"name": "x", "filters": doc{"colour": "red"}}})
	at := "/v3/OS-EP-FILTER/endpoint_groups/" + group + "/projects/" + id
	k.must(404, "GET", at, nil)
	k.must(204, "PUT", at, nil)
	if got := faces(); got != "map[public:2]" {
		t.Error(got)
	}
	single := k.must(200, "GET", "/v3/endpoints?interface=admin", nil).list("endpoints")[0].(doc)["id"].(string)
	k.must(204, "PUT", "/v3/OS-EP-FILTER/projects/"+id+"/endpoints/"+single, nil)
	k.must(204, "GET", "/v3/OS-EP-FILTER/projects/"+id+"/endpoints/"+single, nil)
	if got := faces(); got != "map[admin:1 public:2]" {
		t.Error(got)
	}
	for path, want := range map[string]int{"/projects/" + id + "/endpoints": 3, "/endpoint_groups/" + group + "/endpoints": 2} {
		if got := k.must(200, "GET", "/v3/OS-EP-FILTER"+path, nil).list("endpoints"); len(got) != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	for _, path := range []string{"/endpoints/" + single + "/projects", "/endpoint_groups/" + group + "/projects"} {
		if got := k.must(200, "GET", "/v3/OS-EP-FILTER"+path, nil).list("projects"); len(got) != 1 {
			t.Errorf("%s: %v", path, got)
		}
	}
	k.must(204, "DELETE", "/v3/OS-EP-FILTER/projects/"+id+"/endpoints/"+single, nil)
	k.must(204, "DELETE", at, nil)
	if got := faces(); got != "map[admin:2 internal:2 public:2]" {
		t.Error(got)
	}
}
