package file

import (
	"os"
	"path/filepath"
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/object/device"
	"kilonova/service/object/device/devicetest"
)

func open(t *testing.T, o Options) *Device {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLaw(t *testing.T) {
	devicetest.Run(t, func(t *testing.T) func() device.Device {
		dir := filepath.Join(t.TempDir(), "d1")
		return func() device.Device { return open(t, Options{Name: "d1", Dir: dir}) }
	})
}

// A disk that is not mounted must not be written beside, nor another's be written to.
func TestWrongFolders(t *testing.T) {
	const key = "0123456789abcdef"
	refuses := func(what string, o Options) {
		t.Helper()
		d := open(t, o)
		_, err := d.Create(t.Context(), key, 1)
		for _, err := range []error{err, d.Delete(t.Context(), key), d.Each(t.Context(), func(device.Entry) error { return nil })} {
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	root := t.TempDir()
	first := filepath.Join(root, "first")
	w, err := open(t, Options{Name: "first", Dir: first}).Create(t.Context(), key, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	refuses("another device's folder", Options{Name: "second", Dir: first})
	if err := os.Remove(filepath.Join(first, label)); err != nil {
		t.Fatal(err)
	}
	refuses("a folder without its name", Options{Name: "first", Dir: first})
	refuses("a folder that nothing is mounted on", Options{Name: "third", Dir: filepath.Join(root, "third"), Mounted: true})
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses("a file", Options{Name: "fourth", Dir: filepath.Join(root, "file")})
	full := open(t, Options{Name: "full", Dir: filepath.Join(root, "full"), MinFree: 1 << 60})
	if _, err := full.Create(t.Context(), key, 1); err == nil {
		t.Error("what is kept free was given away")
	}
}
