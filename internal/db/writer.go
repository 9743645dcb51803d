package db

import (
	"context"
	"database/sql"
	"errors"
)

// writer is SQLite's connection for writing, held for as long as the database is
// open. There is one writer anyway, and a connection of one's own saves what
// database/sql spends on handing one out: with it a goroutine for every query, and
// looking again for each statement. It also keeps prepared what transactions run
// again and again: reading a statement's text is up to half of what it costs. The
// drivers of the other databases remember statements themselves.
type writer struct {
	pool *sql.DB
	turn chan struct{} // holds one: whoever writes. Those who wait come in their order

	// of whoever has the turn
	conn   *sql.Conn // nil before the first transaction, and after a connection has failed
	ready  map[string]*sql.Stmt
	seen   map[string]bool // what was run once
	closed bool
}

// maxWrites bounds what is kept prepared for writing. Each takes some kilobytes.
const maxWrites = 200

func newWriter(pool *sql.DB) *writer {
	return &writer{pool: pool, turn: make(chan struct{}, 1), ready: map[string]*sql.Stmt{}, seen: map[string]bool{}}
}

// errClosed is what those find who write to a database that is closed.
var errClosed = errors.New("database: it is closed")

// enter waits for the turn.
func (w *writer) enter(ctx context.Context) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	err := ctx.Err()
	if err == nil && w.closed {
		err = errClosed
	}
	if err == nil && w.conn == nil {
		w.conn, err = w.pool.Conn(ctx)
	}
	if err != nil {
		w.leave()
	}
	return err
}

func (w *writer) leave() { <-w.turn }

// once runs fn in one transaction. Once it has begun, only between its statements
// is it looked whether ctx has ended: having SQLite interrupted takes a goroutine
// for every statement, and none takes long.
func (w *writer) once(ctx context.Context, tx *Tx, fn func(tx *Tx) error) error {
	if err := w.enter(ctx); err != nil {
		return err
	}
	defer w.leave()
	tx.tx, tx.writer = w.conn, w
	if err := w.run("BEGIN IMMEDIATE"); err != nil {
		w.drop()
		return err
	}
	committed := false
	defer func() {
		if !committed && w.run("ROLLBACK") != nil {
			w.drop() // whatever state it is in, the next connection is in none
		}
	}()
	err := tx.run(fn)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = w.run("COMMIT")
	}
	committed = err == nil
	return err
}

// run runs a statement without parameters.
func (w *writer) run(text string) error {
	ctx := context.Background()
	if s := w.find(text); s != nil {
		_, err := s.ExecContext(ctx)
		return err
	}
	_, err := w.conn.ExecContext(ctx, text)
	return err
}

// find returns the prepared form of a text, nil if there is none: a text is
// prepared when it comes for the second time.
func (w *writer) find(text string) *sql.Stmt {
	if s := w.ready[text]; s != nil {
		return s
	}
	if !w.seen[text] {
		if len(w.seen) < maxPrepared {
			w.seen[text] = true
		}
		return nil
	}
	if len(w.ready) >= maxWrites {
		return nil
	}
	s, err := w.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil // it works without, or says why not
	}
	w.ready[text] = s
	return s
}

// drop closes the connection; the next transaction opens another one.
func (w *writer) drop() {
	for _, s := range w.ready {
		s.Close()
	}
	clear(w.ready)
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// outside does something with the connection while no transaction is under way.
func (w *writer) outside(ctx context.Context, do func(*sql.Conn) error) error {
	if err := w.enter(ctx); err != nil {
		return err
	}
	defer w.leave()
	return do(w.conn)
}

// close waits for the transaction that is under way.
func (w *writer) close() {
	if w == nil {
		return
	}
	w.turn <- struct{}{}
	defer w.leave()
	w.drop()
	w.closed = true
}
