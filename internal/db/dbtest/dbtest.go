package dbtest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kilonova/internal/db"
)

// The environment variables: a list of servers, and the name of one of them, on
// which New and Template then make their databases.
const (
	ServersVariable = "KILONOVA_TEST_DATABASES"
	ChoiceVariable  = "KILONOVA_TEST_DATABASE"
)

// Each runs a test on an empty database of every kind that there is: SQLite in a
// file; SQLite in memory, whose one connection finds those who want a second
// while they hold the first; and one on each of Servers.
func Each(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("memory", func(t *testing.T) { test(t, Open(t, "sqlite://:memory:")) })
	for _, s := range Servers(t) {
		t.Run(s.Name, func(t *testing.T) { test(t, s.Open(t)) })
	}
}

// SQLite opens an empty database in a file, for tests and benchmarks that want no
// other.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	return Open(t, "sqlite://"+filepath.Join(t.TempDir(), "test.db"))
}

// New opens an empty database for tests of what stands on a store: in a file with
// SQLite, unless the environment chooses a server.
func New(t testing.TB) *db.DB {
	t.Helper()
	if s := chosen(t); s != nil {
		return s.Open(t)
	}
	return SQLite(t)
}

// Template is Server.Template on the server that the environment chooses; "" if
// it chooses none.
func Template(t testing.TB, services ...string) string {
	t.Helper()
	if s := chosen(t); s != nil {
		return s.Template(t, services...)
	}
	return ""
}

func chosen(t testing.TB) *Server {
	t.Helper()
	name := os.Getenv(ChoiceVariable)
	if name == "" || name == "sqlite" {
		return nil
	}
	for _, s := range Servers(t) {
		if s.Name == name {
			return &s
		}
	}
	t.Fatalf("%s is %q, but %s has no such server.", ChoiceVariable, name, ServersVariable)
	return nil
}

// Open opens a database and closes it when the test ends.
func Open(t testing.TB, rawURL string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), rawURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// Server is a database server on which databases may be made.
type Server struct {
	Name  string // "postgresql" or "mysql"
	admin *url.URL
}

// Servers are those that the environment names.
func Servers(t testing.TB) []Server {
	t.Helper()
	var all []Server
	for _, text := range strings.Fields(os.Getenv(ServersVariable)) {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatalf("%s has a URL that cannot be read.", ServersVariable)
		}
		all = append(all, Server{u.Scheme, u})
	}
	return all
}

// Open makes an empty database, opens it, and drops it when the test ends.
func (s Server) Open(t testing.TB) *db.DB {
	t.Helper()
	return Open(t, strings.Replace(s.Template(t, "service"), "%s", "service", 1))
}

// Template makes an empty database for each of several services and returns
// their URL, in which %s stands for the service's name.
func (s Server) Template(t testing.TB, services ...string) string {
	t.Helper()
	admin := Open(t, s.admin.String())
	prefix := "kilonova_test_" + strings.ToLower(rand.Text()[:10]) + "_"
	create, drop := "", ""
	if admin.Dialect.Name == "postgresql" {
		create, drop = " TEMPLATE template0", " WITH (FORCE)" // nobody can be connected to template0
	}
	for _, service := range services {
		name := prefix + service
		if err := admin.Administer(t.Context(), `CREATE DATABASE `+name+create); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // after the test has closed its connections, since it opened them later
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := admin.Administer(ctx, `DROP DATABASE `+name+drop); err != nil {
				t.Errorf("a database is left over: %v", err)
			}
		})
	}
	at := *s.admin
	at.Path = "/" + prefix
	text := at.String()
	return strings.Replace(text, prefix, prefix+"%s", 1)
}
