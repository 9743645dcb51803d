package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"kilonova/internal/fault"
)

// Ranged makes a Reader of a store that is asked over a network: open begins a
// stream at an offset, of length bytes (-1: to the end). Reading on from where
// the last read ended goes on in the same stream. ctx bounds all of it.
func Ranged(ctx context.Context, size int64, open func(ctx context.Context, offset, length int64) (io.ReadCloser, error)) Reader {
	ctx, cancel := context.WithCancel(ctx)
	return &ranged{ctx: ctx, cancel: cancel, size: size, open: open}
}

type ranged struct {
	ctx    context.Context
	cancel context.CancelFunc
	size   int64
	open   func(ctx context.Context, offset, length int64) (io.ReadCloser, error)

	mu     sync.Mutex // Close may come while a read is stuck
	at     int64
	stream io.ReadCloser // at position at; nil: none
	closed bool
}

var errClosed = errors.New("the blob's reader is closed")

// Size implements Reader.
func (r *ranged) Size() int64 { return r.size }

// Read implements io.Reader. A stream that ends early is an error: a part of a
// blob must never pass for the whole.
func (r *ranged) Read(p []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	stream, err := r.current()
	if err != nil {
		return 0, err
	}
	n, err := stream.Read(p[:min(int64(len(p)), r.size-r.at)])
	r.at += int64(n)
	if errors.Is(err, io.EOF) {
		r.drop()
		err = nil
		if r.at < r.size && n == 0 {
			err = fault.Wrap(io.ErrUnexpectedEOF, fault.Unavailable, "The image's store ended the data after %d of %d bytes.", r.at, r.size)
		}
	}
	return n, err
}

func (r *ranged) current() (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed
	}
	if r.stream == nil {
		s, err := r.open(r.ctx, r.at, -1)
		if err != nil {
			return nil, err
		}
		r.stream = s
	}
	return r.stream, nil
}

func (r *ranged) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stream != nil {
		r.stream.Close()
		r.stream = nil
	}
}

// Seek implements io.Seeker.
func (r *ranged) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("a blob has no byte %d", offset)
	}
	if offset != r.at {
		r.drop()
		r.at = offset
	}
	return offset, nil
}

// ReadAt implements io.ReaderAt.
func (r *ranged) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= r.size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), r.size-offset)
	if want == 0 {
		return 0, nil
	}
	s, err := r.open(r.ctx, offset, want)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	n, err := io.ReadFull(s, p[:want])
	if err == nil && want < int64(len(p)) {
		err = io.EOF
	}
	return n, err
}

// Close implements io.Closer.
func (r *ranged) Close() error {
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.stream != nil {
		r.stream.Close()
		r.stream = nil
	}
	return nil
}
