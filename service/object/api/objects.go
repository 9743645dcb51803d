package api

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/object"
	"kilonova/service/object/control"
	"kilonova/service/object/deliver"
)

// getObject answers GET and HEAD.
func (a *api) getObject(ctx context.Context, r *rest.Request) (resp *rest.Response, err error) {
	err = control.Reread(func() error {
		resp, err = a.readObject(ctx, r)
		return err
	})
	return resp, err
}

func (a *api) readObject(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	manifest := r.Query.Get("multipart-manifest") == "get"
	t, err := a.c.OpenObject(ctx, pathOf(r), r.Method, manifest)
	if err != nil {
		if resp, webErr := a.webMissing(ctx, r, err); resp != nil || webErr != nil {
			return resp, webErr
		}
		return nil, err
	}
	if manifest && t.Large != nil {
		return a.showManifest(ctx, r, t)
	}
	resp, err := deliverTo(ctx, r, t)
	if err == nil && r.Query.Has("temp_url_sig") {
		disposition(resp, r)
	}
	return resp, err
}

// deliverTo sends an object as the request's headers want it.
func deliverTo(ctx context.Context, r *rest.Request, t *control.Content) (*rest.Response, error) {
	p := deliver.New(r.Header, deliver.Content{Tag: t.Tag, Type: t.ContentType, Modified: lastModified(t.CreatedAt), Size: t.Size, Open: t.Range})
	resp := objectHead(&rest.Response{Status: p.Status}, t)
	for name, values := range p.Header {
		resp.Header[name] = values
	}
	switch {
	case p.Status >= 400:
		said := page(p.Status, map[int]string{416: "The Range requested is not available.", 412: "A precondition for this request was not met."}[p.Status])
		for _, name := range []string{"Content-Type", "Content-Length"} {
			resp.Header[name] = said.Header[name]
		}
		resp.Stream = said.Stream
		return resp, nil
	case p.Status >= 300:
		return resp, nil
	case r.Method == http.MethodHead:
		resp.Stream = func(context.Context, io.Writer) error { return nil }
		return resp, nil
	}
	first, err := p.First(ctx)
	if err != nil {
		return nil, err
	}
	resp.Stream = func(_ context.Context, w io.Writer) error { return p.Write(ctx, w, first) }
	return resp, nil
}

// objectHead is what every answer about an object has.
func objectHead(resp *rest.Response, t *control.Content) *rest.Response {
	with(resp, t.Headers).With("Last-Modified", httpTime(t.CreatedAt)).With("X-Timestamp", control.Timestamp(t.CreatedAt))
	tag := t.Tag
	if t.Large != nil || t.Headers[object.Manifest] != "" {
		tag = `"` + tag + `"`
	}
	resp.With("Etag", tag)
	if t.Large != nil {
		resp.With("X-Static-Large-Object", "True").With("X-Manifest-Etag", t.ETag)
	}
	if !t.DeleteAt.IsZero() {
		resp.With("X-Delete-At", strconv.FormatInt(t.DeleteAt.Unix(), 10))
	}
	return resp
}

// putObject writes, copies or assembles an object.
func (a *api) putObject(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if from := r.Header.Get("X-Copy-From"); from != "" {
		if r.ContentLength > 0 {
			return nil, fault.Invalidf("Copy requests require a zero byte body")
		}
		return a.copy(ctx, r, from, r.Header.Get("X-Copy-From-Account"), pathOf(r))
	}
	if r.ContentLength == 0 && r.Header.Get("Content-Length") == "" && len(r.TransferEncoding) == 0 && r.RemoteAddr != "pipe" {
		return page(http.StatusLengthRequired, "Missing Content-Length header."), nil
	}
	switch {
	case r.Query.Get("multipart-manifest") == "put":
		return a.putManifest(ctx, r)
	case r.Query.Has("extract-archive"):
		return a.extract(ctx, r)
	}
	up, err := a.uploadOf(r)
	if err != nil {
		return nil, err
	}
	o, err := a.c.PutObject(ctx, pathOf(r), up)
	if err != nil {
		return nil, err
	}
	return created(o, o.ETag), nil
}

