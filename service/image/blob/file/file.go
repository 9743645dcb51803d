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
	"syscall"

	"kilonova/internal/fault"
	"kilonova/internal/shards"
	"kilonova/service/image/blob"
)

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
type Store struct {
	o     Options
	files shards.Folder // 256 below it
}

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
	return &Store{o, shards.Folder{Dir: dir, Width: 2, Valid: blob.ValidKey, Free: o.MinFree, Full: blob.ErrFull, Told: told}}, nil
}

// URL implements blob.Store.
func (s *Store) URL(key string) string { return "file://" + s.files.Path(key) }

// Create implements blob.Store.
func (s *Store) Create(_ context.Context, key string, size int64) (blob.Writer, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	system, err := s.files.Room(size)
	if err != nil {
		return nil, err
	}
	// What an earlier process began under this key is nobody's now. Removed, not
	// truncated: if its writer lives after all, it must not write into ours.
	if err := os.Remove(s.files.Part(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, told(err)
	}
	f, err := s.files.Begin(key)
	if errors.Is(err, fs.ErrExist) {
		return nil, fault.Conflictf("Image data %s is being written by somebody else.", key)
	}
	if err != nil {
		return nil, err
	}
	return &writer{files: &s.files, key: key, f: f, straight: s.o.DirectIO && straight[system]}, nil
}

// Open implements blob.Store.
func (s *Store) Open(_ context.Context, key string) (blob.Reader, error) {
	f, err := s.files.Open(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blob.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(_ context.Context, key string) error { return s.files.Remove(key) }

// Each implements blob.Store.
func (s *Store) Each(ctx context.Context, f func(blob.Entry) error) error {
	return s.files.Each(ctx, func(key string, info fs.FileInfo, whole bool) error {
		return f(blob.Entry{Key: key, Modified: info.ModTime(), Whole: whole})
	})
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
