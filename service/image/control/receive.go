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
	checksum  string // MD5
	hashValue string
	info      *diskimage.Info
}

// chunk is how much is read before it is hashed and written. Two of them are in
// use for a stream: one is read while the other is worked on.
const chunk = 512 << 10

// limit is how much may come, and what to say when more does.
type limit struct {
	bytes int64
	err   error
}

// receive passes r on to w, hashes and inspects it. settled is called as soon as
// it can be told what the data is; its error ends the passing. The hashes and
// the writing go on side by side, since each of them is slower than a network.
func (c *Control) receive(ctx context.Context, w io.Writer, r io.Reader, most limit, settled func(*diskimage.Info) error, signed *signature) (*received, error) {
	in, sum, multi := &diskimage.Inspector{}, md5.New(), newHash(c.o.HashingAlgorithm)
	feeds := []chan work{hashing(sum), hashing(multi)}
	if signed != nil {
		feeds = append(feeds, hashing(signed.sum))
	}
	defer func() {
		for _, f := range feeds {
			close(f)
		}
	}()
	var buffers [2]struct {
		data [chunk]byte
		busy sync.WaitGroup
	}
	got, asked := &received{}, false
	for n := 0; ; n++ {
		b := &buffers[n%2]
		b.busy.Wait()
		size, readErr := fill(ctx, r, b.data[:])
		data := b.data[:size]
		if got.size += int64(size); got.size > most.bytes {
			return nil, most.err
		}
		b.busy.Add(len(feeds))
		for _, f := range feeds {
			f <- work{data, &b.busy}
		}
		in.Write(data)
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
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
	got.checksum, got.hashValue, got.info = hex.EncodeToString(sum.Sum(nil)), hex.EncodeToString(multi.Sum(nil)), in.Info()
	if err := settled(got.info); err != nil {
		return nil, err
	}
	return got, signed.check()
}

// work is a piece to hash; done tells that it has been.
type work struct {
	data []byte
	done *sync.WaitGroup
}

// hashing returns where to send what h is to hash; closing it ends the hashing.
func hashing(h hash.Hash) chan work {
	in := make(chan work, 1)
	go func() {
		for w := range in {
			h.Write(w.data)
			w.done.Done()
		}
	}()
	return in
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
