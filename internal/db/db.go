package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	// The drivers that Open may be asked for, by name.
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

// DB is one service's database. Reads outside a transaction go to a pool; on
// SQLite all writes go through one connection, since it has one writer anyway
// and waiting in Go is fair where waiting in SQLite is not.
type DB struct {
	Dialect Dialect

	write, read *sql.DB
	stmts       sync.Map // query text -> *sql.Stmt of the read pool
	prepared    atomic.Int32
}

// maxPrepared bounds the statements that are kept prepared: texts that depend on
// what a client filters by are without number. Those that come later are run
// unprepared.
const maxPrepared = 1000

// Querier runs queries: a *DB outside of transactions, a *Tx inside.
type Querier interface {
	query(ctx context.Context, query string, args []any) (*sql.Rows, error)
}

// Open opens the database at rawURL:
//
//	sqlite:///var/lib/kilonova/compute.db    (the file and its folder are made)
//	sqlite://:memory:                        (private, gone with Close)
//	postgresql://user:password@host/name
//	mysql://user:password@host/name          (MariaDB)
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
		d, err = openServer(postgreSQL, "pgx", rawURL)
	case "mysql", "mariadb":
		var dsn string
		if dsn, err = mysqlDSN(rawURL); err == nil {
			d, err = openServer(mariaDB, "mysql", dsn)
		}
	default:
		err = fmt.Errorf("unknown kind %q; there are sqlite, postgresql and mysql", scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := d.write.PingContext(ctx); err != nil {
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
	pragmas := "_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=synchronous(" + sync + ")&_pragma=cache_size(-4000)"
	open := func(extra string, conns int) (*sql.DB, error) {
		db, err := sql.Open("sqlite", "file:"+path+"?"+pragmas+extra)
		if err == nil {
			db.SetMaxOpenConns(conns)
			db.SetMaxIdleConns(conns)
		}
		return db, err
	}
	write, err := open("&_txlock=immediate&_pragma=journal_mode(wal)", 1)
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
	return &DB{Dialect: sqlite, write: write, read: read}, err
}

func openServer(dialect Dialect, driver, dsn string) (*DB, error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(32)
	db.SetMaxIdleConns(8)
	db.SetConnMaxLifetime(30 * time.Minute)
	return &DB{Dialect: dialect, write: db, read: db}, nil
}

func mysqlDSN(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", err
	}
	host := "tcp(" + u.Host + ")"
	if u.Host == "" {
		host = "unix(" + u.Query().Get("unix_socket") + ")"
	}
	user := u.User.Username()
	if pass, ok := u.User.Password(); ok {
		user += ":" + pass
	}
	// Read committed, as PostgreSQL does by default: who has waited for a row's
	// lock then sees what the one before has written.
	return fmt.Sprintf("%s@%s%s?charset=utf8mb4&collation=utf8mb4_bin&clientFoundRows=true&sql_mode=ANSI_QUOTES&tx_isolation='READ-COMMITTED'", user, host, u.Path), nil
}

// Close ends all connections.
func (d *DB) Close() error {
	d.stmts.Range(func(_, s any) bool { s.(*sql.Stmt).Close(); return true })
	err := d.write.Close()
	if d.read != d.write {
		err = errors.Join(err, d.read.Close())
	}
	return err
}

// Ping says whether the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.write.PingContext(ctx) }

func (d *DB) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if s, ok := d.stmts.Load(query); ok {
		return s.(*sql.Stmt).QueryContext(ctx, args...)
	}
	if d.prepared.Load() >= maxPrepared {
		return d.read.QueryContext(ctx, d.Dialect.bind(query), args...)
	}
	s, err := d.read.PrepareContext(ctx, d.Dialect.bind(query))
	if err != nil {
		return nil, err
	}
	if other, loaded := d.stmts.LoadOrStore(query, s); loaded {
		s.Close()
		s = other.(*sql.Stmt)
	} else {
		d.prepared.Add(1)
	}
	return s.QueryContext(ctx, args...)
}

// Tx is a transaction. It sees its own writes and is not for concurrent use.
type Tx struct {
	tx        *sql.Tx
	dialect   Dialect
	committed []func()
}

// Dialect tells which database this is, for the rare statement that must differ.
func (t *Tx) Dialect() Dialect { return t.dialect }

func (t *Tx) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, t.dialect.bind(query), args...)
}

// Exec runs a statement and returns how many rows it touched.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(ctx, t.dialect.bind(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// OnCommit calls f after the transaction has been committed, in the order in
// which they were given: for hints to others, who must find the rows.
func (t *Tx) OnCommit(f func()) { t.committed = append(t.committed, f) }

// attempts bounds how often a transaction that lost against others is tried.
const attempts = 10

// Tx runs fn in one transaction and commits when it returns nil. When the
// database says that the transaction lost against another one (deadlock,
// serialization failure, busy), fn is run again from the start: it must have no
// effects of its own besides those on tx and on variables that it sets anew.
func (d *DB) Tx(ctx context.Context, fn func(tx *Tx) error) error {
	var err error
	for try := range attempts {
		if err = d.once(ctx, fn); err == nil || !d.Dialect.retryable(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(time.Duration(1<<try) * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (d *DB) once(ctx context.Context, fn func(tx *Tx) error) error {
	sqlTx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer sqlTx.Rollback() // after Commit it does nothing
	tx := &Tx{tx: sqlTx, dialect: d.Dialect}
	if err := fn(tx); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return err
	}
	for _, f := range tx.committed {
		f()
	}
	return nil
}

// Exec runs one statement in a transaction of its own.
func (d *DB) Exec(ctx context.Context, query string, args ...any) (touched int64, err error) {
	err = d.Tx(ctx, func(tx *Tx) error {
		touched, err = tx.Exec(ctx, query, args...)
		return err
	})
	return touched, err
}
