package db_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"kilonova/internal/db"
)

// TestStatementsAreReused: the same texts again and again, nested, and across a
// change of the table, do the same as texts that are read each time.
func TestStatementsAreReused(t *testing.T) {
	d, err := db.Open(t.Context(), "sqlite://"+t.TempDir()+"/x.db")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Administer(t.Context(), `CREATE TABLE things (id INTEGER PRIMARY KEY, n BIGINT NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	type thing struct {
		ID int64 `db:"id"`
		N  int64 `db:"n"`
	}
	const all = `SELECT id, n FROM things WHERE id >= ? ORDER BY id`
	for round := range 6 {
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			for i := range 3 {
				if n, err := tx.Exec(t.Context(), `INSERT INTO things (id, n) VALUES (?, ?)`, 3*round+i, i); err != nil || n != 1 {
					return fmt.Errorf("%d rows, %w", n, err)
				}
			}
			pairs, err := 0, error(nil)
			for a, err := range db.Each[thing](t.Context(), tx, all, 3*round) {
				if err != nil {
					return err
				}
				for b, err := range db.Each[thing](t.Context(), tx, all, 3*round) { // the same text while the other's rows are open
					if err != nil {
						return err
					}
					if a.ID < b.ID {
						pairs++
					}
				}
			}
			if pairs != 3 {
				return fmt.Errorf("%d pairs of 3 rows", pairs)
			}
			return err
		})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if round == 3 {
			if err := d.Administer(t.Context(), `ALTER TABLE things ADD COLUMN more BIGINT`); err != nil {
				t.Fatal(err)
			}
		}
		// a transaction that ends in the middle of what it reads leaves a statement that can be used
		ctx, cancel := context.WithCancel(t.Context())
		err = d.Tx(ctx, func(tx *db.Tx) error {
			for range db.Each[thing](ctx, tx, all, 0) {
				cancel()
				return ctx.Err()
			}
			return nil
		})
		cancel()
		if err == nil {
			t.Fatal("a transaction outlived its context")
		}
	}
	if n, err := db.Get[int](t.Context(), d, `SELECT COUNT(*) FROM things`); err != nil || n != 18 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestListsShareStatements: lists of all lengths share a few statements, and say
// the same.
func TestListsShareStatements(t *testing.T) {
	texts := map[string]bool{}
	for n := range 5000 {
		values := make([]int, n)
		for i := range values {
			values[i] = i
		}
		in, args := db.In(values)
		if n <= 4096 {
			texts[in] = true
		}
		if marks := strings.Count(in, "?"); marks != len(args) || len(args) < n || len(args) >= max(2*n, 2) {
			t.Fatalf("%d values: %d marks and %d arguments", n, marks, len(args))
		}
		for i, a := range args {
			if a != min(i, n-1) {
				t.Fatalf("%d values: argument %d is %v", n, i, a)
			}
		}
	}
	if len(texts) != 14 {
		t.Errorf("%d texts for lists of up to 4096", len(texts))
	}
}

// TestRowsShareStatements: rows in all numbers are written by a few statements.
func TestRowsShareStatements(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		written := 0
		for n := 1; n < 70; n++ {
			rows := make([]thing, n)
			for i := range rows {
				rows[i].ID = fmt.Sprint(n, "-", i)
			}
			if err := d.Tx(t.Context(), func(tx *db.Tx) error { return db.Insert(t.Context(), tx, "things", rows...) }); err != nil {
				t.Fatal(err)
			}
			written += n
		}
		if n, err := db.Get[int](t.Context(), d, `SELECT COUNT(*) FROM things`); err != nil || n != written {
			t.Errorf("%d rows and not %d, %v", n, written, err)
		}
		if kept, one := d.PreparedWrites(); one && kept > 8 {
			t.Errorf("%d statements are kept", kept)
		}
	})
}
