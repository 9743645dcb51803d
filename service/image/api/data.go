package api

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image/blob"
	"kilonova/service/image/control"
)

// drained is how much of a refused upload is read and dropped, so that clients
// that do not look up before they have sent everything get to see why.
const drained = 64 << 20

func (a *api) upload(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.takeIn(ctx, r, a.c.Upload)
}

func (a *api) stage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if !slices.Contains(a.o.EnabledImportMethods, "glance-direct") {
		return nil, fault.NotFoundf("'glance-direct' method is not available at this site.")
	}
	return a.takeIn(ctx, r, a.c.Stage)
}

func (a *api) takeIn(ctx context.Context, r *rest.Request, take func(context.Context, string, control.Upload) error) (*rest.Response, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/octet-stream" {
		return nil, fault.New(fault.UnsupportedMedia, "Invalid content type %.64s: application/octet-stream is needed.", r.Header.Get("Content-Type"))
	}
	r.Patience(a.o.UploadStall.D())
	up := control.Upload{Data: r.Body, Size: r.ContentLength, Into: r.Header.Get("X-Image-Meta-Store")}
	if text := r.Header.Get("X-Openstack-Image-Size"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || up.Size >= 0 && up.Size != n {
			return nil, fault.Invalidf("Invalid or missing image size in request headers.")
		}
		up.Size = n
	}
	if err := take(ctx, r.Path("id"), up); err != nil {
		if r.Header.Get("Expect") == "" {
			io.CopyN(io.Discard, r.Body, drained)
		}
		return nil, err
	}
	return rest.NoContent(), nil
}

func (a *api) download(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var prefer []string
	for p := range strings.SplitSeq(r.Query.Get("prefer"), ",") {
		if p = strings.TrimSpace(p); p != "" {
			prefer = append(prefer, p)
		}
	}
	i, data, err := a.c.Open(ctx, r.Path("id"), prefer)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return rest.NoContent(), nil
	}
	part, err := partOf(r.Header.Get("Range"), data.Size())
	if err != nil {
		data.Close()
		return (&rest.Response{Status: http.StatusRequestedRangeNotSatisfiable, Body: map[string]string{
			"code": "416 Requested Range Not Satisfiable", "title": "Requested Range Not Satisfiable", "message": err.Error()}}).
			With("Content-Range", fmt.Sprintf("bytes */%d", data.Size())), nil
	}
	resp := (&rest.Response{}).With("Content-Type", "application/octet-stream").With("Content-Length", strconv.FormatInt(part.length, 10)).
		With("Accept-Ranges", "bytes")
	if i.Checksum != "" {
		resp.With("Content-Md5", i.Checksum)
	}
	if part.asked {
		resp.Status = http.StatusPartialContent
		resp.With("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.offset, part.offset+part.length-1, data.Size()))
	}
	if r.Method == http.MethodHead { // nothing will be streamed
		data.Close()
	}
	resp.Stream = func(_ context.Context, w io.Writer) error { return send(w, data, part) }
	return resp, nil
}

// send copies a part of a blob, by the kernel where it can.
func send(w io.Writer, data blob.Reader, p part) error {
	defer data.Close()
	if p.offset > 0 {
		if _, err := data.Seek(p.offset, io.SeekStart); err != nil {
			return err
		}
	}
	if p.offset+p.length == data.Size() {
		n, err := io.Copy(w, data)
		if err == nil && n != p.length {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	_, err := io.CopyN(w, data, p.length)
	return err
}

// part is what a client wants of an image's data.
type part struct {
	offset, length int64
	asked          bool
}

// partOf reads a Range header. Several ranges at once are answered with the
// whole, which HTTP allows.
func partOf(header string, size int64) (part, error) {
	whole := part{length: size}
	spec, ok := strings.CutPrefix(strings.TrimSpace(header), "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return whole, nil
	}
	unfit := fmt.Errorf("The range %.64q cannot be had of %d bytes.", spec, size)
	from, to, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return whole, unfit
	}
	if from == "" { // the last so many
		n, err := strconv.ParseInt(to, 10, 64)
		if err != nil || n <= 0 || size == 0 {
			return whole, unfit
		}
		n = min(n, size)
		return part{size - n, n, true}, nil
	}
	start, err := strconv.ParseInt(from, 10, 64)
	if err != nil || start < 0 || start >= size {
		return whole, unfit
	}
	end := size - 1
	if to != "" {
		if end, err = strconv.ParseInt(to, 10, 64); err != nil || end < start {
			return whole, unfit
		}
		end = min(end, size-1)
	}
	return part{start, end - start + 1, true}, nil
}
