// Package file keeps payloads as files below a folder, usually the root of a file
// system of its own. A payload is written beside its place, forced to the disk and
// renamed, so that under a key there is a whole payload or none.
//
// A folder that has been in use carries a file with the device's name. Where that is
// missing or another's, the disk below is not mounted, or is the wrong one: the
// device then refuses everything, and does not fill the file system underneath.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"kilonova/internal/fault"
	"kilonova/internal/shards"
	"kilonova/service/object/device"
)

const label = "device" // the file with the device's name

// Options are those of one device.
type Options struct {
	// Name is the device's in the ring.
	Name string `toml:"name"`
	// Dir is the folder, made when it is not there.
	Dir string `toml:"path"`
	// Mounted refuses a folder that nothing is mounted on: upstream's mount_check.
	Mounted bool `toml:"mount_check"`
	// MinFree is how many bytes of the file system are kept free.
	MinFree int64 `toml:"fallocate_reserve"`
}

// Device implements device.Device.
type Device struct {
	o     Options
	files shards.Folder // 4096 below it
}

// New opens a folder. One that cannot be used now is no error: the device refuses
// until it can.
func New(o Options) (*Device, error) {
	if o.Dir == "" || o.Name == "" {
		return nil, errors.New("object device: a name and a path are needed")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("object device: %w", err)
	}
	o.Dir = dir
	return &Device{o, shards.Folder{Dir: dir, Width: 3, Valid: device.ValidKey, Free: o.MinFree,
		Full: fmt.Errorf("%w on the device %s", device.ErrFull, o.Name), Told: told}}, nil
}

// ready refuses where the folder is not the device's.
func (d *Device) ready() error {
	if ours, err := d.labelled(); ours || err != nil {
		return err
	}
	return d.settle()
}

// labelled reports whether the folder bears the device's name; another's is an error.
func (d *Device) labelled() (bool, error) {
	name, err := os.ReadFile(filepath.Join(d.o.Dir, label))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, told(err)
	case strings.TrimSpace(string(name)) != d.o.Name:
		return false, fault.New(fault.Unavailable, "The folder of the device %s belongs to the device %.64q.", d.o.Name, strings.TrimSpace(string(name)))
	}
	return true, nil
}

// settle takes a folder that is empty, or not there yet.
func (d *Device) settle() error {
	if err := os.MkdirAll(d.o.Dir, 0o700); err != nil {
		return told(err)
	}
	if d.o.Mounted && !mounted(d.o.Dir) {
		return fault.New(fault.Unavailable, "Nothing is mounted on the folder of the device %s.", d.o.Name)
	}
	there, err := os.ReadDir(d.o.Dir)
	if err != nil {
		return told(err)
	}
	for _, e := range there {
		if name := e.Name(); name != "lost+found" && !strings.HasPrefix(name, label) {
			// Unless others have taken it meanwhile, and written: its name came first.
			if ours, err := d.labelled(); ours || err != nil {
				return err
			}
			return fault.New(fault.Unavailable, "The folder of the device %s has files in it but not its name: it is another device's, or nobody's.", d.o.Name)
		}
	}
	f, err := os.CreateTemp(d.o.Dir, label+"-*")
	if err != nil {
		return told(err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(d.o.Name + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return told(err)
	}
	return told(os.Rename(f.Name(), filepath.Join(d.o.Dir, label)))
}

func mounted(dir string) bool {
	var here, above unix.Stat_t
	return unix.Stat(dir, &here) == nil && unix.Stat(filepath.Dir(dir), &above) == nil && here.Dev != above.Dev
}

// Create implements device.Device.
func (d *Device) Create(_ context.Context, key string, size int64) (device.Writer, error) {
	if err := device.ValidKey(key); err != nil {
		return nil, err
	}
	if err := d.ready(); err != nil {
		return nil, err
	}
	if _, err := d.files.Room(size); err != nil {
		return nil, err
	}
	f, err := d.begin(key)
	if errors.Is(err, fs.ErrExist) {
		return nil, fault.Conflictf("Payload %s has been written, or is being written.", key)
	}
	if err != nil {
		return nil, err
	}
	return &writer{d: d, key: key, f: f}, nil
}

func (d *Device) begin(key string) (*os.File, error) {
	if _, err := os.Lstat(d.files.Path(key)); err == nil {
		return nil, fs.ErrExist
	}
	return d.files.Begin(key)
}

// Open implements device.Device.
func (d *Device) Open(_ context.Context, key string) (device.Reader, error) {
	f, err := d.files.Open(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, device.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Delete implements device.Device.
func (d *Device) Delete(_ context.Context, key string) error {
	if err := device.ValidKey(key); err != nil {
		return err
	}
	if err := d.ready(); err != nil { // or what is unmounted now would come back later
		return err
	}
	return d.files.Remove(key)
}

// Each implements device.Device.
func (d *Device) Each(ctx context.Context, f func(device.Entry) error) error {
	if err := d.ready(); err != nil {
		return err
	}
	return d.files.Each(ctx, func(key string, info fs.FileInfo, whole bool) error {
		return f(device.Entry{Key: key, Size: info.Size(), Modified: info.ModTime(), Whole: whole})
	})
}

type writer struct {
	d       *Device
	key     string
	f       *os.File
	size    int64
	flusher shards.Flusher

	mu   sync.Mutex // Abort may come from another goroutine than Write
	done bool
}

// Write implements device.Writer. Now and then it looks at the free space.
func (w *writer) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.size += int64(n)
	if err != nil {
		return n, told(err)
	}
	if w.flusher.Wrote(w.f, w.size) {
		_, err = w.d.files.Room(-1)
	}
	return n, err
}

// Commit implements device.Writer.
func (w *writer) Commit() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return fault.Conflictf("Payload %s has been given up.", w.key)
	}
	w.done = true
	err := w.f.Sync()
	if err == nil {
		// Not over what may be there already. A deletion meanwhile has taken our name away.
		err = unix.Renameat2(unix.AT_FDCWD, w.d.files.Part(w.key), unix.AT_FDCWD, w.d.files.Path(w.key), unix.RENAME_NOREPLACE)
	}
	if err == nil {
		err = w.d.files.Sync(w.key)
	}
	err = errors.Join(err, w.f.Close())
	if err != nil {
		_ = os.Remove(w.d.files.Part(w.key)) // what cannot be removed is found by Each
	}
	return told(err)
}

// Abort implements device.Writer.
func (w *writer) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return nil
	}
	w.done = true
	err := os.Remove(w.d.files.Part(w.key))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return told(errors.Join(err, w.f.Close()))
}

// told gives errors of the file system the meaning that they have for callers, and
// keeps paths out of what callers see.
func told(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w (%w)", device.ErrFull, err)
	case fault.KindOf(err) != fault.Internal:
		return err
	}
	return fault.Wrap(err, fault.Unavailable, "A device of the object store cannot be used now.")
}
