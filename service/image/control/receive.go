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

// limit is how much may come, and what to say when more does.
type limit struct {
	bytes int64
	err   error
}

// receive passes an upload's data on to w, hashes and inspects it. settled is called
// as soon as it can be told what the data is; its error ends the passing. The hashes
// and the writing go on side by side, since each of them is slower than a network.
// When receive returns nobody writes to w any more. checksum: an MD5 sum is wanted.
func (c *Control) receive(ctx context.Context, w io.Writer, up Upload, most limit, settled func(*diskimage.Info) error, checksum bool) (*received, error) {
	in, sum, multi, out := &diskimage.Inspector{}, md5.New(), newHash(c.o.HashingAlgorithm), &sink{w: w}
	workers := []io.Writer{out, patiently{multi}}
	if checksum {
		workers = append(workers, patiently{sum})
	}
	if up.signature != nil {
		workers = append(workers, patiently{up.signature.sum})
	}
	pieces, free := c.pieces(up)
	defer free()
	feeds, end := work(workers)
	defer end()
	got, asked := &received{}, false
	for n := 0; ; n++ {
		p := &pieces[n%len(pieces)]
		p.busy.Wait()
		if err := out.failed(); err != nil {
			return nil, err
		}
		size, readErr := fill(ctx, up.Data, p.room)
		p.data = p.room[:size]
		if got.size += int64(size); got.size > most.bytes {
			return nil, most.err
		}
		p.busy.Add(len(feeds))
		for _, f := range feeds {
			f <- p
		}
		in.Write(p.data)
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
	for i := range pieces {
		pieces[i].busy.Wait()
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
	return got, up.signature.check()
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
