package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Open opens the database at rawURL:
//
//	sqlite:///var/lib/kilonova/compute.db    (the file and its folder are made)
//	sqlite://:memory:                        (private, gone with Close)
//	postgresql://user:password@host/name
//	mysql://user:password@host/name          (MariaDB 10.5 or newer)
//
// PostgreSQL takes libpq's parameters (?sslmode=verify-full), MariaDB those of
// its driver (?tls=true) and ?unix_socket=/run/mysqld/mysqld.sock without a host.
// Both take ?max_connections=N, which bounds this process's connections; 16 if
// nothing is said.
//
// SQLite takes ?synchronous=off|normal|full; normal (the default) survives the
// death of any process, full also that of the machine's power.
func Open(ctx context.Context, rawURL string) (*DB, error) {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return nil, fmt.Errorf("database: %q is no URL", rawURL)
	}
	var d *DB
	var err error
	switch scheme {
	case "sqlite":
		d, err = openSQLite(rest)
	case "postgresql", "postgres":
		d, err = openServer(postgreSQL, rawURL, connectPostgreSQL)
	case "mysql", "mariadb":
		d, err = openServer(mariaDB, rawURL, connectMariaDB)
	default:
		err = fmt.Errorf("unknown kind %q; there are sqlite, postgresql and mysql", scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := d.Ping(ctx); err != nil {
		d.Close()
		return nil, fmt.Errorf("database: %s: %w", scheme, err)
	}
	return d, nil
}

func openSQLite(rest string) (*DB, error) {
	path, query, _ := strings.Cut(rest, "?")
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	sync := params.Get("synchronous")
	if sync == "" {
		sync = "normal"
	}
	if path != ":memory:" {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
	}
	pragmas := "_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=synchronous(" + sync + ")" +
		"&_pragma=cache_size(-4000)&_pragma=case_sensitive_like(1)" // LIKE as in the others
	open := func(extra string, conns int) (*sql.DB, error) {
		db, err := sql.Open("sqlite", "file:"+path+"?"+pragmas+extra)
		if err == nil {
			db.SetMaxOpenConns(conns)
			db.SetMaxIdleConns(conns)
		}
		return db, err
	}
	log := fmt.Sprintf("&_pragma=wal_autocheckpoint(%d)&_pragma=journal_size_limit(%d)", logPages, logKept)
	write, err := open("&_txlock=immediate&_pragma=journal_mode(wal)"+log, 1)
	if err != nil {
		return nil, err
	}
	if path == ":memory:" { // a second connection would see another database
		return &DB{Dialect: sqlite, write: write, read: write}, nil
	}
	if err := write.Ping(); err != nil { // the file and its WAL exist before readers come
		write.Close()
		return nil, err
	}
	read, err := open("&_pragma=query_only(1)", max(2, runtime.GOMAXPROCS(0)))
	if err != nil {
		write.Close()
		return nil, err
	}
	beside, err := open("", 1)
	if err != nil {
		write.Close()
		read.Close()
		return nil, err
	}
	return &DB{Dialect: sqlite, write: write, read: read, writer: newWriter(write), checkpoints: newCheckpoints(beside)}, nil
}

// serverConnections bounds how many connections a service has to a server, where
// the URL does not say. PostgreSQL takes 100 in all as it comes, and every
// service has a pool of its own.
const serverConnections = 16

// openServer opens a database behind a server. connect makes the driver's
// connector from the URL without what is for this package.
func openServer(dialect Dialect, rawURL string, connect func(*url.URL, url.Values) (driver.Connector, error)) (*DB, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("the URL cannot be read") // err would show the password
	}
	q, most := u.Query(), serverConnections
	if text := q.Get("max_connections"); text != "" {
		if most, err = strconv.Atoi(text); err != nil || most < 2 {
			return nil, fmt.Errorf("max_connections is %q and not a number from 2 on", text)
		}
		q.Del("max_connections")
	}
	connector, err := connect(u, q)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(max(2, most/2))
	db.SetConnMaxLifetime(30 * time.Minute)
	return &DB{Dialect: dialect, write: db, read: db}, nil
}

func connectPostgreSQL(u *url.URL, q url.Values) (driver.Connector, error) {
	at := *u
	at.RawQuery = q.Encode()
	c, err := pgx.ParseConfig(at.String())
	if err != nil {
		return nil, err
	}
	c.RuntimeParams["default_transaction_isolation"] = "read committed"
	return stdlib.GetConnector(*c), nil
}

func connectMariaDB(u *url.URL, q url.Values) (driver.Connector, error) {
	network, address := "tcp", u.Host
	if socket := q.Get("unix_socket"); socket != "" {
		network, address = "unix", socket
		q.Del("unix_socket")
	} else if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "3306")
	}
	q.Set("charset", "utf8mb4")
	q.Set("collation_connection", "'utf8mb4_nopad_bin'")
	// Read committed, as PostgreSQL does by default: who has waited for a row's
	// lock then sees what the one before has written.
	q.Set("tx_isolation", "'READ-COMMITTED'")
	// Strict, or what does not fit a column would be cut to fit.
	q.Set("sql_mode", "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ANSI_QUOTES,PIPES_AS_CONCAT'")
	c, err := mysql.ParseDSN("/?" + q.Encode())
	if err != nil {
		return nil, err
	}
	c.Net, c.Addr, c.DBName, c.User = network, address, strings.TrimPrefix(u.Path, "/"), u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.ClientFoundRows = true
	return mysql.NewConnector(c)
}
