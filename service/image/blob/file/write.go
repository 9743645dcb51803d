package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"kilonova/internal/fault"
	"kilonova/internal/shards"
)

type writer struct {
	files *shards.Folder
	key   string
	f     *os.File

	size       int64
	flusher    shards.Flusher
	sinceCheck int64
	straight   bool       // what fits may go to the disk without a copy of the kernel's
	direct     bool       // the file is open for that now (O_DIRECT)
	mu         sync.Mutex // Abort may come from another goroutine than Write
	done       bool
}

// checkEvery is how many bytes are written between two looks at the free space.
const checkEvery = 64 << 20

// straight are the file systems to which large pieces are written without a copy
// in the kernel's cache: those that put them where they stay, and promise nothing of
// it before a sync. Behind a network each piece would be waited for.
var straight = map[int64]bool{unix.EXT4_SUPER_MAGIC: true, unix.XFS_SUPER_MAGIC: true}

// alignment is what such pieces and their places in the file must be multiples of, in
// bytes, and leastDirect how long they are at least: shorter ones are written faster
// together.
const (
	alignment   = 4096
	leastDirect = 1 << 20
)

// Write implements blob.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.sinceCheck += int64(len(p)); w.sinceCheck >= checkEvery && w.files.Free > 0 {
		w.sinceCheck = 0
		if _, err := w.files.Room(-1); err != nil {
			return 0, err
		}
	}
	w.steer(len(p) >= leastDirect && (uint64(w.size)|uint64(len(p))|uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))))%alignment == 0)
	n, err := w.put(p)
	w.size += int64(n)
	if w.direct {
		w.flusher.Skip(w.size)
	} else {
		w.flusher.Wrote(w.f, w.size)
	}
	return n, told(err)
}

func (w *writer) put(p []byte) (int, error) {
	if w.direct {
		n, err := w.putHalves(p)
		if !errors.Is(err, syscall.EINVAL) {
			return n, err
		}
		w.steer(false) // this disk wants more than our alignment
		w.straight = false
	}
	return w.f.WriteAt(p, w.size)
}

// putHalves writes both halves of a piece at once: a disk that has but one thing to
// write stands still between it and the next.
func (w *writer) putHalves(p []byte) (int, error) {
	half := len(p) / 2 / alignment * alignment
	var first error
	var done sync.WaitGroup
	done.Go(func() { _, first = w.f.WriteAt(p[:half], w.size) })
	_, second := w.f.WriteAt(p[half:], w.size+int64(half))
	done.Wait()
	if err := errors.Join(first, second); err != nil {
		return 0, err
	}
	return len(p), nil
}

// steer has what is written next go straight to the disk, or by the kernel's cache.
func (w *writer) steer(direct bool) {
	if direct = direct && w.straight; direct == w.direct {
		return
	}
	flags := 0
	if direct {
		flags = unix.O_DIRECT
	}
	if _, err := unix.FcntlInt(w.f.Fd(), unix.F_SETFL, flags); err != nil {
		w.straight = false
		return
	}
	w.direct = direct
}

// Commit implements blob.Writer.
func (w *writer) Commit(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return fault.Conflictf("Image data %s has been given up.", w.key)
	}
	w.done = true
	defer w.f.Close()
	err := w.f.Sync()
	if err == nil {
		err = w.own()
	}
	if err == nil {
		err = os.Rename(w.files.Part(w.key), w.files.Path(w.key))
	}
	if err == nil {
		err = w.files.Sync(w.key)
	}
	if err != nil {
		return told(errors.Join(err, w.remove()))
	}
	return nil
}

// own checks that the file under our temporary name is the one we wrote to:
// somebody who took us for dead may have begun anew.
func (w *writer) own() error {
	mine, err := w.f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(w.files.Part(w.key))
	if err == nil && os.SameFile(mine, there) {
		return nil
	}
	return fault.Conflictf("Image data %s was taken over by another writer.", w.key)
}

// remove takes our temporary file away, but nobody else's.
func (w *writer) remove() error {
	if w.own() != nil {
		return nil
	}
	err := os.Remove(w.files.Part(w.key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Abort implements blob.Writer.
func (w *writer) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return nil
	}
	w.done = true
	return told(errors.Join(w.remove(), w.f.Close()))
}
