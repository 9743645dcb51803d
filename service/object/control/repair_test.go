package control_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db/dbtest"
	"kilonova/service/object"
	"kilonova/service/object/control"
	"kilonova/service/object/device"
	"kilonova/service/object/device/file"
	"kilonova/service/object/pool"
	"kilonova/service/object/ring"
	"kilonova/service/object/store"
)

// TestEveryCopyIsReadInAMonth: copies that have lost a bit, on either of two devices,
// are found and made anew by the passes of thirty days, whenever these begin; copies
// that are gone by the first.
func TestEveryCopyIsReadInAMonth(t *testing.T) {
	st, err := store.New(t.Context(), dbtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var devices []device.Device
	for _, name := range []string{"a", "b"} {
		d, err := file.New(file.Options{Name: name, Dir: filepath.Join(dir, name)})
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, d)
	}
	r, err := ring.New(4, 2, []ring.Device{{ID: "a", Weight: 1}, {ID: "b", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c, err := control.New(control.Config{Store: st, Pool: pool.New(r, devices, slog.New(slog.DiscardHandler)), Options: control.Defaults(), Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	ctx := auth.With(t.Context(), &auth.Caller{ProjectID: "p", UserID: "u", Roles: []string{"admin"}})
	box := object.Path{Account: "AUTH_p", Container: "box"}
	if _, err := c.PutContainer(ctx, box, nil); err != nil {
		t.Fatal(err)
	}
	const content = "the content"
	for _, name := range []string{"1", "2", "3"} {
		p := object.Path{Account: box.Account, Container: box.Container, Object: name}
		if _, err := c.PutObject(ctx, p, control.Upload{Headers: object.Headers{}, Body: strings.NewReader(content), Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
	}
	copies := func(device string) (files []string) {
		t.Helper()
		err := filepath.WalkDir(filepath.Join(dir, device), func(path string, e fs.DirEntry, err error) error {
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
		if err := c.Repair(ctx); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
	}
	if n := good(); n != 6 {
		t.Errorf("%d good copies of 6 after a month", n)
	}
}
