// Package http reads images that lie on somebody's web server. It takes no data
// and owns none: deleting such an image removes nothing there. Where it may be
// led to is the operator's to say (Filter), since users name the addresses.
package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
)

// Store implements blob.Store and blob.Foreign.
type Store struct {
	filter  blob.Filter
	client  *http.Client
	silence time.Duration // after which a server that sends nothing is given up
}

// silence is that of every store: whoever reads what a user named must not wait for ever.
const silence = time.Minute

var errSilent = errors.New("the server is silent")

const purpose = "The address of the location"

// New returns a store that reads from where filter lets it.
func New(filter blob.Filter) *Store { return &Store{filter, filter.Client(purpose), silence} }

// ReadOnly implements blob.ReadOnly.
func (s *Store) ReadOnly() {}

// Create implements blob.Store: it refuses.
func (s *Store) Create(_ context.Context, key string, _ int64) (blob.Writer, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	return nil, fault.Invalidf("The HTTP store of images cannot be written to.")
}

// Open implements blob.Store: there are no blobs of this service's.
func (s *Store) Open(_ context.Context, key string) (blob.Reader, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	return nil, blob.ErrNotFound
}

// Delete implements blob.Store.
func (s *Store) Delete(_ context.Context, key string) error { return blob.ValidKey(key) }

// Each implements blob.Store.
func (s *Store) Each(context.Context, func(blob.Entry) error) error { return nil }

// URL implements blob.Store.
func (s *Store) URL(key string) string { return "http://invalid/" + key }

// CheckURL implements blob.Foreign.
func (s *Store) CheckURL(address string) error { return s.filter.Permit(purpose, address) }

// OpenURL implements blob.Foreign. Servers that do not tell the size of what
// they have are refused.
func (s *Store) OpenURL(ctx context.Context, address string) (blob.Reader, error) {
	if err := s.CheckURL(address); err != nil {
		return nil, err
	}
	resp, err := s.ask(ctx, http.MethodHead, address, "", http.StatusOK)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	if resp.ContentLength < 0 {
		return nil, fault.New(fault.Unavailable, "The server of the image's data does not tell how much it has.")
	}
	size, tag := resp.ContentLength, resp.Header.Get("Etag")
	return blob.Ranged(ctx, size, func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		wanted, status := "", http.StatusOK
		if offset > 0 || length >= 0 {
			end := size - 1
			if length >= 0 {
				end = offset + length - 1
			}
			wanted, status = fmt.Sprintf("bytes=%d-%d", offset, end), http.StatusPartialContent
		}
		resp, err := s.ask(ctx, http.MethodGet, address, wanted, status)
		if err != nil {
			return nil, err
		}
		if got := resp.Header.Get("Etag"); got != tag || status == http.StatusOK && resp.ContentLength != size {
			resp.Body.Close()
			return nil, fault.New(fault.Unavailable, "The image's data changed on its server while it was read.")
		}
		return resp.Body, nil
	}), nil
}

func (s *Store) ask(ctx context.Context, method, address, wanted string, status int) (resp *http.Response, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer func() {
		if err != nil {
			cancel(nil)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The address of the location cannot be used.")
	}
	if wanted != "" {
		req.Header.Set("Range", wanted)
	}
	resp, err = s.client.Do(req)
	if err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return nil, f
		}
		return nil, fault.Wrap(err, fault.Unavailable, "The server of the image's data cannot be reached.")
	}
	if resp.StatusCode == status {
		resp.Body = &watched{resp.Body, ctx, cancel, s.silence}
		return resp, nil
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return nil, blob.ErrNotFound
	}
	return nil, fault.New(fault.Unavailable, "The server of the image's data answers with status %s.", strconv.Itoa(resp.StatusCode))
}

// watched ends a request whose server is silent while somebody reads. How long the
// reader takes between is its own affair.
type watched struct {
	io.ReadCloser
	ctx     context.Context
	cancel  context.CancelCauseFunc
	silence time.Duration
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	timer := time.AfterFunc(w.silence, func() { w.cancel(errSilent) })
	n, err := w.ReadCloser.Read(p)
	timer.Stop()
	if err != nil && errors.Is(context.Cause(w.ctx), errSilent) {
		err = fault.Wrap(err, fault.Unavailable, "The server of the image's data has sent nothing for %s.", w.silence)
	}
	return n, err
}

// Close implements io.Closer.
func (w *watched) Close() error {
	w.cancel(nil)
	return w.ReadCloser.Close()
}
