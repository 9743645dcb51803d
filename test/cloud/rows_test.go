package cloud

import (
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // reads the services' databases beside them
)

// restless are the tables whose rows come and go without anybody's request:
// tokens and their revocations, and signs of life.
var restless = map[string]bool{"identity.revocations": true, "compute.hosts": true, "network.agents": true}

// rows counts what is in a cloud's databases.
type rows struct {
	tables []table
	known  map[*sql.DB]known // what need not be counted again, of SQLite
}

// known is what a database had when it was at a version.
type known struct {
	version int
	counts  map[string]int
}

// table is one table of one service.
type table struct {
	name string // service.table
	db   *sql.DB
}

// openRows opens the databases below some data folders, to be read only.
func openRows(t *testing.T, folders ...string) *rows {
	t.Helper()
	r := &rows{known: map[*sql.DB]known{}}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "db", "*.db"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			d, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() })
			d.SetMaxOpenConns(1) // data_version is a connection's
			r.known[d] = known{version: -1}
			r.add(t, strings.TrimSuffix(filepath.Base(file), ".db"), d,
				`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'schema_migrations' ORDER BY name`)
		}
	}
	if len(r.tables) == 0 {
		t.Fatalf("there is no database below %v", folders)
	}
	return r
}

// add takes the tables of one database, whose names a query lists.
func (r *rows) add(t *testing.T, service string, d *sql.DB, names string) {
	t.Helper()
	found, err := d.Query(names)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		var name string
		if err := found.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if full := service + "." + name; !restless[full] {
			r.tables = append(r.tables, table{full, d})
		}
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
}

// count returns how many rows each table has.
func (r *rows) count(t *testing.T) map[string]int {
	t.Helper()
	counts, changed := make(map[string]int, len(r.tables)), map[*sql.DB]bool{}
	for d, k := range r.known {
		var version int
		if err := d.QueryRow(`PRAGMA data_version`).Scan(&version); err != nil {
			t.Fatal(err)
		}
		changed[d] = version != k.version
		if changed[d] {
			r.known[d] = known{version, map[string]int{}}
		}
	}
	for _, x := range r.tables {
		if same, ok := changed[x.db]; ok && !same {
			counts[x.name] = r.known[x.db].counts[x.name]
			continue
		}
		var n int
		_, name, _ := strings.Cut(x.name, ".")
		if err := x.db.QueryRow(`SELECT COUNT(*) FROM "` + name + `"`).Scan(&n); err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		counts[x.name] = n
		if k, ok := r.known[x.db]; ok {
			k.counts[x.name] = n
		}
	}
	return counts
}

// quiet waits until no service has work to do and nothing changes, and counts.
func (r *rows) quiet(t *testing.T) map[string]int {
	t.Helper()
	var counts map[string]int
	eventually(t, "durable work", func() string {
		before := counts
		counts = r.count(t)
		for name, n := range counts {
			if strings.HasSuffix(name, ".tasks") && n > 0 {
				return fmt.Sprintf("%d rows are in %s", n, name)
			}
		}
		if !maps.Equal(before, counts) { // tables are counted one after the other
			return "rows change: " + difference(before, counts)
		}
		return ""
	})
	return counts
}

// difference says what has become more or fewer.
func difference(before, after map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] != after[name] {
			all = append(all, fmt.Sprintf("%s: %d -> %d", name, before[name], after[name]))
		}
	}
	return strings.Join(all, ", ")
}

// folders are where the stacks of a cloud keep what lasts.
func (c *cloud) folders() []string {
	var all []string
	for _, st := range c.stacks {
		if _, err := os.Stat(filepath.Join(st.Config.Data, "db")); err == nil {
			all = append(all, st.Config.Data)
		}
	}
	return all
}

// root is where a service's API begins.
func (c *cloud) root(service string) string {
	if u := c.config.Peers[service]; u != "" {
		return u
	}
	return c.url + "/" + service
}
