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
	writer      *writer      // nil where several can write
	checkpoints *checkpoints // nil where the database sees to that
	together    together
}

// maxPrepared bounds the statements that are kept prepared: texts that depend on
// what a client filters by are without number. Those that come later are run
// unprepared.
const maxPrepared = 1000

// Querier runs queries: a *DB outside of transactions, a *Tx inside.
type Querier interface {
	query(ctx context.Context, query string, args []any) (rows, error)
	explain(err error) error
}

// Close ends all connections.
func (d *DB) Close() error {
	d.stmts.Range(func(_, s any) bool { s.(*sql.Stmt).Close(); return true })
	d.writer.close()
	err := errors.Join(d.checkpoints.close(), d.write.Close())
	if d.read != d.write {
		err = errors.Join(err, d.read.Close())
	}
	return err
}

// Administer runs a statement that takes no transaction around it, such as
// CREATE DATABASE.
func (d *DB) Administer(ctx context.Context, statement string) error {
	if d.writer != nil {
		return d.writer.outside(ctx, func(c *sql.Conn) error {
			_, err := c.ExecContext(ctx, statement)
			return err
		})
	}
	_, err := d.write.ExecContext(ctx, statement)
	return err
}

// Ping says whether the database answers.
func (d *DB) Ping(ctx context.Context) error {
	if d.writer != nil {
		return d.writer.outside(ctx, func(c *sql.Conn) error { return c.PingContext(ctx) })
	}
	return d.write.PingContext(ctx)
}

// rows are those of a query. Once they are closed, so may others be that are asked
// for with the same statement.
type rows struct {
	*sql.Rows
	done func() // may be nil
}

func (r rows) Close() error {
	if r.done != nil {
		r.done()
	}
	return r.Rows.Close()
}

func (d *DB) query(ctx context.Context, query string, args []any) (rows, error) {
	all, err := d.ask(ctx, query, args)
	return rows{Rows: all}, err
}

func (d *DB) ask(ctx context.Context, query string, args []any) (*sql.Rows, error) {
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
	tx        runner
	dialect   Dialect
	committed []func()
	kept      []kept

	writer *writer         // SQLite's
	open   map[string]bool // prepared queries whose rows are being read
}

// runner runs statements: *sql.Tx, or SQLite's *sql.Conn.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Dialect tells which database this is, for the rare statement that must differ.
func (t *Tx) Dialect() Dialect { return t.dialect }

// ForUpdate ends a SELECT whose rows must stay as they are until the transaction
// ends: others who want to lock or to change them wait. It is "" on SQLite, which
// has one writer.
func (t *Tx) ForUpdate() string { return t.dialect.forUpdate }

func (t *Tx) explain(err error) error { return t.dialect.explain(err) }

// prepared returns the prepared form of a text, nil if there is none, and the
// context for it.
func (t *Tx) prepared(ctx context.Context, text string) (*sql.Stmt, context.Context, error) {
	if t.writer == nil {
		return nil, ctx, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, ctx, err
	}
	return t.writer.find(text), context.WithoutCancel(ctx), nil
}

func (t *Tx) query(ctx context.Context, query string, args []any) (rows, error) {
	s, ctx, err := t.prepared(ctx, query)
	switch {
	case err != nil:
		return rows{}, err
	case s == nil || t.open[query]: // a statement has one set of rows at a time
		all, err := t.tx.QueryContext(ctx, t.dialect.bind(query), args...)
		return rows{Rows: all}, err
	}
	all, err := s.QueryContext(ctx, args...)
	if err != nil {
		return rows{}, err
	}
	if t.open == nil {
		t.open = map[string]bool{}
	}
	t.open[query] = true
	return rows{all, func() { delete(t.open, query) }}, nil
}

// Exec runs a statement and returns how many rows it touched.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	s, ctx, err := t.prepared(ctx, query)
	if err != nil {
		return 0, err
	}
	var res sql.Result
	if s != nil {
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
	tx := &Tx{dialect: d.Dialect}
	var err error
	if d.writer != nil {
		err = d.writer.once(ctx, tx, fn)
	} else {
		err = d.transact(ctx, tx, fn)
	}
	if err != nil {
		return err
	}
	d.checkpoints.committed()
	for _, f := range tx.committed {
		f()
	}
	return nil
}

// transact runs fn in a transaction of database/sql.
func (d *DB) transact(ctx context.Context, tx *Tx, fn func(tx *Tx) error) error {
	sqlTx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer sqlTx.Rollback() // after Commit it does nothing
	tx.tx = sqlTx
	if err := tx.run(fn); err != nil {
		return err
	}
	return sqlTx.Commit()
}

// run does all of a transaction that is to be done before it is committed.
func (t *Tx) run(fn func(tx *Tx) error) error {
	if err := fn(t); err != nil {
		return err
	}
	for _, k := range t.kept {
		if err := k.end(); err != nil {
			return err
		}
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
