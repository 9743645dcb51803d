package pool

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"kilonova/service/object/device"
)

// Sum is what a payload is known by.
type Sum struct {
	Size int64
	MD5  string // hexadecimal
}

// Repaired is what a repair has done.
type Repaired struct {
	Made    int // copies
	Broken  int // copies that were not as they should be, and were removed
	Removed int // copies that were on a device out of turn, and are no longer needed
}

// Repair brings a payload to the devices that shall have it, from one that has it,
// and takes it away from those that only stood in. A copy of the wrong size is broken;
// with audit each copy is read, and compared with its sum. No copy is removed before
// one is known to be good. device.ErrNotFound says that no good copy is left.
func (p *Pool) Repair(ctx context.Context, key string, sum Sum, audit bool) (done Repaired, err error) {
	good, broken, missing := []int(nil), []int(nil), []int(nil)
	places := p.ring.Places(key)
	var unknown error
	for n, i := range places {
		switch err := p.look(ctx, i, key, sum, audit); {
		case err == nil:
			good = append(good, i)
		case errors.Is(err, errBroken):
			broken = append(broken, i)
		case errors.Is(err, device.ErrNotFound):
		default:
			unknown = errors.Join(unknown, err)
			continue
		}
		if n < p.ring.Replicas() && (len(good) == 0 || good[len(good)-1] != i) {
			missing = append(missing, i)
		}
	}
	if len(good) == 0 {
		if unknown != nil {
			return done, unknown
		}
		return done, device.ErrNotFound
	}
	for _, i := range broken {
		if err := p.devices[i].Delete(ctx, key); err != nil {
			return done, err
		}
		done.Broken++
	}
	for _, i := range missing {
		if err := p.copy(ctx, key, sum, good[0], i); err != nil {
			return done, err
		}
		done.Made++
	}
	if unknown != nil { // a stand-in may be needed yet
		return done, nil
	}
	for _, i := range good {
		for n, at := range places {
			if at == i && n >= p.ring.Replicas() {
				if err := p.devices[i].Delete(ctx, key); err != nil {
					return done, err
				}
				done.Removed++
			}
		}
	}
	return done, nil
}

var errBroken = errors.New("the copy is not what was written")

// look says how a device's copy is.
func (p *Pool) look(ctx context.Context, i int, key string, sum Sum, audit bool) error {
	r, err := p.devices[i].Open(ctx, key)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Size() != sum.Size {
		return errBroken
	}
	if !audit {
		return nil
	}
	h := md5.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != sum.MD5 {
		return errBroken
	}
	return nil
}

// copy writes what one device has to another one, if it is what it should be.
func (p *Pool) copy(ctx context.Context, key string, sum Sum, from, to int) (err error) {
	r, err := p.devices[from].Open(ctx, key)
	if err != nil {
		return err
	}
	defer r.Close()
	// What a copy that came to no end has left there is nobody's: the payload is whole elsewhere.
	if err := p.devices[to].Delete(ctx, key); err != nil {
		return err
	}
	w, err := p.devices[to].Create(ctx, key, sum.Size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	h := md5.New()
	if _, err := io.Copy(io.MultiWriter(w, h), r); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != sum.MD5 {
		return fmt.Errorf("payload %s: %w", key, errBroken)
	}
	return w.Commit()
}
