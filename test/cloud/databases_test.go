package cloud

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"kilonova/stack"
)

// keepers are the services that have a database.
var keepers = []string{"identity", "image", "placement", "network", "compute", "object"}

// TestMangledRequestsElsewhere mangles requests to a cloud on PostgreSQL and on
// MariaDB, which take less than SQLite does: no character of value zero, no text
// longer than its column, no number wider than its own.
func TestMangledRequestsElsewhere(t *testing.T) {
	urls := strings.Fields(os.Getenv("KILONOVA_TEST_DATABASES"))
	if len(urls) == 0 {
		t.Skip("KILONOVA_TEST_DATABASES names no other databases")
	}
	for _, at := range urls {
		scheme, _, _ := strings.Cut(at, "://")
		t.Run(scheme, func(t *testing.T) {
			o := otherDatabases(t, at)
			c := base(t)
			c.Database.Connection = o.template
			st, err := stack.Start(t.Context(), c, testLog(), time.Now)
			if err != nil {
				t.Fatal(err)
			}
			mangle(t, ready(t, c, st.URL(), st), o.rows(t), 2)
		})
	}
}

// others are databases, one a service, on a server that is not SQLite.
type others struct {
	driver, template, prefix string
	dsn                      func(name string) string
}

// otherDatabases makes a database for each service beside the one at a URL, and
// drops them when the test has ended.
func otherDatabases(t *testing.T, at string) others {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	beside := func(name string) string {
		other := *u
		other.Path = "/" + name
		return other.String()
	}
	o := others{driver: "pgx", prefix: "cloud_" + strings.ToLower(rand.Text()[:8]) + "_", dsn: beside}
	drop := " WITH (FORCE)"
	if u.Scheme == "mysql" || u.Scheme == "mariadb" {
		password, _ := u.User.Password()
		o.driver, drop = "mysql", ""
		server := "tcp(" + u.Host + ")"
		if socket := u.Query().Get("unix_socket"); socket != "" {
			server = "unix(" + socket + ")"
		}
		o.dsn = func(name string) string {
			return fmt.Sprintf("%s:%s@%s/%s?sql_mode=ANSI_QUOTES", u.User.Username(), password, server, name)
		}
	}
	o.template = strings.Replace(beside(o.prefix), o.prefix, o.prefix+"%s", 1) // before the parameters, where there are any
	admin, err := sql.Open(o.driver, o.dsn(strings.TrimPrefix(u.Path, "/")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	for _, s := range keepers {
		if _, err := admin.Exec(`CREATE DATABASE ` + o.prefix + s); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := admin.Exec(`DROP DATABASE ` + o.prefix + s + drop); err != nil {
				t.Error(err)
			}
		})
	}
	return o
}

// rows opens them to count what is in them.
func (o others) rows(t *testing.T) *rows {
	t.Helper()
	r := &rows{}
	for _, s := range keepers {
		d, err := sql.Open(o.driver, o.dsn(o.prefix+s))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		schema := "'public'"
		if o.driver == "mysql" {
			schema = "DATABASE()"
		}
		r.add(t, s, d, `SELECT table_name FROM information_schema.tables WHERE table_schema = `+schema+` AND table_name <> 'schema_migrations' ORDER BY table_name`)
	}
	return r
}
