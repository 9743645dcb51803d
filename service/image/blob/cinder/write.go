package cinder

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
)

const (
	gib = 1 << 30
	// maxVolume is what a volume may have, in bytes: more than any backend.
	maxVolume = 1 << 53
	// cleanUp is how long giving back may take once the request is over.
	cleanUp = 2 * time.Minute
)

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, key string, size int64) (blob.Writer, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	if size > maxVolume {
		return nil, fmt.Errorf("%w: a volume has at most %d bytes", blob.ErrFull, int64(maxVolume))
	}
	all, err := s.named(ctx, key)
	if err != nil {
		return nil, err
	}
	for _, v := range all { // what a dead process began
		if !v.whole() {
			if err := s.remove(ctx, v); err != nil {
				return nil, err
			}
		}
	}
	gibs := max(1, (size+gib-1)/gib)
	spec := object{"size": gibs, "name": namePrefix + key, "metadata": map[string]string{metaKey: key}}
	if s.o.VolumeType != "" {
		spec["volume_type"] = s.o.VolumeType
	}
	var made struct{ Volume volume }
	if err := s.do(ctx, http.MethodPost, "/volumes", object{"volume": spec}, &made); err != nil {
		return nil, full(err)
	}
	w := &writer{s: s, ctx: ctx, key: key, id: made.Volume.ID, room: gibs * gib}
	if w.device, w.attachment, err = s.attach(ctx, volume{ID: w.id}, "rw"); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return w, nil
}

// full says of a refusal by quota that there is no room.
func full(err error) error {
	if fault.Is(err, fault.TooLarge) || fault.Is(err, fault.OverLimit) {
		return fmt.Errorf("%w (%w)", blob.ErrFull, err)
	}
	return err
}

// writer fills a volume.
type writer struct {
	s          *Store
	ctx        context.Context
	key, id    string
	device     *os.File // nil: detached
	attachment string
	size, room int64
	done       bool
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.done || w.device == nil {
		return 0, fault.Conflictf("Image data %s has been given up.", w.key)
	}
	if w.size+int64(len(p)) > w.room {
		if err := w.grow(w.size + int64(len(p))); err != nil {
			return 0, err
		}
	}
	n, err := w.device.WriteAt(p, w.size)
	w.size += int64(n)
	if err != nil {
		err = fault.Wrap(err, fault.Unavailable, "Volume %s does not take the image's data.", w.id)
	}
	return n, err
}

// grow makes a volume larger, by half of what it has: for that nobody may have it.
func (w *writer) grow(need int64) error {
	if err := w.release(w.ctx); err != nil {
		return err
	}
	if err := w.s.become(w.ctx, w.id, "available"); err != nil {
		return err
	}
	gibs := (max(need, w.room+w.room/2) + gib - 1) / gib
	if err := w.s.do(w.ctx, http.MethodPost, "/volumes/"+w.id+"/action", object{"os-extend": object{"new_size": gibs}}, nil); err != nil {
		return full(err)
	}
	var err error
	if w.device, w.attachment, err = w.s.attach(w.ctx, volume{ID: w.id}, "rw"); err == nil {
		w.room = gibs * gib
	}
	return err
}

// release closes the volume and gives it back.
func (w *writer) release(ctx context.Context) error {
	if w.device == nil {
		return nil
	}
	err := w.device.Sync()
	err = errors.Join(err, w.device.Close())
	w.device = nil
	return errors.Join(err, w.s.detach(ctx, w.attachment))
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
	older, err := s.named(ctx, w.key)
	if err != nil {
		return err
	}
	if err := w.release(ctx); err != nil {
		return err
	}
	// Whoever removed the volume, or took its place, has given up this blob.
	err = s.become(ctx, w.id, "available")
	if err == nil {
		err = s.do(ctx, http.MethodPost, "/volumes/"+w.id+"/metadata", object{"metadata": map[string]string{metaSize: strconv.FormatInt(w.size, 10)}}, nil)
	}
	if errors.Is(err, blob.ErrNotFound) || fault.Is(err, fault.NotFound) {
		return fault.Conflictf("Image data %s has been given up.", w.key)
	}
	if err != nil {
		return err
	}
	for _, v := range older {
		if v.ID != w.id && v.whole() {
			if err := s.remove(ctx, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// Abort implements blob.Writer.
func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), cleanUp)
	defer cancel()
	err := w.release(ctx)
	v, getErr := w.s.get(ctx, w.id)
	if getErr != nil {
		return errors.Join(err, gone(getErr))
	}
	return errors.Join(err, w.s.remove(ctx, v))
}
