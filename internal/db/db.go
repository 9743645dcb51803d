package db

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"kilonova/internal/fault"
)

// DB is one service's database. Reads outside a transaction go to a pool; on
// SQLite all writes go through one connection, since it has one writer anyway
// and waiting in Go is fair where waiting in SQLite is not.
type DB struct {
	Dialect Dialect
	// Trace, if not nil, is told each query before it runs: for tests that ask the
	// database how it would find the answer. Set before the first use.
	Trace func(query string, args []any)

	write, read *sql.DB
	stmts       sync.Map // query text -> *sql.Stmt of the read pool
	prepared    atomic.Int32
	writes      *writeStmts  // nil where the driver remembers statements
	checkpoints *checkpoints // nil where the database sees to that
	together    together
}

// maxPrepared bounds the statements that are kept prepared: texts that depend on
// what a client filters by are without number. Those that come later are run
// unprepared.
const maxPrepared = 1000

// Querier runs queries: a *DB outside of transactions, a *Tx inside.
type Querier interface {
	query(ctx context.Context, query string, args []any) (*sql.Rows, error)
	explain(err error) error
}

// Close ends all connections.
func (d *DB) Close() error {
	d.stmts.Range(func(_, s any) bool { s.(*sql.Stmt).Close(); return true })
	if d.writes != nil {
		d.writes.close()
	}
	err := errors.Join(d.checkpoints.close(), d.write.Close())
	if d.read != d.write {
		err = errors.Join(err, d.read.Close())
	}
	return err
}

// Administer runs a statement that takes no transaction around it, such as
// CREATE DATABASE.
func (d *DB) Administer(ctx context.Context, statement string) error {
	_, err := d.write.ExecContext(ctx, statement)
	return err
}

// Ping says whether the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.write.PingContext(ctx) }

func (d *DB) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if d.Trace != nil {
		d.Trace(query, args)
	}
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

// explain gives an error of the database that the caller can mend its kind.
func (d *DB) explain(err error) error { return d.Dialect.explain(err) }

func (d Dialect) explain(err error) error {
	if err != nil && d.unfit(err) {
		return fault.Wrap(err, fault.Invalid, "A value is too long or too large, or has characters that cannot be stored.")
	}
	return err
}

// Tx is a transaction. It sees its own writes and is not for concurrent use.
type Tx struct {
	tx        *sql.Tx
	dialect   Dialect
	committed []func()
	kept      []kept

	stmts *writeStmts
	plain []string        // what was run without being prepared
	asked map[string]bool // queries
}

// Dialect tells which database this is, for the rare statement that must differ.
func (t *Tx) Dialect() Dialect { return t.dialect }

// ForUpdate ends a SELECT whose rows must stay as they are until the transaction
// ends: others who want to lock or to change them wait. It is "" on SQLite, which
// has one writer.
func (t *Tx) ForUpdate() string { return t.dialect.forUpdate }

func (t *Tx) explain(err error) error { return t.dialect.explain(err) }

func (t *Tx) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if t.stmts != nil && t.first(query) {
		if s := t.find(ctx, query); s != nil {
			return s.QueryContext(ctx, args...)
		}
	}
	return t.tx.QueryContext(ctx, t.dialect.bind(query), args...)
}

// Exec runs a statement and returns how many rows it touched.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	var res sql.Result
	var err error
	if s := t.find(ctx, query); s != nil {
		res, err = s.ExecContext(ctx, args...)
	} else {
		res, err = t.tx.ExecContext(ctx, t.dialect.bind(query), args...)
	}
	if err != nil {
		return 0, t.explain(err)
	}
	return res.RowsAffected()
}

// OnCommit calls f after the transaction has been committed, in the order in
// which they were given: for hints to others, who must find the rows.
func (t *Tx) OnCommit(f func()) { t.committed = append(t.committed, f) }

// kept is what a transaction gathers for its end.
type kept struct {
	value any
	end   func() error
}

// Keep returns what tx keeps of a type: the same for all who ask within one
// transaction. end is called with it once, when the transaction's function has
// succeeded and before the commit; its error ends the transaction like that
// function's own. So what many statements add to one row is written once, late,
// and by everybody in an order that they agree on.
func Keep[T any](tx *Tx, end func(*T) error) *T {
	for _, k := range tx.kept {
		if v, ok := k.value.(*T); ok {
			return v
		}
	}
	v := new(T)
	tx.kept = append(tx.kept, kept{v, func() error { return end(v) }})
	return v
}

// attempts bounds how often a transaction that lost against others is tried.
const attempts = 10

// Tx runs fn in one transaction and commits when it returns nil. When the
// transaction lost against another one (deadlock, serialization failure, busy, a
// foreign key that holds no longer, Raced), fn is run again from the start: it
// must have no effects of its own besides those on tx and on variables that it
// sets anew.
//
// Everywhere a statement sees what others have committed before it began; a
// decision that must still hold when the transaction ends needs a lock
// (Tx.ForUpdate, or an UPDATE first), a condition in the UPDATE, or a unique key.
func (d *DB) Tx(ctx context.Context, fn func(tx *Tx) error) error {
	var err error
	for try := range attempts {
		if err = d.once(ctx, fn); err == nil || !d.Dialect.again(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(rand.N(2*time.Millisecond) << try): // by chance, or those who met would meet again
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
	tx := &Tx{tx: sqlTx, dialect: d.Dialect, stmts: d.writes}
	if err := fn(tx); err != nil {
		return err
	}
	for _, k := range tx.kept {
		if err := k.end(); err != nil {
			return err
		}
	}
	if err := sqlTx.Commit(); err != nil {
		return err
	}
	d.checkpoints.committed()
	for _, f := range tx.committed {
		f()
	}
	if len(tx.plain) > 0 {
		d.writes.prepare(ctx, d, tx.plain)
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
