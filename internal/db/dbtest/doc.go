// Package dbtest gives tests empty databases, so that the same test runs on
// every database that Kilonova may be told to use:
//
//	dbtest.Each(t, func(t *testing.T, d *db.DB) { ... })
//
// SQLite is always there. PostgreSQL and MariaDB are where the environment
// variable KILONOVA_TEST_DATABASES names servers, by URLs separated by blanks
// under which databases may be created and dropped:
//
//	postgresql://postgres@/postgres?host=/run/postgresql
//	mysql://root@/mysql?unix_socket=/run/mysqld/mysqld.sock
//
// Every test has a database of its own there, which is dropped when it ends.
//
// Stores are tested with Each. What stands on them is tested on one database at a
// time, with New or Template: on SQLite, or where KILONOVA_TEST_DATABASE says
// postgresql or mysql. test/databases/run.sh starts servers and runs both.
//
// The package is for tests only and knows no tables: who wants some migrates.
package dbtest
