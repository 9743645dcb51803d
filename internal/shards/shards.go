package shards

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// begun ends the names of files that are not whole yet. A dot begins them.
const begun = ".part"

// Folder is the folder with the others below it. Its methods are safe for concurrent
// use, also by several processes.
type Folder struct {
	Dir   string // absolute
	Width int    // of the names of the folders below, in characters; keys are longer
	// Valid returns an error for what is no key.
	Valid func(key string) error
	// Free is how many bytes of the file system are kept free, and Full the error that
	// there is no more; it gets numbers behind it.
	Free int64
	Full error
	// Told gives errors of the file system, and nil, the meaning that they have for
	// callers. What the methods return has passed it, but for Sync.
	Told func(error) error
}

// Path is where the whole file of a key is.
func (d *Folder) Path(key string) string { return filepath.Join(d.Dir, key[:d.Width], key) }

// Part is where it is until then.
func (d *Folder) Part(key string) string {
	return filepath.Join(d.Dir, key[:d.Width], "."+key+begun)
}

// Room says whether size more bytes fit, and of which kind the file system is (statfs).
// size may be -1: whether any do.
func (d *Folder) Room(size int64) (system int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.Dir, &st); err != nil {
		return 0, d.Told(err)
	}
	free := int64(st.Bavail)*st.Bsize - d.Free
	if free <= 0 || size > free {
		return 0, fmt.Errorf("%w: %d bytes are free and %d are needed", d.Full, max(free, 0), max(size, 1))
	}
	return int64(st.Type), nil
}

// Begin makes the file that is to become the whole one; fs.ErrExist, as it is, where
// somebody has begun it already. The folder below lasts when it returns.
func (d *Folder) Begin(key string) (*os.File, error) {
	f, err := d.begin(key)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(filepath.Dir(d.Path(key)), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, d.Told(err)
		}
		if err := syncDir(d.Dir); err != nil {
			return nil, d.Told(err)
		}
		f, err = d.begin(key)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil, fs.ErrExist
	}
	return f, d.Told(err)
}

func (d *Folder) begin(key string) (*os.File, error) {
	return os.OpenFile(d.Part(key), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// Sync has the names in the folder of a key last; its error is the file system's.
func (d *Folder) Sync(key string) error { return syncDir(filepath.Dir(d.Path(key))) }

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// File is a whole file, open for reading.
type File struct {
	*os.File
	size int64
}

// Size is how many bytes it had when it was opened.
func (f *File) Size() int64 { return f.size }

// Open opens the whole file of a key; fs.ErrNotExist, as it is, where there is none.
func (d *Folder) Open(key string) (*File, error) {
	if err := d.Valid(key); err != nil {
		return nil, err
	}
	f, err := os.Open(d.Path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, d.Told(err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, d.Told(err)
	}
	return &File{f, st.Size()}, nil
}

// Remove removes what is under a key, whole or begun; nothing being there is no error.
func (d *Folder) Remove(key string) error {
	if err := d.Valid(key); err != nil {
		return err
	}
	for _, path := range []string{d.Part(key), d.Path(key)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return d.Told(err)
		}
	}
	return nil
}

// Each calls f for each file, whole or begun, until f returns an error, which it
// returns as it is. What comes or goes meanwhile may be missed; other names are
// strangers', and passed over.
func (d *Folder) Each(ctx context.Context, f func(key string, info fs.FileInfo, whole bool) error) error {
	folders, err := os.ReadDir(d.Dir)
	if err != nil {
		return d.Told(err)
	}
	for _, folder := range folders {
		if len(folder.Name()) != d.Width || !folder.IsDir() {
			continue
		}
		files, err := os.ReadDir(filepath.Join(d.Dir, folder.Name()))
		if err != nil {
			return d.Told(err)
		}
		for _, file := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			key, unfinished := strings.CutSuffix(file.Name(), begun)
			if unfinished {
				key = strings.TrimPrefix(key, ".")
			}
			info, err := file.Info()
			if err != nil || d.Valid(key) != nil || !info.Mode().IsRegular() || key[:d.Width] != folder.Name() {
				continue // gone meanwhile, or a stranger's
			}
			if err := f(key, info, !unfinished); err != nil {
				return err
			}
		}
	}
	return nil
}
