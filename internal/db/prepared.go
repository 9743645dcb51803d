package db

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
)

// writeStmts are the statements that transactions of SQLite run again and again,
// prepared on its one connection for writing: reading their text is up to half of
// what they cost. The drivers of the other databases remember statements
// themselves.
type writeStmts struct {
	ready sync.Map     // text -> *sql.Stmt
	seen  sync.Map     // text -> true, for those run once
	n     atomic.Int32 // of seen
	kept  atomic.Int32 // of ready
}

// maxWrites bounds what is kept prepared for writing. Each takes some kilobytes.
const maxWrites = 200

// find returns the prepared form of a text for a transaction, nil if there is none
// yet.
func (t *Tx) find(ctx context.Context, text string) *sql.Stmt {
	if t.stmts == nil {
		return nil
	}
	if s, ok := t.stmts.ready.Load(text); ok {
		return t.tx.StmtContext(ctx, s.(*sql.Stmt))
	}
	t.plain = append(t.plain, text)
	return nil
}

// first reports whether a text is asked for the first time in a transaction. Only
// then may a query use the prepared statement: the rows of an earlier one may
// still be open, and a statement has one set of rows.
func (t *Tx) first(text string) bool {
	if t.asked[text] {
		return false
	}
	if t.asked == nil {
		t.asked = map[string]bool{}
	}
	t.asked[text] = true
	return true
}

// prepare prepares what a transaction has run for the second time. It comes after
// the transaction, which had the connection.
func (w *writeStmts) prepare(ctx context.Context, d *DB, texts []string) {
	for _, text := range texts {
		if w.n.Load() >= maxPrepared || w.kept.Load() >= maxWrites {
			return
		}
		if _, again := w.seen.LoadOrStore(text, true); !again {
			w.n.Add(1)
			continue
		}
		if _, ok := w.ready.Load(text); ok {
			continue
		}
		s, err := d.write.PrepareContext(ctx, d.Dialect.bind(text))
		if err != nil {
			continue // it works without
		}
		if _, loaded := w.ready.LoadOrStore(text, s); loaded {
			s.Close()
		} else {
			w.kept.Add(1)
		}
	}
}

func (w *writeStmts) close() {
	w.ready.Range(func(_, s any) bool { s.(*sql.Stmt).Close(); return true })
}
