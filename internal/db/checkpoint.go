package db

import (
	"context"
	"database/sql"
	"sync/atomic"
)

// checkpointEvery is after how many transactions the log is brought into the
// file; logPages is at how many pages of log the next transaction does it itself,
// because those beside it never come to an end while others write.
const (
	checkpointEvery = 128
	logPages        = 16_000 // of 4 KiB
	logKept         = 4 << 20
)

// checkpoints bring SQLite's log into its file. That waits twice for the disk,
// which takes tens of milliseconds. SQLite by itself has every transaction wait
// that fills a thousand pages, and with it all that queue behind it; here it goes on
// beside them, on a connection of its own.
type checkpoints struct {
	db      *sql.DB
	commits atomic.Int64
	wake    chan struct{} // never closed: a transaction may end while the database is being closed
	stop    chan struct{}
	ended   chan struct{}
}

func newCheckpoints(db *sql.DB) *checkpoints {
	c := &checkpoints{db: db, wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{})}
	go c.run()
	return c
}

// committed counts a transaction.
func (c *checkpoints) committed() {
	if c == nil || c.commits.Add(1)%checkpointEvery != 0 {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default: // one is under way, and another one to follow
	}
}

func (c *checkpoints) run() {
	defer close(c.ended)
	for {
		select {
		case <-c.stop:
			return
		case <-c.wake:
		}
		// What fails is done by the next one, or by a transaction.
		_, _ = c.db.ExecContext(context.Background(), `PRAGMA wal_checkpoint(PASSIVE)`)
	}
}

// close waits for one that is under way.
func (c *checkpoints) close() error {
	if c == nil {
		return nil
	}
	close(c.stop)
	<-c.ended
	return c.db.Close()
}
