package pool

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/object/device"
	"kilonova/service/object/device/file"
	"kilonova/service/object/ring"
)

const key = "00112233445566778899aabbccddeeff"

var content = strings.Repeat("all that is in it ", 10000)

// disks are the devices of a pool, as folders.
type disks struct {
	*Pool
	t    *testing.T
	dirs []string
}

func disk(t *testing.T, n, replicas int) *disks {
	t.Helper()
	d := &disks{t: t}
	var lines []ring.Device
	var devices []device.Device
	root := t.TempDir()
	for i := range n {
		name := fmt.Sprint("d", i)
		d.dirs = append(d.dirs, filepath.Join(root, name))
		one, err := file.New(file.Options{Name: name, Dir: d.dirs[i]})
		if err != nil {
			t.Fatal(err)
		}
		lines, devices = append(lines, ring.Device{ID: name, Zone: name, Weight: 1}), append(devices, one)
	}
	r, err := ring.New(10, replicas, lines)
	if err != nil {
		t.Fatal(err)
	}
	d.Pool = New(r, devices, slog.New(slog.DiscardHandler))
	return d
}

func (d *disks) put() error {
	d.t.Helper()
	w, err := d.Create(d.t.Context(), key, -1)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, content); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit()
}

func (d *disks) wantReadable(what string) {
	d.t.Helper()
	r, err := d.Open(d.t.Context(), key)
	if err != nil {
		d.t.Errorf("%s: %v", what, err)
		return
	}
	defer r.Close()
	if data, err := io.ReadAll(r); err != nil || string(data) != content {
		d.t.Errorf("%s: %d bytes, %v", what, len(data), err)
	}
}

// on says which devices have the payload.
func (d *disks) on() (which []int) {
	for i, dir := range d.dirs {
		if data, err := os.ReadFile(filepath.Join(dir, key[:3], key)); err == nil && string(data) == content {
			which = append(which, i)
		}
	}
	return which
}

func (d *disks) file(place int) string {
	return filepath.Join(d.dirs[d.ring.Places(key)[place]], key[:3], key)
}

// kill makes a device be one that cannot be used.
func (d *disks) kill(i int) {
	d.t.Helper()
	if err := errors.Join(os.RemoveAll(d.dirs[i]), os.WriteFile(d.dirs[i], nil, 0o600)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disks) revive(i int) {
	d.t.Helper()
	if err := os.Remove(d.dirs[i]); err != nil {
		d.t.Fatal(err)
	}
}

func sum() Sum {
	h := md5.Sum([]byte(content))
	return Sum{int64(len(content)), hex.EncodeToString(h[:])}
}

// Row 162 of what an object store has to do: one replica dies, and reads go on.
func TestOneDeviceDies(t *testing.T) {
	d := disk(t, 4, 3)
	if err := d.put(); err != nil || len(d.on()) != 3 {
		t.Fatal(err, d.on())
	}
	places := d.ring.Places(key)
	d.kill(places[0])
	d.wantReadable("one of three is dead")
	d.kill(places[1])
	d.wantReadable("two of three are dead")
	// The one that comes back empty gets its copy again; one that cannot be asked does not.
	d.revive(places[0])
	done, err := d.Repair(t.Context(), key, sum(), false)
	if err != nil || done != (Repaired{Made: 1}) || len(d.on()) != 2 {
		t.Error(done, err, d.on())
	}
	d.revive(places[1])
	if done, err = d.Repair(t.Context(), key, sum(), false); err != nil || done.Made != 1 || len(d.on()) != 3 {
		t.Error(done, err, d.on())
	}
	if done, err = d.Repair(t.Context(), key, sum(), true); err != nil || done != (Repaired{}) {
		t.Error("there was nothing to do:", done, err)
	}
	if err := d.Delete(t.Context(), key); err != nil || len(d.on()) != 0 {
		t.Error(err, d.on())
	}
	if _, err := d.Open(t.Context(), key); !errors.Is(err, device.ErrNotFound) {
		t.Error(err)
	}
}

// Who stands in for a dead device gives the copy up when that one is back.
func TestStandIn(t *testing.T) {
	d := disk(t, 4, 3)
	places := d.ring.Places(key)
	d.kill(places[1])
	if err := d.put(); err != nil || len(d.on()) != 3 {
		t.Fatal(err, d.on())
	}
	if done, err := d.Repair(t.Context(), key, sum(), false); err != nil || done != (Repaired{}) {
		t.Error("a copy is needed until the dead device is back:", done, err)
	}
	d.revive(places[1])
	done, err := d.Repair(t.Context(), key, sum(), false)
	if err != nil || done != (Repaired{Made: 1, Removed: 1}) || len(d.on()) != 3 {
		t.Error(done, err, d.on())
	}
	for _, i := range d.on() {
		if i == places[3] {
			t.Error("the stand-in has it still")
		}
	}
}

func TestQuorum(t *testing.T) {
	d := disk(t, 3, 3)
	d.kill(0)
	if err := d.put(); err != nil {
		t.Error("two of three are enough:", err)
	}
	d = disk(t, 3, 3)
	d.kill(0)
	d.kill(1)
	if err := d.put(); !fault.Is(err, fault.Unavailable) || len(d.on()) != 0 {
		t.Error("one of three is too few:", err, d.on())
	}
	if err := d.Delete(t.Context(), key); err == nil {
		t.Error("what dead devices have is not deleted")
	}
}

func TestBrokenCopies(t *testing.T) {
	d := disk(t, 3, 3)
	if err := d.put(); err != nil {
		t.Fatal(err)
	}
	rot := []byte(content)
	rot[77] ^= 1
	if err := errors.Join(os.WriteFile(d.file(0), rot, 0o600), os.WriteFile(d.file(1), rot[:99], 0o600)); err != nil {
		t.Fatal(err)
	}
	if done, err := d.Repair(t.Context(), key, sum(), true); err != nil || done != (Repaired{Made: 2, Broken: 2}) || len(d.on()) != 3 {
		t.Error(done, err, d.on())
	}
	for place := range 3 {
		if err := os.WriteFile(d.file(place), rot, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Repair(t.Context(), key, sum(), true); !errors.Is(err, device.ErrNotFound) {
		t.Error("there is no good copy:", err)
	}
	if _, err := os.Stat(d.file(0)); err != nil {
		t.Error("the last copies, though broken, were removed")
	}
}
