package placement_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folder is where the gabbits are; it skips the test where they are not.
func folder(t *testing.T) string {
	contracts := os.Getenv("KILONOVA_CONTRACTS")
	if contracts == "" {
		contracts = filepath.Join("..", "..", "..", "..", "shared", "contracts")
	}
	dir := filepath.Join(contracts, "placement", "gabbits")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the contracts are not here (%v); KILONOVA_CONTRACTS says where they are", err)
	}
	return dir
}

const ratchet = "passed.txt"

func TestGabbits(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(folder(t), "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no gabbits: %v", err)
	}
	must := map[string]bool{}
	once, err := os.ReadFile(ratchet)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(once) {
		must[strings.TrimSpace(string(line))] = true
	}
	var passed []string
	total := 0
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			good, all := runFile(t, path, must)
			passed, total = append(passed, good...), total+all
			t.Logf("%s: %d passed, %d failed", name, len(good), all-len(good))
		})
	}
	t.Logf("%d files: %d of %d requests passed", len(files), len(passed), total)
	for _, line := range passed {
		delete(must, line)
	}
	for line := range must {
		if line != "" {
			t.Errorf("passed once and not now: %s", line)
		}
	}
	if os.Getenv("KILONOVA_RATCHET") == "write" {
		slices.Sort(passed)
		if err := os.WriteFile(ratchet, []byte(strings.Join(slices.Compact(passed), "\n")+"\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// runFile runs the requests of one file in order and returns the names of those
// that passed. A request that never passed before is reported without failing.
func runFile(t *testing.T, path string, must map[string]bool) (passed []string, total int) {
	s, err := loadSuite(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Fixtures) != 1 || fixtures[s.Fixtures[0]] == nil {
		t.Fatalf("fixtures %v: exactly one that is known is needed", s.Fixtures)
	}
	c := fixtures[s.Fixtures[0]](t)
	tpl := &template{environ: c.environ, history: map[string]*exchange{}}
	names := map[string]int{}
	for _, test := range s.Tests {
		name := fmt.Sprint(test["name"])
		line := filepath.Base(path) + ": " + name
		if names[name]++; names[name] > 1 {
			line += fmt.Sprintf(" (%d)", names[name])
		}
		e, err := run(c.service, tpl, c.tokens, s, test)
		tpl.prior, tpl.history[name] = e, e
		switch {
		case err == nil:
			passed = append(passed, line)
		case must[line]:
			t.Errorf("%s: %v", name, err)
		default:
			t.Logf("not yet: %s: %v", name, err)
		}
	}
	return passed, len(s.Tests)
}
