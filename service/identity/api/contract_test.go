package api

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// sample reads one of the contract's answers.
func sample(t *testing.T, name string) doc {
	t.Helper()
	dir := os.Getenv("KILONOVA_CONTRACTS")
	if dir == "" {
		dir = "../../../../shared/contracts"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the contracts are not at %s; set KILONOVA_CONTRACTS", dir)
	}
	data, err := os.ReadFile(filepath.Join(dir, "keystone/api_samples", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var v doc
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(name, err)
	}
	return v
}

// shape lists the paths of all members; lists count by their first element.
func shape(prefix string, v any, into map[string]bool) {
	switch v := v.(type) {
	case doc:
		for name, member := range v {
			into[prefix+name] = true
			shape(prefix+name+".", member, into)
		}
	case []any:
		if len(v) > 0 {
			shape(prefix, v[0], into)
		}
	}
}

// What the contract's answers have, ours have.
func TestContractSamples(t *testing.T) {
	k := newCloud(t)
	u, p := k.user("alice", "member")
	k.provided()
	k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"default_project_id": p, "federated": somebody("corp", "openid", "ann")}})
	token := k.login("alice", "alice's secret", project("alice"))
	service := k.must(200, "GET", "/v3/services?type=identity", nil).list("services")[0].(doc)["id"].(string)
	member, reader := k.role("member"), k.role("reader")
	group := k.must(201, "POST", "/v3/groups", doc{"group": doc{"name": "g"}}).str("group", "id")
	k.must(204, "PUT", "/v3/groups/"+group+"/users/"+u, nil)
	domain := k.must(201, "POST", "/v3/domains", doc{"domain": doc{"name": "d"}})
	registered := k.must(201, "POST", "/v3/registered_limits", doc{"registered_limits": []doc{{"service_id": service, "resource_name": "users", "default_limit": 5}}})
	appCred := k.do(token.token, "POST", "/v3/users/"+u+"/application_credentials", doc{"application_credential": doc{"name": "a", "access_rules": []doc{{"path": "/x", "method": "GET", "service": "y"}}}})
	trust := k.do(token.token, "POST", "/v3/OS-TRUST/trusts", doc{"trust": doc{"trustor_user_id": u, "trustee_user_id": u, "impersonation": true, "project_id": p, "roles": []doc{{"name": "member"}}, "expires_at": "2099-01-01T00:00:00Z"}})
	scoped := func(scope any) answer { return k.login("admin", adminPassword, scope) }
	k.must(204, "PUT", "/v3/domains/default/users/"+k.must(200, "GET", "/v3/users?name=admin", nil).list("users")[0].(doc)["id"].(string)+"/roles/"+member, nil)
	tests := map[string]answer{
		"v3/samples/auth/responses/project-scoped-password":           token,
		"v3/samples/auth/responses/system-scoped-password":            scoped(system()),
		"v3/samples/auth/responses/domain-scoped-password":            scoped(doc{"domain": doc{"id": "default"}}),
		"v3/samples/auth/responses/unscoped-password":                 scoped("unscoped"),
		"v3/samples/admin/users-list-response":                        k.must(200, "GET", "/v3/users?name=alice", nil),
		"v3/samples/admin/user-projects-list-response":                k.must(200, "GET", "/v3/users/"+u+"/projects", nil),
		"v3/samples/admin/user-groups-list-response":                  k.must(200, "GET", "/v3/users/"+u+"/groups", nil),
		"v3/samples/admin/groups-list-response":                       k.must(200, "GET", "/v3/groups", nil),
		"v3/samples/admin/projects-list-response":                     k.must(200, "GET", "/v3/projects", nil),
		"v3/samples/admin/project-show-response":                      k.must(200, "GET", "/v3/projects/"+p, nil),
		"v3/samples/admin/project-tags-list-response":                 k.must(200, "GET", "/v3/projects/"+p+"/tags", nil),
		"v3/samples/admin/domain-create-response":                     domain,
		"v3/samples/admin/domains-list-response":                      k.must(200, "GET", "/v3/domains", nil),
		"v3/samples/admin/roles-list-response":                        k.must(200, "GET", "/v3/roles", nil),
		"v3/samples/admin/role-assignments-list-response":             k.must(200, "GET", "/v3/role_assignments", nil),
		"v3/samples/admin/project-user-roles-list-response":           k.must(200, "GET", "/v3/projects/"+p+"/users/"+u+"/roles", nil),
		"v3/samples/admin/get-role-inferences-response":               k.must(200, "GET", "/v3/roles/"+member+"/implies/"+reader, nil),
		"v3/samples/admin/list-implied-roles-for-role-response":       k.must(200, "GET", "/v3/roles/"+member+"/implies", nil),
		"v3/samples/admin/regions-list-response":                      k.must(200, "GET", "/v3/regions", nil),
		"v3/samples/admin/services-list-response":                     k.must(200, "GET", "/v3/services", nil),
		"v3/samples/admin/endpoints-list-response":                    k.must(200, "GET", "/v3/endpoints", nil),
		"v3/samples/admin/get-service-catalog-response":               k.must(200, "GET", "/v3/auth/catalog", nil),
		"v3/samples/admin/get-available-project-scopes-response":      k.must(200, "GET", "/v3/auth/projects", nil),
		"v3/samples/admin/get-available-system-scopes-response":       k.must(200, "GET", "/v3/auth/system", nil),
		"v3/samples/admin/limit-flat-model-response":                  k.must(200, "GET", "/v3/limits/model", nil),
		"v3/samples/admin/registered-limits-create-response":          registered,
		"v3/samples/admin/application-credential-create-response":     appCred,
		"v3/samples/admin/access-rules-list-response":                 k.do(token.token, "GET", "/v3/users/"+u+"/access_rules", nil),
		"v3/samples/admin/domain-config-create-response":              k.must(201, "PUT", "/v3/domains/"+domain.str("domain", "id")+"/config", sample(t, "v3/samples/admin/domain-config-create-request")),
		"v3-ext/samples/OS-TRUST/trust-create-response":               trust,
		"v3-ext/samples/OS-TRUST/trust-list-roles-delegated-response": k.do(token.token, "GET", "/v3/OS-TRUST/trusts/"+trust.str("trust", "id")+"/roles", nil),
	}
	// Older names, and members that upstream no longer has either.
	gone := []string{"links.previous", "links.next", "role_assignments.group", "role_assignments.scope.domain", "role_assignments.user", "domains.links.next",
		"endpoints.name", "role_inference.implies.description", "role_inference.prior_role.description", "services.description", "projects.extra", "token.OS-FEDERATION"}
	for name, got := range tests {
		want, have := map[string]bool{}, map[string]bool{}
		shape("", sample(t, name), want)
		shape("", got.json, have)
		var missing []string
		for path := range want {
			skip := false
			for _, g := range gone {
				skip = skip || path == g || strings.HasPrefix(path, g+".")
			}
			if !have[path] && !skip {
				missing = append(missing, path)
			}
		}
		if sort.Strings(missing); len(missing) > 0 {
			t.Errorf("%s has %s, ours is %.600s", name, strings.Join(missing, " "), got.body)
		}
	}
}
