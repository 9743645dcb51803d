package api

import (
	"io"
	"strconv"
	"sync"
)

// page gathers a large answer that is written by hand.
type page struct {
	out io.Writer
	buf []byte
}

var pages = sync.Pool{New: func() any { return &page{buf: make([]byte, 0, flushAt+8<<10)} }}

// flushAt is how much is gathered before it is written, in bytes.
const flushAt = 64 << 10

// gathered writes to out what write puts on a page.
func gathered(out io.Writer, write func(*page) error) error {
	p := pages.Get().(*page)
	p.out, p.buf = out, p.buf[:0]
	defer func() {
		if p.out = nil; cap(p.buf) <= 4*flushAt {
			pages.Put(p)
		}
	}()
	if err := write(p); err != nil {
		return err
	}
	return p.flush(0)
}

// flush writes what was gathered if it is more than that.
func (p *page) flush(above int) error {
	if len(p.buf) < above {
		return nil
	}
	_, err := p.out.Write(p.buf)
	p.buf = p.buf[:0]
	return err
}

func (p *page) text(s string) { p.buf = append(p.buf, s...) }

func (p *page) number(n int64) { p.buf = strconv.AppendInt(p.buf, n, 10) }
