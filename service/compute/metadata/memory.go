package metadata

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/diskfs/go-diskfs/backend"
)

// memory is a disk in memory, for the file system library. It grows as it is
// written.
type memory struct {
	data []byte
	at   int64
}

// maxImage bounds what the library may make of a drive's contents.
const maxImage = 2 * MaxDrive

func (m *memory) Writable() (backend.WritableFile, error) { return m, nil }

// Sys has no file to offer; the library asks for it on real disks only.
func (m *memory) Sys() (*os.File, error)     { return nil, backend.ErrNotSuitable }
func (m *memory) Path() string               { return "" }
func (m *memory) Close() error               { return nil }
func (m *memory) Stat() (fs.FileInfo, error) { return memoryInfo(len(m.data)), nil }

func (m *memory) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at >= int64(len(m.data)) {
		return 0, io.EOF
	}
	n := copy(p, m.data[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	end := at + int64(len(p))
	if at < 0 || end > maxImage {
		return 0, errors.New("the image is too large")
	}
	if grow := end - int64(len(m.data)); grow > 0 {
		m.data = append(m.data, make([]byte, grow)...)
	}
	return copy(m.data[at:], p), nil
}

func (m *memory) Read(p []byte) (int, error) {
	n, err := m.ReadAt(p, m.at)
	m.at += int64(n)
	return n, err
}

func (m *memory) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += m.at
	case io.SeekEnd:
		offset += int64(len(m.data))
	}
	if offset < 0 {
		return 0, fs.ErrInvalid
	}
	m.at = offset
	return offset, nil
}

// memoryInfo is the size of a memory.
type memoryInfo int64

func (i memoryInfo) Name() string     { return driveLabel }
func (i memoryInfo) Size() int64      { return int64(i) }
func (memoryInfo) Mode() fs.FileMode  { return 0o600 }
func (memoryInfo) ModTime() time.Time { return time.Time{} }
func (memoryInfo) IsDir() bool        { return false }
func (memoryInfo) Sys() any           { return nil }
