package control

import (
	"hash"
	"io"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A stream passes in pieces, of which it has a few: while one is read others are
// worked on, so that a disk that pauses does not keep the hashes from going on, nor
// these it.
//
// Pieces are small; or large and aligned, so that a store can have the disk fetch
// them from where they are (blob/file), which costs a fraction of the copy that the
// kernel would keep in its cache. Data below largeFrom bytes may as well be in that
// cache. At most largeAtOnce streams at a time have large pieces: memory has an end.
const (
	small, smallInUse = 256 << 10, 4
	large, largeInUse = 4 << 20, 3
	largeFrom         = 64 << 20
	largeAtOnce       = 3
	hugePage          = 2 << 20 // of x86 and of ARM with pages of 4 KiB; elsewhere it is alignment enough
)

// piece is a part of a stream.
type piece struct {
	room []byte         // for its data
	data []byte         // what is in it
	busy sync.WaitGroup // those who work on it
}

// pieces returns what an upload's data passes through; free is called when nobody
// has any of it any more.
func (c *Control) pieces(up Upload) (all []piece, free func()) {
	if !up.again && (up.Size < 0 || up.Size >= largeFrom) {
		select {
		case c.large <- struct{}{}:
			memory, err := unix.Mmap(-1, 0, largeInUse*large+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			if err == nil {
				return cut(memory), func() {
					_ = unix.Munmap(memory)
					<-c.large
				}
			}
			<-c.large
		default:
		}
	}
	all = make([]piece, smallInUse)
	for i := range all {
		all[i].room = make([]byte, small)
	}
	return all, func() {}
}

// cut makes large pieces of memory.
func cut(memory []byte) []piece {
	if off := uintptr(unsafe.Pointer(&memory[0])) % hugePage; off > 0 {
		memory = memory[hugePage-off:]
	}
	_ = unix.Madvise(memory[:largeInUse*large], unix.MADV_HUGEPAGE) // else they are many small pages
	all := make([]piece, largeInUse)
	for i := range all {
		all[i].room = memory[i*large : (i+1)*large]
	}
	return all
}

// work has each of several writers take pieces, side by side; end waits until all
// of them have stopped.
func work(writers []io.Writer) (feeds []chan *piece, end func()) {
	var working sync.WaitGroup
	for _, w := range writers {
		in := make(chan *piece, max(smallInUse, largeInUse))
		feeds = append(feeds, in)
		working.Go(func() {
			for p := range in {
				_, _ = w.Write(p.data) // hashes take everything, and a sink keeps its error
				p.busy.Done()
			}
		})
	}
	return feeds, func() {
		for _, f := range feeds {
			close(f)
		}
		working.Wait()
	}
}

// patiently hashes in small steps: within one the runtime cannot interrupt it, and
// two such kept two processors from everything else for as long as one takes.
type patiently struct{ hash.Hash }

func (h patiently) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), small)
		_, _ = h.Hash.Write(rest[:n])
		rest = rest[n:]
	}
	return len(p), nil
}

// sink writes until that fails, and keeps the error for who asks.
type sink struct {
	w   io.Writer
	mu  sync.Mutex
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.failed() != nil {
		return len(p), nil
	}
	_, err := s.w.Write(p)
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	return len(p), err
}

func (s *sink) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
