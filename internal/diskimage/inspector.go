package diskimage

import (
	"io"
	"os"
)

const (
	// headBasic reaches past the volume descriptors of ISO 9660 and UDF, which
	// lie furthest behind of all that is looked for in every image.
	headBasic = 40 << 10
	// headVHDX reaches past the first region table of a VHDX.
	headVHDX = 256 << 10
	// headVMDK holds the largest descriptor that QEMU reads, and the header.
	headVMDK = 1<<20 + 512
	// tailSize holds the footer of a VMDK stream: marker, header, end marker.
	tailSize = 3 * 512
)

// Inspector takes in an image from its first byte to its last. The zero value
// is ready. It keeps at most about 1.2 MiB, whatever it is fed.
type Inspector struct {
	size  int64
	head  []byte
	later *piece
	tail  []byte // the last bytes seen, at most 2*tailSize
	asked bool   // the head has told whether there is a later piece to keep
}

// piece is a part of the image, away from its beginning, that is kept.
type piece struct {
	offset int64
	length int
	data   []byte
}

// Write implements io.Writer. It never fails: what is wrong with an image is
// found out by Info.
func (in *Inspector) Write(p []byte) (int, error) {
	n := len(p)
	in.keepHead(p)
	if in.later != nil {
		in.later.keep(in.size, p)
	}
	in.keepTail(p)
	in.size += int64(n)
	return n, nil
}

func (in *Inspector) keepHead(p []byte) {
	if in.size != int64(len(in.head)) {
		return // the head ended before
	}
	for len(p) > 0 {
		want := wanted(in.head)
		if len(in.head) >= want {
			break
		}
		n := min(want-len(in.head), len(p))
		in.head = append(in.head, p[:n]...)
		p = p[n:]
	}
	if !in.asked && len(in.head) >= wanted(in.head) {
		in.asked = true
		in.later = vhdxMetadata(in.head)
	}
}

// wanted says how much of an image that begins with head has to be kept.
func wanted(head []byte) int {
	switch {
	case len(head) < 512:
		return headBasic
	case isVHDX(head):
		return headVHDX
	case isVMDK(head):
		return headVMDK
	}
	return headBasic
}

func (p *piece) keep(at int64, data []byte) {
	next := p.offset + int64(len(p.data))
	if len(p.data) == p.length || next < at || next >= at+int64(len(data)) {
		return
	}
	data = data[next-at:]
	p.data = append(p.data, data[:min(len(data), p.length-len(p.data))]...)
}

func (in *Inspector) keepTail(p []byte) {
	if len(p) >= tailSize {
		in.tail = append(in.tail[:0], p[len(p)-tailSize:]...)
		return
	}
	in.tail = append(in.tail, p...)
	if extra := len(in.tail) - tailSize; extra > 0 {
		in.tail = in.tail[:copy(in.tail, in.tail[extra:])]
	}
}

// Settled reports whether enough has been seen for a first judgement: Info is
// then right about everything but the size and what stands at the end. An
// upload that is refused already need not be taken to its end.
func (in *Inspector) Settled() bool {
	return len(in.head) >= wanted(in.head) && (in.later == nil || len(in.later.data) == in.later.length)
}

// Info says what the image is, as far as it has been written.
func (in *Inspector) Info() *Info {
	c := &content{head: in.head, tail: in.tail, size: in.size}
	if in.later != nil {
		c.later = in.later.data
	}
	return judge(c)
}

// File inspects the file or block device at path, reading no more of it than is
// needed. Errors are those of opening and reading.
func File(path string) (*Info, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	return ReaderAt(f, size)
}

// ReaderAt inspects an image of size bytes.
func ReaderAt(r io.ReaderAt, size int64) (*Info, error) {
	in := &Inspector{}
	buf := make([]byte, 64<<10)
	for !in.asked && in.size < size {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-in.size)], in.size)
		if n == 0 && err != nil {
			return nil, err
		}
		in.Write(buf[:n])
	}
	if p := in.later; p != nil && p.offset < size {
		data := make([]byte, min(int64(p.length), size-p.offset))
		if _, err := r.ReadAt(data, p.offset); err != nil && err != io.EOF {
			return nil, err
		}
		p.data = data
	}
	tail := make([]byte, min(tailSize, size))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return nil, err
	}
	in.tail, in.size = tail, size
	return in.Info(), nil
}
