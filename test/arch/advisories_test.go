package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kilonova/test/compat/openapi"
)

var (
	advisoryRow = regexp.MustCompile(`^\| ((?:OSSA-\d{4}-\d{3}|CVE-\d{4}-\d{4,5}))[^|]*\| (.+) \|$`)
	namedTests  = regexp.MustCompile("`([a-z0-9_/]+_test\\.go)`((?: Test\\w+)+)")
	published   = regexp.MustCompile(`(?m)^\| (OSSA-\d{4}-\d{3}) \| [^|]* \| ([^|]*) \|`)
)

// about returns the source of a test with the comment above it; "" when there is no
// such test.
func about(source, name string) string {
	at := strings.Index(source, "\nfunc "+name+"(")
	if at < 0 {
		return ""
	}
	above := strings.LastIndex(source[:at], "\n}")
	end := strings.Index(source[at:], "\n}\n")
	if end < 0 {
		end = len(source) - at
	}
	return source[max(above, 0) : at+end]
}

// TestAdvisoriesHaveTheirTests keeps docs/advisories.md true: each test that it names
// is there and speaks of the advisory, and each published advisory on the services
// that the page is about has its row.
func TestAdvisoriesHaveTheirTests(t *testing.T) {
	root := loaded(t).root
	page, err := os.ReadFile(filepath.Join(root, "docs/advisories.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		m := advisoryRow.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		id, here := m[1], m[2]
		rows[id] = true
		files := namedTests.FindAllStringSubmatch(here, -1)
		if len(files) == 0 && !strings.HasPrefix(here, "cannot apply: ") {
			t.Errorf("%s has neither a test nor a reason: %s", id, here)
		}
		for _, f := range files {
			source, err := os.ReadFile(filepath.Join(root, f[1]))
			if err != nil {
				t.Errorf("%s: %v", id, err)
				continue
			}
			for name := range strings.FieldsSeq(f[2]) {
				if text := about(string(source), name); !strings.Contains(text, id) {
					t.Errorf("%s: %s of %s is not there or does not speak of it", id, name, f[1])
				}
			}
		}
	}
	if len(rows) < 60 {
		t.Errorf("only %d rows were found; has the page's form changed?", len(rows))
	}
	list, err := os.ReadFile(filepath.Join(openapi.Folder(), "..", "reference", "advisories.md"))
	if err != nil {
		t.Skip("the list of published advisories is not beside the contracts:", err)
	}
	for _, m := range published.FindAllStringSubmatch(string(list), -1) {
		product := strings.ToLower(m[2])
		if (strings.Contains(product, "keystone") || strings.Contains(product, "glance") || strings.Contains(product, "swift") || strings.Contains(product, "oslo.middleware")) && !rows[m[1]] {
			t.Errorf("%s (%s) has no row in docs/advisories.md", m[1], product)
		}
	}
}
