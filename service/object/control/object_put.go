package control

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/object"
	"kilonova/service/object/device"
)

// Upload is what is to become an object.
type Upload struct {
	Headers     object.Headers // all that the client has sent
	ContentType string
	Body        io.Reader
	Size        int64  // bytes; -1 where it is not known
	ETag        string // MD5 that the bytes must have; "" any
	// Absent refuses to replace an object.
	Absent bool
	// Parts says that a large object is made of what S3 has been given in parts, of
	// which there may be more than segments.
	Parts bool

	large *object.Large // the bytes are a manifest
}

// uploadLimit bounds how long an upload may take: what it has written by then is
// nobody's.
const uploadLimit = 24 * time.Hour

// defaultType is what an object is whose type nobody knows.
const defaultType = "application/octet-stream"

// PutObject writes an object, whole or not at all. It takes the place of one that is
// there.
func (c *Control) PutObject(ctx context.Context, p object.Path, up Upload) (*object.Object, error) {
	if err := c.checkObject(p); err != nil {
		return nil, err
	}
	box, owner, err := c.container(ctx, p, "PUT", true)
	if err != nil {
		return nil, err
	}
	o, err := c.prepare(ctx, p, box, up, owner)
	if err != nil {
		return nil, err
	}
	if err := c.receive(ctx, o, up); err != nil {
		return nil, err
	}
	err = c.tx(ctx, func(tx *db.Tx) error { return c.place(ctx, tx, p, o, up.Absent) })
	if err != nil {
		c.giveUp(ctx, o.Payload)
		return nil, err
	}
	return o, nil
}

func (c *Control) checkObject(p object.Path) error {
	if err := c.known(p.Account); err != nil {
		return err
	}
	return checkName(p.Object, "Object", c.o.Constraints.MaxObjectNameLength)
}

// prepare checks all that can be known before the first byte.
func (c *Control) prepare(ctx context.Context, p object.Path, box *object.Container, up Upload, owner bool) (*object.Object, error) {
	o := &object.Object{Name: p.Object, ContentType: up.ContentType, Large: up.large}
	if o.ContentType == "" {
		o.ContentType = defaultType
	}
	if len(o.ContentType) > 1024 {
		return nil, fault.Invalidf("The Content-Type has more than 1024 bytes.")
	}
	if err := checkName(o.ContentType, "Content-Type", 1024); err != nil {
		return nil, err
	}
	if up.Size > c.o.Constraints.MaxFileSize {
		return nil, fault.New(fault.TooLarge, "Your request is too large: an object has at most %d bytes.", c.o.Constraints.MaxFileSize)
	}
	sent := up.Headers
	var err error
	if o.Headers, err = c.remember(ofObjects, nil, sent, owner); err != nil {
		return nil, err
	}
	if m := o.Headers[object.Manifest]; m != "" {
		container, prefix, ok := strings.Cut(m, "/")
		if !ok || container == "" || prefix == "" || strings.ContainsAny(m, "?&") {
			return nil, fault.Invalidf("X-Object-Manifest must be in the format container/prefix")
		}
	}
	if o.DeleteAt, err = deleteAt(sent, c.now()); err != nil {
		return nil, err
	}
	if up.Absent {
		if _, err := c.store.Object(ctx, c.store.DB, box.ID, p.Object); err == nil {
			return nil, exists()
		}
	}
	a, err := c.payer(ctx, c.store.DB, p.Account)
	if err != nil {
		return nil, err
	}
	return o, room(a, box, 1, up.Size)
}

func exists() error {
	return fault.New(fault.PreconditionFailed, "A precondition for this request was not met: there is an object of this name.")
}

// receive writes the bytes to the devices. An object without any has no payload.
func (c *Control) receive(ctx context.Context, o *object.Object, up Upload) (err error) {
	first := make([]byte, 1)
	n, err := io.ReadFull(up.Body, first)
	if errors.Is(err, io.EOF) && up.Size <= 0 {
		o.ETag = hex.EncodeToString(md5.New().Sum(nil))
		return match(up.ETag, o.ETag)
	}
	if err != nil {
		return cut(err)
	}
	key := newID()
	if err := c.store.Tx(ctx, func(tx *db.Tx) error { return c.store.BeginPayload(ctx, tx, key, c.process, c.now().Add(uploadLimit)) }); err != nil {
		return err
	}
	o.Payload = key
	defer func() {
		if err != nil {
			c.giveUp(ctx, key)
		}
	}()
	w, err := c.pool.Create(ctx, key, up.Size)
	if err != nil {
		return full(err)
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	sum := md5.New()
	body := io.MultiReader(strings.NewReader(string(first[:n])), up.Body)
	if o.Size, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(sum, w)}, io.LimitReader(body, c.o.Constraints.MaxFileSize+1), make([]byte, bufferFor(up.Size))); err != nil {
		return full(cut(err))
	}
	if o.Size > c.o.Constraints.MaxFileSize {
		return fault.New(fault.TooLarge, "Your request is too large: an object has at most %d bytes.", c.o.Constraints.MaxFileSize)
	}
	if up.Size >= 0 && o.Size != up.Size {
		return fault.Invalidf("The request's body has %d bytes in place of %d.", o.Size, up.Size)
	}
	o.ETag = hex.EncodeToString(sum.Sum(nil))
	if err := match(up.ETag, o.ETag); err != nil {
		return err
	}
	return w.Commit()
}

