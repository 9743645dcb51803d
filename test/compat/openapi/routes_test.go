package openapi_test

import (
	"net/http"
	"strings"
	"testing"

	"kilonova/internal/rest"
	"kilonova/stack"
	"kilonova/test/compat/openapi"
)

// refused are operations that the file describes and that upstream answers 405:
// its tables say GET wherever there is a path.
var refused = map[string]bool{
	"GET /v3/OS-OAUTH1/request_token": true, "HEAD /v3/OS-OAUTH1/request_token": true,
	"GET /v3/OS-OAUTH1/access_token": true, "HEAD /v3/OS-OAUTH1/access_token": true,
	"GET /v3/ec2tokens": true, "HEAD /v3/ec2tokens": true, "GET /v3/s3tokens": true, "HEAD /v3/s3tokens": true,
	"GET /v3/auth/OS-FEDERATION/saml2": true, "HEAD /v3/auth/OS-FEDERATION/saml2": true,
	"GET /v3/auth/OS-FEDERATION/saml2/ecp": true, "HEAD /v3/auth/OS-FEDERATION/saml2/ecp": true,
}

// configShape is the shape of routes of domains' configurations: their parts are
// told apart by the handler, since "default" stands where an option's name does.
func configShape(path string) string {
	rest, ok := strings.CutPrefix(path, "/v3/domains/")
	if !ok || !strings.Contains(rest, "config") {
		return path
	}
	return "/v3/domains" + strings.Repeat("/{}", strings.Count(rest, "/")+1)
}

// shape is a path with the names of its wildcards taken out.
func shape(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, "{") {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}

// TestEveryOperationOfTheContractsIsThere walks upstream's files: each operation has a
// route, or a reason above why it has none.
func TestEveryOperationOfTheContractsIsThere(t *testing.T) {
	apis, err := stack.APIs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, least := range map[string]int{"identity/v3.14": 350, "image/v2": 70, "image/v2.16": 70} {
		t.Run(name, func(t *testing.T) {
			c := openapi.Need(t, name)
			ours := map[string]bool{}
			for _, api := range apis {
				if api.Name == c.Service {
					for _, r := range api.Routes {
						note(ours, r)
					}
				}
			}
			all := c.Operations()
			for _, o := range all {
				if !ours[o.Method+" "+shape(o.Path)] && !ours[o.Method+" "+configShape(o.Path)] && !refused[o.String()] {
					t.Errorf("there is no %s", o)
				}
			}
			if len(all) < least {
				t.Errorf("the contract has %d operations only", len(all))
			}
		})
	}
}

func note(ours map[string]bool, r rest.Route) {
	ours[r.Method+" "+shape(r.Path)] = true
	if r.Method == http.MethodGet {
		ours[http.MethodHead+" "+shape(r.Path)] = true
	}
}
