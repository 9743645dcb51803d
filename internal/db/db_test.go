package db_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
)

var schema = fstest.MapFS{
	"m/0001_things.sql": {Data: []byte(`
-- things, for tests; with a comment.
CREATE TABLE IF NOT EXISTS things (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    seq_free BIGINT NOT NULL DEFAULT 0,
    note @text@,
    made_at BIGINT,
    flag BOOLEAN NOT NULL,
    labels @text@);
CREATE INDEX IF NOT EXISTS things_made ON things (made_at);
`)},
}

type thing struct {
	ID     string            `db:"id"`
	Seq    int64             `db:"seq_free"`
	Note   string            `db:"note"`
	MadeAt db.Time           `db:"made_at"`
	Flag   bool              `db:"flag"`
	Labels db.JSON[[]string] `db:"labels"`
}

// each runs a test with the table things on every database.
func each(t *testing.T, test func(t *testing.T, d *db.DB)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for range 2 { // the second run finds everything done
			if err := d.Migrate(t.Context(), "test", schema, "m"); err != nil {
				t.Fatal(err)
			}
		}
		test(t, d)
	})
}

func TestRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		made := db.At(time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC))
		want := thing{"a", 7, "what? 'quoted'", made, true, db.AsJSON([]string{"x", "y"})}
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			return db.Insert(t.Context(), tx, "things", want, thing{ID: "b"})
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := db.Get[thing](t.Context(), d, `SELECT * FROM things WHERE id = ? AND note <> 'why?'`, "a")
		if err != nil || got.MadeAt != made || got.Note != want.Note || !got.Flag || len(got.Labels.V) != 2 {
			t.Fatalf("got %+v, %v", got, err)
		}
		empty, err := db.Get[thing](t.Context(), d, `SELECT * FROM things WHERE id = ?`, "b")
		if err != nil || !empty.MadeAt.IsZero() || empty.Note != "" {
			t.Fatalf("got %+v, %v", empty, err)
		}
		if _, err := db.Get[thing](t.Context(), d, `SELECT * FROM things WHERE id = ?`, "c"); !errors.Is(err, db.ErrNoRow) {
			t.Fatalf("got %v", err)
		}
		n, err := db.Get[int](t.Context(), d, `SELECT COUNT(*) FROM things`)
		if err != nil || n != 2 {
			t.Fatalf("count %d, %v", n, err)
		}
		in, args := db.In([]string{"a", "b", "c"})
		ids, err := db.Select[string](t.Context(), d, `SELECT id FROM things WHERE id IN `+in+` ORDER BY id`, args...)
		if err != nil || strings.Join(ids, "") != "ab" {
			t.Fatalf("ids %v, %v", ids, err)
		}
		_, err = d.Exec(t.Context(), `INSERT INTO things (id, flag) VALUES (?, ?)`, "a", false)
		if !db.IsUnique(err) {
			t.Fatalf("a second a: %v", err)
		}
	})
}

func TestTxRollsBackAndTellsAfterCommit(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		stop, told := errors.New("stop"), 0
		insert := func(fail error) error {
			return d.Tx(t.Context(), func(tx *db.Tx) error {
				tx.OnCommit(func() { told++ })
				if err := db.Insert(t.Context(), tx, "things", thing{ID: "a"}); err != nil {
					return err
				}
				return fail
			})
		}
		if err := insert(stop); !errors.Is(err, stop) || told != 0 {
			t.Fatalf("err %v, told %d", err, told)
		}
		if err := insert(nil); err != nil || told != 1 {
			t.Fatalf("err %v, told %d", err, told)
		}
	})
}

func TestConcurrentIncrementsAreNotLost(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		if _, err := d.Exec(t.Context(), `INSERT INTO things (id, flag) VALUES ('n', ?)`, false); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					if _, err := d.Exec(context.Background(), `UPDATE things SET seq_free = seq_free + 1 WHERE id = 'n'`); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n, err := db.Get[int](t.Context(), d, `SELECT seq_free FROM things WHERE id = 'n'`); err != nil || n != 160 {
			t.Fatalf("got %d, %v", n, err)
		}
	})
}

