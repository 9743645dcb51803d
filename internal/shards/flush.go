package shards

import (
	"os"

	"golang.org/x/sys/unix"
)

// flushEvery is how many bytes are written before the kernel is told to begin bringing
// them to the disk.
const flushEvery = 8 << 20

// Flusher has the kernel bring what is written to the disk meanwhile, so that the sync
// at the end has little left to wait for. The zero value is ready.
type Flusher struct{ until int64 }

// Wrote says how much of a file is written, and reports whether that was flushed.
func (f *Flusher) Wrote(to *os.File, size int64) bool {
	part := size - f.until
	if part < flushEvery {
		return false
	}
	_ = unix.SyncFileRange(int(to.Fd()), f.until, part, unix.SYNC_FILE_RANGE_WRITE) // a hint: the sync at the end is what counts
	f.until = size
	return true
}

// Skip says that all up to a size has gone to the disk already.
func (f *Flusher) Skip(size int64) { f.until = size }
