package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/diskimage"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/image"
	"kilonova/service/image/blob"
)

type hashPayload struct {
	TaskID string
	URL    string
	// Verify holds the image back until its data is what was said of it.
	Verify     bool
	Validation Validation
}

// AddLocation makes what lies at an address the data of a queued image. Its
// hashes are found out in the background; the image is active at once, but for
// one whose hashes were given, which are checked first.
func (c *Control) AddLocation(ctx context.Context, id string, body map[string]any) (*image.Image, error) {
	s, err := c.seeFor(ctx, id, "add_image_location")
	if err != nil {
		return nil, err
	}
	for name := range body {
		if name != "url" && name != "validation_data" {
			return nil, fault.Invalidf("A new location has no member %.64q.", name)
		}
	}
	p, err := readPlace(body)
	if err != nil {
		return nil, err
	}
	if s.Status != image.Queued {
		return nil, fault.Conflictf("It's not allowed to add locations if image status is %s.", s.Status)
	}
	if err := c.validated(s.Image, p.validation); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "%v", err)
	}
	if err := c.visit(ctx, s.Image, p); err != nil {
		return nil, err
	}
	verify := p.validation.HashValue != "" && c.o.DoSecureHash
	var next *image.Image
	limits, err := c.unified(ctx, s.Owner)
	if err != nil {
		return nil, err
	}
	err = c.store.Tx(ctx, func(tx *db.Tx) error {
		was, err := c.store.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if was.Status != image.Queued {
			return fault.Conflictf("It's not allowed to add locations if image status is %s.", was.Status)
		}
		if _, err := c.allowance(ctx, tx, was.Owner, p.size); err != nil {
			return err
		}
		if err := c.within(ctx, tx, was.Owner, limits, wish{image.SizeTotal: mib(p.size)}); err != nil {
			return err
		}
		copied := *was
		next = &copied
		if err := c.insertPlace(next, 0, p); err != nil {
			return err
		}
		if verify {
			next.Status, next.Checksum, next.HashAlgo, next.HashValue = image.Importing, "", "", ""
		}
		next.UpdatedAt = c.stampNow()
		if err := c.saveLocations(ctx, tx, was, next); err != nil {
			return err
		}
		if err := c.store.Save(ctx, tx, was, next); err != nil {
			return err
		}
		return c.addHashing(ctx, tx, next, hashPayload{TaskID: c.newID(), URL: p.URL, Verify: verify, Validation: p.validation})
	})
	return next, err
}

// addHashing has what lies at a new location read through, where that is wanted.
func (c *Control) addHashing(ctx context.Context, tx *db.Tx, i *image.Image, p hashPayload) error {
	caller := auth.From(ctx)
	t := image.Task{ID: p.TaskID, Type: "location_import", Status: image.TaskPending, Owner: caller.ProjectID, UserID: caller.UserID,
		RequestID: rest.RequestID(ctx), ImageID: i.ID, CreatedAt: i.UpdatedAt, UpdatedAt: i.UpdatedAt, Input: map[string]any{"image_id": i.ID, "loc_url": p.URL}}
	if !c.o.DoSecureHash {
		t.Status, t.ExpiresAt = image.TaskSuccess, i.UpdatedAt.Add(c.o.timeToLive())
	}
	if err := c.store.InsertTask(ctx, tx, t); err != nil || !c.o.DoSecureHash {
		return err
	}
	return c.tasks.Add(ctx, tx, task.Task{Kind: "image.hash", Subject: i.ID, Payload: p, RequestID: t.RequestID})
}

// runHash reads through what lies at a new location. It may be done again: what
// is in the database changes only at the end.
func (c *Control) runHash(ctx context.Context, run *task.Run) error {
	var p hashPayload
	if err := run.Payload(&p); err != nil {
		return fmt.Errorf("hash: %w", err)
	}
	got, err := c.hashPlace(ctx, p.URL, c.o.LegacyChecksum || p.Validation.Checksum != "")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if fault.Is(err, fault.Unavailable) && run.Attempt < c.o.HTTPRetries {
		return err
	}
	if err == nil && p.Verify && (got.hashValue != p.Validation.HashValue || p.Validation.Checksum != "" && got.checksum != p.Validation.Checksum) {
		err = fault.Invalidf("The data at the location does not have the hash that was given for it.")
	}
	if err != nil {
		c.log.Warn("image: the data at a location could not be hashed", "image", run.Subject, "error", err)
	}
	return c.endHash(ctx, run, &p, got, err)
}

func (c *Control) hashPlace(ctx context.Context, address string, checksum bool) (*received, error) {
	_, f, err := c.foreign(address)
	if err != nil {
		return nil, err
	}
	r, err := f.OpenURL(ctx, address)
	if err != nil {
		if errors.Is(err, blob.ErrNotFound) {
			err = fault.Wrap(err, fault.Unavailable, "There is nothing at the location.")
		}
		return nil, err
	}
	defer r.Close()
	return c.receive(ctx, io.Discard, Upload{Data: r, again: true}, limit{c.o.ImageSizeCap, fault.Invalidf("The data at the location is too large.")}, func(*diskimage.Info) error { return nil }, checksum)
}

func (c *Control) endHash(ctx context.Context, run *task.Run, p *hashPayload, got *received, failed error) error {
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		now, status, message := c.stampNow(), image.TaskSuccess, ""
		if failed != nil && p.Verify {
			status, message = image.TaskFailure, told(failed)
		}
		was, err := c.store.Lock(ctx, tx, run.Subject)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil {
			if err := c.saveHashed(ctx, tx, was, p, got, failed, now); err != nil {
				return err
			}
		}
		if err := c.store.SaveTask(ctx, tx, p.TaskID, status, message, now, now.Add(c.o.timeToLive())); err != nil {
			return err
		}
		return run.EndIn(ctx, tx)
	})
}

// saveHashed writes on an image what its data turned out to be. One whose data
// is not what was said of it has none.
func (c *Control) saveHashed(ctx context.Context, tx *db.Tx, was *image.Image, p *hashPayload, got *received, failed error, now time.Time) error {
	next := *was
	next.UpdatedAt = now
	switch {
	case failed == nil && was.Status != image.Queued && was.HashValue == "":
		next.Size, next.Checksum, next.HashAlgo, next.HashValue = &got.size, got.checksum, c.o.HashingAlgorithm, got.hashValue
		next.VirtualSize = virtualSize(was, got.info)
		if was.Status == image.Importing {
			next.Status = image.Active
		}
	case failed != nil && p.Verify && was.Status == image.Importing:
		next.Status, next.Size, next.Locations = image.Queued, nil, nil
	default:
		return nil
	}
	if err := c.saveLocations(ctx, tx, was, &next); err != nil {
		return err
	}
	return c.store.Save(ctx, tx, was, &next)
}
