package rbd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/image/blob"
)

func attemptID() string {
	var id [4]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// maxDevice is what a device may have, in bytes: more than any pool.
const maxDevice = 1 << 53

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, key string, size int64) (blob.Writer, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	if size > maxDevice {
		return nil, fmt.Errorf("%w: a device has at most %d bytes", blob.ErrFull, int64(maxDevice))
	}
	names, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names { // what a dead process began
		if ofAttempt(name, key) {
			if err := s.remove(ctx, name); err != nil {
				return nil, err
			}
		}
	}
	w := &writer{s: s, ctx: ctx, key: key, id: attemptID(), sent: make(chan error, 1)}
	w.name = begun + w.id + "_" + key
	// The program makes a device only when data comes. Made now, it can be seen,
	// and a pool that is not there is known.
	if _, err := s.rbd(ctx, "create", "--size", "0", "--object-size", fmt.Sprintf("%dM", s.o.ChunkMB), s.device(w.name)); err != nil {
		return nil, err
	}
	return w, nil
}

// writer feeds the program.
type writer struct {
	s    *Store
	ctx  context.Context
	key  string
	id   string
	name string // of the device that is written
	data string // of the device that the program makes

	out  *io.PipeWriter // nil: no data has come yet
	sent chan error
	size int64
	done bool
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.out == nil {
		w.begin()
	}
	n, err := w.out.Write(p)
	w.size += int64(n)
	return n, err
}

func (w *writer) begin() {
	r, out := io.Pipe()
	w.out, w.data = out, data+w.id+"_"+w.key
	go func() {
		_, err := w.s.run.Run(w.ctx, r, "rbd", append(w.s.flags(), "import", "--no-progress", "--image-format", "2",
			"--object-size", fmt.Sprintf("%dM", w.s.o.ChunkMB), "-", w.s.device(w.data))...)
		err = told(err)
		r.CloseWithError(errors.Join(err, io.ErrClosedPipe))
		w.sent <- err
	}()
}

// end ends the data and waits for the program.
func (w *writer) end() error {
	if w.out == nil {
		return nil
	}
	w.out.Close()
	w.out = nil
	return <-w.sent
}

// Commit implements blob.Writer.
func (w *writer) Commit(ctx context.Context) error {
	if w.done {
		return fault.Conflictf("Image data %s has been given up.", w.key)
	}
	if err := w.commit(ctx); err != nil {
		return errors.Join(err, w.Abort())
	}
	w.done = true
	return nil
}

func (w *writer) commit(ctx context.Context) error {
	s := w.s
	if err := w.end(); err != nil {
		return err
	}
	from := w.name
	if w.data != "" {
		from = w.data
	}
	for name, value := range map[string]string{"size": strconv.FormatInt(w.size, 10), "attempt": w.id} {
		if _, err := s.rbd(ctx, "image-meta", "set", s.device(from), name, value); err != nil {
			return err
		}
	}
	for _, verb := range []string{"create", "protect"} {
		args := []string{"snap", verb, s.device(from) + "@" + snapshot}
		if verb == "create" {
			args = append(args, "--no-progress")
		}
		if _, err := s.rbd(ctx, args...); err != nil {
			return err
		}
	}
	// Whoever removed the begun device has given up this blob.
	if _, err := s.rbd(ctx, "info", s.device(w.name)); err != nil {
		return w.given(err)
	}
	if from == w.data {
		defer func() { _ = s.remove(ctx, w.name) }()
	}
	_, err := s.rbd(ctx, "mv", s.device(from), s.device(w.key))
	if exit, ok := errors.AsType[*host.ExitError](err); ok && exit.Code == exists { // it takes the place of an older one
		old := dead + attemptID() + "_" + w.key
		if _, err := s.rbd(ctx, "mv", s.device(w.key), s.device(old)); gone(err) != nil {
			return err
		}
		if _, err = s.rbd(ctx, "mv", s.device(from), s.device(w.key)); err == nil {
			_ = s.remove(ctx, old)
		}
	}
	return w.given(err)
}

func (w *writer) given(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return fault.Conflictf("Image data %s has been given up.", w.key)
	}
	return err
}

// Abort implements blob.Writer.
func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	_ = w.end() // the program ends well with what it has
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), patience)
	defer cancel()
	err := w.s.remove(ctx, w.name)
	if w.data != "" {
		err = errors.Join(err, w.s.remove(ctx, w.data))
	}
	return err
}
