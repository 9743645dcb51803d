package db_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kilonova/internal/db"
)

// TestLogReachesTheFile sees that what transactions write comes into SQLite's file
// while the database is open and long before a transaction would have to do it.
func TestLogReachesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "things.db")
	d, err := db.Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Migrate(t.Context(), "test", schema, "m"); err != nil {
		t.Fatal(err)
	}
	const size = 8000
	text := strings.Repeat("x", size)
	for i := range 2 * db.CheckpointEvery {
		if err := d.Tx(t.Context(), func(tx *db.Tx) error {
			return db.Insert(t.Context(), tx, "things", thing{ID: fmt.Sprint(i), Note: text})
		}); err != nil {
			t.Fatal(err)
		}
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > size*db.CheckpointEvery {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the file has only %d bytes after %d transactions of %d", info.Size(), 2*db.CheckpointEvery, size)
		}
	}
}

// TestTransactionsEndWhileItCloses has transactions under way when the database is
// closed: they end with or without an error, and nothing panics.
func TestTransactionsEndWhileItCloses(t *testing.T) {
	for range 20 {
		d, err := db.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "things.db"))
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		begun := make(chan struct{})
		for range 4 {
			group.Go(func() {
				for i := range 4 * db.CheckpointEvery {
					if i == db.CheckpointEvery/2 {
						begun <- struct{}{}
					}
					if d.Tx(t.Context(), func(*db.Tx) error { return nil }) != nil && i > db.CheckpointEvery/2 {
						return // it is closed
					}
				}
			})
		}
		for range 4 {
			<-begun
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		group.Wait()
	}
}
