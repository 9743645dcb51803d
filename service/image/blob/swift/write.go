package swift

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
)

const attemptHeader = "X-Object-Meta-Attempt"

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, key string, size int64) (blob.Writer, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	segment := max(s.o.ChunkMB<<20, size/maxSegments+1)
	if segment > maxSegment {
		return nil, fmt.Errorf("%w: an object has at most %d bytes", blob.ErrFull, int64(maxSegment)*maxSegments)
	}
	if s.o.CreateContainer {
		resp, err := s.c.do(ctx, call{method: http.MethodPut})
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
	}
	committed, err := s.committed(ctx, key)
	if err != nil {
		return nil, err
	}
	// What a dead process began under this key is nobody's now.
	if err := s.removeAttempts(ctx, key, func(a attempt) bool { return a.begun && a.id != committed }); err != nil {
		return nil, err
	}
	var id [8]byte
	rand.Read(id[:])
	w := &writer{s: s, ctx: ctx, key: key, id: hex.EncodeToString(id[:]), size: segment}
	resp, err := s.c.do(ctx, call{method: http.MethodPut, path: w.begun(), body: bytes.NewReader(nil)})
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fault.Wrap(err, fault.Unavailable, "There is no container %s for images.", s.o.Container)
	}
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return w, nil
}

// committed is the id of the attempt that a blob is of, "" there is no blob.
func (s *Store) committed(ctx context.Context, key string) (string, error) {
	resp, err := s.c.do(ctx, call{method: http.MethodHead, path: key})
	if errors.Is(err, blob.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	return resp.Header.Get(attemptHeader), nil
}

// writer streams one segment after the other.
type writer struct {
	s    *Store
	ctx  context.Context
	key  string
	id   string // of the attempt
	size int64  // of a segment

	segments []segment
	out      *io.PipeWriter // into the segment that is being sent; nil: none
	sent     chan error     // its end
	filled   int64
	done     bool
}

// segment is one line of a manifest.
type segment struct {
	Path string `json:"path"`
	Size int64  `json:"size_bytes"`
}

func (w *writer) begun() string { return w.key + "/" + w.id + "/begun" }

func (w *writer) name(n int) string { return fmt.Sprintf("%s/%s/%08d", w.key, w.id, n) }

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if w.out == nil {
			if len(w.segments) >= maxSegments {
				return n, fmt.Errorf("%w: an object has at most %d segments of %d bytes", blob.ErrFull, maxSegments, w.size)
			}
			w.open()
		}
		m, err := w.out.Write(p[n:min(int64(len(p)), int64(n)+w.size-w.filled)])
		n, w.filled = n+m, w.filled+int64(m)
		if err != nil {
			return n, err
		}
		if w.filled == w.size {
			if err := w.close(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (w *writer) open() {
	r, out := io.Pipe()
	w.out, w.sent, w.filled = out, make(chan error, 1), 0
	go func(name string, sent chan error) {
		resp, err := w.s.c.do(w.ctx, call{method: http.MethodPut, path: name, body: r, header: map[string]string{"Content-Type": "application/octet-stream"}})
		if err == nil {
			resp.Body.Close()
		}
		r.CloseWithError(err) // a writer must not wait for a reader that is gone
		sent <- err
	}(w.name(len(w.segments)+1), w.sent)
}

// close ends the segment that is being sent.
func (w *writer) close() error {
	if w.out == nil {
		return nil
	}
	w.out.Close()
	w.out = nil
	if err := <-w.sent; err != nil {
		return err
	}
	w.segments = append(w.segments, segment{"/" + w.s.o.Container + "/" + w.name(len(w.segments)+1), w.filled})
	return nil
}

// Commit implements blob.Writer.
func (w *writer) Commit(ctx context.Context) error {
	if w.done {
		return w.givenUp()
	}
	if err := w.commit(ctx); err != nil {
		return errors.Join(err, w.Abort())
	}
	w.done = true
	// The blob is there: what is left of others can be removed later as well.
	_ = w.s.remove(ctx, w.begun())
	_ = w.s.removeAttempts(ctx, w.key, func(a attempt) bool { return !a.begun && a.id != w.id })
	return nil
}

func (w *writer) givenUp() error { return fault.Conflictf("Image data %s has been given up.", w.key) }

func (w *writer) commit(ctx context.Context) error {
	if err := w.close(); err != nil {
		return err
	}
	resp, err := w.s.c.do(ctx, call{method: http.MethodHead, path: w.begun()})
	if errors.Is(err, blob.ErrNotFound) {
		return w.givenUp()
	}
	if err != nil {
		return err
	}
	resp.Body.Close()
	c := call{method: http.MethodPut, path: w.key, header: map[string]string{"Content-Type": "application/octet-stream", attemptHeader: w.id}, body: bytes.NewReader(nil)}
	if len(w.segments) > 0 {
		manifest, err := json.Marshal(w.segments)
		if err != nil {
			return err
		}
		c.query, c.body = url.Values{"multipart-manifest": {"put"}}, bytes.NewReader(manifest)
	}
	resp, err = w.s.c.do(ctx, c)
	if status, ok := errors.AsType[*statusError](err); ok && (status.status == http.StatusBadRequest || status.status == http.StatusConflict) {
		return w.givenUp() // a segment is gone
	}
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// Abort implements blob.Writer.
func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	if w.out != nil {
		_ = w.out.CloseWithError(context.Canceled) // which a pipe never fails to
		<-w.sent                                   //nolint:errcheck // it was told to fail
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), headerWait)
	defer cancel()
	return w.s.removeAttempts(ctx, w.key, func(a attempt) bool { return a.id == w.id })
}