func TestEachEndsEarly(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			var rows []thing
			for i := range 5000 {
				rows = append(rows, thing{ID: time.Unix(int64(i), 0).Format("150405")})
			}
			return db.Insert(t.Context(), tx, "things", rows...)
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 100 { // an abandoned query must give its connection back
			for _, err := range db.Each[thing](t.Context(), d, `SELECT * FROM things`) {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
		}
	})
}

func TestPreparedStatementsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		for i := range db.MaxPrepared + 20 {
			if n, err := db.Get[int](t.Context(), d, `SELECT `+strconv.Itoa(i)+` AS n`); err != nil || n != i {
				t.Fatal(n, err)
			}
		}
		if kept := d.Prepared(); kept > db.MaxPrepared {
			t.Errorf("%d statements are kept", kept)
		}
	})
}

func TestTextsKeepCaseAndScript(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			return db.Insert(t.Context(), tx, "things", thing{ID: "key", Note: "☃ 雪"}, thing{ID: "KEY"})
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := db.Select[string](t.Context(), d, `SELECT note FROM things WHERE id = ?`, "key")
		if err != nil || len(got) != 1 || got[0] != "☃ 雪" {
			t.Errorf("%q (%v)", got, err)
		}
	})
}

func TestTransactionSeesWhatOthersCommitted(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		if d.Dialect.Name == "sqlite" {
			return // there is one writer: nobody commits while another transaction runs
		}
		count := func(q db.Querier) int {
			n, err := db.Get[int](t.Context(), q, `SELECT COUNT(*) FROM things`)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			before := count(tx)
			if err := d.Tx(t.Context(), func(other *db.Tx) error { return db.Insert(t.Context(), other, "things", thing{ID: "new"}) }); err != nil {
				return err
			}
			if after := count(tx); after != before+1 {
				t.Errorf("%d rows after another transaction's commit, before it %d", after, before)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

type shared struct {
	Labels db.Shared[[]string] `db:"labels"`
}

func TestSharedReadsWhatIsThere(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		texts := []string{`["a"]`, `["a"]`, ``, `["b","c"]`, `null`, `["a"]`}
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			for i, text := range texts {
				if _, err := tx.Exec(t.Context(), `INSERT INTO things (id, flag, labels) VALUES (?, ?, ?)`, string(rune('a'+i)), false, text); err != nil {
					return err
				}
			}
			_, err := tx.Exec(t.Context(), `INSERT INTO things (id, flag, labels) VALUES ('z', ?, NULL)`, false)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := db.Select[shared](t.Context(), d, `SELECT labels FROM things ORDER BY id`)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, row := range got {
			all = append(all, strings.Join(row.Labels.V, "+"))
		}
		if text := strings.Join(all, " "); text != "a a  b+c  a " {
			t.Fatalf("%q", text)
		}
		if v, err := db.AsShared([]string{"x"}).Value(); err != nil || v != `["x"]` {
			t.Fatal(v, err)
		}
	})
}

// state and level are texts and numbers by another name.
type (
	state string
	level int
)

type named struct {
	Note state `db:"note"`
	Seq  level `db:"seq_free"`
}

func TestNamedTypes(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			return db.Insert(t.Context(), tx, "things", thing{ID: "a", Note: "here", Seq: 7})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := db.Get[named](t.Context(), d, `SELECT note, seq_free FROM things`); err != nil || got != (named{"here", 7}) {
			t.Fatal(got, err)
		}
		if got, err := db.Get[named](t.Context(), d, `SELECT NULL AS note, NULL AS seq_free FROM things`); err != nil || got != (named{}) {
			t.Fatal(got, err)
		}
	})
}
