package api

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"mime"
	"net/http"
	"path"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/object"
	"kilonova/service/object/control"
)

// putManifest makes a static large object.
func (a *api) putManifest(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	data, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	var wanted []control.Wanted
	if err := json.Unmarshal(data, &wanted); err != nil {
		return nil, fault.Invalidf("Manifest must be valid JSON: a list of segments.")
	}
	up := control.Upload{Headers: headersOf(r), ContentType: r.Header.Get("Content-Type"), ETag: strings.Trim(r.Header.Get("Etag"), `"`)}
	if up.ContentType == "" {
		up.ContentType = mime.TypeByExtension(path.Ext(r.Path("object")))
	}
	o, refused, err := a.c.PutLarge(ctx, pathOf(r), wanted, up)
	if refused != nil {
		var b strings.Builder
		b.WriteString("Errors:\n")
		for _, s := range refused {
			b.WriteString(s.Path + ", " + s.Why + "\n")
		}
		return bytesOf(http.StatusBadRequest, "text/plain", []byte(b.String())), nil
	}
	if err != nil {
		return nil, err
	}
	return created(o, `"`+o.Large.ETag+`"`), nil
}

// showManifest answers with a static large object's list of segments: as it is kept,
// or with format=raw as it could be sent again.
func (a *api) showManifest(ctx context.Context, r *rest.Request, t *control.Content) (*rest.Response, error) {
	if r.Query.Get("format") != "raw" {
		t.ContentType, t.Tag = "application/json; charset=utf-8", t.ETag
		large := t.Large
		t.Large = nil // its bytes are delivered as they are
		resp, err := deliverTo(ctx, r, t)
		if t.Large = large; err == nil {
			resp.With("X-Static-Large-Object", "True")
		}
		return resp, err
	}
	list, err := a.c.Segments(ctx, pathOf(r), &t.Object)
	if err != nil {
		return nil, err
	}
	raw := make([]control.Wanted, len(list))
	for i, s := range list {
		raw[i] = control.Wanted{Path: s.Path, ETag: s.Hash, Size: &s.Bytes, Range: s.Range}
	}
	data, err := json.Marshal(raw)
	if err != nil {
		return nil, err
	}
	sum := md5.Sum(data)
	return bytesOf(200, "application/json; charset=utf-8", data).With("Etag", hex.EncodeToString(sum[:])).With("X-Static-Large-Object", "True"), nil
}

// deleteManifest deletes a static large object with its segments, and says what
// became of each.
func (a *api) deleteManifest(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p := pathOf(r)
	t, err := a.c.OpenObject(ctx, p, "GET", true)
	if err != nil {
		return nil, err
	}
	if t.Large == nil {
		return nil, fault.Invalidf("Not an SLO manifest")
	}
	list, err := a.c.Segments(ctx, p, &t.Object)
	if err != nil {
		return nil, err
	}
	d := newDeletion(a, r)
	for _, s := range list {
		container, name, _ := strings.Cut(strings.TrimPrefix(s.Path, "/"), "/")
		d.delete(ctx, object.Path{Account: p.Account, Container: container, Object: name})
	}
	d.delete(ctx, p)
	return d.answer(r)
}
