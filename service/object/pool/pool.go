// Package pool keeps each payload on several devices: it writes to those that the
// ring says, or in their place to others, and is content when more than half have it;
// it reads from any that still has it; and it repairs what is missing.
package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"kilonova/internal/fault"
	"kilonova/service/object/device"
	"kilonova/service/object/ring"
)

// Pool is some devices and the ring over them; devices stand in the ring's order.
type Pool struct {
	ring    *ring.Ring
	devices []device.Device
	log     *slog.Logger
}

// New returns a pool. devices are those of the ring, in its order.
func New(r *ring.Ring, devices []device.Device, log *slog.Logger) *Pool {
	return &Pool{r, devices, log}
}

// quorum is how many copies there must be for a payload to be safe.
func (p *Pool) quorum() int { return p.ring.Replicas()/2 + 1 }

// Create begins a payload of size bytes, -1 where that is not known. It fails with
// device.ErrFull or fault.Unavailable where a quorum of devices cannot take it.
func (p *Pool) Create(ctx context.Context, key string, size int64) (*Writer, error) {
	w := &Writer{pool: p, key: key}
	var failed []error
	for _, i := range p.ring.Places(key) {
		if len(w.copies) == p.ring.Replicas() {
			break
		}
		one, err := p.devices[i].Create(ctx, key, size)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		w.copies = append(w.copies, one)
	}
	if len(w.copies) < p.quorum() {
		return nil, errors.Join(tooFew(failed), w.Abort())
	}
	for _, err := range failed {
		p.log.Warn("object: a device takes no payload", "payload", key, "error", err)
	}
	return w, nil
}

// tooFew is what it means that too few devices did their part.
func tooFew(failed []error) error {
	for _, err := range failed {
		if errors.Is(err, device.ErrFull) {
			return err
		}
	}
	return fault.Wrap(errors.Join(failed...), fault.Unavailable, "Too few devices of the object store can be used now.")
}

// Writer takes in one payload; see device.Writer.
type Writer struct {
	pool   *Pool
	key    string
	copies []device.Writer
	done   bool
}

// Write implements io.Writer. A device that fails is left out from then on.
func (w *Writer) Write(b []byte) (int, error) {
	return len(b), w.each(func(one device.Writer) error {
		n, err := one.Write(b)
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		return err
	})
}

// each does something with all copies, and goes on with those that succeed.
func (w *Writer) each(do func(device.Writer) error) error {
	var failed []error
	left := w.copies[:0]
	for _, one := range w.copies {
		if err := do(one); err != nil {
			failed = append(failed, errors.Join(err, one.Abort()))
			w.pool.log.Warn("object: a device fails while a payload is written", "payload", w.key, "error", err)
			continue
		}
		left = append(left, one)
	}
	if w.copies = left; len(left) < w.pool.quorum() {
		return tooFew(failed)
	}
	return nil
}

// Commit makes the payload last. Where it fails, Delete has to take away what some
// devices may have.
func (w *Writer) Commit() error {
	if w.done {
		return fault.Conflictf("Payload %s has been given up.", w.key)
	}
	w.done = true
	return w.each(device.Writer.Commit)
}

// Abort throws the payload away; after Commit it does nothing.
func (w *Writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	var err error
	for _, one := range w.copies {
		err = errors.Join(err, one.Abort())
	}
	return err
}

// Open reads a payload from whichever device has it, and from another one when that
// fails on the way. device.ErrNotFound: none has it, and all were asked.
func (p *Pool) Open(ctx context.Context, key string) (device.Reader, error) {
	r := &reader{ctx: ctx, pool: p, key: key, places: p.ring.Places(key)}
	return r, r.next()
}

type reader struct {
	ctx    context.Context
	pool   *Pool
	key    string
	places []int // that have not been asked yet
	from   device.Reader
	at     int64
}

// next goes to the next device that has the payload.
func (r *reader) next() error {
	var failed []error
	for len(r.places) > 0 {
		i := r.places[0]
		r.places = r.places[1:]
		from, err := r.pool.devices[i].Open(r.ctx, r.key)
		if errors.Is(err, device.ErrNotFound) {
			continue
		}
		if err == nil && r.at > 0 {
			_, err = from.Seek(r.at, io.SeekStart)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if r.from != nil {
			r.from.Close()
		}
		r.from = from
		return nil
	}
	if len(failed) == 0 {
		return device.ErrNotFound
	}
	return fault.Wrap(errors.Join(failed...), fault.Unavailable, "No device of the object store that can be used now has these data.")
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	for {
		n, err := r.from.Read(b)
		r.at += int64(n)
		if err == nil || errors.Is(err, io.EOF) || n > 0 {
			if n > 0 && !errors.Is(err, io.EOF) {
				err = nil // it comes again, or does not
			}
			return n, err
		}
		r.pool.log.Warn("object: a device fails while a payload is read", "payload", r.key, "error", err)
		if next := r.next(); next != nil {
			return 0, errors.Join(err, next)
		}
	}
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	at, err := r.from.Seek(offset, whence)
	if err == nil {
		r.at = at
	}
	return at, err
}

// Close implements io.Closer.
func (r *reader) Close() error {
	if r.from == nil {
		return nil
	}
	return r.from.Close()
}

// Size implements device.Reader.
func (r *reader) Size() int64 { return r.from.Size() }

// Delete removes a payload from all devices. One that cannot be asked now is an
// error: what it has would be found by nobody.
func (p *Pool) Delete(ctx context.Context, key string) error {
	var failed error
	for i, d := range p.devices {
		if err := d.Delete(ctx, key); err != nil {
			failed = errors.Join(failed, fmt.Errorf("device %d of the ring: %w", i, err))
		}
	}
	return failed
}

// Each calls f for the payloads of all devices that can be asked; those with copies
// come several times.
func (p *Pool) Each(ctx context.Context, f func(device.Entry) error) error {
	var failed error
	for _, d := range p.devices {
		if err := d.Each(ctx, f); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
