package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kilonova/internal/db"
	"kilonova/internal/diskimage"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/image"
	"kilonova/service/image/blob"
	"kilonova/service/image/store"
)

// attempts is how often an import is tried when a part that it needs does not
// answer.
const attempts = 5

// runImport copies data into stores. All of it may be done again: blobs have the
// task's own keys, and what is in the database changes only at the end.
func (c *Control) runImport(ctx context.Context, run *task.Run) error {
	var p importPayload
	if err := run.Payload(&p); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	got, done, failures, err := c.importData(ctx, run, &p)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if fault.Is(err, fault.Unavailable) && run.Attempt < attempts {
		return err
	}
	if err == nil && len(failures) > 0 && (p.MustSucceed || len(done) == 0) {
		err = errors.Join(slices.Collect(maps.Values(failures))...)
	}
	if err != nil {
		c.log.Warn("image: import failed", "image", run.Subject, "task", p.TaskID, "error", err)
		return c.endImport(ctx, run, &p, nil, nil, p.Stores, told(err))
	}
	return c.endImport(ctx, run, &p, got, done, slices.Sorted(maps.Keys(failures)), "")
}

// told is what the owner of an image may know of a failure.
func told(err error) string {
	if f, ok := errors.AsType[*fault.Error](full(err)); ok {
		return f.Message
	}
	return "The import failed for a reason that lies with this service."
}

// importData brings the data into the staging area where it must, and from there
// into each of the stores that are left to do. It returns what the data is, in
// which stores it is, and which failed.
func (c *Control) importData(ctx context.Context, run *task.Run, p *importPayload) (got *received, done []string, failures map[string]error, err error) {
	i, err := c.store.Get(ctx, c.store.DB, run.Subject)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := c.noteTask(ctx, p.TaskID, image.TaskProcessing); err != nil {
		return nil, nil, nil, err
	}
	var most limit
	err = c.store.Tx(ctx, func(tx *db.Tx) (err error) {
		most, err = c.allowance(ctx, tx, i.Owner, -1)
		return err
	})
	if err != nil {
		return nil, nil, nil, err
	}
	if err := c.prepare(ctx, run, i, p, most); err != nil {
		return nil, nil, nil, err
	}
	failures = map[string]error{}
	for _, id := range p.Stores {
		r, err := c.importOne(ctx, i, p, id, most)
		if err != nil {
			if p.MustSucceed || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.UnsupportedMedia) {
				return nil, nil, nil, err
			}
			failures[id] = err
			continue
		}
		got, done = r, append(done, id)
	}
	return got, done, failures, nil
}

// prepare fetches the data where it must, and has the plugins at it.
func (c *Control) prepare(ctx context.Context, run *task.Run, i *image.Image, p *importPayload, most limit) (err error) {
	if p.Method == "copy-image" {
		return nil
	}
	if run.Step == "" {
		switch p.Method {
		case "web-download":
			err = c.fetch(ctx, i, p, most)
		case "glance-download":
			err = c.fetchRemote(ctx, i, p, most)
			p.Remote.Token = "" // it has done its part
		}
		if err != nil {
			return err
		}
		if err := run.Save(ctx, "fetched", p); err != nil {
			return err
		}
	}
	if run.Step == "ready" {
		return nil
	}
	p.Ready, p.Passed = "", nil // an earlier attempt may have come half-way
	if p.Remote == nil {
		p.DiskFormat = ""
	}
	if err := c.runPlugins(ctx, i, p, most); err != nil {
		return err
	}
	return run.Save(ctx, "ready", p)
}

// importOne copies the data into one store.
func (c *Control) importOne(ctx context.Context, i *image.Image, p *importPayload, storeID string, most limit) (*received, error) {
	into := c.backend(storeID)
	if into == nil {
		return nil, fault.Invalidf("Store %s is not available any more.", storeID)
	}
	var source blob.Reader
	var err error
	settled := c.inspection(p.becoming(i))
	if p.Method == "copy-image" {
		source, err = c.read(ctx, i, nil)
		settled = func(*diskimage.Info) error { return nil } // it was judged when it came
		most.bytes = c.o.ImageSizeCap
	} else {
		source, err = c.staging.Open(ctx, p.staged())
	}
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fault.Invalidf("The staged data of image %s is no longer there.", i.ID)
	}
	if err != nil {
		return nil, err
	}
	defer source.Close()
	key := importKey(i.ID, p, storeID)
	if err := c.noteBlob(ctx, i.ID, storeID, key); err != nil {
		return nil, err
	}
	up := Upload{Data: source, Size: source.Size()}
	if p.Method != "copy-image" { // which was verified when it came
		if up.signature, err = verifier(i, p.Certificate, c.now()); err != nil {
			return nil, err
		}
	}
	got, err := c.take(ctx, i, into.Blobs, key, up, most, settled)
	if err == nil && p.Method == "copy-image" && got.hashValue != i.HashValue && i.HashAlgo == c.o.HashingAlgorithm {
		err = fault.New(fault.Internal, "The data of image %s is not what it was.", i.ID)
	}
	return got, err
}

