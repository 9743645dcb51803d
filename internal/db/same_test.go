package db_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"kilonova/internal/db"
	"kilonova/internal/fault"
)

// Texts compare, sort and match by their bytes, on every database.
func TestTextsAreBytes(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		ids := []string{"A/b", "A/b ", "A0", "B", "Z", "a", "a/B", "a_b", "b", "é"} // in the order of their bytes
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			for _, id := range ids {
				if err := db.Insert(t.Context(), tx, "things", thing{ID: id, Note: id}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string][]string{
			`SELECT id FROM things ORDER BY id`:                               ids,
			`SELECT note FROM things ORDER BY note`:                           ids,
			`SELECT id FROM things WHERE id > 'A/' AND id < 'A0' ORDER BY id`: {"A/b", "A/b "},
			`SELECT id FROM things WHERE note = 'A/b'`:                        {"A/b"},
			`SELECT id FROM things WHERE id LIKE 'a%' ORDER BY id`:            {"a", "a/B", "a_b"},
			`SELECT id FROM things WHERE note LIKE 'a!_%' ESCAPE '!'`:         {"a_b"},
			`SELECT id FROM things WHERE note LIKE '\%'`:                      nil,
		} {
			if got, err := db.Select[string](t.Context(), d, query); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q (%v)", query, got, want, err)
			}
		}
		if blank, err := db.Get[int](t.Context(), d, `SELECT COUNT(*) FROM things WHERE ? = ''`, " "); err != nil || blank != 0 {
			t.Errorf("a blank is nothing: %d, %v", blank, err)
		}
	})
}

// What a column cannot hold is refused whole and is the caller's fault.
func TestWhatDoesNotFitIsRefused(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		if d.Dialect.Name == "sqlite" {
			return // its columns take anything
		}
		if _, err := d.Exec(t.Context(), `INSERT INTO things (id, flag) VALUES (?, ?)`, strings.Repeat("x", 37), true); !fault.Is(err, fault.Invalid) {
			t.Errorf("a text that is too long: %v", err)
		}
		if _, err := d.Exec(t.Context(), `INSERT INTO things (id, flag) VALUES (?, ?)`, "\xff", true); !fault.Is(err, fault.Invalid) {
			t.Errorf("a text that is no UTF-8: %v", err)
		}
		if n, err := db.Get[int](t.Context(), d, `SELECT COUNT(*) FROM things`); err != nil || n != 0 {
			t.Errorf("%d rows, %v", n, err)
		}
		if _, err := db.Get[string](t.Context(), d, `SELECT id FROM things WHERE id = ?`, "a\x00"); !errors.Is(err, db.ErrNoRow) && !fault.Is(err, fault.Invalid) {
			t.Errorf("a zero byte to look for: %v", err)
		}
	})
}

// Of many who look for a row and insert it if it is not there, one does.
func TestRacedInsertsMeet(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		touch := func(tx *db.Tx) error {
			n, err := tx.Exec(context.Background(), `UPDATE things SET seq_free = seq_free + 1 WHERE id = 'k'`)
			if err != nil || n > 0 {
				return err
			}
			return db.Raced(db.Insert(context.Background(), tx, "things", thing{ID: "k", Seq: 1}))
		}
		together(t, 20, func() error { return d.Tx(context.Background(), touch) })
		if n, err := db.Get[int](t.Context(), d, `SELECT seq_free FROM things`); err != nil || n != 20 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// Who reads a row for update decides on what it is and not on what it was.
func TestForUpdateIsALock(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		if _, err := d.Exec(t.Context(), `INSERT INTO things (id, flag) VALUES ('n', ?)`, false); err != nil {
			t.Fatal(err)
		}
		together(t, 20, func() error {
			return d.Tx(context.Background(), func(tx *db.Tx) error {
				n, err := db.Get[int](context.Background(), tx, `SELECT seq_free FROM things WHERE id = 'n'`+tx.ForUpdate())
				if err != nil {
					return err
				}
				_, err = tx.Exec(context.Background(), `UPDATE things SET seq_free = ? WHERE id = 'n'`, n+1)
				return err
			})
		})
		if n, err := db.Get[int](t.Context(), d, `SELECT seq_free FROM things`); err != nil || n != 20 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// Many processes may start at once; each migration is run once.
func TestMigrateByManyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		files := fstest.MapFS{"m/0001_log.sql": {Data: []byte("CREATE TABLE IF NOT EXISTS log (seq @serial@, what VARCHAR(9));\n")},
			"m/0002_first.sql": {Data: []byte("INSERT INTO log (what) VALUES ('first');\n")}}
		together(t, 6, func() error { return d.Migrate(context.Background(), "many", files, "m") })
		if n, err := db.Get[int](t.Context(), d, `SELECT COUNT(*) FROM log`); err != nil || n != 1 {
			t.Errorf("the second file was run %d times (%v)", n, err)
		}
	})
}

// together calls f n times at once.
func together(t *testing.T, n int, f func() error) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestURLs(t *testing.T) {
	for _, bad := range []string{"things", "oracle://x/y", "postgresql://a:secret@h:port/x", "mysql://a:secret@h/x?max_connections=some", "postgresql://h/x?max_connections=1"} {
		d, err := db.Open(t.Context(), bad)
		if err == nil {
			d.Close()
			t.Errorf("%s was opened", bad)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q tells the password", err)
		}
	}
}
