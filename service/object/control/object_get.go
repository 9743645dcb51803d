package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/object"
	"kilonova/service/object/device"
)

// Content is an object that may be read.
type Content struct {
	object.Object
	Size int64  // of all that can be read
	Tag  string // entity tag, hexadecimal

	c      *Control
	path   object.Path
	pieces []piece // of a large object
}

// piece is a part of what a large object is made of.
type piece struct {
	path         object.Path
	etag         string // that the object at path must have; "" any
	offset, size int64  // in that object
}

// OpenObject finds an object and all that it is made of. With manifest, a static
// large object is opened as the list that it is kept as.
func (c *Control) OpenObject(ctx context.Context, p object.Path, method string, manifest bool) (*Content, error) {
	if err := c.checkObject(p); err != nil {
		return nil, err
	}
	o, owner, err := c.find(ctx, p, method)
	if err != nil {
		return nil, err
	}
	content := &Content{Object: *o, Size: o.Size, Tag: o.ETag, c: c, path: p}
	content.Headers = shown(o.Headers, owner)
	switch {
	case manifest:
	case o.Large != nil:
		err = c.openLarge(ctx, content)
	case o.Headers[object.Manifest] != "":
		err = c.openDynamic(ctx, content)
	}
	return content, err
}

// find returns an object that its caller may read.
func (c *Control) find(ctx context.Context, p object.Path, method string) (*object.Object, bool, error) {
	box, owner, err := c.container(ctx, p, method, false)
	if err != nil {
		return nil, false, err
	}
	o, err := c.store.Object(ctx, c.store.DB, box.ID, p.Object)
	if err == nil && o.Expired(c.now()) {
		err = notThere()
	}
	return o, owner, err
}

// Range opens length bytes from offset on. What was deleted or replaced since the
// object was found cannot be read; what is open stays readable.
func (t *Content) Range(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	if t.pieces == nil {
		if t.Object.Size == 0 {
			return io.NopCloser(io.LimitReader(nil, 0)), nil
		}
		return t.c.open(ctx, t.path, &t.Object, offset, length)
	}
	s := &series{ctx: ctx, c: t.c, pieces: t.pieces, skip: offset, left: length}
	if length == 0 {
		return s, nil
	}
	return s, s.next() // now, since a failure can still be told
}

// open opens a payload. An object that was replaced in just this moment is looked for
// again, and is another one then: fault.Conflict.
func (c *Control) open(ctx context.Context, p object.Path, o *object.Object, offset, length int64) (io.ReadCloser, error) {
	r, err := c.pool.Open(ctx, o.Payload)
	if errors.Is(err, device.ErrNotFound) {
		return nil, c.lost(ctx, p, o)
	}
	if err != nil {
		return nil, err
	}
	if r.Size() != o.Size {
		return nil, errors.Join(fmt.Errorf("object %s: the payload %s has %d bytes and not %d", p, o.Payload, r.Size(), o.Size), r.Close())
	}
	if offset > 0 {
		if _, err := r.Seek(offset, io.SeekStart); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r, length), r}, nil
}

// lost says what it means that no device has an object's bytes.
func (c *Control) lost(ctx context.Context, p object.Path, o *object.Object) error {
	box, err := c.store.Container(ctx, c.store.DB, p.Account, p.Container)
	if err == nil {
		var now *object.Object
		if now, err = c.store.Object(ctx, c.store.DB, box.ID, p.Object); err == nil && now.Payload == o.Payload {
			return fault.Wrap(fmt.Errorf("object %s: no device has the payload %s", p, o.Payload), fault.Unavailable, "The object's data cannot be read now.")
		}
	}
	if err != nil {
		return err
	}
	return fault.Conflictf("The object has been replaced meanwhile. Please try again.").WithCode(Replaced)
}

// Replaced is the code of the fault that says that an object was replaced between the
// look at it and its first byte. It is S3's.
const Replaced = "OperationAborted"

// Reread calls read, and again when the object was replaced in just the moment of it.
func Reread(read func() error) error {
	err := error(nil)
	for range 5 {
		err = read()
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != Replaced {
			return err
		}
	}
	return err
}

// series reads pieces one after the other, each opened when its turn comes.
type series struct {
	ctx    context.Context
	c      *Control
	pieces []piece
	skip   int64 // bytes before the first that is wanted
	left   int64
	now    io.ReadCloser
}