// copySize is how many bytes are moved at once.
const copySize = 128 << 10

// bufferFor is how large a buffer so many bytes want, -1 where that is not known.
func bufferFor(size int64) int64 {
	if size < 0 {
		return copySize
	}
	return min(size+1, copySize)
}

func match(want, got string) error {
	if want != "" && !strings.EqualFold(want, got) {
		return fault.New(fault.Unprocessable, "The data received have the MD5 sum %s and not %.64s.", got, want)
	}
	return nil
}

// full gives a fault to what only the devices know.
func full(err error) error {
	if errors.Is(err, device.ErrFull) {
		return fault.Wrap(err, fault.Unavailable, "The object store has no room for this object.")
	}
	return err
}

// cut is what it means that a client's bytes ended before their time. What says
// itself what it is stays so.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Wrap(err, fault.Invalid, "The request's body ended before its time.")
	}
	return err
}

// giveUp makes a payload that was begun nobody's.
func (c *Control) giveUp(ctx context.Context, key string) {
	if key == "" {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if err := c.tx(ctx, func(tx *db.Tx) error { return c.store.GiveUpPayload(ctx, tx, key, c.now()) }); err != nil {
		c.log.Warn("object: a payload is nobody's, and goes when its time is over", "payload", key, "error", err)
	}
}

// place puts an object whose payload was just written under its name.
func (c *Control) place(ctx context.Context, tx *db.Tx, p object.Path, o *object.Object, absent bool) error {
	if o.Payload != "" {
		kept, err := c.store.KeepPayload(ctx, tx, o.Payload, c.process, o.Size, o.ETag, c.now())
		if err != nil {
			return err
		}
		if !kept {
			return fault.Conflictf("The upload of %s took longer than %s.", p, uploadLimit)
		}
	}
	return c.put(ctx, tx, p, o, absent)
}

// put writes an object's row in place of the one that is there, which becomes a
// version where the container keeps these.
func (c *Control) put(ctx context.Context, tx *db.Tx, p object.Path, o *object.Object, absent bool) error {
	box, err := c.store.LockContainer(ctx, tx, p.Account, p.Container)
	if err != nil {
		return err
	}
	a, err := c.payer(ctx, tx, p.Account)
	if err != nil {
		return err
	}
	now := c.now()
	o.CreatedAt = now
	objects, grows := int64(1), o.Size
	switch old, err := c.store.LockObject(ctx, tx, box.ID, p.Object); {
	case fault.Is(err, fault.NotFound):
	case err != nil:
		return err
	case absent && !old.Expired(now):
		return exists()
	default:
		o.CreatedAt = later(now, old)
		if err := c.supersede(ctx, tx, p.Account, box, old, now); err != nil {
			return err
		}
		objects, grows = 0, grows-old.Size
	}
	if err := room(a, box, objects, grows); err != nil {
		return err
	}
	return c.store.InsertObject(ctx, tx, box.ID, o)
}

// supersede takes an object away, and keeps it as a version where the container says
// so.
func (c *Control) supersede(ctx context.Context, tx *db.Tx, account string, box *object.Container, old *object.Object, now time.Time) error {
	if place := versionsOf(box); place != "" && !old.Expired(now) && old.Headers[object.Manifest] == "" {
		if err := c.keepVersion(ctx, tx, object.Path{Account: account, Container: place, Object: versionName(old.Name, old.CreatedAt)}, old); err != nil {
			return err
		}
	}
	return c.store.DeleteObject(ctx, tx, box.ID, old, now)
}

func versionsOf(box *object.Container) string {
	if v := box.Headers[object.VersionsLocation]; v != "" {
		return v
	}
	return box.Headers[object.HistoryLocation]
}

// later is now, or a moment after an object was made: versions are told apart by their
// times.
func later(now time.Time, than *object.Object) time.Time {
	if next := than.CreatedAt.Add(instant); now.Before(next) {
		return next
	}
	return now
}

// instant is what Timestamp tells apart.
const instant = 10 * time.Microsecond

// versionName is what upstream calls a version: the length of the name in three
// hexadecimal digits, the name, and the time.
func versionName(name string, at time.Time) string {
	return fmt.Sprintf("%s%s", versionPrefix(name), Timestamp(at))
}

func versionPrefix(name string) string { return fmt.Sprintf("%03x%s/", len(name), name) }

// Timestamp is how Swift writes times: seconds with five digits behind the point.
func Timestamp(t time.Time) string {
	return fmt.Sprintf("%010d.%05d", t.Unix(), t.Nanosecond()/10000)
}

// keepVersion writes a version's row. Another of the same time, which the name does
// not tell apart, is of the same request and is replaced.
func (c *Control) keepVersion(ctx context.Context, tx *db.Tx, at object.Path, old *object.Object) error {
	box, err := c.store.LockContainer(ctx, tx, at.Account, at.Container)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.PreconditionFailed, "The versions container %s does not exist.", at.Container)
	}
	if err != nil {
		return err
	}
	if same, err := c.store.LockObject(ctx, tx, box.ID, at.Object); err == nil {
		if err := c.store.DeleteObject(ctx, tx, box.ID, same, c.now()); err != nil {
			return err
		}
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	version := *old
	version.Name = at.Object
	return c.store.InsertObject(ctx, tx, box.ID, &version)
}
