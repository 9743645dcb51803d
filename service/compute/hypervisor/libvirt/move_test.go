package libvirt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/compute/hypervisor"
)

// testMove carries a guest to another host's folder: its disk has what it had,
// stands on that host's image and grows; it never shrinks.
func testMove(t *testing.T, p *private) {
	image := tinyImage(t, p.dir, obedientCode)
	from, to := p.driver(t), p.driver(t, func(c *Config) { c.InstancesPath = filepath.Join(p.dir, "instances-elsewhere") })
	g := tinyGuest(image)
	must(t, from.Create(t.Context(), g))
	mark := []string{"-c", "write -P 0x5a 700M 64k", rootPath(from.dir(g.ID))}
	if _, err := (host.Local{}).Run(t.Context(), nil, "qemu-io", mark...); err != nil {
		t.Fatal(err)
	}
	must(t, from.Park(t.Context(), g.ID))
	parcel, err := from.Parcel(t.Context(), g.ID)
	must(t, err)
	open := func(ctx context.Context, name string) (io.ReadCloser, error) {
		f, err := from.OpenParcel(ctx, g.ID, name)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(io.NewSectionReader(f, 0, parcel[0].Size)), nil
	}
	there := g
	there.PowerOn, there.Root.SizeGB, there.Image = true, 2, tinyImage(t, p.dir, obedientCode)
	short := func(ctx context.Context, name string) (io.ReadCloser, error) {
		f, err := open(ctx, name)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(io.LimitReader(f, parcel[0].Size/2)), nil
	}
	if err := to.Receive(t.Context(), there, parcel, short); !fault.Is(err, fault.Unavailable) {
		t.Errorf("half a disk: %v, want a fault of kind unavailable", err)
	}
	if _, err := os.Stat(to.dir(g.ID)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a disk leaves %v", err)
	}
	must(t, to.Receive(t.Context(), there, parcel, open))
	got := inspect(t, rootPath(to.dir(g.ID)))
	if got.Virtual != 2*gib || got.Backing != there.Image.Path || got.BackingKind != "raw" {
		t.Errorf("the disk is %+v", got)
	}
	read, err := host.Local{}.Run(t.Context(), nil, "qemu-io", "-r", "-c", "read -P 0x5a 700M 64k", rootPath(to.dir(g.ID)))
	if err != nil || bytes.Contains(read, []byte("Pattern verification failed")) {
		t.Errorf("what was written is not there: %s, %v", read, err)
	}
	must(t, to.Create(t.Context(), there))
	greeted(t, to, g.ID)
	must(t, to.Park(t.Context(), g.ID))
	if parcel, err = to.Parcel(t.Context(), g.ID); err != nil {
		t.Fatal(err)
	}
	must(t, from.Drop(t.Context(), g.ID))
	open = func(ctx context.Context, name string) (io.ReadCloser, error) {
		f, err := to.OpenParcel(ctx, g.ID, name)
		return io.NopCloser(io.NewSectionReader(f, 0, parcel[0].Size)), err
	}
	if err := from.Receive(t.Context(), g, parcel, open); !fault.Is(err, fault.Invalid) {
		t.Errorf("a disk that is to shrink: %v, want a fault of kind invalid", err)
	}
	must(t, to.Clean(t.Context()))
	if parked, err := to.Parked(t.Context()); err != nil || len(parked) > 0 {
		t.Errorf("after cleaning %v are parked, %v", parked, err)
	}
}

var _ hypervisor.ParcelReader = (*os.File)(nil)
