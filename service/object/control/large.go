package control

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/object"
	"kilonova/service/object/deliver"
	"kilonova/service/object/store"
)

// Wanted is a segment as a client names it in a manifest.
type Wanted struct {
	Path  string `json:"path"`
	ETag  string `json:"etag"`
	Size  *int64 `json:"size_bytes"`
	Range string `json:"range"`
}

// mostParts is how many segments an object has at most that S3 has been given in parts.
const mostParts = 10000

// Refused is a segment that cannot be part of a large object, and why.
type Refused struct{ Path, Why string }

// PutLarge makes a static large object of segments that are there. Those that are
// not, or not as the client says, are returned beside the error.
func (c *Control) PutLarge(ctx context.Context, p object.Path, wanted []Wanted, up Upload) (*object.Object, []Refused, error) {
	most := c.o.SLO.MaxSegments
	if up.Parts { // S3 has a limit of its own
		most = max(most, mostParts)
	}
	if len(wanted) == 0 || len(wanted) > most {
		return nil, nil, fault.Invalidf("A manifest has between 1 and %d segments, and not %d.", most, len(wanted))
	}
	var segments []object.Segment
	var refused []Refused
	large := &object.Large{}
	sum := md5.New()
	for _, w := range wanted {
		s, size, why, err := c.segment(ctx, p, w)
		if err != nil {
			return nil, nil, err
		}
		if why != "" {
			refused = append(refused, Refused{w.Path, why})
			continue
		}
		large.Size += size
		io.WriteString(sum, s.Hash)
		if s.Range != "" {
			io.WriteString(sum, ":"+s.Range+";")
		}
		segments = append(segments, s)
	}
	if refused != nil {
		return nil, refused, fault.Invalidf("Some segments cannot be part of the object.")
	}
	large.ETag = hex.EncodeToString(sum.Sum(nil))
	if up.ETag != "" && !strings.EqualFold(up.ETag, large.ETag) {
		return nil, nil, match(up.ETag, large.ETag)
	}
	data, err := json.Marshal(segments)
	if err != nil {
		return nil, nil, err
	}
	up.Body, up.Size, up.ETag, up.large = bytes.NewReader(data), int64(len(data)), "", large
	o, err := c.PutObject(ctx, p, up)
	return o, nil, err
}

// segment looks for a segment: what it is, how much of the large object, or why it
// cannot be part of it.
func (c *Control) segment(ctx context.Context, p object.Path, w Wanted) (s object.Segment, size int64, why string, err error) {
	container, name, ok := strings.Cut(strings.TrimPrefix(w.Path, "/"), "/")
	if !ok || container == "" || name == "" || len(w.Path) > 2048 {
		return s, 0, "Invalid path", nil
	}
	at := object.Path{Account: p.Account, Container: container, Object: name}
	if at == p {
		return s, 0, "A manifest cannot be its own segment", nil
	}
	o, _, err := c.find(ctx, at, "HEAD")
	switch {
	case fault.Is(err, fault.NotFound):
		return s, 0, "404 Not Found", nil
	case fault.Is(err, fault.Forbidden):
		return s, 0, "403 Forbidden", nil
	case err != nil:
		return s, 0, "", err
	}
	if o.Headers[object.Manifest] != "" {
		return s, 0, "A dynamic large object cannot be a segment", nil
	}
	s = object.Segment{Path: "/" + container + "/" + name, Bytes: o.Length(), Hash: o.Tag(), Range: w.Range, Type: o.ContentType,
		When: o.CreatedAt.UTC().Format("2006-01-02T15:04:05.000000"), Sub: o.Large != nil}
	if w.Size != nil && *w.Size != s.Bytes {
		return s, 0, "Size Mismatch", nil
	}
	if w.ETag != "" && !strings.EqualFold(w.ETag, s.Hash) {
		return s, 0, "Etag Mismatch", nil
	}
	_, size, err = part(s.Range, s.Bytes)
	if err != nil || size == 0 {
		return s, 0, "Unsatisfiable Range", nil //nolint:nilerr // it is told in the answer
	}
	return s, size, "", nil
}

