package openapi

import (
	"net/http"
	"strings"
	"testing"
)

func TestAnswersAreHeldAgainstTheContract(t *testing.T) {
	c := Need(t, "identity/v3.14")
	isJSON := http.Header{"Content-Type": {"application/json"}}
	region := func(id string) string {
		return `{"region": {"id": ` + id + `, "description": "", "parent_region_id": null, "links": {"self": "http://here/v3/regions/a"}}}`
	}
	for _, tt := range []struct {
		method, path string
		status       int
		body, want   string // a part of what is wrong
	}{
		{"GET", "/v3/regions/a", 200, region(`"a"`), ""},
		{"GET", "/v3/regions/a", 200, region(`7`), "/region/id"},
		{"GET", "/v3/regions/a", 200, `{`, "not JSON"},
		{"GET", "/v3/regions/a", 404, `{"error": {}}`, ""},
		{"GET", "/v3/nowhere", 200, `{}`, "no such operation"},
		{"GET", "/v3/nowhere", 404, `{}`, ""},
	} {
		var texts []string
		for _, v := range c.Check(tt.method, tt.path, tt.status, isJSON, []byte(tt.body)) {
			texts = append(texts, v.String())
		}
		if got := strings.Join(texts, "\n"); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s %s %d %s: %q, want %q", tt.method, tt.path, tt.status, tt.body, got, tt.want)
		}
	}
}

// Every schema of the files that the suites use can be compiled.
func TestContractsCompile(t *testing.T) {
	for _, name := range []string{"identity/v3.14", "image/v2.16"} {
		c := Need(t, name)
		for _, o := range c.Operations() {
			for _, status := range []int{200, 201, 202} {
				if _, err := c.schema(o, status); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestTheMostFixedTemplateIsFound(t *testing.T) {
	c := Need(t, "identity/v3.14")
	for path, want := range map[string]string{
		"/v3/domains/config/default": "/v3/domains/config/default",
		"/v3/domains/x/config/ldap":  "/v3/domains/{domain_id}/config/{group}",
		"/v3/limits/model":           "/v3/limits/model",
		"/v3/limits/x":               "/v3/limits/{limit_id}",
	} {
		if o, ok := c.Find("GET", path); !ok || o.Path != want {
			t.Errorf("%s is %s", path, o)
		}
	}
}
