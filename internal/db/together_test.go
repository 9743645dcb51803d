package db_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"kilonova/internal/db"
)

// TestTogether has many write at the same time, of whom some fail: what succeeds is
// there, what fails is not, each hears of its own only, and what is to be done
// after the commit is done once.
func TestTogether(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		const writers = 200
		refused := errors.New("refused")
		errs, after := make([]error, writers), make([]int, writers)
		var group sync.WaitGroup
		for i := range writers {
			group.Go(func() {
				errs[i] = d.Together(t.Context(), func(tx *db.Tx) error {
					if err := db.Insert(t.Context(), tx, "things", thing{ID: fmt.Sprint(i)}); err != nil {
						return err
					}
					tx.OnCommit(func() { after[i]++ })
					if i%10 == 3 {
						return refused
					}
					return nil
				})
			})
		}
		group.Wait()
		for i, err := range errs {
			want, times := error(nil), 1
			if i%10 == 3 {
				want, times = refused, 0
			}
			if !errors.Is(err, want) || after[i] != times {
				t.Errorf("writer %d: %v, and %d times told of the commit", i, err, after[i])
			}
			_, err := db.Get[string](t.Context(), d, `SELECT id FROM things WHERE id = ?`, fmt.Sprint(i))
			if there := err == nil; there != (times == 1) {
				t.Errorf("row %d: %v", i, err)
			}
		}
	})
}

// TestTogetherIsOne sees that those who wait share a transaction, where there is
// one writer.
func TestTogetherIsOne(t *testing.T) {
	d, err := db.Open(t.Context(), "sqlite://"+t.TempDir()+"/things.db")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const writers = 20
	transactions := map[*db.Tx]int{}
	write := func(tx *db.Tx) error { transactions[tx]++; return nil }
	var group sync.WaitGroup
	err = d.Together(t.Context(), func(tx *db.Tx) error {
		for range writers {
			group.Go(func() {
				if err := d.Together(t.Context(), write); err != nil {
					t.Error(err)
				}
			})
		}
		for d.WaitTogether() < writers && t.Context().Err() == nil { // all are there before this one ends
			runtime.Gosched()
		}
		return nil
	})
	group.Wait()
	if err != nil || len(transactions) != 1 {
		t.Fatalf("%d writers made %d transactions, %v", writers, len(transactions), err)
	}
}

// TestTogetherSurvives has one panic and one be given up while others wait with
// them.
func TestTogetherSurvives(t *testing.T) {
	d, err := db.Open(t.Context(), "sqlite://"+t.TempDir()+"/things.db")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	given, giveUp := context.WithCancel(t.Context())
	giveUp()
	var group sync.WaitGroup
	for i := range 60 {
		group.Go(func() {
			defer func() {
				if p := recover(); p != nil && p != "on purpose" {
					panic(p)
				}
			}()
			ctx := t.Context()
			if i%3 == 1 {
				ctx = given
			}
			err := d.Together(ctx, func(tx *db.Tx) error {
				if i%3 == 0 {
					panic("on purpose")
				}
				_, err := db.Get[int](ctx, tx, `SELECT 1`)
				return err
			})
			if i%3 == 1 && !errors.Is(err, context.Canceled) && !errors.Is(err, db.ErrBeside) {
				t.Errorf("one that was given up: %v", err)
			}
		})
	}
	group.Wait()
	if err := d.Together(t.Context(), func(*db.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
}
