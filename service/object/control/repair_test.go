package control_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kilonova/service/object"
	"kilonova/service/object/control"
)

// TestEveryCopyIsReadInAMonth: copies that have lost a bit, on either of two devices,
// are found and made anew by the passes of thirty days, whenever these begin; copies
// that are gone by the first.
func TestEveryCopyIsReadInAMonth(t *testing.T) {
	now := time.Now()
	c := open(t, func() time.Time { return now }, "a", "b")
	const content = "the content"
	for _, name := range []string{"1", "2", "3"} {
		if _, err := c.PutObject(c.ctx, c.object(name), control.Upload{Headers: object.Headers{}, Body: strings.NewReader(content), Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
	}
	copies := func(device string) (files []string) {
		t.Helper()
		err := filepath.WalkDir(filepath.Join(c.dir, device), func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && e.Name() != "device" {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	a, b := copies("a"), copies("b") // of the same payloads in the same order
	spoiled := []string{a[0], b[1]}
	for _, path := range spoiled {
		if err := os.WriteFile(path, []byte(strings.ToUpper(content)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(a[2]); err != nil {
		t.Fatal(err)
	}
	good := func() (n int) {
		for _, path := range append(copies("a"), copies("b")...) {
			if data, err := os.ReadFile(path); err == nil && bytes.Equal(data, []byte(content)) {
				n++
			}
		}
		return n
	}
	if n := good(); n != 3 {
		t.Fatalf("%d good copies are left of 6", n)
	}
	for range 719 {
		if err := c.Repair(c.ctx); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
	}
	if n := good(); n != 6 {
		t.Errorf("%d good copies of 6 after a month", n)
	}
}
