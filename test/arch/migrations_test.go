package arch

import (
	"path/filepath"
	"regexp"
	"testing"
)

// TestMigrationsAreNumbered: each migration of a service has a number of its own,
// which says in which order they are run.
func TestMigrationsAreNumbered(t *testing.T) {
	form := regexp.MustCompile(`^(\d{4})_[a-z0-9_]+\.sql$`)
	files, err := filepath.Glob("../../service/*/store/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d migrations found, %v", len(files), err)
	}
	taken := map[string]string{}
	for _, file := range files {
		folder, name := filepath.Split(file)
		m := form.FindStringSubmatch(name)
		if m == nil {
			t.Errorf("%s is not named like 0042_what.sql", file)
			continue
		}
		if other, twice := taken[folder+m[1]]; twice {
			t.Errorf("%s and %s have the same number", other, name)
		}
		taken[folder+m[1]] = name
	}
}
