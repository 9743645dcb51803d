package control_test

import (
	"context"
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

// shelf is a container on devices that each have a copy of all.
type shelf struct {
	*control.Control
	ctx context.Context // of an administrator of the account
	box object.Path
	dir string // has a folder for each device
}

func open(tb testing.TB, now func() time.Time, names ...string) shelf {
	tb.Helper()
	st, err := store.New(tb.Context(), dbtest.New(tb))
	if err != nil {
		tb.Fatal(err)
	}
	s := shelf{dir: tb.TempDir(), box: object.Path{Account: "AUTH_p", Container: "box"},
		ctx: auth.With(tb.Context(), &auth.Caller{ProjectID: "p", UserID: "u", Roles: []string{"admin"}})}
	var devices []device.Device
	var places []ring.Device
	for _, name := range names {
		d, err := file.New(file.Options{Name: name, Dir: filepath.Join(s.dir, name)})
		if err != nil {
			tb.Fatal(err)
		}
		devices, places = append(devices, d), append(places, ring.Device{ID: name, Weight: 1})
	}
	r, err := ring.New(4, len(names), places)
	if err != nil {
		tb.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s.Control, err = control.New(control.Config{Store: st, Pool: pool.New(r, devices, log), Options: control.Defaults(), Log: log, Now: now})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.PutContainer(s.ctx, s.box, nil); err != nil {
		tb.Fatal(err)
	}
	return s
}

// object is the path of one in the container.
func (s shelf) object(name string) object.Path {
	p := s.box
	p.Object = name
	return p
}
