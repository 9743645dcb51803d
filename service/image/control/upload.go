package control

import (
	"context"
	"errors"
	"io"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/diskimage"
	"kilonova/internal/fault"
	"kilonova/service/image"
	"kilonova/service/image/blob"
	"kilonova/service/image/store"
)

// Upload is data on its way in.
type Upload struct {
	Data io.Reader
	Size int64  // bytes; -1 where the client does not say
	Into string // a store's id; "" the default

	signature *signature // what the data must be; nil: anything
	again     bool       // it is read again soon, and had better stay in the kernel's cache
}

const (
	lease      = 30 * time.Second // of who writes a blob
	renewEvery = lease / 3
)

var (
	errLeaseLost = errors.New("the lease was lost")
	errGone      = fault.New(fault.Gone, "Image could not be found after upload. The image may have been deleted during the upload, cleaning up the chunks uploaded.")
)

// Upload gives a queued image its data and makes it active. On any failure the
// image is queued again and nothing of the data is left.
func (c *Control) Upload(ctx context.Context, id string, up Upload) error {
	into, err := c.chosen(up.Into)
	if err != nil {
		return err
	}
	s, err := c.seeFor(ctx, id, "upload_image")
	if err != nil {
		return err
	}
	certificate, err := c.certificate(ctx, s.Image)
	if err != nil {
		return err
	}
	if up.signature, err = verifier(s.Image, certificate, c.now()); err != nil {
		return err
	}
	key := blobKey(id, c.newID())
	most, err := c.begin(ctx, s.Image, image.Saving, store.Upload{Key: key, Store: into.ID}, up.Size)
	if err != nil {
		return err
	}
	got, err := c.take(ctx, s.Image, into.Blobs, key, up, most, c.inspection(s.Image))
	if err == nil {
		err = c.finish(ctx, s.Image, location(into, key), got)
	}
	if err != nil {
		c.giveUp(ctx, id, into.ID, key)
		return full(err)
	}
	return nil
}

// Stage keeps data for a later import. What it is, the import will check.
func (c *Control) Stage(ctx context.Context, id string, up Upload) error {
	up.again = true
	s, err := c.seeFor(ctx, id, "modify_image")
	if err != nil {
		return err
	}
	key := blobKey(id, c.newID()) + ".stage"
	most, err := c.begin(ctx, s.Image, image.Uploading, store.Upload{Key: key, Store: stagingID}, up.Size)
	if err != nil {
		return err
	}
	got, err := c.take(ctx, s.Image, c.staging, key, up, most, func(*diskimage.Info) error { return nil })
	if err == nil {
		err = c.staged(ctx, id, key, got.size)
	}
	if err != nil {
		c.giveUp(ctx, id, stagingID, key)
		return full(err)
	}
	return nil
}

// inspection is how the data of an image is judged while it comes.
func (c *Control) inspection(i *image.Image) func(*diskimage.Info) error {
	return func(info *diskimage.Info) error { return c.acceptable(i, info) }
}

// begin moves an image into a status that an upload goes with, notes the blob
// and returns how much may come.
func (c *Control) begin(ctx context.Context, i *image.Image, next image.Status, u store.Upload, size int64) (limit, error) {
	var most limit
	limits, err := c.unified(ctx, i.Owner)
	if err != nil {
		return most, err
	}
	into := image.SizeTotal
	if next == image.Uploading {
		into = image.StageTotal
	}
	return most, c.store.Tx(ctx, func(tx *db.Tx) error {
		was, err := c.store.Lock(ctx, tx, i.ID)
		if err != nil {
			return err
		}
		if err := was.To(next); err != nil {
			return err
		}
		if most, err = c.allowance(ctx, tx, was.Owner, size); err != nil {
			return err
		}
		if err := c.within(ctx, tx, was.Owner, limits, wish{into: mib(size), image.CountUploading: 1}); err != nil {
			return err
		}
		*i = *was
		i.Status, i.UpdatedAt = next, c.stampNow()
		u.ImageID, u.Owner, u.Until = i.ID, c.process, db.At(c.now().Add(lease))
		return errors.Join(c.store.Save(ctx, tx, was, i), c.store.InsertUpload(ctx, tx, u))
	})
}

// allowance says how much data a project's image may have: its cap, and what is
// left of the project's quota. size is what is announced, -1 if nothing is. Other
// uploads of the project wait until tx ends.
func (c *Control) allowance(ctx context.Context, tx *db.Tx, owner string, size int64) (limit, error) {
	most := limit{c.o.ImageSizeCap, fault.New(fault.TooLarge, "The incoming image is too large: at most %d bytes are taken.", c.o.ImageSizeCap)}
	if size > most.bytes {
		return most, most.err
	}
	if c.quota > 0 && owner != "" {
		if err := c.store.QuotaTurn(ctx, tx, owner); err != nil {
			return most, err
		}
		u, err := c.store.Usage(ctx, tx, owner)
		if err != nil {
			return most, err
		}
		if left := max(0, c.quota-u.Bytes); left < most.bytes {
			most = limit{left, fault.New(fault.TooLarge, "Image exceeds the storage quota: The project's images may have %d bytes, of which %d are left.", c.quota, left)}
		}
	}
	if size > most.bytes {
		return most, most.err
	}
	return most, nil
}

