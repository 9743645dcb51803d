// Package file keeps blobs as files below a folder. A blob is written beside its
// place, forced to the disk and renamed, so that under a key there is a whole
// blob or none. The folder may be shared by several processes, also over NFS.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
)

// begun is the ending of files that are not whole yet. A dot first keeps them
// apart from all keys.
const begun = ".part"

// Options is a folder's configuration, by upstream's names.
type Options struct {
	// Dir is the folder, made when it is not there.
	Dir string `toml:"filesystem_store_datadir"`
	// MinFree is how many bytes of the file system are kept free: it may be the
	// one that the operating system lives on.
	MinFree int64 `toml:"filesystem_store_min_free"`
	// DirectIO has large pieces written without the kernel's copy of them, where the
	// file system puts them in place: an upload costs less, and what has come is not
	// in memory for the first who reads it.
	DirectIO bool `toml:"filesystem_store_direct_io"`
}

// Store implements blob.Store.
type Store struct{ o Options }

// New opens a folder, which it makes where it is missing.
func New(o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, errors.New("image store: filesystem_store_datadir is not set")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("image store: %w", err)
	}
	o.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("image store: %w", err)
	}
	return &Store{o}, nil
}

// path spreads blobs over 256 folders, by the first two characters of their keys.
func (s *Store) path(key string) string { return filepath.Join(s.o.Dir, key[:2], key) }

func (s *Store) part(key string) string { return filepath.Join(s.o.Dir, key[:2], "."+key+begun) }

// URL implements blob.Store.
func (s *Store) URL(key string) string { return "file://" + s.path(key) }

// Create implements blob.Store.
func (s *Store) Create(_ context.Context, key string, size int64) (blob.Writer, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	system, err := s.room(size)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(s.path(key)), 0o700); err != nil {
		return nil, told(err)
	}
	// What an earlier process began under this key is nobody's now. Removed, not
	// truncated: if its writer lives after all, it must not write into ours.
	if err := os.Remove(s.part(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, told(err)
	}
	f, err := os.OpenFile(s.part(key), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fault.Conflictf("Image data %s is being written by somebody else.", key)
	}
	if err != nil {
		return nil, told(err)
	}
	return &writer{store: s, key: key, f: f, straight: s.o.DirectIO && straight[system]}, nil
}

// room says whether size more bytes fit, and of which kind the file system is. size
// may be -1.
func (s *Store) room(size int64) (system int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.o.Dir, &st); err != nil {
		return 0, told(err)
	}
	free := int64(st.Bavail)*st.Bsize - s.o.MinFree
	if free <= 0 || size > free {
		return 0, fmt.Errorf("%w: %d bytes are free and %d are needed", blob.ErrFull, max(free, 0), max(size, 1))
	}
	return int64(st.Type), nil
}

// Open implements blob.Store.
func (s *Store) Open(_ context.Context, key string) (blob.Reader, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blob.ErrNotFound
	}
	if err != nil {
		return nil, told(err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, told(err)
	}
	return &reader{f, st.Size()}, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(_ context.Context, key string) error {
	if err := blob.ValidKey(key); err != nil {
		return err
	}
	for _, path := range []string{s.part(key), s.path(key)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return told(err)
		}
	}
	return nil
}

// Each implements blob.Store.
func (s *Store) Each(ctx context.Context, f func(blob.Entry) error) error {
	shards, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return told(err)
	}
	for _, shard := range shards {
		if len(shard.Name()) != 2 || !shard.IsDir() {
			continue // not ours
		}
		files, err := os.ReadDir(filepath.Join(s.o.Dir, shard.Name()))
		if err != nil {
			return told(err)
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
			if err != nil || blob.ValidKey(key) != nil || !info.Mode().IsRegular() || key[:2] != shard.Name() {
				continue // gone meanwhile, or not ours
			}
			if err := f(blob.Entry{Key: key, Modified: info.ModTime(), Whole: !unfinished}); err != nil {
				return err
			}
		}
	}
	return nil
}

type reader struct {
	*os.File
	size int64
}

func (r *reader) Size() int64 { return r.size }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// told gives errors of the file system the meaning that they have for callers,
// and keeps paths out of what callers see.
func told(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w (%w)", blob.ErrFull, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fault.Wrap(err, fault.Unavailable, "Insufficient permissions on image storage media.")
	case fault.KindOf(err) != fault.Internal:
		return err
	}
	return fmt.Errorf("image store: %w", err)
}
