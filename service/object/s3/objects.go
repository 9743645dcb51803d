package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/object"
	"kilonova/service/object/control"
	"kilonova/service/object/deliver"
)

const metaPrefix = "X-Amz-Meta-"

// headersOf are what is remembered of a request's headers, by Swift's names.
func headersOf(r *request) object.Headers {
	out := object.Headers{}
	for name, values := range r.Header {
		if rest, ok := strings.CutPrefix(name, metaPrefix); ok {
			out["X-Object-Meta-"+rest] = strings.Join(values, ",")
		}
	}
	for _, name := range []string{"Content-Disposition", "Cache-Control", "Content-Language", "Expires"} {
		if v := r.Header.Get(name); v != "" {
			out[name] = v
		}
	}
	var encodings []string
	for one := range strings.SplitSeq(r.Header.Get("Content-Encoding"), ",") {
		if one = strings.TrimSpace(one); one != "" && one != "aws-chunked" {
			encodings = append(encodings, one)
		}
	}
	if encodings != nil {
		out[object.ContentEncoding] = strings.Join(encodings, ", ")
	}
	return out
}

func (h *Handler) putObject(ctx context.Context, r *request) error {
	up, err := h.upload(r)
	if err != nil {
		return err
	}
	up.Headers, up.ContentType = headersOf(r), r.Header.Get("Content-Type")
	if up.ContentType == "" {
		up.ContentType = "binary/octet-stream"
	}
	switch none := r.Header.Get("If-None-Match"); none {
	case "":
	case "*":
		up.Absent = true
	default:
		return fault.New(fault.Unsupported, "If-None-Match takes * only.").WithCode("NotImplemented")
	}
	old, err := h.parts(ctx, r.path())
	if err != nil {
		return err
	}
	o, err := h.c.PutObject(ctx, r.path(), up)
	if err != nil {
		return noBucket(err)
	}
	h.drop(ctx, r.path(), old)
	r.w.Header().Set("Etag", `"`+o.ETag+`"`)
	r.w.WriteHeader(http.StatusOK)
	return nil
}

// upload reads the body of a request that brings an object or a part.
func (h *Handler) upload(r *request) (control.Upload, error) {
	if h.o.Stall > 0 {
		r.Body = rest.Patient(r.w, r.Body, h.o.Stall.D(), h.o.Now)
	}
	body, size, err := h.body(r.Request, r.signed)
	if err == nil && size < 0 {
		err = fault.Invalidf("You must provide the Content-Length HTTP header.").WithCode("MissingContentLength")
	}
	return control.Upload{Headers: object.Headers{}, Body: body, Size: size}, err
}

func (h *Handler) getObject(ctx context.Context, r *request) error {
	var send func() error
	err := control.Reread(func() (err error) {
		send, err = h.readObject(ctx, r)
		return err
	})
	if err != nil {
		return err
	}
	return send()
}

// readObject opens what is to be sent, so that what fails before the first byte can be
// told.
func (h *Handler) readObject(ctx context.Context, r *request) (send func() error, err error) {
	t, err := h.c.OpenObject(ctx, r.path(), r.Method, false)
	if err != nil {
		return nil, h.noKey(ctx, r, err)
	}
	p := deliver.New(r.Header, deliver.Content{Tag: tagOf(&t.Object), Type: t.ContentType, Modified: t.CreatedAt, Size: t.Size, Open: t.Range})
	switch {
	case p.Status == http.StatusRequestedRangeNotSatisfiable:
		return nil, invalid("InvalidRange", "The requested range cannot be satisfied.")
	case p.Status == http.StatusPreconditionFailed:
		return nil, fault.New(fault.PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
	case p.Status >= 300, r.Method == http.MethodHead:
		return func() error {
			r.head(t, p)
			return nil
		}, nil
	}
	first, err := p.First(ctx)
	return func() error {
		r.head(t, p)
		return p.Write(ctx, r.w, first)
	}, err
}

// head writes the head of an answer with an object.
func (r *request) head(t *control.Content, p *deliver.Plan) {
	head := r.w.Header()
	for name, value := range t.Headers {
		if rest, ok := strings.CutPrefix(name, "X-Object-Meta-"); ok {
			head[strings.ToLower(metaPrefix+rest)] = []string{value} // as S3 writes it, for clients that look at the case
		} else if !strings.HasPrefix(name, object.Sys) && !strings.HasPrefix(name, "X-") {
			head.Set(name, value)
		}
	}
	for name, values := range p.Header {
		head[name] = values
	}
	head.Set("Etag", `"`+tagOf(&t.Object)+`"`)
	head.Set("Last-Modified", t.CreatedAt.UTC().Format(http.TimeFormat))
	for q, name := range map[string]string{"response-content-type": "Content-Type", "response-content-disposition": "Content-Disposition", "response-content-encoding": "Content-Encoding",
		"response-content-language": "Content-Language", "response-cache-control": "Cache-Control", "response-expires": "Expires"} {
		if v := r.URL.Query().Get(q); v != "" {
			head.Set(name, v)
		}
	}
	r.w.WriteHeader(p.Status)
}

// noKey tells a bucket that is not there from a key.
func (h *Handler) noKey(ctx context.Context, r *request, err error) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	if _, noBucket := h.bucket(ctx, r, "HEAD"); noBucket != nil {
		return noBucket
	}
	return fault.NotFoundf("The specified key does not exist.").WithCode("NoSuchKey")
}