// part is what of size bytes a segment's range means.
func part(text string, size int64) (offset, length int64, err error) {
	if text == "" {
		return 0, size, nil
	}
	if offset, length, err = deliver.Part(text, size); err != nil {
		return 0, 0, fault.New(fault.Invalid, "%.64q is no range of %d bytes: %w.", text, size, err)
	}
	return offset, length, nil
}

// deepest is how often static large objects may be segments of each other.
const deepest = 10

// openLarge finds what a static large object is made of.
func (c *Control) openLarge(ctx context.Context, t *Content) error {
	t.Size, t.Tag, t.pieces = t.Large.Size, t.Large.ETag, []piece{}
	return c.pieces(ctx, t.path, &t.Object, 0, t.Large.Size, deepest, &t.pieces)
}

// Segments reads a static large object's manifest.
func (c *Control) Segments(ctx context.Context, p object.Path, o *object.Object) ([]object.Segment, error) {
	r, err := c.open(ctx, p, o, 0, o.Size)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var list []object.Segment
	if err := json.NewDecoder(r).Decode(&list); err != nil {
		return nil, fmt.Errorf("object %s: its manifest cannot be read: %w", p, err)
	}
	return list, nil
}

// pieces adds what length bytes from offset of a static large object are made of.
func (c *Control) pieces(ctx context.Context, p object.Path, o *object.Object, offset, length int64, depth int, into *[]piece) error {
	if depth == 0 {
		return fault.Conflictf("Too many static large objects are segments of each other.")
	}
	list, err := c.Segments(ctx, p, o)
	if err != nil {
		return err
	}
	for _, s := range list {
		container, name, _ := strings.Cut(strings.TrimPrefix(s.Path, "/"), "/")
		at := object.Path{Account: p.Account, Container: container, Object: name}
		from, size, err := part(s.Range, s.Bytes)
		if err != nil {
			return err
		}
		if offset >= size {
			offset -= size
			continue
		}
		take := min(size-offset, length)
		if s.Sub {
			sub, _, err := c.find(ctx, at, "GET")
			if err != nil || sub.Large == nil || sub.Large.ETag != s.Hash {
				return fault.Wrap(err, fault.Conflict, "A segment of the object is not what it was.").WithCode(Replaced)
			}
			if err := c.pieces(ctx, at, sub, from+offset, take, depth-1, into); err != nil {
				return err
			}
		} else if *into = append(*into, piece{at, s.Hash, from + offset, take}); len(*into) > 100000 {
			return fault.Conflictf("The object has too many segments.")
		}
		if offset, length = 0, length-take; length == 0 {
			return nil
		}
	}
	return nil
}

// mostDynamic bounds the segments of a dynamic large object.
const mostDynamic = 100000

// openDynamic finds what a dynamic large object is made of: all objects of a
// container whose names begin alike, in the order of their names.
func (c *Control) openDynamic(ctx context.Context, t *Content) error {
	container, prefix, _ := strings.Cut(t.Headers[object.Manifest], "/")
	at := object.Path{Account: t.path.Account, Container: container}
	box, _, err := c.container(ctx, object.Path{Account: at.Account, Container: container, Object: prefix}, "GET", false)
	t.pieces, t.Size = []piece{}, 0
	sum := md5.New()
	if fault.Is(err, fault.NotFound) {
		err = nil
	} else if err == nil {
		r := store.Range{From: prefix, Until: after(prefix), Limit: page}
		for more := true; more && err == nil; {
			var list []object.Object
			list, err = c.store.Objects(ctx, box.ID, r)
			for i := range list {
				o := &list[i]
				r = r.Beyond(o.Name)
				io.WriteString(sum, o.Tag())
				at.Object = o.Name
				if o.Large != nil {
					err = c.pieces(ctx, at, o, 0, o.Large.Size, deepest, &t.pieces)
				} else if o.Size > 0 {
					t.pieces = append(t.pieces, piece{at, o.ETag, 0, o.Size})
				}
				if err != nil {
					return err
				}
				t.Size += o.Length()
			}
			if more = len(list) == page; len(t.pieces) > mostDynamic {
				return fault.Conflictf("The object has too many segments.")
			}
		}
	}
	t.Tag = hex.EncodeToString(sum.Sum(nil))
	return err
}
