package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/minio/minio-go/v7"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
)

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, key string, size int64) (blob.Writer, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	if size > maxObject {
		return nil, fmt.Errorf("%w: an object has at most %d bytes", blob.ErrFull, int64(maxObject))
	}
	if err := s.abortAll(ctx, key); err != nil { // what a dead process began
		return nil, err
	}
	id, err := s.core.NewMultipartUpload(ctx, s.o.Bucket, s.object(key), minio.PutObjectOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return nil, told(err)
	}
	w := &writer{s: s, ctx: ctx, key: key, id: id, size: max(partSize, (size/(maxParts-1)+1<<20)&^(1<<20-1)), grow: size < 0}
	return w, nil
}

// writer sends one part while the next one is filled.
type writer struct {
	s    *Store
	ctx  context.Context
	key  string
	id   string // of the upload
	size int64  // of a part
	grow bool   // it is not known how much will come

	buf     []byte
	spare   []byte
	parts   []minio.CompletePart
	sending chan sent // nil: no part is on its way
	begun   int       // parts
	done    bool
}

type sent struct {
	part minio.ObjectPart
	buf  []byte
	err  error
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if w.buf == nil {
			w.buf, w.spare = w.spare[:0], nil
		}
		room := int(w.size) - len(w.buf)
		take := min(room, len(p))
		w.buf = append(w.buf, p[:take]...)
		p = p[take:]
		if int64(len(w.buf)) >= w.size {
			if err := w.send(); err != nil {
				return n - len(p), err
			}
		}
	}
	return n, nil
}

// send has what was gathered sent, once the part before it has arrived.
func (w *writer) send() error {
	if err := w.await(); err != nil {
		return err
	}
	if w.begun++; w.begun > maxParts {
		return fmt.Errorf("%w: an object has at most %d parts", blob.ErrFull, maxParts)
	}
	data, number := w.buf, w.begun
	w.buf, w.sending = nil, make(chan sent, 1)
	go func(done chan sent) {
		part, err := w.s.core.PutObjectPart(w.ctx, w.s.o.Bucket, w.s.object(w.key), w.id, number, bytes.NewReader(data), int64(len(data)), minio.PutObjectPartOptions{})
		done <- sent{part, data, told(err)}
	}(w.sending)
	if w.grow && w.begun%growEvery == 0 {
		w.size += partSize
	}
	return nil
}

// await waits for the part that is on its way.
func (w *writer) await() error {
	if w.sending == nil {
		return nil
	}
	s := <-w.sending
	w.sending, w.spare = nil, s.buf
	if errors.Is(s.err, blob.ErrNotFound) {
		return fault.Conflictf("Image data %s has been given up.", w.key)
	}
	if s.err != nil {
		return s.err
	}
	w.parts = append(w.parts, minio.CompletePart{PartNumber: s.part.PartNumber, ETag: s.part.ETag})
	return nil
}

// Commit implements blob.Writer.
func (w *writer) Commit(ctx context.Context) error {
	if w.done {
		return fault.Conflictf("Image data %s has been given up.", w.key)
	}
	err := error(nil)
	if len(w.buf) > 0 || w.begun == 0 { // of an empty blob the one part is empty
		err = w.send()
	}
	if err = errors.Join(err, w.await()); err == nil {
		_, err = w.s.core.CompleteMultipartUpload(ctx, w.s.o.Bucket, w.s.object(w.key), w.id, w.parts, minio.PutObjectOptions{})
		if err = told(err); errors.Is(err, blob.ErrNotFound) {
			err = fault.Conflictf("Image data %s has been given up.", w.key)
		}
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	w.done = true
	return nil
}

// Abort implements blob.Writer.
func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), headerWait)
	defer cancel()
	_ = w.await() // a part that arrives after the end would stay
	err := told(w.s.core.AbortMultipartUpload(ctx, w.s.o.Bucket, w.s.object(w.key), w.id))
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}