// importKey is where an import puts an image's data in a store.
func importKey(imageID string, p *importPayload, storeID string) string {
	return fmt.Sprintf("%s.%d", blobKey(imageID, p.TaskID), slices.Index(p.Stores, storeID))
}

// noteBlob notes, again if need be, that a blob is about to be written.
func (c *Control) noteBlob(ctx context.Context, imageID, storeID, key string) error {
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		if _, err := c.store.Lock(ctx, tx, imageID); err != nil {
			return err
		}
		if _, err := c.store.DeleteUpload(ctx, tx, key); err != nil {
			return err
		}
		return c.store.InsertUpload(ctx, tx, store.Upload{Key: key, Store: storeID, ImageID: imageID, Owner: c.process, Until: db.At(c.now().Add(lease))})
	})
}

func (c *Control) noteTask(ctx context.Context, id string, status image.TaskStatus) error {
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		now := c.stampNow()
		return c.store.SaveTask(ctx, tx, id, status, "", now, now.Add(1000*c.o.timeToLive()))
	})
}

// endImport ends the task and all that it began, in one transaction: done are the
// stores that have the data now, failed those that do not. message is why the
// import as a whole failed; "" it did not.
func (c *Control) endImport(ctx context.Context, run *task.Run, p *importPayload, got *received, done, failed []string, message string) error {
	id := run.Subject
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		done, failed, message := done, failed, message // as given, also when this is run again
		now := c.stampNow()
		was, err := c.store.Lock(ctx, tx, id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil && message == "" && p.Method != "copy-image" {
			// Others of the project's may have come in meanwhile.
			if _, over := c.allowance(ctx, tx, was.Owner, got.size); fault.Is(over, fault.TooLarge) {
				done, failed, message = nil, p.Stores, told(over)
			} else if over != nil {
				return over
			}
		}
		if err != nil {
			done, message = nil, "Image has been deleted, aborting import."
		} else if err := c.saveImported(ctx, tx, was, p, got, done, failed, message); err != nil {
			return err
		}
		for _, key := range append([]string{p.Stage, p.Ready}, p.Passed...) {
			if key == "" {
				continue
			}
			if _, err := c.store.DeleteUpload(ctx, tx, key); err != nil {
				return err
			}
			if err := c.discard(ctx, tx, stagingID, key); err != nil {
				return err
			}
		}
		for _, storeID := range p.Stores {
			key := importKey(id, p, storeID)
			if _, err := c.store.DeleteUpload(ctx, tx, key); err != nil {
				return err
			}
			if !slices.Contains(done, storeID) {
				if err := c.discard(ctx, tx, storeID, key); err != nil {
					return err
				}
			}
		}
		status := image.TaskSuccess
		if message != "" {
			status = image.TaskFailure
		}
		if err := c.store.SaveTask(ctx, tx, p.TaskID, status, message, now, now.Add(c.o.timeToLive())); err != nil {
			return err
		}
		return run.EndIn(ctx, tx)
	})
}

// saveImported writes on the image how its import went.
func (c *Control) saveImported(ctx context.Context, tx *db.Tx, was *image.Image, p *importPayload, got *received, done, failed []string, message string) error {
	next := *was
	next.Properties = maps.Clone(was.Properties)
	delete(next.Properties, propTask)
	next.Properties[propImporting], next.Properties[propFailed] = "", strings.Join(failed, ",")
	next.UpdatedAt = c.stampNow()
	switch {
	case message == "" && p.Method == "copy-image":
	case message == "":
		next = *p.becoming(&next)
		c.fill(&next, got)
		next.Status = image.Active
		c.addProperties(&next, p)
	case was.Status.Transient():
		next.Status, next.Size, next.VirtualSize = image.Queued, nil, nil
	}
	if message == "" {
		for _, storeID := range done {
			at := location(c.backend(storeID), importKey(was.ID, p, storeID))
			if err := c.store.InsertLocation(ctx, tx, was.ID, at); err != nil {
				return err
			}
		}
	}
	return c.store.Save(ctx, tx, was, &next)
}

// addProperties gives an imported image what came along with it, and what the
// operator has all of them get.
func (c *Control) addProperties(i *image.Image, p *importPayload) {
	maps.Copy(i.Properties, p.Properties)
	if p.Inject && slices.Contains(c.o.ImportOpts.Plugins, pluginInject) {
		maps.Copy(i.Properties, c.o.Inject.Inject)
	}
}