// take writes data to a blob, under a lease that it renews.
func (c *Control) take(ctx context.Context, i *image.Image, blobs blob.Store, key string, up Upload, most limit, settled func(*diskimage.Info) error) (*received, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		c.renew(ctx, cancel, key)
	}()
	defer func() { // nothing renews what others write about this upload afterwards
		cancel(nil)
		<-renewed
	}()
	w, err := blobs.Create(ctx, key, up.Size)
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Abort() }() // after Commit it does nothing; else a sweep finds what it leaves
	got, err := c.receive(ctx, w, up, most, settled, c.o.LegacyChecksum)
	if err != nil {
		return nil, err
	}
	if up.Size >= 0 && got.size != up.Size {
		return nil, fault.Invalidf("Size of uploaded data (%d bytes) is different from the announced size (%d).", got.size, up.Size)
	}
	err = w.Commit(ctx)
	if fault.Is(err, fault.Conflict) { // the blob was removed under our hands
		err = errGone
	}
	return got, err
}

// renew keeps the lease of a blob. An upload whose lease is lost must end: what
// it writes is nobody's.
func (c *Control) renew(ctx context.Context, cancel context.CancelCauseFunc, key string) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			held, err := c.store.RenewUpload(ctx, key, c.now().Add(lease))
			if err == nil && !held {
				cancel(errLeaseLost)
				return
			}
		}
	}
}

// finish makes a saving image active.
func (c *Control) finish(ctx context.Context, i *image.Image, at image.Location, got *received) error {
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		held, err := c.store.DeleteUpload(ctx, tx, at.Key)
		if err != nil {
			return err
		}
		was, err := c.store.Lock(ctx, tx, i.ID)
		if fault.Is(err, fault.NotFound) || err == nil && (!held || was.Status != image.Saving) {
			return errGone
		}
		if err != nil {
			return err
		}
		// Others of the project's may have come in meanwhile.
		if _, err := c.allowance(ctx, tx, was.Owner, got.size); err != nil {
			return err
		}
		next := *was
		next.Status = image.Active
		c.fill(&next, got)
		return errors.Join(c.store.Save(ctx, tx, was, &next), c.store.InsertLocation(ctx, tx, i.ID, at))
	})
}

// fill notes on an image what its data turned out to be.
func (c *Control) fill(i *image.Image, got *received) {
	i.Size, i.Checksum, i.HashAlgo, i.HashValue = &got.size, got.checksum, c.o.HashingAlgorithm, got.hashValue
	i.VirtualSize, i.UpdatedAt = virtualSize(i, got.info), c.stampNow()
}

// staged notes that an image's data waits for its import, for so long and no
// longer.
func (c *Control) staged(ctx context.Context, id, key string, size int64) error {
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		was, err := c.store.Lock(ctx, tx, id)
		if fault.Is(err, fault.NotFound) {
			return errGone
		}
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `UPDATE uploads SET lease_until = ? WHERE blob_key = ?`, db.At(c.now().Add(c.o.timeToLive())), key)
		if err == nil && (n == 0 || was.Status != image.Uploading) {
			err = errGone
		}
		if err != nil {
			return err
		}
		next := *was
		next.Size, next.UpdatedAt = &size, c.stampNow()
		return c.store.Save(ctx, tx, was, &next)
	})
}

// giveUp undoes an upload that failed: the note goes, the image is queued again,
// and the blob is removed. What cannot be done now, the sweep will do.
func (c *Control) giveUp(ctx context.Context, id, storeID, key string) {
	ctx = context.WithoutCancel(ctx)
	err := c.store.Tx(ctx, func(tx *db.Tx) error {
		held, err := c.store.DeleteUpload(ctx, tx, key)
		if err != nil {
			return err
		}
		if held {
			if err := c.requeue(ctx, tx, id); err != nil {
				return err
			}
		}
		return c.discard(ctx, tx, storeID, key)
	})
	if err != nil {
		c.log.Error("image: a failed upload is left to the sweep", "image", id, "key", key, "error", err)
	}
}

// requeue leads an image whose data did not come back to its beginning. There
// being no such image any more is fine.
func (c *Control) requeue(ctx context.Context, tx *db.Tx, id string) error {
	was, err := c.store.Lock(ctx, tx, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil || !was.Status.Transient() {
		return err
	}
	next := *was
	next.Status, next.Size, next.VirtualSize, next.UpdatedAt = image.Queued, nil, nil, c.stampNow()
	return c.store.Save(ctx, tx, was, &next)
}

// full tells of a store without room in the API's words.
func full(err error) error {
	if errors.Is(err, blob.ErrFull) {
		return fault.Wrap(err, fault.TooLarge, "Image storage media is full: There is not enough disk space on the image storage media.")
	}
	if errors.Is(err, errLeaseLost) {
		return errGone
	}
	return err
}