func (h *Handler) deleteObject(ctx context.Context, r *request) error {
	if err := h.remove(ctx, r.path()); err != nil {
		if fault.Is(err, fault.NotFound) {
			if err := h.noKey(ctx, r, err); fault.Is(err, fault.NotFound) && isCode(err, "NoSuchBucket") {
				return err
			}
		} else {
			return err
		}
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

// remove deletes an object and the parts that it is made of.
func (h *Handler) remove(ctx context.Context, p object.Path) error {
	old, err := h.parts(ctx, p)
	if err != nil {
		return err
	}
	if err := h.c.DeleteObject(ctx, p); err != nil {
		return err
	}
	h.drop(ctx, p, old)
	return nil
}

func (h *Handler) deleteObjects(ctx context.Context, r *request) error {
	var in struct {
		Quiet  bool
		Object []struct{ Key, VersionId string } //nolint:staticcheck // S3's name
	}
	if err := h.decode(r, &in); err != nil {
		return err
	}
	if len(in.Object) == 0 || len(in.Object) > 1000 {
		return invalid("MalformedXML", "Between 1 and 1000 keys are deleted at once.")
	}
	if _, err := h.bucket(ctx, r, "GET"); err != nil {
		return err
	}
	type deleted struct{ Key string }
	type failed struct{ Key, Code, Message string }
	out := struct {
		XMLName xml.Name  `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
		Deleted []deleted `xml:"Deleted"`
		Error   []failed  `xml:"Error"`
	}{}
	for _, o := range in.Object {
		p := r.path()
		p.Object = o.Key
		err := error(nil)
		if o.Key == "" || o.VersionId != "" && o.VersionId != "null" {
			err = fault.New(fault.Unsupported, "Versions are not implemented.")
		} else {
			err = h.remove(ctx, p)
		}
		switch {
		case err == nil, fault.Is(err, fault.NotFound):
			if !in.Quiet {
				out.Deleted = append(out.Deleted, deleted{o.Key})
			}
		case fault.Is(err, fault.Internal):
			return err
		default:
			out.Error = append(out.Error, failed{o.Key, codes[fault.KindOf(err)], err.Error()})
		}
	}
	return r.reply(out)
}

func (h *Handler) objectTagging(ctx context.Context, r *request) error {
	if _, err := h.c.OpenObject(ctx, r.path(), "HEAD", true); err != nil {
		return h.noKey(ctx, r, err)
	}
	return r.reply(struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Tagging"`
		TagSet  struct{}
	}{})
}

// source reads x-amz-copy-source.
func source(r *request) (object.Path, error) {
	text, query, _ := strings.Cut(r.Header.Get("X-Amz-Copy-Source"), "?")
	plain, err := url.PathUnescape(text)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(plain, "/"), "/")
	if err != nil || !ok || bucket == "" || key == "" {
		return object.Path{}, invalid("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	if query != "" && query != "versionId=null" {
		return object.Path{}, fault.New(fault.Unsupported, "Versions are not implemented.")
	}
	return object.Path{Account: r.account, Container: bucket, Object: key}, nil
}

// sourceConditions holds x-amz-copy-source-if-…
func sourceConditions(r *request, t *control.Content) error {
	h := http.Header{}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if v := r.Header.Get("X-Amz-Copy-Source-" + name); v != "" {
			h.Set(name, v)
		}
	}
	if deliver.Precondition(h, tagOf(&t.Object), t.CreatedAt, true) != 0 {
		return fault.New(fault.PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
	}
	return nil
}

func (h *Handler) copyObject(ctx context.Context, r *request) error {
	from, err := source(r)
	if err != nil {
		return err
	}
	directive := strings.ToUpper(r.Header.Get("X-Amz-Metadata-Directive"))
	fresh := directive == "REPLACE"
	if directive != "" && directive != "COPY" && !fresh {
		return invalid("InvalidArgument", "Unknown metadata directive.")
	}
	if from == r.path() && !fresh {
		return invalid("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata.")
	}
	t, err := h.c.OpenObject(ctx, from, "HEAD", false)
	if err != nil {
		return h.noKey(ctx, &request{Request: r.Request, signed: r.signed, account: r.account, bucket: from.Container}, err)
	}
	if err := sourceConditions(r, t); err != nil {
		return err
	}
	up := control.Upload{Headers: object.Headers{}}
	if fresh {
		up.Headers, up.ContentType = headersOf(r), r.Header.Get("Content-Type")
	}
	old, err := h.parts(ctx, r.path())
	if err != nil {
		return err
	}
	o, _, err := h.c.CopyObject(ctx, from, r.path(), up, fresh, from == r.path())
	if err != nil {
		return noBucket(err)
	}
	if from != r.path() {
		h.drop(ctx, r.path(), old)
	}
	return r.reply(struct {
		XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
		LastModified string
		ETag         string
	}{LastModified: when(o.CreatedAt), ETag: `"` + tagOf(o) + `"`})
}

func isCode(err error, code string) bool {
	f, ok := err.(*fault.Error) //nolint:errorlint // the outermost says it
	return ok && f.Code == code
}
