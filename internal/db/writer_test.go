package db_test

import (
	"context"
	"errors"
	"testing"

	"kilonova/internal/db"
)

// counter opens a database with one row, and returns how to add to it and to read
// it. The caller closes it.
func counter(t *testing.T) (d *db.DB, add func(ctx context.Context, tx *db.Tx) error, count func() int) {
	t.Helper()
	d, err := db.Open(t.Context(), "sqlite://"+t.TempDir()+"/x.db")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`CREATE TABLE counters (n BIGINT NOT NULL)`, `INSERT INTO counters (n) VALUES (0)`} {
		if err := d.Administer(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	add = func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE counters SET n = n + 1`)
		return err
	}
	count = func() int {
		n, err := db.Get[int](t.Context(), d, `SELECT n FROM counters`)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return d, add, count
}

// TestWriterTakesBackWhatDoesNotEnd: neither a context that ends in the middle, nor
// an error, nor a panic leaves anything behind, and the next transaction works.
func TestWriterTakesBackWhatDoesNotEnd(t *testing.T) {
	d, add, count := counter(t)
	defer d.Close()
	for round := range 4 { // with statements that are read, and prepared
		ctx, cancel := context.WithCancel(t.Context())
		err := d.Tx(ctx, func(tx *db.Tx) error {
			if err := add(ctx, tx); err != nil {
				return err
			}
			cancel()
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("committed for a context that had ended: %v", err)
		}
		err = d.Tx(t.Context(), func(tx *db.Tx) error { return add(ctx, tx) })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a statement ran for a context that had ended: %v", err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = d.Tx(t.Context(), func(tx *db.Tx) error {
				if err := add(t.Context(), tx); err != nil {
					return err
				}
				panic("midway")
			})
		}()
		if err := d.Tx(t.Context(), func(tx *db.Tx) error { return add(t.Context(), tx) }); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != round+1 {
			t.Fatalf("%d counted after %d transactions", n, round+1)
		}
	}
}

// TestWaitingForTheWriterEnds with the context, and with the database.
func TestWaitingForTheWriterEnds(t *testing.T) {
	d, add, count := counter(t)
	release, inside := make(chan struct{}), make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- d.Tx(t.Context(), func(tx *db.Tx) error {
			close(inside)
			<-release
			return add(t.Context(), tx)
		})
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error)
	go func() { waited <- d.Tx(ctx, func(tx *db.Tx) error { return add(ctx, tx) }) }()
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up waiting got %v", err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 1 {
		t.Errorf("%d counted", n)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Tx(t.Context(), func(tx *db.Tx) error { return add(t.Context(), tx) }); err == nil {
		t.Error("a database that is closed was written")
	}
}

// TestWriterOpensAnotherConnection when the one it has fails: the transaction that
// finds out is lost, those after it are not.
func TestWriterOpensAnotherConnection(t *testing.T) {
	d, add, count := counter(t)
	defer d.Close()
	write := func() error {
		return d.Tx(t.Context(), func(tx *db.Tx) error { return add(t.Context(), tx) })
	}
	for range 3 {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	d.FailConnection()
	if err := write(); err == nil {
		t.Error("a connection that is closed was used")
	}
	for range 3 {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(); n != 6 {
		t.Errorf("%d counted", n)
	}
}

// TestQueriesAreReused: a transaction that asks the same again and again has it
// prepared, as long as it has read the answer before to its end.
func TestQueriesAreReused(t *testing.T) {
	d, add, _ := counter(t)
	defer d.Close()
	const query = `SELECT n FROM counters WHERE n >= ?`
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		for i := range 5 {
			if n, err := db.Get[int](t.Context(), tx, query, 0); err != nil || n != i {
				t.Errorf("%d and not %d, %v", n, i, err)
			}
			if err := add(t.Context(), tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if kept, _ := d.PreparedWrites(); kept != 2 {
		t.Errorf("%d statements are kept prepared and not 2", kept)
	}
}
