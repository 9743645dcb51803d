package control_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
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

// BenchmarkPut writes objects of 4 KiB, as many at a time as there are processors.
func BenchmarkPut(b *testing.B) {
	st, err := store.New(b.Context(), dbtest.New(b))
	if err != nil {
		b.Fatal(err)
	}
	d, err := file.New(file.Options{Name: "d", Dir: filepath.Join(b.TempDir(), "d")})
	if err != nil {
		b.Fatal(err)
	}
	r, err := ring.New(4, 1, []ring.Device{{ID: "d", Weight: 1}})
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	c, err := control.New(control.Config{Store: st, Pool: pool.New(r, []device.Device{d}, log), Options: control.Defaults(), Log: log, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	ctx := auth.With(b.Context(), &auth.Caller{ProjectID: "p", UserID: "u", Roles: []string{"admin"}})
	p := object.Path{Account: "AUTH_p", Container: "box"}
	if _, err := c.PutContainer(ctx, p, nil); err != nil {
		b.Fatal(err)
	}
	content := make([]byte, 4096)
	b.SetBytes(int64(len(content)))
	b.RunParallel(func(run *testing.PB) {
		for n := 0; run.Next(); n++ {
			at := p
			at.Object = string(rune('a' + n%26))
			if _, err := c.PutObject(ctx, at, control.Upload{Body: bytes.NewReader(content), Size: int64(len(content))}); err != nil {
				b.Error(err)
			}
		}
	})
}