// Read implements io.Reader.
func (s *series) Read(b []byte) (int, error) {
	for s.left > 0 {
		if s.now == nil {
			if err := s.next(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := s.now.Read(b[:min(int64(len(b)), s.left)])
		s.left -= int64(n)
		if errors.Is(err, io.EOF) {
			err = s.now.Close()
			s.now = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.EOF
}

func (s *series) next() error {
	for len(s.pieces) > 0 && s.skip >= s.pieces[0].size {
		s.skip -= s.pieces[0].size
		s.pieces = s.pieces[1:]
	}
	if len(s.pieces) == 0 {
		return io.ErrUnexpectedEOF
	}
	p := s.pieces[0]
	o, _, err := s.c.find(s.ctx, p.path, "GET")
	if err != nil {
		return fault.Wrap(err, fault.Conflict, "A segment of the object is not there any more.").WithCode(Replaced)
	}
	if p.etag != "" && o.ETag != p.etag || p.offset+p.size > o.Size {
		return fault.Conflictf("A segment of the object is not what it was.").WithCode(Replaced)
	}
	s.now, err = s.c.open(s.ctx, p.path, o, p.offset+s.skip, p.size-s.skip)
	s.skip, s.pieces = 0, s.pieces[1:]
	return err
}

// Close implements io.Closer.
func (s *series) Close() error {
	if s.now == nil {
		return nil
	}
	return s.now.Close()
}

// UpdateObject replaces an object's metadata, all but its type: what is not sent is
// gone, its end too.
func (c *Control) UpdateObject(ctx context.Context, p object.Path, sent object.Headers, contentType string) error {
	if err := c.checkObject(p); err != nil {
		return err
	}
	box, owner, err := c.container(ctx, p, "POST", true)
	if err != nil {
		return err
	}
	ends, err := deleteAt(sent, c.now())
	if err != nil {
		return err
	}
	if _, err := c.store.Object(ctx, c.store.DB, box.ID, p.Object); err != nil {
		return err
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		o, err := c.store.LockObject(ctx, tx, box.ID, p.Object)
		if err == nil && o.Expired(c.now()) {
			err = notThere()
		}
		if err != nil {
			return err
		}
		was := o.Headers
		if o.Headers, err = c.remember(ofObjects, nil, sent, owner); err != nil {
			return err
		}
		if tag := was[object.S3ETag]; tag != "" {
			o.Headers[object.S3ETag] = tag
		}
		if o.DeleteAt = ends; contentType != "" {
			o.ContentType = contentType
		}
		o.CreatedAt = c.now()
		return c.store.SaveObject(ctx, tx, box.ID, o)
	})
}

// CopyObject makes an object of another one. Metadata comes along unless fresh is
// set; what is sent with the request stands above it. The bytes stay where they are:
// both refer to them. Of large objects with many segments one object becomes, but of
// those that are taken as manifest a copy of the list.
func (c *Control) CopyObject(ctx context.Context, from, to object.Path, up Upload, fresh, manifest bool) (*object.Object, *Content, error) {
	if err := c.checkObject(to); err != nil {
		return nil, nil, err
	}
	source, err := c.OpenObject(ctx, from, "GET", manifest)
	if err != nil {
		return nil, nil, err
	}
	box, owner, err := c.container(ctx, to, "PUT", true)
	if err != nil {
		return nil, nil, err
	}
	up.Headers = inherited(source, up.Headers, fresh)
	if up.ContentType == "" {
		up.ContentType = source.ContentType
	}
	up.Size = source.Size
	if manifest {
		up.large = source.Large
	}
	if source.pieces != nil {
		delete(up.Headers, object.Manifest)
		delete(up.Headers, object.S3ETag)
		body, err := source.Range(ctx, 0, source.Size)
		if err != nil {
			return nil, nil, err
		}
		defer body.Close()
		up.Body = body
		o, err := c.PutObject(ctx, to, up)
		return o, source, err
	}
	o, err := c.prepare(ctx, to, box, up, owner)
	if err != nil {
		return nil, nil, err
	}
	o.Payload, o.Size, o.ETag = source.Payload, source.Object.Size, source.ETag
	err = c.tx(ctx, func(tx *db.Tx) error { return c.putCopy(ctx, tx, from, to, o, up.Absent) })
	return o, source, err
}

// putCopy puts a copy under its name while the source is held: nobody can make its
// payload nobody's meanwhile.
func (c *Control) putCopy(ctx context.Context, tx *db.Tx, from, to object.Path, o *object.Object, absent bool) error {
	if o.Payload != "" {
		box, err := c.store.Container(ctx, tx, from.Account, from.Container)
		if err != nil {
			return err
		}
		source, err := c.store.LockObject(ctx, tx, box.ID, from.Object)
		if err != nil {
			return err
		}
		if source.Payload != o.Payload {
			return fault.Conflictf("The object %s has been replaced while it was copied.", from)
		}
		if from == to { // its row goes, and its payload must not with it
			return c.renew(ctx, tx, box, source, o)
		}
	}
	return c.put(ctx, tx, to, o, absent)
}

// renew gives an object that is copied onto itself new metadata.
func (c *Control) renew(ctx context.Context, tx *db.Tx, box *object.Container, was, o *object.Object) error {
	o.CreatedAt = c.now()
	was.ContentType, was.Headers, was.DeleteAt, was.CreatedAt = o.ContentType, o.Headers, o.DeleteAt, o.CreatedAt
	return c.store.SaveObject(ctx, tx, box.ID, was)
}

// inherited are a copy's headers.
func inherited(source *Content, sent object.Headers, fresh bool) object.Headers {
	out := object.Headers{}
	if !fresh {
		maps.Copy(out, source.Headers)
		if !source.DeleteAt.IsZero() {
			out["X-Delete-At"] = fmt.Sprint(source.DeleteAt.Unix())
		}
	}
	if tag := source.Headers[object.S3ETag]; tag != "" {
		out[object.S3ETag] = tag
	}
	for name, value := range sent {
		if name != object.Manifest {
			out[name] = value
		}
	}
	return out
}