func created(o *object.Object, tag string) *rest.Response {
	return answer(http.StatusCreated).With("Etag", tag).With("Last-Modified", httpTime(o.CreatedAt))
}

// uploadOf reads what is to be written.
func (a *api) uploadOf(r *rest.Request) (control.Upload, error) {
	r.Patience(a.stall)
	up := control.Upload{Headers: headersOf(r), ContentType: r.Header.Get("Content-Type"), Body: r.Body, Size: r.ContentLength, ETag: strings.Trim(r.Header.Get("Etag"), `"`)}
	if none := r.Header.Get("If-None-Match"); none == "*" {
		up.Absent = true
	} else if none != "" {
		return up, fault.Invalidf("Value for If-None-Match must be *")
	}
	if up.ContentType == "" || isTrue(r.Header.Get("X-Detect-Content-Type")) {
		up.ContentType = mime.TypeByExtension(path.Ext(r.Path("object")))
	}
	return up, nil
}

// postObject changes an object's metadata.
func (a *api) postObject(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if isForm(r) {
		return a.form(ctx, r)
	}
	if err := a.c.UpdateObject(ctx, pathOf(r), headersOf(r), r.Header.Get("Content-Type")); err != nil {
		return nil, err
	}
	return answer(http.StatusAccepted), nil
}

// copyObject answers COPY.
func (a *api) copyObject(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	to := r.Header.Get("Destination")
	account := r.Header.Get("Destination-Account")
	if to == "" {
		return nil, fault.New(fault.PreconditionFailed, "Destination header required")
	}
	at, err := pathFrom(to, account, r.Path("account"), "Destination")
	if err != nil {
		return nil, err
	}
	p := pathOf(r)
	return a.copy(ctx, r, "/"+p.Container+"/"+p.Object, p.Account, at)
}

// pathFrom reads a header with a container and an object, escaped.
func pathFrom(text, account, own, header string) (object.Path, error) {
	bad := fault.New(fault.PreconditionFailed, "%s header must be of the form <container name>/<object name>", header)
	plain, err := url.PathUnescape(text)
	if err != nil {
		return object.Path{}, bad
	}
	container, name, ok := strings.Cut(strings.TrimPrefix(plain, "/"), "/")
	if !ok || container == "" || name == "" {
		return object.Path{}, bad
	}
	if account == "" {
		account = own
	} else if account, err = url.PathUnescape(account); err != nil || strings.Contains(account, "/") {
		return object.Path{}, fault.New(fault.PreconditionFailed, "Account name cannot contain slashes")
	}
	return object.Path{Account: account, Container: container, Object: name}, nil
}

func (a *api) copy(ctx context.Context, r *rest.Request, from, account string, to object.Path) (*rest.Response, error) {
	// What COPY names is a path already, and not escaped.
	if r.Method == "COPY" {
		from = (&url.URL{Path: from}).EscapedPath()
	}
	source, err := pathFrom(from, account, to.Account, "X-Copy-From")
	if err != nil {
		return nil, err
	}
	up := control.Upload{Headers: headersOf(r), ContentType: r.Header.Get("Content-Type")}
	if r.Header.Get("If-None-Match") == "*" {
		up.Absent = true
	}
	o, t, err := a.c.CopyObject(ctx, source, to, up, isTrue(r.Header.Get("X-Fresh-Metadata")), r.Query.Get("multipart-manifest") == "get")
	if err != nil {
		return nil, err
	}
	resp := with(created(o, o.Tag()), o.Headers).With("X-Copied-From", (&url.URL{Path: source.Container + "/" + source.Object}).EscapedPath()).
		With("X-Copied-From-Account", source.Account).With("X-Copied-From-Last-Modified", httpTime(t.CreatedAt))
	return resp, nil
}

// deleteObject deletes an object, of a static large one the segments too if told so.
func (a *api) deleteObject(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if r.Query.Get("multipart-manifest") == "delete" {
		return a.deleteManifest(ctx, r)
	}
	if err := a.c.DeleteObject(ctx, pathOf(r)); err != nil {
		return nil, err
	}
	return answer(204), nil
}
