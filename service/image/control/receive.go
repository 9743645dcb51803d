package control

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync"

	"kilonova/internal/diskimage"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "sha256":
		return sha256.New()
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	}
	return nil
}

// received is what is known of data that has passed.
type received struct {
	size      int64
	checksum  string // MD5; "" not wanted
	hashValue string
	info      *diskimage.Info
}

// chunk is how much is read before it is hashed and written, chunks how many of
// them a stream has in use: while one is read others are worked on, so that a disk
// that pauses to write out does not keep the hashes from going on, nor these it.
const (
	chunk  = 256 << 10
	chunks = 4
)

// limit is how much may come, and what to say when more does.
type limit struct {
	bytes int64
	err   error
}

// receive passes r on to w, hashes and inspects it. settled is called as soon as
// it can be told what the data is; its error ends the passing. The hashes and
// the writing go on side by side, since each of them is slower than a network.
// When receive returns nobody writes to w any more. checksum: an MD5 sum is wanted.
func (c *Control) receive(ctx context.Context, w io.Writer, r io.Reader, most limit, settled func(*diskimage.Info) error, signed *signature, checksum bool) (*received, error) {
	in, sum, multi, out := &diskimage.Inspector{}, md5.New(), newHash(c.o.HashingAlgorithm), &sink{w: w}
	workers := []io.Writer{out, multi}
	if checksum {
		workers = append(workers, sum)
	}
	if signed != nil {
		workers = append(workers, signed.sum)
	}
	feeds, end := work(workers)
	defer end()
	var buffers [chunks]struct {
		data [chunk]byte
		busy sync.WaitGroup
	}
	got, asked := &received{}, false
	for n := 0; ; n++ {
		b := &buffers[n%chunks]
		b.busy.Wait()
		if err := out.failed(); err != nil {
			return nil, err
		}
		size, readErr := fill(ctx, r, b.data[:])
		data := b.data[:size]
		if got.size += int64(size); got.size > most.bytes {
			return nil, most.err
		}
		b.busy.Add(len(feeds))
		for _, f := range feeds {
			f <- piece{data, &b.busy}
		}
		in.Write(data)
		if !asked && in.Settled() {
			asked = true
			if err := settled(in.Info()); err != nil {
				return nil, err
			}
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		if fault.Is(readErr, fault.Invalid) {
			return nil, readErr
		}
		if readErr != nil {
			return nil, fault.Wrap(readErr, fault.Invalid, "The image data ended before its time.")
		}
	}
	for i := range buffers {
		buffers[i].busy.Wait()
	}
	if err := out.failed(); err != nil {
		return nil, err
	}
	got.hashValue, got.info = hex.EncodeToString(multi.Sum(nil)), in.Info()
	if checksum {
		got.checksum = hex.EncodeToString(sum.Sum(nil))
	}
	if err := settled(got.info); err != nil {
		return nil, err
	}
	return got, signed.check()
}

// piece is a part of a stream; done tells that it has been worked on.
type piece struct {
	data []byte
	done *sync.WaitGroup
}

// work has each of several writers take pieces, side by side; end waits until all
// of them have stopped.
func work(writers []io.Writer) (feeds []chan piece, end func()) {
	var working sync.WaitGroup
	for _, w := range writers {
		in := make(chan piece, chunks)
		feeds = append(feeds, in)
		working.Go(func() {
			for p := range in {
				_, _ = w.Write(p.data) // hashes take everything, and a sink keeps its error
				p.done.Done()
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

// fill reads until p is full or r says why not; io.EOF only at the true end.
func fill(ctx context.Context, r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		if err = ctx.Err(); err != nil {
			return n, context.Cause(ctx)
		}
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// acceptable decides whether an image may have content like this. Only in a
// bare container is the content of the disk's format.
func (c *Control) acceptable(i *image.Image, info *diskimage.Info) error {
	err := info.Safe()
	if c.o.Format.RequireMatch && (i.ContainerFormat == "bare" || i.ContainerFormat == i.DiskFormat) {
		err = info.Verify(i.DiskFormat)
	}
	if r, ok := errors.AsType[*diskimage.Refusal](err); ok {
		return fault.New(fault.UnsupportedMedia, "%s", r.Reason)
	}
	return err
}

// virtualSize is the size of the disk in an image, nil where that means nothing.
func virtualSize(i *image.Image, info *diskimage.Info) *int64 {
	if i.ContainerFormat != "bare" {
		return nil
	}
	n := info.SizeAs(i.DiskFormat)
	return &n
}
