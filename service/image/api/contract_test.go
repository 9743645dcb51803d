package api

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// contract is upstream's description of the API; the test is skipped where it is
// absent.
func contract(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("KILONOVA_CONTRACTS")
	if dir == "" {
		dir = "../../../../shared/contracts"
	}
	data, err := os.ReadFile(filepath.Join(dir, "openapi/image/v2.yaml"))
	if err != nil {
		t.Skip("upstream's contracts are not here; KILONOVA_CONTRACTS says where they are:", err)
	}
	return string(data)
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// Every operation of upstream's description has a route.
func TestEveryOperationHasARoute(t *testing.T) {
	text := contract(t)
	have := map[string]bool{}
	cl := start(t, nil)
	for _, r := range (&api{cl.c, cl.c.Options()}).routes() {
		have[r.Method+" "+wildcard.ReplaceAllString(r.Path, "{}")] = true
	}
	path, n := "", 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "components:" {
			break
		}
		if strings.HasPrefix(line, "  /") {
			path = wildcard.ReplaceAllString(strings.TrimSuffix(strings.TrimSpace(line), ":"), "{}")
			continue
		}
		method := strings.TrimSuffix(strings.TrimPrefix(line, "    "), ":")
		switch method {
		case "get", "put", "post", "patch", "delete", "head":
			if n++; !have[strings.ToUpper(method)+" "+path] {
				t.Errorf("there is no route for %s %s", strings.ToUpper(method), path)
			}
		}
	}
	if n < 70 {
		t.Errorf("only %d operations were found in the description", n)
	}
}
